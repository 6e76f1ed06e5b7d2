//! `tintype predict`: classifies image files.
//!
//! The images go through the same [`Runtime`] that serves HTTP, so both give the same numbers. Answers are printed in
//! the order of the arguments as soon as they are known; a bad file is reported and the rest goes on.

use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use tintype_core::{Error, ErrorKind, Package, Prediction, Result, cores, image::Limits};
use tintype_engine::ort::OrtBackend;
use tintype_runtime::{Answer, InferOptions, LoadOptions, Request, Runtime, RuntimeConfig};

use super::annotate;
use super::model::{self, ModelOptions};

/// Options of `tintype predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// A model directory, a `.mar`, an `.onnx` file or a training run
    model: PathBuf,

    /// Image files, directories and glob patterns
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// How many classes to answer with; the model's own number by default
    #[arg(long, value_name = "K")]
    top_k: Option<NonZero<usize>>,

    /// Say of each answer whether it is below the confidence at which its class is usually right, by the thresholds in the
    /// package; without it the package chooses (`abstain` under `[serving]`)
    #[arg(long)]
    abstain: bool,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// Write each picture with its label and confidence into this directory
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,

    #[command(flatten)]
    options: ModelOptions,
}

/// Prints one answer an image; exit code 1 when any image failed.
pub fn run(args: PredictArgs) -> anyhow::Result<ExitCode> {
    let images = tintype_batch::listing::images(&args.images)?;
    let package = model::open(&args.model, &args.options)?;
    if let Some(folder) = &args.annotate {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    let mut failed = 0;
    let mut names = annotate::Names::default();
    let options = InferOptions {
        top_k: args.top_k.map(NonZero::get),
        abstain: args.abstain.then_some(true),
        ..InferOptions::default()
    };
    classify(&package, &images, &options, |path, result| {
        let result = result.and_then(|answer| {
            if let Some(folder) = &args.annotate {
                let target = folder.join(names.unused(path));
                annotate::write(path, &target, &answer.predictions[0])?;
            }
            Ok(answer)
        });
        failed += usize::from(result.is_err());
        print(path, &result, args.json)
    })?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Classifies `images` in order and hands each answer to `receive`.
///
/// # Errors
/// When the model cannot be loaded, or `receive` fails; what is wrong with one image goes to `receive`.
pub fn classify(
    package: &Package,
    images: &[PathBuf],
    options: &InferOptions,
    mut receive: impl FnMut(&Path, Result<Answer>) -> Result<()>,
) -> Result<()> {
    // Batches gain nothing where every instance always has the next image waiting; fewer instances than cores, never
    // more than images.
    let config = LoadOptions { instances: cores().min(images.len()).max(1), ..LoadOptions::default() };
    let runtime = Runtime::new(Arc::new(OrtBackend::new()?), RuntimeConfig::default())?;
    runtime.load(package, &config)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let tokio = tokio.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    tokio.block_on(async {
        let runtime = &runtime;
        let answers = futures_util::stream::iter(images).map(|path| async move {
            let answer = match read(path) {
                Ok(image) => {
                    runtime.classify(Request { model: None, image: image.into(), options: *options }).await
                }
                Err(error) => Err(error),
            };
            (path, answer)
        });
        // Enough in flight to keep decoding and inference busy on every core.
        let mut answers = answers.buffered(4 * cores());
        while let Some((path, answer)) = answers.next().await {
            receive(path, answer)?;
        }
        runtime.drain(Duration::from_secs(10)).await
    })
}

/// The file's bytes; one over the limit is refused by its size, before it is read.
fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = Limits::default().max_bytes;
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    if size > limit as u64 {
        return Err(Error::new(
            ErrorKind::PayloadTooLarge,
            format!("expected at most {limit} bytes, found {size}"),
        ));
    }
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

fn print(path: &Path, result: &Result<Answer>, as_json: bool) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = if as_json {
        serde_json::to_writer(&mut stdout, &Line::new(path, result))
            .map_err(Into::into)
            .and_then(|()| writeln!(stdout))
    } else {
        match result {
            Ok(answer) => {
                let ranked = answer.predictions.iter().map(|p| format!("{} ({:.4})", p.label, p.confidence));
                let abstains = if answer.abstain == Some(true) { "abstains: " } else { "" };
                writeln!(stdout, "{}: {abstains}{}", path.display(), ranked.collect::<Vec<_>>().join(", "))
            }
            Err(error) => writeln!(stdout, "{}: error: {error}", path.display()),
        }
    };
    written.map_err(|e| Error::new(ErrorKind::Io, format!("writing to stdout: {e}")))
}

/// One image's answer, as `--json` prints it.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Answer {
        path: &'a Path,
        predictions: Vec<Ranked<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        abstain: Option<bool>,
    },
    Failure {
        path: &'a Path,
        error: Failure<'a>,
    },
}

#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    label: &'a str,
    confidence: f32,
}

#[derive(Serialize)]
struct Failure<'a> {
    kind: &'static str,
    message: &'a str,
}

impl<'a> Line<'a> {
    fn new(path: &'a Path, result: &'a Result<Answer>) -> Self {
        let ranked = |p: &'a Prediction| Ranked { index: p.index, label: &p.label, confidence: p.confidence };
        match result {
            Ok(Answer { predictions, abstain }) => {
                let predictions = predictions.iter().map(ranked).collect();
                Self::Answer { path, predictions, abstain: *abstain }
            }
            Err(error) => {
                let error = Failure { kind: error.kind().as_str(), message: error.message() };
                Self::Failure { path, error }
            }
        }
    }
}
