//! The runtime of this process as what is measured: everything but sockets and their protocols.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tintype_bench::driver::{Driver, Failure, Lane, Stages};
use tintype_bench::reading::{Between, Probe, Reading};
use tintype_bench::report::{Report, Settings};
use tintype_bench::service::{Input, Service};
use tintype_core::Result;
use tintype_engine::ort::OrtBackend;
use tintype_runtime::{InferOptions, LoadOptions, Request, Runtime, RuntimeConfig};
use tokio::time::Instant;

use super::args::{MeasureArgs, invalid};
use super::{Run, source, tool};
use crate::command::model;
use crate::command::serve::block_on;

/// How long the runtime may take for what it accepted.
const DRAIN: Duration = Duration::from_secs(10);

/// Loads the model, and measures how it classifies the images.
pub(super) fn measure(args: &MeasureArgs, run: Run) -> Result<Report> {
    args.check_tensors(Service::Tintype)?;
    let path = args.target.as_deref().unwrap_or_default();
    let package = model::open(Path::new(path), &args.options)?;
    let images = source::read(args, Service::Tintype)?.into_iter().map(|input| match input {
        Input::Image { bytes, .. } => Ok(bytes),
        Input::Body(_) | Input::Tensors(_) => Err(invalid("`--in-process` takes images")),
    });
    let images: Vec<bytes::Bytes> = images.collect::<Result<_>>()?;
    if images.is_empty() {
        return Err(invalid("there is nothing to classify").with_hint("name an image after the model"));
    }
    let began = Instant::now();
    let runtime = Arc::new(Runtime::new(Arc::new(OrtBackend::new()?), RuntimeConfig::default())?);
    runtime.load(&package, &LoadOptions::default())?;
    let report = Report {
        tool: tool(),
        target: path.to_owned(),
        model: package.name,
        service: Service::Tintype.title().to_owned(),
        protocol: "in-process".to_owned(),
        shared_memory: false,
        settings: Settings::new(&run.profile),
        start_up_s: None,
        levels: Vec::new(),
        interrupted: false,
    };
    let driver = InProcess { runtime: runtime.clone(), images: images.into() };
    block_on(async {
        let report = run.over(&driver, Counts(runtime.clone()), report, Some(began)).await;
        runtime.drain(DRAIN).await?;
        report
    })
}

/// The runtime, and what it is asked.
#[derive(Clone)]
struct InProcess {
    runtime: Arc<Runtime>,
    images: Arc<[bytes::Bytes]>,
}

impl Driver for InProcess {
    type Lane = Self;

    async fn open(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Lane for InProcess {
    async fn ready(&mut self) -> bool {
        true
    }

    async fn ask(&mut self, number: u64) -> Result<Stages, Failure> {
        let image = self.images[(number % self.images.len() as u64) as usize].clone();
        let request = Request { model: None, image, options: InferOptions::default() };
        let began = Instant::now();
        let answer = self.runtime.classify(request).await;
        answer.map_err(|error| Failure::refused(error.message()))?;
        Ok(Stages { wait: began.elapsed(), ..Stages::default() })
    }
}

/// What the runtime counts.
struct Counts(Arc<Runtime>);

impl Probe for Counts {
    async fn read(&mut self) -> Reading {
        let statistics = self.0.statistics(None, None).ok().map(tintype_server::statistics_reply);
        // This process infers too: what the client alone takes is not known.
        Reading { statistics, ..Reading::default() }
    }

    async fn sample(&mut self) {
        std::future::pending::<()>().await;
    }

    fn between(&mut self, before: &Reading, after: &Reading) -> Between {
        Between::new(before, after)
    }
}
