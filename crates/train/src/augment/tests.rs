//! Operations against torchvision, and the whole against itself.

use serde::Deserialize;
use tintype_core::image::Limits;
use tintype_core::{PreprocessSpec, Resize};
use tintype_testkit::image::jpeg;

use super::randaugment::OPERATIONS;
use super::*;

/// Written by `tests/data/augment.py`.
#[derive(Deserialize)]
struct Reference {
    width: u32,
    height: u32,
    changes: Vec<Change>,
    operations: Vec<Done>,
}

#[derive(Deserialize)]
struct Change {
    picture: String,
    change: String,
    value: f64,
    pixels: String,
}

#[derive(Deserialize)]
struct Done {
    picture: String,
    operation: usize,
    magnitude: u32,
    negative: bool,
    pixels: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../tests/data/augment.json")).unwrap()
}

impl Reference {
    fn picture(&self, name: &str) -> Picture {
        let plain = self.changes.iter().find(|c| c.picture == name && c.change == "none").unwrap();
        Picture { width: self.width, height: self.height, data: bytes(&plain.pixels) }
    }
}

/// How many samples differ, and by how much at most.
fn difference(found: &Picture, expected: &[u8]) -> (usize, u8) {
    assert_eq!(found.data.len(), expected.len());
    let differences = found.data.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    (differences.clone().filter(|&d| d > 0).count(), differences.max().unwrap_or(0))
}

#[test]
fn changes_of_colour_are_torchvisions_bit_for_bit() {
    let reference = reference();
    let mut problems = Vec::new();
    for case in &reference.changes {
        let mut picture = reference.picture(&case.picture);
        match case.change.as_str() {
            "none" => {}
            "brightness" => color::brightness(&mut picture, case.value),
            "contrast" => color::contrast(&mut picture, case.value),
            "saturation" => color::saturation(&mut picture, case.value),
            "hue" => hue::turn(&mut picture, case.value),
            "mirror" => geometry::mirror(&mut picture),
            "turn over" => geometry::turn_over(&mut picture),
            other => panic!("`{other}` is no change"),
        }
        let (count, most) = difference(&picture, &bytes(&case.pixels));
        if count > 0 {
            problems.push(format!("{} {} {}: {count}, most {most}", case.picture, case.change, case.value));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn randaugments_operations_are_torchvisions_bit_for_bit() {
    let reference = reference();
    let mut problems = Vec::new();
    for case in &reference.operations {
        let mut picture = reference.picture(&case.picture);
        let operation = OPERATIONS[case.operation];
        operation.apply(&mut picture, f64::from(case.magnitude) / 30.0, case.negative);
        let (count, most) = difference(&picture, &bytes(&case.pixels));
        if count > 0 {
            let sign = if case.negative { "-" } else { "" };
            let what = format!("{} {operation:?} {sign}{}", case.picture, case.magnitude);
            problems.push(format!("{what}: {count}, most {most}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn plan() -> Plan {
    let spec = PreprocessSpec { resize: Some(Resize::Exact([20, 20])), ..PreprocessSpec::default() };
    Plan::new(spec, Limits::default()).unwrap()
}

fn everything() -> AugmentConfig {
    AugmentConfig {
        crop: Crop::RandomResized,
        hflip: 0.5,
        vflip: 0.5,
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.4,
        hue: 0.1,
        randaugment: 2,
        erase: 0.5,
        ..AugmentConfig::default()
    }
}

fn row(augmentation: &Augmentation, original: &Original, index: usize) -> Vec<f32> {
    let mut row = vec![0.0; 20 * 20 * 3];
    let mut rng = Moment { seed: 1, epoch: 2 }.generator(Stream::Image, index);
    augmentation.apply(original, &mut rng, &mut Scratch::new(), &mut row).unwrap();
    row
}

#[test]
fn an_image_changes_alike_from_its_file_and_from_memory() {
    let file = jpeg(60, 40, 1);
    for crop in [Crop::Eval, Crop::Padded, Crop::RandomResized] {
        let config = AugmentConfig { crop, ..everything() };
        let augmentation = Augmentation::new(&config, &plan()).unwrap();
        let kept = augmentation.unpack(&file, &mut Scratch::new()).unwrap();
        for index in 0..20 {
            let one = row(&augmentation, &Original::Encoded(&file), index);
            assert_eq!(one, row(&augmentation, &Original::Unpacked(&kept), index), "{crop:?} {index}");
            assert_ne!(one, row(&augmentation, &Original::Encoded(&file), index + 1), "{crop:?} {index}");
        }
    }
}

#[test]
fn without_changes_the_row_is_evaluations() {
    let (file, plan) = (jpeg(60, 40, 1), plan());
    let augmentation = Augmentation::new(&AugmentConfig::default(), &plan).unwrap();
    let expected = plan.prepare(&file, &mut Scratch::new()).unwrap();
    assert_eq!(row(&augmentation, &Original::Encoded(&file), 0), expected.values::<f32>().unwrap());
}

#[test]
fn half_of_the_images_are_mirrored() {
    let (file, plan) = (jpeg(60, 40, 1), plan());
    let config = AugmentConfig { hflip: 0.5, ..AugmentConfig::default() };
    let augmentation = Augmentation::new(&config, &plan).unwrap();
    let plain = plan.prepare(&file, &mut Scratch::new()).unwrap();
    let mirrored = (0..400)
        .filter(|&i| row(&augmentation, &Original::Encoded(&file), i) != plain.values::<f32>().unwrap());
    let mirrored = mirrored.count();
    assert!((150..250).contains(&mirrored), "{mirrored} of 400");
}
