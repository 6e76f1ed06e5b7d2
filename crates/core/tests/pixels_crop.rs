//! Parts of images, as training takes them: whatever way one is cut out, it is the same pixels.

use tintype_core::image::{Limits, Picture, Region, decode};
use tintype_core::{Exif, ModelSpec, Plan, Scratch};
use tintype_testkit::image::{jpeg, jpeg_with_orientation, png};

fn plan(lines: &str) -> Plan {
    let spec = ModelSpec::from_toml(&format!("[preprocess]\nresize = {{ exact = [20, 24] }}\n{lines}"));
    Plan::new(spec.expect("a valid spec").preprocess.unwrap_or_default(), Limits::default())
        .expect("a valid plan")
}

/// `part` as a file of its own, without loss.
fn cut(picture: &Picture, part: Region) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in part.y..part.y + part.height {
        let start = (y * picture.width + part.x) as usize * 3;
        pixels.extend_from_slice(&picture.data[start..start + part.width as usize * 3]);
    }
    let image =
        image::RgbImage::from_raw(part.width, part.height, pixels).expect("as many pixels as the part has");
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture in memory always encodes");
    bytes.into_inner()
}

#[test]
fn a_part_is_what_a_file_of_it_alone_becomes() {
    let parts = [
        Region { x: 0, y: 0, width: 90, height: 70 },
        Region { x: 13, y: 21, width: 31, height: 17 },
        Region { x: 80, y: 60, width: 10, height: 10 },
        Region { x: 5, y: 0, width: 20, height: 69 },
    ];
    let plan = plan("");
    let mut scratch = Scratch::new();
    let sideways = jpeg_with_orientation(&jpeg(70, 90, 2), 6);
    for bytes in [jpeg(90, 70, 1), png(90, 70, 3), sideways] {
        let whole = decode(&bytes, Exif::Apply, &Limits::default()).unwrap();
        for part in parts {
            let alone = plan.picture(&cut(&whole, part), &mut scratch).unwrap();
            assert_eq!(plan.crop(&whole, part, &mut scratch).unwrap(), alone, "{part:?} of pixels");
            let choose = |size: tintype_core::image::Size| {
                assert_eq!((size.width, size.height), (90, 70));
                part
            };
            assert_eq!(plan.crop_of(&bytes, &mut scratch, choose).unwrap(), alone, "{part:?} of a file");
        }
    }
}

#[test]
fn a_picture_normalised_is_the_prepared_image() {
    let bytes = jpeg(50, 40, 4);
    for lines in ["mean = [1.0, 2.0, 3.0]", "channels = \"bgr\"\nlayout = \"nhwc\"", "channels = \"gray\""] {
        let plan = plan(lines);
        let mut scratch = Scratch::new();
        let prepared = plan.prepare(&bytes, &mut scratch).unwrap();
        let picture = plan.picture(&bytes, &mut scratch).unwrap();
        let mut values = vec![0.0f32; prepared.data().len()];
        plan.normalize(&picture, values.as_mut_slice().into()).unwrap();
        assert_eq!(values, prepared.values::<f32>().unwrap(), "{lines}");
    }
}

#[test]
fn parts_outside_the_image_are_refused() {
    let bytes = png(8, 6, 1);
    let whole = decode(&bytes, Exif::Apply, &Limits::default()).unwrap();
    let plan = plan("");
    for (x, y, width, height) in [(0, 0, 0, 3), (1, 0, 8, 6), (0, 4, 8, 3), (u32::MAX, 0, 2, 2)] {
        let part = Region { x, y, width, height };
        let error = plan.crop(&whole, part, &mut Scratch::new()).unwrap_err();
        assert!(error.message().contains("expected a part of an image of 8x6"), "{error}");
        assert!(plan.crop_of(&bytes, &mut Scratch::new(), |_| part).is_err(), "{part:?}");
    }
}
