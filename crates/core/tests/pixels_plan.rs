//! Plans: what a spec may say, and how prepared images lie in memory.

use tintype_core::image::Limits;
use tintype_core::{DType, ErrorKind, ModelSpec, Plan, Preset, Resize, Result, Scratch, Tensor};
use tintype_testkit::image::{jpeg, png};

fn plan(lines: &str) -> Result<Plan> {
    let spec = ModelSpec::from_toml(&format!("[preprocess]\n{lines}"))?;
    Plan::new(spec.preprocess.unwrap_or_default(), Limits::default())
}

fn prepare(lines: &str, bytes: &[u8]) -> Tensor {
    plan(lines).expect("a valid spec").prepare(bytes, &mut Scratch::new()).expect("a readable picture")
}

/// Each wrong spec, and what its message must name.
#[test]
fn wrong_specs_say_what_was_expected_and_found() {
    let cases = [
        ("crop = [0, 224]", "`crop`: expected 1 to 16384 pixels, found 0"),
        ("resize = { shorter = 99999 }", "`resize.shorter`: expected 1 to 16384 pixels, found 99999"),
        ("resize = { exact = [8, 0] }", "`resize.exact`: expected 1 to 16384 pixels, found 0"),
        ("pad = { size = [0, 8] }", "`pad.size`: expected 1 to 16384 pixels, found 0"),
        ("crop = [8, 8]\npad = { size = [8, 8] }", "either `crop` or `pad`, found both"),
        ("scale = 0.0", "`scale`: expected a finite number other than 0, found 0"),
        ("mean = [0.5, 0.5]", "`mean`: expected 1 or 3 values, found 2"),
        ("channels = \"gray\"\nstd = [1.0, 1.0, 1.0]", "`std`: expected 1 value, found 3"),
        ("mean = [nan]", "`mean`: expected finite numbers, found NaN"),
        ("std = [1.0, 0.0, 1.0]", "`std`: expected numbers above 0, found 0"),
        ("dtype = \"u8\"\nscale = 2.0", "`scale`: expected none with `dtype = \"u8\"`"),
        ("dtype = \"u8\"\nmean = [1.0]", "`mean`: expected none with `dtype = \"u8\"`"),
        ("resise = { shorter = 8 }", "unknown field `resise`"),
        ("filter = \"cubic\"", "unknown variant `cubic`"),
    ];
    let mut problems = Vec::new();
    for (lines, expected) in cases {
        match plan(lines) {
            Ok(_) => problems.push(format!("{lines}: accepted")),
            Err(e) if e.kind() != ErrorKind::InvalidConfig || !e.message().contains(expected) => {
                problems.push(format!("{lines}: {e}"));
            }
            Err(_) => {}
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn layouts_and_channels_hold_the_same_values() {
    let bytes = png(5, 4, 1);
    let values = |lines: &str| prepare(lines, &bytes).values::<f32>().unwrap().to_vec();
    let (planar, interleaved) =
        (values("mean = [1.0, 2.0, 3.0]"), values("mean = [1.0, 2.0, 3.0]\nlayout = \"nhwc\""));
    let bgr = values("mean = [3.0, 2.0, 1.0]\nchannels = \"bgr\"");
    for pixel in 0..20 {
        for c in 0..3 {
            assert_eq!(planar[c * 20 + pixel], interleaved[3 * pixel + c]);
            assert_eq!(
                planar[c * 20 + pixel],
                bgr[(2 - c) * 20 + pixel],
                "mean follows the output's channels"
            );
        }
    }
}

#[test]
fn dtypes_hold_the_same_values() {
    let bytes = jpeg(9, 7, 1);
    let single = prepare("scale = 0.01\nstd = [0.5]", &bytes);
    let half = prepare("scale = 0.01\nstd = [0.5]\ndtype = \"f16\"", &bytes);
    let raw = prepare("dtype = \"u8\"", &bytes);
    assert_eq!((half.dtype(), raw.dtype()), (DType::F16, DType::U8));
    let half = half.values::<half::f16>().unwrap();
    for ((&single, half), &raw) in
        single.values::<f32>().unwrap().iter().zip(half).zip(raw.values::<u8>().unwrap())
    {
        assert!((single - f32::from(raw) * 0.02).abs() < 1e-6);
        assert_eq!(*half, half::f16::from_f64(f64::from(raw) * 0.01 / 0.5));
    }
}

#[test]
fn gray_is_one_channel() {
    let tensor = prepare("channels = \"gray\"\nresize = { exact = [6, 8] }", &png(20, 10, 1));
    assert_eq!(tensor.shape(), [1, 6, 8]);
}

#[test]
fn a_slot_gets_what_a_tensor_of_its_own_would_hold() {
    let (bytes, mut scratch) = (png(9, 7, 1), Scratch::new());
    for channels in ["rgb", "bgr", "gray"] {
        for layout in ["nchw", "nhwc"] {
            let lines = format!(
                "crop = [4, 5]\nscale = 0.5\nmean = [1.0]\nchannels = \"{channels}\"\nlayout = \"{layout}\""
            );
            let plan = plan(&lines).unwrap();
            let tensor = plan.prepare(&bytes, &mut scratch).unwrap();
            let mut slot = vec![0f32; tensor.shape().iter().product()];
            plan.prepare_into(&bytes, &mut scratch, slot.as_mut_slice().into()).unwrap();
            assert_eq!(slot, tensor.values::<f32>().unwrap(), "{lines}");
        }
    }
}

#[test]
fn a_slot_takes_its_own_dtype_and_length_alone() {
    let plan = plan("crop = [4, 4]").unwrap();
    let (bytes, mut scratch) = (png(8, 8, 1), Scratch::new());
    let expected = plan.prepare(&bytes, &mut scratch).unwrap();
    let mut batch = vec![0f32; 2 * 48];
    plan.prepare_into(&bytes, &mut scratch, (&mut batch[48..]).into()).unwrap();
    assert_eq!(&batch[48..], expected.values::<f32>().unwrap());
    assert!(batch[..48].iter().all(|&x| x == 0.0));
    for error in [
        plan.prepare_into(&bytes, &mut scratch, (&mut batch[..47]).into()).unwrap_err(),
        plan.prepare_into(&bytes, &mut scratch, vec![0u8; 48].as_mut_slice().into()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with("expected a slot of 48 `f32`"), "{error}");
    }
}

#[test]
fn output_shapes_are_known_where_they_are_fixed() {
    for (lines, expected) in [
        ("crop = [4, 5]", Some([3, 4, 5])),
        ("crop = [4, 5]\nlayout = \"nhwc\"", Some([4, 5, 3])),
        ("pad = { size = [4, 5] }\nchannels = \"gray\"", Some([1, 4, 5])),
        ("resize = { exact = [4, 5] }", Some([3, 4, 5])),
        ("resize = { shorter = 4 }", None),
        ("", None),
    ] {
        assert_eq!(plan(lines).unwrap().output_shape(), expected, "{lines}");
    }
}

#[test]
fn a_picture_larger_than_its_canvas_is_an_error() {
    let error =
        plan("pad = { size = [10, 12] }").unwrap().prepare(&png(13, 9, 1), &mut Scratch::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.message(), "expected an image of at most 12x10 pixels to pad, found 13x9");
}

#[test]
fn presets_scale_with_the_input() {
    let resize = |preset: Preset, side| preset.spec([side, side]).resize.unwrap();
    assert_eq!(resize(Preset::Imagenet, 224), Resize::Shorter(256));
    assert_eq!(resize(Preset::Imagenet, 160), Resize::Shorter(183));
    assert_eq!(resize(Preset::Inception, 299), Resize::Shorter(342));
    assert_eq!(resize(Preset::Clip, 224), Resize::Shorter(224));
    for preset in Preset::ALL {
        let plan = Plan::new(preset.spec([32, 48]), Limits::default()).unwrap();
        assert_eq!(plan.output_shape(), Some([3, 32, 48]), "{preset:?}");
    }
}

/// White is 1 and black is -1 under `inception`.
#[test]
fn inception_spans_minus_one_to_one() {
    let tensor = Plan::new(Preset::Inception.spec([8, 8]), Limits::default())
        .unwrap()
        .prepare(&jpeg(16, 16, 1), &mut Scratch::new())
        .unwrap();
    let raw = prepare("resize = { shorter = 9 }\ncrop = [8, 8]", &jpeg(16, 16, 1));
    for (value, raw) in tensor.values::<f32>().unwrap().iter().zip(raw.values::<f32>().unwrap()) {
        assert!((value - (raw - 127.5) / 127.5).abs() < 1e-6);
    }
}
