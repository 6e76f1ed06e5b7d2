//! The closed loop: as many requests under way as there are workers.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::{too_late, worker::Worker};
use crate::driver::Driver;
use crate::stop::Stop;
use crate::tally::Recorder;

/// Keeps `workers` requests under way until `stop`, or until no more may begin.
pub async fn closed<D: Driver>(driver: &D, workers: usize, recorder: &Recorder, stop: &Stop) {
    let worker = async |_| {
        let mut worker = Worker::new(driver, recorder);
        worker.open().await;
        while !stop.is_requested()
            && let Some(number) = recorder.progress().begin()
        {
            worker.ask(number, Instant::now()).await;
        }
    };
    let mut workers: FuturesUnordered<_> = (0..workers).map(worker).collect();
    tokio::select! {
        () = async { while workers.next().await.is_some() {} } => {}
        // `Progress` knows how many are under way.
        () = too_late(stop) => {}
    }
}
