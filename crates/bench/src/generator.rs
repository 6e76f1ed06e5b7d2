//! A load on threads: each has a runtime of its own and a share of the load.

use std::sync::Arc;
use std::thread::JoinHandle;

use tintype_core::{Error, ErrorKind, Result};

use crate::alarm::Alarm;
use crate::arrivals::Schedule;
use crate::driver::Driver;
use crate::load::{Open, closed, open};
use crate::measure::Counts;
use crate::stop::Stop;
use crate::tally::{Keep, Progress, Recorder};

/// A load.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// So many requests under way at any time.
    Concurrency(usize),
    /// Starts at their times.
    Schedule {
        /// Their times.
        schedule: Schedule,
        /// No more requests under way than these.
        most_outstanding: usize,
    },
}

/// How a load is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Threads at most.
    pub threads: usize,
    /// Requests at most.
    pub requests: Option<u64>,
    /// What is kept of each.
    pub keep: Keep,
}

/// What a load leaves behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ending {
    /// Requests of an open loop that were due and never sent.
    pub unsent: u64,
    /// Requests that were sent and had no answer long after the end.
    pub unanswered: u64,
    /// Requests that failed, from the first to the last.
    pub failed: u64,
}

/// Threads that send a load.
#[derive(Debug)]
pub struct Generator {
    recorders: Vec<Arc<Recorder>>,
    progress: Arc<Progress>,
    stop: Stop,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Generator {
    /// Starts `load`.
    ///
    /// # Errors
    /// `Internal` when the system refuses threads.
    pub fn start<D: Driver>(driver: &D, load: &Load, sending: Sending) -> Result<Self> {
        let Sending { threads, requests, keep } = sending;
        let shares = match load {
            Load::Concurrency(workers) => threads.clamp(1, (*workers).max(1)),
            Load::Schedule { .. } => threads.max(1),
        };
        let progress = Arc::new(Progress::new(requests));
        let mut generator = Self {
            recorders: Vec::new(),
            progress: progress.clone(),
            stop: Stop::default(),
            threads: Vec::new(),
        };
        for index in 0..shares {
            let recorder = Arc::new(Recorder::new(progress.clone()).keeping(keep));
            generator.recorders.push(recorder.clone());
            let (driver, stop) = (driver.clone(), generator.stop.clone());
            let share = Share { load: load.clone(), index, of: shares };
            let thread = std::thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn(move || share.send(&driver, &recorder, &stop))
                .map_err(|e| Error::new(ErrorKind::Internal, format!("a thread for the load: {e}")))?;
            generator.threads.push(thread);
        }
        Ok(generator)
    }

    /// Where its threads count.
    pub fn counts(&self) -> Counts<'_> {
        Counts { recorders: &self.recorders, progress: &self.progress }
    }

    /// Ends the load, after the requests that are under way.
    ///
    /// # Errors
    /// What ended a thread before its time.
    pub fn finish(mut self) -> Result<Ending> {
        self.stop.request();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            ended.map_err(|_| Error::new(ErrorKind::Internal, "a thread of the load panicked"))??;
        }
        let progress = &self.progress;
        Ok(Ending { unsent: progress.unsent(), unanswered: progress.under_way(), failed: progress.failed() })
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // Whoever dropped it without `finish` has an error of its own to tell; the threads end by themselves.
        self.stop.request();
    }
}

/// The part of a load that one thread sends.
#[derive(Debug)]
struct Share {
    load: Load,
    index: usize,
    of: usize,
}

impl Share {
    fn send<D: Driver>(self, driver: &D, recorder: &Recorder, stop: &Stop) -> Result<()> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tokio = tokio.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        let Self { load, index, of } = self;
        tokio.block_on(async {
            match load {
                Load::Concurrency(workers) => {
                    let mine = workers / of + usize::from(index < workers % of);
                    closed(driver, mine, recorder, stop).await;
                    Ok(())
                }
                Load::Schedule { schedule, most_outstanding } => {
                    let arrivals = schedule.share(index, of);
                    let most_workers = most_outstanding.div_ceil(of);
                    let plan = Open { arrivals, most_workers, alarm: Alarm::precise()? };
                    open(driver, plan, recorder, stop).await
                }
            }
        })
    }
}
