//! What a load is sent through: a [`Driver`] opens [`Lane`]s, and each lane asks one request at a time.
//!
//! HTTP and gRPC are two drivers; a runtime in the same process can be a third.

use std::future::Future;
use std::ops::AddAssign;
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

/// Opens lanes. Every thread has a clone.
pub trait Driver: Clone + Send + 'static {
    /// What it opens.
    type Lane: Lane;

    /// Opens a lane, e.g. connects.
    ///
    /// # Errors
    /// `Io` when nobody is there.
    fn open(&self) -> impl Future<Output = Result<Self::Lane>>;
}

/// Asks one request after the other.
pub trait Lane {
    /// Whether it can be asked; if not, another one is opened in its place.
    fn ready(&mut self) -> impl Future<Output = bool>;

    /// Sends request number `number` and waits for the whole answer.
    fn ask(&mut self, number: u64) -> impl Future<Output = Result<Stages, Failure>>;
}

/// Asks once: what is wrong with every request is found out before the load. Returns when the answer was there.
///
/// A server's word that it is ready is not enough: TorchServe's `/ping` says so while its workers still load the model.
///
/// # Errors
/// `Io` when the server is not there or hangs up; `InvalidRequest` with what it said when it refuses.
pub async fn first_answer<D: Driver>(driver: &D) -> Result<Instant> {
    let mut lane = driver.open().await?;
    if !lane.ready().await {
        return Err(Error::new(ErrorKind::Io, "the server closed the first connection"));
    }
    let answer = lane.ask(0).await;
    answer.map(|_| Instant::now()).map_err(|failure| {
        let kind = if failure.lost { ErrorKind::Io } else { ErrorKind::InvalidRequest };
        Error::new(kind, format!("the first request failed: {}", failure.what))
    })
}

/// Where the time of a request went, as far as a driver knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages {
    /// Handing the request over.
    pub send: Duration,
    /// From then to the beginning of the answer.
    pub wait: Duration,
    /// From then to its end.
    pub receive: Duration,
}

impl AddAssign for Stages {
    fn add_assign(&mut self, other: Self) {
        self.send += other.send;
        self.wait += other.wait;
        self.receive += other.receive;
    }
}

/// A request that was not answered, or with a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened, on one short line; equal ones are counted together.
    pub what: String,
    /// Whether the lane is of no use any more.
    pub lost: bool,
}

/// Characters of a failure that are kept.
const LONGEST: usize = 160;

impl Failure {
    /// The server answered, with a refusal.
    pub fn refused(what: impl Into<String>) -> Self {
        Self { what: shortened(what.into()), lost: false }
    }

    /// There was no answer.
    pub fn lost(what: impl Into<String>) -> Self {
        Self { what: shortened(what.into()), lost: true }
    }
}

fn shortened(text: String) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
