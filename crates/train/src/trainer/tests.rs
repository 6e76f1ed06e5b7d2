//! The loop on ONNX Runtime, with a linear layer.

use serde::Deserialize;
use tintype_engine::ort::OrtBackend;
use tintype_testkit::assert_close;

use super::*;
use crate::config::resolve;
use crate::examples::Rows;
use crate::linear::{self, layer_of};

/// Written by `tests/data/linear.py`.
#[derive(Deserialize)]
struct Reference {
    x: Vec<f32>,
    truth: Vec<usize>,
    held_x: Vec<f32>,
    held_truth: Vec<usize>,
    epochs: Vec<ReferenceEpoch>,
}

#[derive(Deserialize)]
struct ReferenceEpoch {
    train_loss: f32,
    val_loss: f32,
    val_accuracy: f32,
}

fn reference() -> (Reference, Examples, Examples) {
    let found: Reference = serde_json::from_str(include_str!("../../tests/data/linear.json")).unwrap();
    let examples = |x: &[f32], classes: &[usize]| Examples {
        shape: vec![5],
        classes: classes.to_vec(),
        rows: Rows::Memory(x.to_vec()),
    };
    let (train, val) = (examples(&found.x, &found.truth), examples(&found.held_x, &found.held_truth));
    (found, train, val)
}

fn config(extra: &str) -> TrainConfig {
    let words = format!("backbone=b data=d trainer.threads=1 {extra}");
    resolve(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
}

/// Keeps the reports, and asks to stop after some steps.
#[derive(Default)]
struct Seen {
    epochs: Vec<EpochReport>,
    steps: Vec<StepReport>,
    stop_after: Option<usize>,
    stop: Stop,
}

impl Subscriber for Seen {
    fn on_event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Epoch(report) => self.epochs.push(*report),
            TrainEvent::Step(report) => self.steps.push(*report),
            _ => {}
        }
        if self.stop_after == Some(self.steps.len()) {
            self.stop.request();
        }
    }
}

fn fit(config: &TrainConfig, train: &Examples, val: &Examples, seen: &mut Seen) -> Result<Fitted> {
    let backend = OrtBackend::new().unwrap();
    let (model, stop) = (linear::model(5, 3).unwrap(), seen.stop.clone());
    let trainer = Trainer { backend: &backend, model: &model, classes: 3, config, train, val, stop: &stop };
    trainer.fit(Instant::now(), seen)
}

#[test]
fn epochs_of_one_batch_are_those_of_pytorch() {
    let (reference, train, val) = reference();
    let mut seen = Seen::default();
    let config = config("trainer.epochs=12 optim.lr=0.05 optim.weight_decay=0.01");
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    let found = |f: fn(&EpochReport) -> f64| seen.epochs.iter().map(|e| f(e) as f32).collect::<Vec<_>>();
    let expected = |f: fn(&ReferenceEpoch) -> f32| reference.epochs.iter().map(f).collect::<Vec<_>>();
    // Twelve steps of float32 in another order of summation.
    assert_close(&found(|e| e.train_loss), &expected(|e| e.train_loss), 1e-5);
    assert_close(&found(|e| e.val_loss), &expected(|e| e.val_loss), 1e-5);
    assert_close(&found(|e| e.val_accuracy), &expected(|e| e.val_accuracy), 1e-6);
    let best = seen.epochs.iter().rfind(|e| e.best).unwrap();
    assert_eq!((fitted.summary.best_epoch, fitted.summary.val_loss), (best.epoch, best.val_loss));
    let most = seen.epochs.iter().map(|e| e.val_accuracy).fold(0.0, f64::max);
    assert_eq!(fitted.summary.val_accuracy, most);
}

#[test]
fn small_batches_cover_the_rows_and_equal_seeds_agree() {
    let (_, train, val) = reference();
    let config = config("trainer.epochs=3 trainer.batch_size=7 optim.lr=0.1");
    let (mut first, mut second) = (Seen::default(), Seen::default());
    let one = fit(&config, &train, &val, &mut first).unwrap();
    let two = fit(&config, &train, &val, &mut second).unwrap();
    assert_eq!(layer_of(&one.model).unwrap(), layer_of(&two.model).unwrap());
    // 24 rows are three batches of 7; the last 3 rows wait for another epoch.
    assert_eq!(first.steps.len(), 9);
    assert_eq!((first.steps[4].epoch, first.steps[4].step, first.steps[4].steps), (2, 2, 3));
    assert!(first.steps[8].time_left.is_zero() && !first.steps[7].time_left.is_zero());
    let other = TrainConfig { seed: 1, ..config };
    let three = fit(&other, &train, &val, &mut Seen::default()).unwrap();
    assert_ne!(layer_of(&one.model).unwrap(), layer_of(&three.model).unwrap());
}

#[test]
fn a_stop_ends_after_the_step_and_keeps_the_best() {
    let (_, train, val) = reference();
    let config = config("trainer.epochs=50 trainer.batch_size=8");
    let mut seen = Seen { stop_after: Some(2), ..Seen::default() };
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    assert_eq!((seen.steps.len(), seen.epochs.len()), (2, 1));
    assert!(fitted.summary.stopped && fitted.summary.best_epoch == 1 && fitted.summary.epochs == 1);
    let mut seen = Seen { stop_after: Some(5), ..Seen::default() };
    let fitted = fit(&config, &train, &val, &mut seen).unwrap();
    // The second epoch is not whole, so it is not compared.
    assert_eq!((seen.steps.len(), seen.epochs.len()), (5, 1));
    assert_eq!((fitted.summary.best_epoch, fitted.summary.epochs), (1, 1));
}

#[test]
fn a_loss_that_is_no_number_is_an_error() {
    let (_, mut train, val) = reference();
    train.memory_mut()[0] = f32::INFINITY;
    let error = fit(&config(""), &train, &val, &mut Seen::default()).map(|f| f.summary).unwrap_err();
    assert!(error.message().contains("the loss is `NaN` in epoch 1, step 1"), "{error}");
}
