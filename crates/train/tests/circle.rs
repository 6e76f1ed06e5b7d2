//! Whole trainings on drawn pictures: what is written is what was trained, and it answers as it did in training.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tintype_core::package::ArchiveLimits;
use tintype_core::{ErrorKind, ModelSource, Package};
use tintype_engine::ort::OrtBackend;
use tintype_train::config::{Composer, Search};
use tintype_train::sweep::Sweep;
use tintype_train::{
    EvaluateOptions, Evaluation, Outcome, Stop, Subscriber, TrainEvent, config, evaluate, runs, train,
};

const SIDE: usize = 32;

/// A picture as an uncompressed 24-bit BMP, rows from the bottom up, blue first.
fn bmp(pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let size = SIDE * SIDE * 3;
    let mut bytes = b"BM".to_vec();
    for word in
        [54 + size as u32, 0, 54, 40, SIDE as u32, SIDE as u32, 1 | 24 << 16, 0, size as u32, 0, 0, 0, 0]
    {
        bytes.extend(word.to_le_bytes());
    }
    for y in (0..SIDE).rev() {
        for x in 0..SIDE {
            let [r, g, b] = pixel(x, y);
            bytes.extend([b, g, r]);
        }
    }
    bytes
}

/// Numbers that look random, from a seed.
fn noise(seed: usize) -> impl FnMut() -> usize {
    let mut state = seed as u64 * 2 + 1;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as usize
    }
}

/// Three classes of 20 pictures: stripes across, stripes down, and dots, in changing colours and places.
fn draw(root: &Path) {
    for (class, name) in ["across", "down", "spots"].iter().enumerate() {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..20 {
            let mut random = noise(class * 100 + i);
            let (shift, ink) = (random() % 8, [random(), random(), random()].map(|c| (128 + c % 128) as u8));
            let on = |x: usize, y: usize| match class {
                0 => (y + shift) % 8 < 4,
                1 => (x + shift) % 8 < 4,
                _ => (x + shift) % 8 < 4 && (y + shift) % 8 < 4,
            };
            let picture = bmp(|x, y| if on(x, y) { ink } else { [30; 3] });
            std::fs::write(folder.join(format!("{i:02}.bmp")), picture).unwrap();
        }
    }
}

#[derive(Default)]
struct Seen {
    unreadable: Vec<PathBuf>,
    epochs: usize,
    stop: Stop,
    stop_at_features: bool,
    steps: usize,
    stop_at_step: Option<usize>,
}

impl Subscriber for Seen {
    fn on_event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Unreadable { image, .. } => self.unreadable.push(PathBuf::from(image.to_string())),
            TrainEvent::Epoch(_) => self.epochs += 1,
            TrainEvent::Step(_) => {
                self.steps += 1;
                if self.stop_at_step == Some(self.steps) {
                    self.stop.request();
                }
            }
            TrainEvent::Data(_) if self.stop_at_features => self.stop.request(),
            _ => {}
        }
    }
}

fn run(words: &str, seen: &mut Seen) -> tintype_core::Result<Outcome> {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    let stop = seen.stop.clone();
    train(&config::resolve(&words)?, &OrtBackend::new()?, &stop, seen)
}

fn evaluate_at(model: &Path, data: &Path) -> tintype_core::Result<Evaluation> {
    let package = Package::open(model, &ArchiveLimits::default())?;
    let judged = evaluate(&package, data, &OrtBackend::new()?, &EvaluateOptions::default(), &mut ())?;
    Ok(judged.evaluation)
}

/// `scope=all`, small enough for a test.
fn from_scratch(dir: &Path, extra: &str) -> String {
    format!(
        "scope=all data={0}/data run_dir={0}/all model.image=32 model.widths=[8,8,16,16] model.hidden=16 \
         trainer.epochs=12 trainer.batch_size=16 trainer.threads=2 optim.lr=0.005 name=toy {extra}",
        dir.display()
    )
}

#[test]
fn a_network_from_scratch_and_then_a_new_head_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw(&data);
    std::fs::write(data.join("down/broken.jpg"), b"no image").unwrap();

    let mut seen = Seen::default();
    let all = run(&from_scratch(dir.path(), ""), &mut seen).unwrap();
    assert_eq!((seen.unreadable.len(), seen.epochs), (1, 12));
    assert!(all.summary.val_accuracy >= 0.9, "{:?}", all.summary);
    assert_eq!(all.evaluation.n, 12);
    let metrics = std::fs::read_to_string(all.run_dir.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((lines.len(), &lines[12]["event"]), (13, &"summary".into()));
    assert_eq!(lines[0]["epoch"], 1);
    for file in [
        "report.html",
        "README.md",
        "metrics.csv",
        "config.yaml",
        "confusion.json",
        "confusion.txt",
        "toy.mar",
        "model/toy/labels.txt",
    ] {
        assert!(all.run_dir.join(file).is_file(), "{file} is missing");
    }

    // The package answers the held-out pictures as the loop did: the same mistakes, through decoding and session anew.
    let held_out = dir.path().join("held-out");
    copy_held_out(&data, &held_out);
    let package = evaluate_at(&all.run_dir, &held_out).unwrap();
    assert_eq!(package.confusion, all.evaluation.confusion);
    assert_eq!(evaluate_at(&all.archive, &held_out).unwrap(), package);

    // Its layers trained further, under a new last one, go on from what they have learned.
    let words = format!(
        "scope=all backbone={0}/all data={0}/data run_dir={0}/tuned trainer.epochs=2 trainer.batch_size=16 \
         trainer.threads=2 optim.lr=0.002 name=tuned",
        dir.path().display()
    );
    let tuned = run(&words, &mut Seen::default()).unwrap();
    assert!(tuned.summary.val_accuracy >= 0.8, "{:?}", tuned.summary);
    assert_eq!(evaluate_at(&tuned.model_dir, &held_out).unwrap().confusion, tuned.evaluation.confusion);
    let layers = |run: &Outcome| {
        let package = Package::open(&run.run_dir, &ArchiveLimits::default()).unwrap();
        let ModelSource::Path(file) = package.model else { panic!("a run directory has a file") };
        tintype_graph::Model::read(&file).unwrap().f32s("conv1.weight").unwrap()
    };
    assert_ne!(layers(&tuned), layers(&all), "every layer is trained");

    // A head on the network that was just trained brings its preprocessing along.
    let words = format!(
        "backbone={0}/all data={0}/data run_dir={0}/head trainer.threads=2 name=head",
        dir.path().display()
    );
    let head = run(&words, &mut Seen::default()).unwrap();
    assert!(head.summary.val_accuracy >= 0.9, "{:?}", head.summary);
    assert_eq!(evaluate_at(&head.model_dir, &held_out).unwrap().confusion, head.evaluation.confusion);
    let package = Package::open(&head.run_dir, &ArchiveLimits::default()).unwrap();
    assert_eq!(package.labels, ["across", "down", "spots"]);
    assert_eq!(package.spec.provenance["backbone_sha256"].len(), 64);
    assert_eq!(package.spec.metrics["val_accuracy"], head.summary.val_accuracy);
}

/// The pictures that the split of seed 0 holds out, by the same functions.
fn copy_held_out(data: &Path, target: &Path) {
    let set = tintype_train::Dataset::open(data).unwrap();
    let division = tintype_train::Division { val_fraction: 0.2, folds: 0, fold: 0, seed: 0 };
    let split = tintype_train::split(&set, &tintype_train::hash_files(&set, 1), &division).unwrap();
    for sample in split.val.iter().map(|&i| &set.samples[i]) {
        let path = PathBuf::from(sample.origin.to_string());
        let to = target.join(path.strip_prefix(data).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
}

#[test]
fn equal_seeds_give_equal_networks() {
    let dir = tempfile::tempdir().unwrap();
    draw(&dir.path().join("data"));
    let train_again = |name: &str| {
        let words =
            from_scratch(dir.path(), &format!("run_dir={}/{name} trainer.epochs=2", dir.path().display()));
        let outcome = run(&format!("{words} augment=flip"), &mut Seen::default()).unwrap();
        std::fs::read(outcome.model_dir.join("1/model.onnx")).unwrap()
    };
    assert!(train_again("one") == train_again("two"), "two runs of one seed differ");
}

/// The pictures of class folders as the rows of one Parquet file, in the order in which the folders are listed.
fn pack(data: &Path, shard: &Path) {
    let set = tintype_train::Dataset::open(data).unwrap();
    let schema = "message m { required group image { required binary bytes; } required binary label; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(shard).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> = set.samples.iter().map(|s| s.origin.read().unwrap().into()).collect();
    let labels: Vec<ByteArray> = set.samples.iter().map(|s| set.classes[s.class].as_str().into()).collect();
    for values in [images, labels] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_trains_the_network_that_the_same_folders_train() {
    let dir = tempfile::tempdir().unwrap();
    let (folders, shard) = (dir.path().join("data"), dir.path().join("rows.parquet"));
    draw(&folders);
    // An image that nobody can read is told by its row.
    std::fs::write(folders.join("spots/99.bmp"), b"no image").unwrap();
    pack(&folders, &shard);
    let train_on = |data: &Path, name: &str| {
        let place = format!("data={} run_dir={}/{name}", data.display(), dir.path().display());
        let mut seen = Seen::default();
        let extra = format!("{place} trainer.epochs=1 augment=flip");
        let outcome = run(&from_scratch(dir.path(), &extra), &mut seen).unwrap();
        (std::fs::read(outcome.model_dir.join("1/model.onnx")).unwrap(), outcome, seen)
    };
    let (of_folders, ..) = train_on(&folders, "folders");
    let (of_rows, outcome, seen) = train_on(&shard, "rows");
    assert!(of_folders == of_rows, "the same bytes in the same order make the same network");
    assert_eq!(seen.unreadable, [PathBuf::from(format!("{}#60", shard.display()))]);
    // One epoch leaves mistakes, whose pictures come out of the rows.
    let report = std::fs::read_to_string(outcome.run_dir.join("report.html")).unwrap();
    assert!(report.contains("data:image/jpeg;base64,") && report.contains("rows.parquet#"));
    let judged = evaluate_at(&outcome.run_dir, &shard).unwrap();
    assert_eq!((judged.n, judged.errors.len()), (60, 1));
}

#[test]
fn a_stopped_run_resumes_to_what_it_would_have_become() {
    let dir = tempfile::tempdir().unwrap();
    draw(&dir.path().join("data"));
    let words = |name: &str| {
        let run = dir.path().join(name);
        let recipe =
            "trainer.epochs=4 augment=strong optim=adamw trainer.ema.decay=0.9 trainer.label_smoothing=0.1";
        let schedule = "optim.schedule.name=cosine optim.schedule.unit=step";
        from_scratch(dir.path(), &format!("run_dir={} {recipe} {schedule}", run.display()))
    };
    let whole = run(&words("whole"), &mut Seen::default()).unwrap();
    let mut seen = Seen { stop_at_step: Some(5), ..Seen::default() };
    let stopped = run(&words("parts"), &mut seen).unwrap();
    assert!(stopped.summary.stopped);
    let word = format!("resume={}", stopped.run_dir.display());
    let resumed = run(&word, &mut Seen::default()).unwrap();
    let bytes = |outcome: &Outcome| std::fs::read(outcome.model_dir.join("1/model.onnx")).unwrap();
    assert!(bytes(&resumed) == bytes(&whole), "the weights differ");
    assert_eq!(resumed.evaluation, whole.evaluation);
    let epochs = |outcome: &Outcome| -> Vec<(u64, f64)> {
        let text = std::fs::read_to_string(outcome.run_dir.join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let epochs = lines.filter(|line| line["event"] == "epoch");
        epochs.map(|line| (line["epoch"].as_u64().unwrap(), line["train_loss"].as_f64().unwrap())).collect()
    };
    assert_eq!(epochs(&resumed), epochs(&whole));

    let other = format!("{word} model.widths=[8,8,16,8]");
    let error = run(&other, &mut Seen::default()).unwrap_err();
    assert!(error.message().contains("is of another network"), "{error}");
    assert_eq!(bytes(&resumed), bytes(&whole), "a refusal changes nothing");
    let nothing = format!("resume={}", dir.path().join("data").display());
    let error = run(&nothing, &mut Seen::default()).unwrap_err();
    assert!(error.message().contains("is no training run: it has no `config.yaml`"), "{error}");
    let error = run(&format!("{word} optim=sgd"), &mut Seen::default()).unwrap_err();
    assert!(error.message().contains("keeps its `optim`"), "{error}");
    let latest = format!("resume={}/latest trainer.epochs=4", dir.path().display());
    assert_eq!(run(&latest, &mut Seen::default()).unwrap().run_dir, stopped.run_dir);
}

#[test]
fn what_cannot_be_trained_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    draw(&dir.path().join("data"));
    let base = format!("data={0}/data run_dir={0}/run", dir.path().display());
    let onnx = dir.path().join("m.onnx");
    std::fs::write(&onnx, tintype_testkit::onnx::scores(&[2], &[1.0; 4], &[0.0; 2])).unwrap();
    let table = [
        (
            format!("{base} backbone={}", onnx.display()),
            ErrorKind::InvalidConfig,
            "no preprocessing of its own",
        ),
        (format!("{base} backbone={}/gone.onnx", dir.path().display()), ErrorKind::NotFound, "gone.onnx"),
        (format!("{base} backbone=m name=a/b"), ErrorKind::InvalidArgument, "a/b"),
        (
            format!("{base} backbone=m data={}", dir.path().display()),
            ErrorKind::InvalidArgument,
            "expected at least 2 classes",
        ),
        (format!("{base} scope=all preprocess=clip spec=x"), ErrorKind::InvalidConfig, "exclude each other"),
        (
            format!("{base} scope=all trainer.class_weights=[1,2]"),
            ErrorKind::InvalidConfig,
            "expected 3 numbers, found 2",
        ),
    ];
    for (words, kind, message) in table {
        let error = run(&words, &mut Seen::default()).expect_err(&words);
        assert!(error.kind() == kind && error.message().contains(message), "{words}: {error:?}");
        let run = dir.path().join("run");
        assert!(!run.exists() || std::fs::read_dir(&run).unwrap().next().is_none(), "{words} left something");
    }
}

#[test]
fn a_stop_before_training_cancels_and_an_unknown_class_is_named() {
    let dir = tempfile::tempdir().unwrap();
    draw(&dir.path().join("data"));
    let mut seen = Seen { stop_at_features: true, ..Seen::default() };
    assert_eq!(run(&from_scratch(dir.path(), ""), &mut seen).unwrap_err().kind(), ErrorKind::Cancelled);

    let words = from_scratch(dir.path(), &format!("run_dir={}/short trainer.epochs=1", dir.path().display()));
    let outcome = run(&words, &mut Seen::default()).unwrap();
    std::fs::rename(dir.path().join("data/spots"), dir.path().join("data/stains")).unwrap();
    let error = evaluate_at(&outcome.run_dir, &dir.path().join("data")).unwrap_err();
    assert_eq!(error.message(), "the model has no class `stains`");
    assert_eq!(error.hint(), Some("its classes are across, down, spots"));
}

#[test]
fn a_sweep_leaves_a_run_for_each_and_says_which_was_best() {
    let dir = tempfile::tempdir().unwrap();
    draw(&dir.path().join("data"));
    let words = format!(
        "scope=all data={0}/data run_dir={0}/runs/toy/sweep model.image=32 model.widths=[8,8,16,16] model.hidden=16 \
         trainer.epochs=4 trainer.batch_size=16 trainer.threads=2 name=toy optim.lr=0.005,1e-9,1e30 optim=adam",
        dir.path().display()
    );
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    assert!(config::resolve(&words).unwrap_err().message().contains("has several values"));
    let sweep = Sweep::plan(&Composer::default(), &words, Search::Grid).unwrap();
    let swept = sweep.run(&OrtBackend::new().unwrap(), &Stop::default(), &mut ()).unwrap();
    assert_eq!(swept.keys, ["optim.lr"]);
    let (best, outcome) = swept.best().unwrap();
    assert_eq!((best.number, best.values[0].as_str(), swept.lines.len()), (0, "0.005", 3));
    assert_eq!(outcome.run_dir, dir.path().join("runs/toy/sweep/0"));
    let failed = swept.lines[2].result.as_ref().unwrap_err();
    assert!(failed.message().starts_with("the loss is"), "{failed}");
    let csv = std::fs::read_to_string(swept.dir.join("summary.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.starts_with("run,optim.lr,val_accuracy,"), "{csv}");
    assert!(swept.to_table().contains("\n  0*  0.005"), "{}", swept.to_table());

    let found = runs::list(&dir.path().join("runs")).unwrap();
    let names: Vec<_> = found.iter().map(|run| (run.name.as_str(), run.model.as_str(), run.epochs)).collect();
    assert_eq!(names, [("toy", "small_cnn", 4), ("toy", "small_cnn", 4)]);
    assert_eq!(found[0].accuracy, outcome.summary.val_accuracy);
    let latest = Package::open(&dir.path().join("runs/toy/latest"), &ArchiveLimits::default()).unwrap();
    assert_eq!(latest.spec.metrics["val_accuracy"], found[1].accuracy);

    // What was saved is enough to run it again.
    let again = Composer::new(Some(outcome.run_dir.clone()), Some("config".to_owned()));
    let words = [format!("run_dir={}/again", dir.path().display())];
    let config = again.resolve(&words).unwrap().config;
    let repeated = train(&config, &OrtBackend::new().unwrap(), &Stop::default(), &mut ()).unwrap();
    assert_eq!(repeated.evaluation, outcome.evaluation);
}
