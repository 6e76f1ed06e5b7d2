//! Latencies as quantiles of the last minute, under Triton's names. Only where the operator asks for them.
//!
//! The window slides as in Triton's `prometheus-cpp`, in five steps of twelve seconds: quantiles are those of the last 48
//! to 60 seconds, counts and sums those since the start. Values have three digits; ranks are exact.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::head;

const SLICES: usize = 5;
const SLICE: Duration = Duration::from_secs(12);
/// Longer times count as an hour, in microseconds: it bounds the memory of a slice to some 90 KiB.
const LONGEST: u64 = 3_600_000_000;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    Request,
    Queue,
    ComputeInput,
    ComputeInfer,
    ComputeOutput,
    CacheHit,
    CacheMiss,
}

impl Series {
    const ALL: [(Self, &str, &str); 7] = [
        (
            Self::Request,
            "nv_inference_request_summary_us",
            "Summary of inference request duration in microseconds (includes cached requests)",
        ),
        (
            Self::Queue,
            "nv_inference_queue_summary_us",
            "Summary of inference queuing duration in microseconds (includes cached requests)",
        ),
        (
            Self::ComputeInput,
            "nv_inference_compute_input_summary_us",
            "Summary of compute input duration in microseconds (does not include cached requests)",
        ),
        (
            Self::ComputeInfer,
            "nv_inference_compute_infer_summary_us",
            "Summary of compute inference duration in microseconds (does not include cached requests)",
        ),
        (
            Self::ComputeOutput,
            "nv_inference_compute_output_summary_us",
            "Summary of compute output duration in microseconds (does not include cached requests)",
        ),
        (
            Self::CacheHit,
            "nv_cache_hit_summary_per_model",
            "Summary of cache hit counts/durations per model, in microseconds.",
        ),
        (
            Self::CacheMiss,
            "nv_cache_miss_summary_per_model",
            "Summary of cache miss counts/durations per model, in microseconds.",
        ),
    ];

    /// Whether there is something to tell only of models whose answers are cached.
    fn of_cache(self) -> bool {
        matches!(self, Self::CacheHit | Self::CacheMiss)
    }
}

/// One model version's summaries.
#[derive(Debug)]
pub(crate) struct Summaries {
    quantiles: Vec<f64>,
    series: [Mutex<Summary>; 7],
}

impl Summaries {
    pub(crate) fn new(quantiles: &[f64], now: Instant) -> Self {
        let series = std::array::from_fn(|_| Mutex::new(Summary::new(now)));
        Self { quantiles: quantiles.to_vec(), series }
    }

    pub(crate) fn observe(&self, series: Series, time: Duration, now: Instant) {
        self.lock(series).observe(time, now);
    }

    fn lock(&self, series: Series) -> std::sync::MutexGuard<'_, Summary> {
        self.series[series as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One model version, for [`write`].
pub(crate) struct Summarised<'a> {
    pub(crate) labels: &'a str,
    pub(crate) summaries: &'a Summaries,
    /// Whether its answers are cached.
    pub(crate) cached: bool,
}

/// Writes the summaries of all models in Prometheus' text format.
pub(crate) fn write(models: &[Summarised<'_>], now: Instant, out: &mut String) -> std::fmt::Result {
    for (series, name, help) in Series::ALL {
        let mut models = models.iter().filter(|model| model.cached || !series.of_cache()).peekable();
        if models.peek().is_some() {
            head(out, name, help, "summary")?;
        }
        for Summarised { labels, summaries, .. } in models {
            let mut summary = summaries.lock(series);
            writeln!(out, "{name}_count{{{labels}}} {}", summary.count)?;
            writeln!(out, "{name}_sum{{{labels}}} {}", summary.sum)?;
            let window = summary.window(now);
            for quantile in &summaries.quantiles {
                // Prometheus' way to say that there was nothing.
                let value = match window.is_empty() {
                    true => f64::NAN,
                    false => window.value_at_quantile(*quantile) as f64,
                };
                writeln!(out, "{name}{{{labels},quantile=\"{quantile}\"}} {value}")?;
            }
        }
    }
    Ok(())
}

/// In microseconds.
#[derive(Debug)]
struct Summary {
    count: u64,
    sum: u64,
    /// A ring; each takes the values of twelve seconds.
    slices: [Histogram<u32>; SLICES],
    current: usize,
    /// When the current slice began.
    since: Instant,
}

impl Summary {
    fn new(now: Instant) -> Self {
        let slices = std::array::from_fn(|_| growing());
        Self { count: 0, sum: 0, slices, current: 0, since: now }
    }

    fn observe(&mut self, time: Duration, now: Instant) {
        self.slide(now);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count += 1;
        self.sum = self.sum.saturating_add(micros);
        let grown = self.slices[self.current].record(micros.min(LONGEST));
        grown.expect("a histogram that grows takes every value");
    }

    /// The values of the last five slices.
    fn window(&mut self, now: Instant) -> Histogram<u32> {
        self.slide(now);
        let mut all = growing();
        for slice in &self.slices {
            all.add(slice).expect("a histogram that grows takes every value");
        }
        all
    }

    /// Empties the slices that began more than a window ago.
    fn slide(&mut self, now: Instant) {
        let steps = now.saturating_duration_since(self.since).as_secs() / SLICE.as_secs();
        for _ in 0..steps.min(SLICES as u64) {
            self.current = (self.current + 1) % SLICES;
            self.slices[self.current].reset();
        }
        self.since += Duration::from_secs(steps * SLICE.as_secs());
    }
}

/// Grows to the values that it is given, and tells them to three digits.
fn growing() -> Histogram<u32> {
    Histogram::new(3).expect("up to five digits are possible")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn medians(summary: &mut Summary, now: Instant) -> (u64, u64) {
        let window = summary.window(now);
        (window.len(), window.value_at_quantile(0.5))
    }

    #[test]
    fn quantiles_are_those_of_the_window() {
        let start = Instant::now();
        let mut summary = Summary::new(start);
        for micros in (1..=1000).rev() {
            summary.observe(MICRO * micros, start);
        }
        let window = summary.window(start);
        let found = [0.0, 0.5, 0.9, 0.999, 1.0].map(|q| window.value_at_quantile(q));
        assert_eq!(found, [1, 500, 900, 999, 1000]);
        assert_eq!((summary.count, summary.sum), (1000, 500_500));
    }

    #[test]
    fn the_window_slides_in_steps_of_twelve_seconds() {
        let start = Instant::now();
        let mut summary = Summary::new(start);
        summary.observe(MICRO * 10, start);
        summary.observe(MICRO * 70, start + SECOND * 30);
        summary.observe(MICRO * 70, start + SECOND * 30);
        assert_eq!(medians(&mut summary, start + SECOND * 59), (3, 70));
        assert_eq!(medians(&mut summary, start + SECOND * 60), (2, 70));
        assert_eq!(medians(&mut summary, start + SECOND * 83).0, 2);
        assert_eq!(medians(&mut summary, start + SECOND * 84).0, 0);
        summary.observe(MICRO * 5, start + SECOND * 86_400);
        assert_eq!(medians(&mut summary, start + SECOND * 86_400), (1, 5));
        assert_eq!((summary.count, summary.sum), (4, 155));
    }

    #[test]
    fn long_times_keep_three_digits() {
        let start = Instant::now();
        let mut summary = Summary::new(start);
        summary.observe(SECOND * 90, start);
        summary.observe(Duration::MAX, start);
        let found = summary.window(start).value_at_quantile(0.5);
        assert!(found.abs_diff(90_000_000) <= 90_000, "{found}");
        assert!(summary.slices[0].buckets() < 32, "{}", summary.slices[0].buckets());
    }

    #[test]
    fn triton_s_lines_are_written() {
        let start = Instant::now();
        let summaries = Summaries::new(&[0.5, 0.99], start);
        for micros in [40, 50, 60] {
            summaries.observe(Series::Queue, MICRO * micros, start);
        }
        let plain = Summarised { labels: "model=\"m\"", summaries: &summaries, cached: false };
        let mut text = String::new();
        write(&[plain], start, &mut text).unwrap();
        let queue: Vec<&str> = text.lines().filter(|line| line.starts_with("nv_inference_queue")).collect();
        let name = "nv_inference_queue_summary_us";
        let expected = [
            format!("{name}_count{{model=\"m\"}} 3"),
            format!("{name}_sum{{model=\"m\"}} 150"),
            format!("{name}{{model=\"m\",quantile=\"0.5\"}} 50"),
            format!("{name}{{model=\"m\",quantile=\"0.99\"}} 60"),
        ];
        assert_eq!(queue, expected);
        assert!(
            text.contains("nv_inference_request_summary_us{model=\"m\",quantile=\"0.5\"} NaN\n"),
            "{text}"
        );
        assert!(!text.contains("nv_cache"), "{text}");

        let cached = Summarised { labels: "model=\"m\"", summaries: &summaries, cached: true };
        write(&[cached], start, &mut text).unwrap();
        assert!(text.contains("nv_cache_miss_summary_per_model_count{model=\"m\"} 0\n"), "{text}");
    }
}
