//! `tintype demo`: the whole circle on a drawn data set.
//!
//! Draw → train → package → evaluate on pictures the training never saw → serve. With `--once` the server is asked over
//! HTTP about some of those pictures, its answers are compared with `predict`'s, and the command ends.

mod drawing;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tintype_api::Client;
use tintype_core::{Error, ErrorKind, Package, Prediction, Result, package::ArchiveLimits};
use tintype_engine::ort::OrtBackend;
use tintype_runtime::{InferOptions, LoadOptions, Runtime, RuntimeConfig};
use tintype_server::{Listen, Server, ServerConfig};
use tintype_train::{EvaluateOptions, Evaluation, Outcome, Stop, config};

use self::drawing::{CLASSES, Drawing};
use super::progress::Progress;
use super::{interrupt, predict, serve};

/// Pictures of each class that the model is judged by.
const TEST_PER_CLASS: usize = 20;
/// Pictures of each class that server and command line are compared on.
const ASKED_PER_CLASS: usize = 2;
/// The same sums in the same order on both paths: they differ by nothing, or by a compiler's reordering.
const TOLERANCE: f32 = 1e-6;

/// Options of `tintype demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where data, run and package go
    #[arg(long, default_value = "demo")]
    dir: PathBuf,

    /// Compare the server's answers with `predict`'s, then end; exit code 1 on any difference
    #[arg(long)]
    once: bool,

    /// Pictures to learn from, in each of the ten classes
    #[arg(long, default_value_t = 200)]
    per_class: usize,

    /// Passes over them
    #[arg(long, default_value_t = 15)]
    epochs: usize,

    /// The same seed draws the same pictures and trains the same model
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// The server's port; 0 lets the system choose, as `--once` always does
    #[arg(long, default_value_t = 8000)]
    http_port: u16,
}

/// Walks the circle.
pub fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let (data, test) = (args.dir.join("data"), args.dir.join("test"));
    say(&format!("1. drawing {} pictures of {} classes", args.per_class * CLASSES.len(), CLASSES.len()));
    let drawing = Drawing { per_class: args.per_class, size: 64, seed: args.seed };
    drawing.write(&data)?;
    Drawing { per_class: TEST_PER_CLASS, seed: args.seed.wrapping_add(1), ..drawing }.write(&test)?;

    say("2. training a small CNN from scratch");
    let stop = interrupt::stop_on_ctrl_c()?;
    let outcome = train(&args, &data, &stop)?;
    say(&format!("3. packaged as {}", outcome.archive.display()));
    let package = Package::open(&outcome.archive, &ArchiveLimits::default())?;

    say("4. evaluating on pictures it has not seen");
    let evaluation = evaluate(&package, &test, stop)?;
    say(&format!("accuracy {:.1} % of {} pictures", 100.0 * evaluation.accuracy, evaluation.n));

    say("5. serving");
    let asked = examples(&test);
    if args.once {
        ask_and_compare(&package, &asked)?;
    } else {
        serve(&args, &package, &asked[0])?;
    }
    Ok(ExitCode::SUCCESS)
}

fn train(args: &DemoArgs, data: &Path, stop: &Stop) -> Result<Outcome> {
    let run = (1..).map(|n| args.dir.join("runs").join(n.to_string())).find(|run| !run.exists());
    let run = run.ok_or_else(|| Error::new(ErrorKind::Internal, "there is no free run directory"))?;
    let words = [
        "scope=all".to_owned(),
        "name=demo".to_owned(),
        format!("data.path={}", data.display()),
        format!("run_dir={}", run.display()),
        format!("seed={}", args.seed),
        format!("trainer.epochs={}", args.epochs),
        "model.image=48".to_owned(),
        "model.widths=[16,32,64,128]".to_owned(),
    ];
    let mut progress = Progress::new();
    let outcome = tintype_train::train(&config::resolve(&words)?, &OrtBackend::new()?, stop, &mut progress)?;
    progress.finish();
    Ok(outcome)
}

fn evaluate(package: &Package, test: &Path, stop: Stop) -> Result<Evaluation> {
    let options = EvaluateOptions { stop, ..EvaluateOptions::default() };
    let mut progress = Progress::new();
    let judged = tintype_train::evaluate(package, test, &OrtBackend::new()?, &options, &mut progress)?;
    progress.finish();
    Ok(judged.evaluation)
}

/// Some pictures of each class.
fn examples(test: &Path) -> Vec<PathBuf> {
    let of = |class: &str| {
        (0..ASKED_PER_CLASS).map(move |n| format!("{class}/{class}_{n:04}.jpg")).collect::<Vec<_>>()
    };
    CLASSES.iter().flat_map(|class| of(class)).map(|name| test.join(name)).collect()
}

fn runtime(package: &Package) -> Result<Arc<Runtime>> {
    let runtime = Runtime::new(Arc::new(OrtBackend::new()?), RuntimeConfig::default())?;
    runtime.load(package, &LoadOptions::default())?;
    Ok(Arc::new(runtime))
}

fn serve(args: &DemoArgs, package: &Package, example: &Path) -> Result<()> {
    let runtime = runtime(package)?;
    serve::block_on(async {
        let (server, url) = bind(args.http_port, runtime).await?;
        serve::announce(&server)?;
        curl_lines(&url, example);
        server.serve(serve::stop_signal()?).await
    })
}

/// A server of HTTP, and its URL.
async fn bind(port: u16, runtime: Arc<Runtime>) -> Result<(Server, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listen = Listen { http: Some(address), ..Listen::default() };
    let server = Server::bind(ServerConfig { listen, ..ServerConfig::default() }, runtime).await?;
    let address = server.http_addr().unwrap_or(address);
    Ok((server, format!("http://{address}")))
}

/// Serves on a free port, asks about every picture, and compares with what `predict` says.
fn ask_and_compare(package: &Package, asked: &[PathBuf]) -> Result<()> {
    let mut expected = Vec::new();
    predict::classify(package, asked, &InferOptions::default(), |_, answer| {
        expected.push(answer?.predictions);
        Ok(())
    })?;
    let runtime = runtime(package)?;
    serve::block_on(async {
        let (server, url) = bind(0, runtime).await?;
        curl_lines(&url, &asked[0]);
        let asked = asked.to_vec();
        let questions = tokio::task::spawn_blocking(move || compare(&Client::new(&url), &asked, &expected));
        let mut answer = Ok(());
        server
            .serve(async {
                let joined = questions.await;
                answer = joined.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())));
            })
            .await?;
        answer
    })?;
    say(&format!("asked about {} pictures: server and command line agree", asked.len()));
    Ok(())
}

fn compare(client: &Client, asked: &[PathBuf], expected: &[Vec<Prediction>]) -> Result<()> {
    for (path, expected) in asked.iter().zip(expected) {
        let differs = |what: String| {
            Error::new(
                ErrorKind::Internal,
                format!("`{}`: server and `predict` differ: {what}", path.display()),
            )
        };
        let image = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let found = client.predict(&image)?.predictions;
        if found.len() != expected.len() {
            return Err(differs(format!("{} classes and {}", found.len(), expected.len())));
        }
        for (http, cli) in found.iter().zip(expected) {
            if http.label != cli.label || (http.confidence - cli.confidence).abs() > TOLERANCE {
                let (a, b) = ((&http.label, http.confidence), (&cli.label, cli.confidence));
                return Err(differs(format!("{a:?} and {b:?}")));
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "lines for the user to copy")]
fn curl_lines(url: &str, example: &Path) {
    println!("curl -F file=@{} {url}/predict", example.display());
    println!("curl {url}/health");
    println!("open {url}/docs in a browser");
}

#[expect(clippy::print_stderr, reason = "what the command says of its steps")]
fn say(text: &str) {
    eprintln!("{text}");
}
