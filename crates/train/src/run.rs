//! A whole training: data, model, loop, and everything that is left behind.

use std::path::PathBuf;
use std::time::Instant;

use tintype_core::package::{MarOptions, check_name};
use tintype_core::{ErrorKind, ModelSource, Package, Result};
use tintype_engine::Backend;

use crate::checkpoint::Checkpoints;
use crate::config::{DataConfig, Scope, TrainConfig};
use crate::data::Dataset;
use crate::doctor::{Examination, Findings, examine};
use crate::evaluate::{EvaluateOptions, answer};
use crate::event::{DataFacts, Subscriber, Summary, TrainEvent};
use crate::examples::Divided;
use crate::metrics::{Confusion, Evaluation};
use crate::pass::Stop;
use crate::place::Place;
use crate::results::tensorboard::TensorBoard;
use crate::results::{self, Told, calibration};
use crate::run_dir::{self, JsonLines};
use crate::scope::{Job, Trained};
use crate::split::{Division, hash_files, split};
use crate::trainer::completed;

/// What a training left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run's directory; every command that takes a MODEL accepts it.
    pub run_dir: PathBuf,
    /// The model directory within.
    pub model_dir: PathBuf,
    /// The `.mar` within.
    pub archive: PathBuf,
    /// What the training came to.
    pub summary: Summary,
    /// The kept weights over the held-out images.
    pub evaluation: Evaluation,
}

/// Trains as `config` says, tells `subscriber` of it, and writes the run directory.
///
/// A requested stop ends training after the step it is in; the best epoch so far is kept and written, and with
/// `config.resume` the run goes on from that step as if it had not been stopped. While images are still decoded there is
/// nothing to keep: then the answer is `Cancelled`.
///
/// # Errors
/// `InvalidConfig`, `InvalidArgument`, `NotFound` and `InvalidModel` for what the configuration names;
/// `MissingRuntime` and `Engine` for the engine; `Cancelled`; `Io`.
pub fn train(
    config: &TrainConfig,
    backend: &dyn Backend,
    stop: &Stop,
    subscriber: &mut dyn Subscriber,
) -> Result<Outcome> {
    let began = Instant::now();
    check_name(&config.name)?;
    let place = Place::find(config, backend)?;
    let data = Dataset::to_learn_from(config.data.place())?;
    let hashes = hash_files(&data, config.threads());
    let DataConfig { val_fraction, folds, fold, .. } = config.data;
    let split = split(&data, &hashes, &Division { val_fraction, folds, fold, seed: config.seed })?;
    let facts = facts(&data, &split);
    subscriber.on_event(&TrainEvent::Data(facts.clone()));
    let divided = Divided::new(&data, &split, &hashes);

    let mut job = Job { config, backend, place, divided: &divided, stop, checkpoints: None, began };
    let ready = job.make_ready()?;
    let findings = if config.data.examine && config.resume.is_none() {
        let examination = Examination { least_side: ready.side() / 2, threads: config.threads(), stop };
        let findings = examine(&data, &split, &hashes, &examination, subscriber)?;
        subscriber.on_event(&TrainEvent::Examined(findings.clone()));
        findings
    } else {
        Findings::default()
    };
    let run_dir = run_dir::open(config)?;
    let checkpoints = Checkpoints::of(&run_dir);
    job.checkpoints = Some(&checkpoints);
    let resumed = config.resume.is_some();
    let write_config = || run_dir::write(&run_dir.join("config.yaml"), &config.to_yaml()?);
    if !resumed {
        write_config()?;
    }
    let mut log = match config.resume {
        Some(_) => JsonLines::resume(run_dir.join("metrics.jsonl"), completed(&checkpoints)?)?,
        None => JsonLines::create(run_dir.join("metrics.jsonl"))?,
    };
    let mut board = TensorBoard::create(&run_dir.join("tensorboard"))?;
    let trained = job.run(ready, &mut (&mut log, (&mut board, &mut *subscriber)))?;
    log.finish()?;
    if resumed {
        // Not before the checkpoint has proved to be of this configuration.
        write_config()?;
        run_dir::clear_model(&run_dir)?;
    }
    let confusion = trained.confusion.clone();
    let left = Left {
        config,
        facts: &facts,
        findings: findings.sentences(),
        run_dir,
        board,
        summary: trained.summary,
        confusion,
    };
    let package = package(config, trained, &facts);
    left.finish(package, &divided, backend, subscriber).map_err(|error| match error.kind() {
        ErrorKind::Io => error.with_hint("its checkpoints are there: `--resume` goes on from them"),
        _ => error,
    })
}

/// A training that came to its end, before anything but its log is written.
struct Left<'a> {
    config: &'a TrainConfig,
    facts: &'a DataFacts,
    findings: Vec<String>,
    run_dir: PathBuf,
    board: TensorBoard,
    summary: Summary,
    /// The trainer's own answers over the held-out images.
    confusion: Confusion,
}

impl Left<'_> {
    /// Answers the held-out images with the package, as it will be served, calibrates it, and writes everything.
    fn finish(
        self,
        mut package: Package,
        divided: &Divided,
        backend: &dyn Backend,
        subscriber: &mut dyn Subscriber,
    ) -> Result<Outcome> {
        let Self { config, facts, findings, run_dir, mut board, summary, confusion } = self;
        let Divided { data, split, .. } = divided;
        let samples = split.val.iter().map(|&i| data.samples[i].clone()).collect();
        let held_out = Dataset { classes: data.classes.clone(), samples };
        // What was trained is worth keeping, also for one who has asked to stop.
        let options = EvaluateOptions { threads: config.threads(), stop: Stop::default() };
        let mut answers = answer(&package, &held_out, backend, &options, subscriber)?;
        if answers.confusion() != confusion {
            // Other batches round otherwise, which may turn a near tie; more would be a fault.
            tracing::debug!("the package answers some held-out images otherwise than the trainer did");
        }
        let before = calibration::measure(&answers.probabilities(), &answers.truths);
        package.spec.postprocess = results::fit(&answers, &config.calibration);
        answers.postprocess = package.spec.postprocess.clone();
        let evaluation = answers.evaluate();
        board.pictures(summary.best_epoch, results::pictures::of(&answers, &evaluation.confusion));
        board.finish()?;
        for (name, value) in [
            ("val_accuracy", evaluation.accuracy),
            ("val_top5", evaluation.top5),
            ("val_macro_f1", evaluation.macro_f1),
            ("val_weighted_f1", evaluation.weighted_f1),
            ("val_ece", evaluation.calibration.ece),
            ("val_loss", summary.val_loss),
        ] {
            package.spec.metrics.insert(name.to_owned(), value);
        }
        let model_dir = package.write_dir(&run_dir.join("model"))?;
        let archive = run_dir.join(format!("{}.mar", config.name));
        let overwrite = config.resume.is_some();
        package.write_mar(&archive, &MarOptions { overwrite, ..MarOptions::default() })?;
        let told = Told {
            config,
            facts,
            findings: &findings,
            summary: &summary,
            evaluation: &evaluation,
            answers: &answers,
            before: &before,
        };
        results::write(&run_dir, &told)?;
        Ok(Outcome { run_dir, model_dir, archive, summary, evaluation })
    }
}

fn facts(data: &Dataset, split: &crate::split::Split) -> DataFacts {
    let count = |side: &[usize]| data.class_counts(side.iter().map(|&i| &data.samples[i]));
    DataFacts {
        classes: data.classes.clone(),
        train: count(&split.train),
        val: count(&split.val),
        test: count(&split.test),
        duplicates: split.duplicates,
        conflicts: split.conflicts,
    }
}

fn package(config: &TrainConfig, trained: Trained, facts: &DataFacts) -> Package {
    let Trained { model, mut spec, summary, .. } = trained;
    let images = |counts: &[usize]| counts.iter().sum::<usize>().to_string();
    for (name, value) in [
        ("scope", if config.scope == Scope::Head { "head" } else { "all" }.to_owned()),
        ("data", config.data.path.display().to_string()),
        ("train_images", images(&facts.train)),
        ("val_images", images(&facts.val)),
        ("seed", config.seed.to_string()),
        ("epoch", summary.best_epoch.to_string()),
        ("tintype", env!("CARGO_PKG_VERSION").to_owned()),
    ] {
        spec.provenance.insert(name.to_owned(), value);
    }
    Package {
        name: config.name.clone(),
        version: "1".to_owned(),
        spec,
        labels: facts.classes.clone(),
        model: ModelSource::Bytes(model.to_bytes().into()),
        config: None,
        output_labels: std::collections::BTreeMap::new(),
    }
}
