//! Pixels against Pillow and torchvision: equal to the bit.
//!
//! The pictures and the expected hashes are in `data/pixels`, with the script that drew and computed them.

use std::path::PathBuf;

use tintype_core::image::{Limits, Picture, decode};
use tintype_core::{Exif, ModelSpec, Plan, PreprocessSpec, Scratch};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/pixels").join(name)
}

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(data("decode").join(name)).expect("the picture is checked in")
}

fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(data(name)).expect("the table is checked in");
    text.lines()
        .map(|line| line.split('\t').map(|cell| cell.trim_matches('"').replace("\"\"", "\"")).collect())
        .collect()
}

fn hash(bytes: &[u8]) -> String {
    tintype_core::package::digest::of_bytes(bytes)
}

/// Fails with all of `problems`.
#[track_caller]
fn report(problems: &[String], cases: usize) {
    assert!(problems.is_empty(), "{} of {cases} cases:\n{}", problems.len(), problems.join("\n"));
}

/// What Pillow refuses, refused; what it reads, read to the same bytes.
#[test]
fn every_format_and_mode_decodes_as_in_pillow() {
    let cases = table("decode.tsv");
    let mut problems = Vec::new();
    for case in &cases {
        let [name, size, expected] = case.as_slice() else { panic!("{case:?}") };
        match decode(&picture(name), Exif::Apply, &Limits::default()) {
            Ok(_) if size == "error" => problems.push(format!("{name}: expected an error")),
            Err(_) if size == "error" => {}
            Err(error) => problems.push(format!("{name}: {error}")),
            Ok(found) if format!("{}x{}", found.width, found.height) != *size => {
                problems.push(format!("{name}: expected {size}, found {}x{}", found.width, found.height));
            }
            Ok(found) if hash(&found.data) != *expected => {
                problems.push(format!("{name}: other pixels, first {:?}", &found.data[..6]));
            }
            Ok(_) => {}
        }
    }
    report(&problems, cases.len());
}

#[test]
fn resizes_crops_and_pads_as_torchvision_and_pillow() {
    let cases = table("prepare.tsv");
    let mut scratch = Scratch::new();
    let mut problems = Vec::new();
    for case in &cases {
        let [name, spec, shape, expected] = case.as_slice() else { panic!("{case:?}") };
        let plan = Plan::new(spec_of(spec), Limits::default()).unwrap();
        match plan.pixels(&picture(name), &mut scratch) {
            Err(error) => problems.push(format!("{name}: {spec}: {error}")),
            Ok(found) => {
                let sides: Vec<String> = found.shape().iter().map(ToString::to_string).collect();
                if sides.join("x") != *shape {
                    problems.push(format!("{name}: {spec}: expected {shape}, found {}", sides.join("x")));
                } else if hash(found.values::<u8>().unwrap()) != *expected {
                    problems.push(format!("{name}: {spec}: other pixels"));
                }
            }
        }
    }
    report(&problems, cases.len());
}

fn spec_of(lines: &str) -> PreprocessSpec {
    let text = format!("[preprocess]\n{}", lines.replace("; ", "\n"));
    ModelSpec::from_toml(&text).expect("the spec parses").preprocess.unwrap_or_default()
}

/// torchvision computes in `f32`, step by step; here it is one rounding from `f64`.
#[test]
fn normalisation_equals_torchvision() {
    let bytes = std::fs::read(data("normalize.f32")).unwrap();
    let expected: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let spec = "resize = { shorter = 32 }; crop = [24, 24]; scale = 0.00392156862745098; \
                mean = [0.485, 0.456, 0.406]; std = [0.229, 0.224, 0.225]";
    let plan = Plan::new(spec_of(spec), Limits::default()).unwrap();
    let found = plan.prepare(&picture("wide_420.jpg"), &mut Scratch::new()).unwrap();
    assert_eq!(found.shape(), [3, 24, 24]);
    tintype_testkit::assert_close(found.values::<f32>().unwrap(), &expected, 1e-6);
}

#[test]
fn exif_ignore_leaves_the_pixels_as_stored() {
    let limits = Limits::default();
    let upright = decode(&picture("exif_1.jpg"), Exif::Apply, &limits).unwrap();
    for value in 1..=8 {
        let stored = decode(&picture(&format!("exif_{value}.jpg")), Exif::Ignore, &limits).unwrap();
        assert_eq!(stored, upright, "orientation {value}");
    }
}

/// The name plays no part, so a picture that is cut anywhere is an error or, where Pillow agrees, a picture.
#[test]
fn no_cut_or_flipped_byte_panics() {
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let names = [
        "baseline_420.jpg",
        "palette.png",
        "lossy_alpha.webp",
        "animated.gif",
        "palette.bmp",
        "palette_lzw.tiff",
    ];
    for name in names {
        let whole = picture(name);
        let step = whole.len() / 60 + 1;
        for at in (0..whole.len()).step_by(step) {
            let _: Result<Picture, _> = decode(&whole[..at], Exif::Apply, &limits);
            let mut altered = whole.clone();
            altered[at] ^= 0x55;
            if let Err(error) = decode(&altered, Exif::Apply, &limits) {
                assert!(!error.message().contains("gave up"), "{name}: byte {at}: {error}");
            }
        }
    }
}
