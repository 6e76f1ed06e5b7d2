use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::*;
use crate::alarm::Alarm;
use crate::arrivals::{Arrivals, Distribution};
use crate::driver::{Driver, Failure, Lane, Stages, first_answer};
use crate::stop::Stop;
use crate::tally::{Progress, Recorder, Tally, take};

/// A server in virtual time: every answer takes `service`; at most one at a time where it is `single`.
#[derive(Clone)]
struct Fake {
    service: Duration,
    single: Option<Arc<tokio::sync::Mutex<()>>>,
    refuses: bool,
    absent: bool,
}

impl Fake {
    fn new(service_ms: u64) -> Self {
        Self { service: Duration::from_millis(service_ms), single: None, refuses: false, absent: false }
    }

    fn single(service_ms: u64) -> Self {
        Self { single: Some(Arc::default()), ..Self::new(service_ms) }
    }
}

impl Driver for Fake {
    type Lane = Fake;

    async fn open(&self) -> Result<Fake> {
        if self.absent { Err(Error::new(ErrorKind::Io, "nobody is there")) } else { Ok(self.clone()) }
    }
}

impl Lane for Fake {
    async fn ready(&mut self) -> bool {
        true
    }

    async fn ask(&mut self, _number: u64) -> Result<Stages, Failure> {
        let _turn = match &self.single {
            Some(single) => Some(single.lock().await),
            None => None,
        };
        tokio::time::sleep(self.service).await;
        if self.refuses { Err(Failure::refused("status 503")) } else { Ok(Stages::default()) }
    }
}

struct Run {
    tally: Tally,
    unsent: u64,
    took: Duration,
}

async fn run_open(fake: Fake, rate: f64, most_workers: usize, seconds: u64) -> Run {
    run_open_up_to(None, fake, (rate, most_workers), seconds).await
}

async fn run_open_up_to(
    most: Option<u64>,
    fake: Fake,
    (rate, most_workers): (f64, usize),
    seconds: u64,
) -> Run {
    let recorder = Arc::new(Recorder::new(Arc::new(Progress::new(most))));
    let stop = Stop::default();
    let arrivals = Arrivals::new(rate, Distribution::Constant, 0);
    let plan = Open { arrivals, most_workers, alarm: Alarm::Tokio };
    let began = Instant::now();
    let (ended, ()) = tokio::join!(open(&fake, plan, &recorder, &stop), async {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stop.request();
    });
    ended.unwrap();
    let unsent = recorder.progress().unsent();
    Run { tally: take(&[recorder]), unsent, took: began.elapsed() }
}

async fn run_closed(fake: &Fake, workers: usize, most: Option<u64>) -> Run {
    let recorder = Arc::new(Recorder::new(Arc::new(Progress::new(most))));
    let stop = Stop::default();
    let began = Instant::now();
    tokio::select! {
        () = closed(fake, workers, &recorder, &stop) => {}
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    Run { tally: take(&[recorder]), unsent: 0, took: began.elapsed() }
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_keeps_its_workers_busy() {
    let run = run_closed(&Fake::new(10), 4, None).await;
    assert!((396..=400).contains(&run.tally.latencies.count()), "{}", run.tally.latencies.count());
    assert_eq!(run.tally.latencies.mean().as_millis(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_count_of_requests_is_sent_exactly() {
    let run = run_closed(&Fake::new(10), 3, Some(10)).await;
    assert_eq!(run.tally.latencies.count(), 10);
    assert_eq!(run.took.as_millis(), 40, "four rounds of three");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_and_a_server_that_is_gone_is_not_asked_in_a_busy_loop() {
    let refused = run_closed(&Fake { refuses: true, ..Fake::new(10) }, 1, Some(5)).await.tally;
    assert_eq!((refused.latencies.count(), refused.errors["status 503"]), (0, 5));
    let gone = run_closed(&Fake { absent: true, ..Fake::new(10) }, 1, None).await.tally;
    let count = gone.errors["nobody is there"];
    assert!((10..=60).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_below_the_capacity_sees_the_service_time() {
    let run = run_open(Fake::new(30), 100.0, 64, 10).await;
    assert!((1000..=1001).contains(&run.tally.latencies.count()), "{}", run.tally.latencies.count());
    // Only the first ones wait for lanes to be opened, which takes no time here.
    assert_eq!(run.tally.latencies.percentile(99.9).as_millis(), 30);
    assert_eq!((run.tally.delayed, run.unsent), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn latency_is_counted_from_the_intended_start() {
    // One lane, 10 ms an answer, a request every 5 ms: request `n` is due at 5n, starts at 10n, ends at 10n + 10.
    let run = run_open(Fake::new(10), 200.0, 1, 1).await;
    let n = run.tally.latencies.count();
    assert!((100..=101).contains(&n), "{n}");
    let mean = run.tally.latencies.mean().as_millis();
    assert!((255..=265).contains(&mean), "5 · 50 + 10, found {mean}");
    assert!((98..=100).contains(&run.tally.delayed), "all but the first, found {}", run.tally.delayed);
    assert!((99..=101).contains(&run.unsent), "half of 200, found {}", run.unsent);
    assert!(run.took < Duration::from_millis(1020), "it ends after the request that is under way");
    // Nothing is answered in time: all but the first are unsent.
    let stuck = run_open(Fake::new(60_000), 200.0, 1, 1).await;
    assert_eq!((stuck.tally.latencies.count(), stuck.took), (0, Duration::from_secs(1) + LAST_ANSWERS));
    assert!((199..=200).contains(&stuck.unsent), "found {}", stuck.unsent);
    // Of a count of requests, none is unsent once all began, though the last ones are out.
    let counted = run_open_up_to(Some(4), Fake::new(1500), (200.0, 4), 1).await;
    assert_eq!((counted.tally.latencies.count(), counted.unsent), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_opens_only_the_lanes_it_needs() {
    let opened = Arc::new(AtomicUsize::new(0));
    #[derive(Clone)]
    struct Counted(Fake, Arc<AtomicUsize>);
    impl Driver for Counted {
        type Lane = Fake;
        async fn open(&self) -> Result<Fake> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.open().await
        }
    }
    let recorder = Recorder::new(Arc::new(Progress::new(Some(500))));
    let arrivals = Arrivals::new(100.0, Distribution::Constant, 0);
    let plan = Open { arrivals, most_workers: 64, alarm: Alarm::Tokio };
    let driver = Counted(Fake::new(35), opened.clone());
    open(&driver, plan, &recorder, &Stop::default()).await.unwrap();
    let opened = opened.load(Ordering::Relaxed);
    assert!((4..=6).contains(&opened), "100/s of 35 ms keep 4 busy, found {opened}");
}

#[tokio::test(start_paused = true)]
async fn beyond_the_capacity_latency_grows_with_time() {
    let run = run_open(Fake::single(10), 150.0, 1000, 2).await;
    let worst = run.tally.latencies.percentile(100.0).as_millis();
    // 300 requests are due within 2 s, and their last is answered at 3 s.
    assert!((980..=1020).contains(&worst), "{worst}");
    assert_eq!(run.unsent, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_counts_as_started_with_its_first_good_answer() {
    let began = Instant::now();
    let answered = first_answer(&Fake::new(300)).await.unwrap();
    assert_eq!(answered - began, Duration::from_millis(300));
    let error = first_answer(&Fake { refuses: true, ..Fake::new(1) }).await.unwrap_err();
    assert!(error.message().contains("status 503"), "{error}");
}
