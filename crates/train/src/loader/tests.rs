//! Orders, and batches by them.

use tintype_core::image::Limits;
use tintype_core::{Plan, PreprocessSpec, Resize};
use tintype_testkit::image::jpeg;

use super::*;
use crate::augment::Moment;
use crate::config::{AugmentConfig, Crop};
use crate::data::{Dataset, Sample};
use crate::event::ImagesPass;
use crate::examples::{Divided, Preparation};
use crate::pass::{Stop, Watch};
use crate::split::Split;

const MOMENT: Moment = Moment { seed: 1, epoch: 1 };

fn examples(rows: usize) -> Examples {
    let values = (0..rows * 4).map(|i| i as f32).collect();
    Examples::in_memory(vec![1, 2, 2], (0..rows).collect(), values)
}

fn collect(examples: &Examples, order: &Order, threads: usize) -> Vec<Batch> {
    let mut found = Vec::new();
    for_batches(examples, order, threads, |batch| {
        found.push(batch);
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

#[test]
fn an_epoch_visits_rows_once_in_an_order_of_its_own() {
    let shuffled = |rows, batch, moment| Order::shuffled(rows, batch, moment, Stream::Order);
    let first = shuffled(10, 4, MOMENT);
    assert_eq!(first.batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(first, shuffled(10, 4, MOMENT));
    assert_ne!(first.batches, shuffled(10, 4, Moment { epoch: 2, ..MOMENT }).batches);
    assert_ne!(first.batches, shuffled(10, 4, Moment { seed: 2, ..MOMENT }).batches);
    let mut rows = shuffled(9, 3, MOMENT).batches.concat();
    rows.sort_unstable();
    assert_eq!(rows, (0..9).collect::<Vec<_>>());
    assert_eq!(shuffled(3, 4, MOMENT).batches[0].len(), 3);
}

#[test]
fn batches_hold_their_rows() {
    let found = collect(&examples(5), &Order::sequential(5, 2), 2);
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].rows.shape(), [2, 1, 2, 2]);
    assert_eq!(found[1].rows.values::<f32>().unwrap(), [8., 9., 10., 11., 12., 13., 14., 15.]);
    assert_eq!(found[2].classes, [4]);
}

#[test]
fn a_consumers_error_ends_the_loader() {
    let error = for_batches(&examples(1000), &Order::sequential(1000, 1), 1, |_| {
        Err(Error::new(ErrorKind::Engine, "broken"))
    });
    assert_eq!(error.unwrap_err().message(), "broken");
}

/// Nine drawn photos, changed in every way, learned from but for the last.
fn changing(folder: &std::path::Path, cache: usize) -> Examples {
    let samples: Vec<Sample> = (0..9)
        .map(|i| {
            let path = folder.join(format!("{i}.jpg"));
            std::fs::write(&path, jpeg(40 + i, 50, u64::from(i))).unwrap();
            Sample { origin: path.into(), class: usize::from(i % 2 == 1), part: None }
        })
        .collect();
    let data = Dataset { classes: vec!["a".into(), "b".into()], samples };
    let split = Split { train: (0..8).collect(), val: vec![8], ..Split::default() };
    let hashes = vec![None; data.samples.len()];
    let divided = Divided { data, split, hashes };
    let spec = PreprocessSpec { resize: Some(Resize::Exact([16, 16])), ..PreprocessSpec::default() };
    let plan = Plan::new(spec, Limits::default()).unwrap();
    let config = AugmentConfig {
        crop: Crop::RandomResized,
        hflip: 0.5,
        brightness: 0.3,
        randaugment: 1,
        mixup: 0.4,
        ..AugmentConfig::default()
    };
    let preparation = Preparation::new(&config, plan, cache).unwrap();
    let stop = Stop::default();
    let mut watch = Watch { what: ImagesPass::Decode, subscriber: &mut (), stop: &stop };
    let decoded = preparation.decode(&divided.data.samples, &divided.learned(), 2, &mut watch).unwrap();
    divided.sets(decoded, &[3, 16, 16], Some(&preparation), &mut ()).unwrap().train
}

#[test]
fn rows_do_not_depend_on_threads_nor_on_where_the_images_are() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, filed) = (changing(folder.path(), 1 << 20), changing(folder.path(), 40 * 50 * 3));
    assert!(matches!(kept.rows, Rows::Changing { originals: Originals::Pictures(_), .. }), "all fit");
    assert!(matches!(filed.rows, Rows::Changing { originals: Originals::Files(_), .. }), "one fits");

    let order = Order::shuffled(8, 2, MOMENT, Stream::Order);
    let values = |batches: &[Batch]| -> Vec<Vec<f32>> {
        batches.iter().map(|b| b.rows.values::<f32>().unwrap().to_vec()).collect()
    };
    let one = collect(&kept, &order, 1);
    let expected = values(&one);
    for threads in [2, 3, 9] {
        assert_eq!(values(&collect(&kept, &order, threads)), expected, "{threads} threads");
    }
    assert_eq!(values(&collect(&filed, &order, 2)), expected, "from files");
    assert_eq!(values(&collect(&kept, &order.clone().after(2), 2)), expected[2..], "begun in the middle");
    assert!(one.iter().all(|b| b.mixed.is_some_and(|m| (0.0..=1.0).contains(&m.own))));
    let next = Order { moment: Some(Moment { epoch: 2, ..MOMENT }), ..order };
    assert_ne!(values(&collect(&kept, &next, 2)), expected, "another epoch");
}
