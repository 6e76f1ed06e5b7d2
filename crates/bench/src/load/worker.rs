//! One worker: a lane, opened when it is needed, and the counting of what was asked.

use std::time::Duration;

use tintype_core::Result;
use tokio::time::Instant;

use crate::driver::{Driver, Failure, Lane, Stages};
use crate::tally::Recorder;

/// After a lane was lost: a server that is gone must not be asked in a busy loop.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Worker<'a, D: Driver> {
    driver: &'a D,
    recorder: &'a Recorder,
    lane: Option<D::Lane>,
}

impl<'a, D: Driver> Worker<'a, D> {
    pub(super) fn new(driver: &'a D, recorder: &'a Recorder) -> Self {
        Self { driver, recorder, lane: None }
    }

    /// Opens the lane, so that the first request need not. A failure shows again when it is asked.
    pub(super) async fn open(&mut self) {
        self.lane = self.driver.open().await.ok();
    }

    /// Asks request `number`, and counts its latency from `since` on.
    pub(super) async fn ask(&mut self, number: u64, since: Instant) {
        match self.try_ask(number).await {
            Ok(stages) => self.recorder.succeeded(since.elapsed(), stages),
            Err(failure) => {
                self.recorder.failed(&failure.what);
                if failure.lost {
                    self.lane = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn try_ask(&mut self, number: u64) -> Result<Stages, Failure> {
        let usable = match &mut self.lane {
            Some(lane) => lane.ready().await,
            None => false,
        };
        if !usable {
            self.lane = None;
        }
        let lane = match &mut self.lane {
            Some(lane) => lane,
            none => {
                let opened = self.driver.open().await;
                none.insert(opened.map_err(|error| Failure::lost(error.message()))?)
            }
        };
        lane.ask(number).await
    }
}
