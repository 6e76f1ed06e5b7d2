//! Ours beside other rules for forming batches, on one instance whose batch of `n` rows takes `a + b·n`, in virtual time.
//!
//! Arrivals are Poisson, at a share of what the instance can do with full batches.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tintype_runtime::batcher::{BatchPolicy, Batcher, Next, Queued};

/// Most rows in a batch.
const MAX: usize = 16;
const REQUESTS: usize = 20_000;

struct Job {
    arrival: Instant,
}

impl Queued for Job {
    fn rows(&self) -> usize {
        1
    }
    fn fits(&self, _first: &Self) -> bool {
        true
    }
    fn level(&self) -> usize {
        0
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn postponed_from(&self) -> Option<Instant> {
        None
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// When an idle instance takes how many of the `waiting`; `None` for not yet, then at the given time at the latest.
trait Rule {
    fn push(&mut self, now: Instant);
    /// How long a batch took.
    fn took(&mut self, _rows: usize, _time: Duration) {}
    /// Arrivals of the jobs to run, or until when to wait.
    fn poll(&mut self, now: Instant) -> Result<Vec<Instant>, Option<Instant>>;
}

struct Ours(Batcher<Job>);

impl Rule for Ours {
    fn push(&mut self, now: Instant) {
        self.0.push(now, Job { arrival: now });
    }
    fn took(&mut self, rows: usize, time: Duration) {
        self.0.took(rows, time);
    }
    fn poll(&mut self, now: Instant) -> Result<Vec<Instant>, Option<Instant>> {
        match self.0.poll(now, 1).next {
            Next::Run(jobs) => Ok(jobs.into_iter().map(|job| job.arrival).collect()),
            Next::WaitUntil(time) => Err(Some(time)),
            Next::Nothing => Err(None),
        }
    }
}

/// Written from its description, not on our batcher: a batch leaves at a preferred size, when its oldest request is
/// `delay` old, or, without a delay, at once.
struct Triton {
    preferred: Vec<usize>,
    delay: Duration,
    queue: VecDeque<Instant>,
}

impl Rule for Triton {
    fn push(&mut self, now: Instant) {
        self.queue.push_back(now);
    }
    fn poll(&mut self, now: Instant) -> Result<Vec<Instant>, Option<Instant>> {
        let Some(&oldest) = self.queue.front() else { return Err(None) };
        let largest = self.preferred.iter().copied().max().unwrap_or(MAX);
        let pending = self.queue.len().min(largest);
        let overdue = !self.delay.is_zero() && now >= oldest + self.delay;
        let reached = self.preferred.iter().copied().filter(|&size| size <= pending).max();
        let count = match reached {
            Some(size) if !overdue => size,
            _ if pending >= largest || overdue || self.delay.is_zero() => pending,
            _ => return Err(Some(oldest + self.delay)),
        };
        Ok(self.queue.drain(..count).collect())
    }
}

/// `[mean, 99th percentile]` of the latency, in seconds.
fn simulate(mut rule: impl Rule, arrivals: &[Instant], cost: impl Fn(usize) -> Duration) -> [f64; 2] {
    let mut arrivals = arrivals.iter().copied().peekable();
    let mut latencies = Vec::with_capacity(REQUESTS);
    let Some(&(mut now)) = arrivals.peek() else { return [0.0; 2] };
    loop {
        while let Some(arrival) = arrivals.next_if(|&arrival| arrival <= now) {
            rule.push(arrival);
        }
        now = match rule.poll(now) {
            Ok(batch) => {
                let end = now + cost(batch.len());
                rule.took(batch.len(), end - now);
                latencies.extend(batch.into_iter().map(|arrival| (end - arrival).as_secs_f64()));
                end
            }
            Err(until) => match until.into_iter().chain(arrivals.peek().copied()).min() {
                Some(next) => next,
                None => break,
            },
        };
    }
    latencies.sort_by(f64::total_cmp);
    let mean = latencies.iter().sum::<f64>() / latencies.len() as f64;
    [mean, latencies[latencies.len() * 99 / 100]]
}

/// The same numbers on every machine: SplitMix64.
fn poisson(rate: f64) -> Vec<Instant> {
    let (mut now, mut state) = (Instant::now(), 7u64);
    let mut uniform = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let gap = |u: f64| Duration::from_secs_f64(-(1.0 - u).ln() / rate);
    std::iter::repeat_with(|| {
        now += gap(uniform());
        now
    })
    .take(REQUESTS)
    .collect()
}

#[test]
fn ours_is_never_much_worse_than_the_best_of_the_other_rules() {
    // A fixed cost that batches share, from a GPU's (nearly all of it) to a CPU's (nearly none), in milliseconds.
    let mut worst = 0.0f64;
    for (a, b) in [(4.0, 0.25), (2.0, 1.0), (1.0, 2.0), (0.2, 4.0), (0.0, 4.0)] {
        let cost = |rows: usize| Duration::from_secs_f64((a + b * rows as f64) * 1e-3);
        let capacity = MAX as f64 / cost(MAX).as_secs_f64();
        for load in [0.5, 0.8, 0.95] {
            let arrivals = poisson(load * capacity);
            let run = |max| {
                let policy = BatchPolicy::new(max, Duration::ZERO);
                simulate(Ours(Batcher::new(policy)), &arrivals, cost)
            };
            let triton = |delay| {
                simulate(Triton { preferred: Vec::new(), delay, queue: VecDeque::new() }, &arrivals, cost)
            };
            let ours = run(MAX);
            let others = [
                ("triton", triton(Duration::ZERO)),
                ("fixed delay", triton(Duration::from_millis(5))),
                ("no batching", run(1)),
            ];
            println!("a {a} b {b} load {load}: ours {:.2?} ms", ours.map(|s| s * 1e3));
            for (name, [mean, p99]) in others {
                println!("    {name}: {:.2?} ms", [mean * 1e3, p99 * 1e3]);
                worst = worst.max(ours[0] / mean).max(ours[1] / p99);
            }
        }
    }
    println!("at worst {worst:.3} times the best");
    assert!(worst <= 1.05, "{worst:.3} times the best of the others");
}

#[test]
fn with_the_same_settings_batches_are_those_of_triton() {
    let cost = |rows: usize| Duration::from_micros(2000 + 500 * rows as u64);
    let arrivals = poisson(0.8 * MAX as f64 / cost(MAX).as_secs_f64());
    for (preferred, delay_us) in
        [(vec![], 0), (vec![4, 8], 0), (vec![4, 8], 3000), (vec![], 3000), (vec![16], 700)]
    {
        let delay = Duration::from_micros(delay_us);
        let policy = BatchPolicy { preferred_batch_sizes: preferred.clone(), ..BatchPolicy::new(MAX, delay) };
        let ours = simulate(Ours(Batcher::new(policy)), &arrivals, cost);
        let triton = simulate(Triton { preferred, delay, queue: VecDeque::new() }, &arrivals, cost);
        assert_eq!(ours, triton);
    }
}
