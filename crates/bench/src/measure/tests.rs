use std::time::Duration;

use super::*;
use crate::driver::Stages;
use crate::reading::{Reading, Usage};

/// A probe in virtual time: half a core of CPU, and a sample of memory every 100 ms.
#[derive(Default)]
struct Steady {
    samples: u64,
}

impl Probe for Steady {
    async fn read(&mut self) -> Reading {
        // Virtual time has no beginning that is known here, so the first reading is it.
        thread_local!(static BEGAN: Instant = Instant::now());
        let cpu = BEGAN.with(Instant::elapsed) / 2;
        Reading { cpu: Some(cpu), own_cpu: cpu, ..Reading::default() }
    }

    async fn sample(&mut self) {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.samples += 1;
        }
    }

    fn between(&mut self, before: &Reading, after: &Reading) -> Between {
        let mut between = Between::new(before, after);
        let samples = std::mem::take(&mut self.samples);
        if let Some(usage) = &mut between.usage {
            *usage += &Usage { samples, rss_sum: samples << 20, rss_peak: 1 << 20, ..Usage::default() };
        }
        between
    }
}

fn rules(window: WindowRule) -> Rules {
    Rules {
        window,
        warm_up: 0,
        stability_percent: 10.0,
        metric: Metric::Mean,
        max_trials: 10,
        threshold: None,
    }
}

async fn measure_now(
    recorders: &[Arc<Recorder>],
    progress: &Progress,
    rules: &Rules,
    stop: &Stop,
) -> Measured {
    let mut probe = Steady::default();
    let beginning = Beginning::now(&mut probe).await;
    measure(Counts { recorders, progress }, beginning, &mut probe, rules, stop).await
}

/// Measures a load whose answers come every `distance(n)` and take as long.
async fn measured(rules: Rules, distance: impl Fn(u64) -> Duration, stop: &Stop) -> Measured {
    let progress = Arc::new(Progress::new(None));
    let recorders = [Arc::new(Recorder::new(progress.clone()))];
    let load = async {
        for n in 0.. {
            let distance = distance(n);
            tokio::time::sleep(distance).await;
            recorders[0].succeeded(distance, Stages::default());
        }
    };
    tokio::select! {
        measured = measure_now(&recorders, &progress, &rules, stop) => measured,
        () = load => unreachable!("the load has no end"),
    }
}

const SECOND: WindowRule = WindowRule::Time(Duration::from_secs(1));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn a_steady_load_takes_three_windows() {
    let found = measured(rules(SECOND), |_| ms(10), &Stop::default()).await;
    assert!(found.stable);
    assert_eq!(found.windows, 3);
    assert_eq!(found.result.time, Duration::from_secs(3));
    assert!((299..=300).contains(&found.result.tally.latencies.count()));
    assert!((99.0..=101.0).contains(&found.result.rate()));
    let usage = found.result.server.usage.unwrap();
    assert_eq!(usage.cpu, ms(1500), "half of three seconds");
    assert!((27..=30).contains(&usage.samples), "{}", usage.samples);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_settles_is_measured_once_it_has() {
    // Slow for some two seconds, then quick.
    let found = measured(rules(SECOND), |n| if n < 20 { ms(100) } else { ms(10) }, &Stop::default()).await;
    assert!(found.stable && found.windows == 5, "{} windows", found.windows);
    assert_eq!(found.result.tally.latencies.mean().as_millis(), 10, "the slow ones have no part");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_never_settles_ends_too() {
    let found = measured(rules(SECOND), |n| ms(1 + n), &Stop::default()).await;
    assert!(!found.stable);
    assert_eq!(found.windows, 10);
}

#[tokio::test(start_paused = true)]
async fn windows_may_be_of_requests() {
    let found = measured(rules(WindowRule::Count(40)), |_| ms(10), &Stop::default()).await;
    assert!(found.stable);
    assert_eq!((found.result.tally.latencies.count(), found.result.time), (120, ms(1200)));
    let warm = Rules { warm_up: 10, ..rules(WindowRule::All(25)) };
    let found = measured(warm, |n| if n < 10 { ms(500) } else { ms(10) }, &Stop::default()).await;
    assert_eq!((found.result.tally.latencies.count(), found.windows), (25, 1));
    assert_eq!(found.result.tally.latencies.mean().as_millis(), 10, "what warms up is not counted");
}

#[tokio::test(start_paused = true)]
async fn all_requests_may_be_answered_before_anybody_looks() {
    let progress = Arc::new(Progress::new(Some(3)));
    let recorders = [Arc::new(Recorder::new(progress.clone()))];
    (0..3).for_each(|_| recorders[0].succeeded(ms(1), Stages::default()));
    let began = Instant::now();
    let found = measure_now(&recorders, &progress, &rules(WindowRule::All(3)), &Stop::default()).await;
    assert_eq!((found.result.tally.latencies.count(), began.elapsed()), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_stop_keeps_what_was_seen() {
    let stop = Stop::default();
    let (found, ()) = tokio::join!(measured(rules(SECOND), |_| ms(10), &stop), async {
        tokio::time::sleep(ms(1505)).await;
        stop.request();
    });
    assert_eq!((found.windows, found.result.tally.latencies.count()), (2, 150));
    assert!(!found.stable);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_is_not_waited_for() {
    let progress = Progress::new(None);
    let began = Instant::now();
    let silent = measure_now(&[], &progress, &rules(WindowRule::All(5)), &Stop::default()).await;
    assert_eq!((silent.result.tally.latencies.count(), began.elapsed()), (0, STALLED));

    let progress = Arc::new(Progress::new(None));
    let recorders = [Arc::new(Recorder::new(progress.clone()))];
    recorders[0].failed("status 500");
    let failing = measure_now(&recorders, &progress, &rules(SECOND), &Stop::default()).await;
    assert_eq!(failing.windows, 1, "there is nothing to agree on");
    let threshold = Rules { threshold: Some(ms(5)), ..rules(SECOND) };
    assert!(!failing.is_within(&threshold) && failing.is_within(&rules(SECOND)));
}

#[tokio::test(start_paused = true)]
async fn quick_refusals_do_not_carry_a_load() {
    let progress = Arc::new(Progress::new(Some(2)));
    let recorders = [Arc::new(Recorder::new(progress.clone()))];
    recorders[0].succeeded(ms(1), Stages::default());
    recorders[0].failed("status 429");
    let found = measure_now(&recorders, &progress, &rules(WindowRule::All(2)), &Stop::default()).await;
    let threshold = Rules { threshold: Some(ms(5)), ..rules(SECOND) };
    assert!(!found.is_within(&threshold) && found.is_within(&rules(SECOND)));
    assert_eq!(progress.failed(), 1, "also once the recorders are empty");
}
