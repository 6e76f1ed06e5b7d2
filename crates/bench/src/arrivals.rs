//! When requests of an open loop are to start: at equal distances, as a Poisson process, or as a recording has it.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tintype_core::{Error, ErrorKind, Result};

/// How the starts are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// At equal distances.
    #[default]
    Constant,
    /// Independently of each other: distances are exponential.
    Poisson,
}

/// Times between one start and the next, over and over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervals(Arc<[Duration]>);

impl Intervals {
    /// Reads perf_analyzer's file: microseconds, a line each.
    ///
    /// # Errors
    /// `InvalidArgument` for a line that is no whole number, and where no time passes from one end to the other.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
        let read = |(index, line): (usize, &str)| match line.trim().parse() {
            Ok(micros) => Ok(Duration::from_micros(micros)),
            Err(_) => {
                let line_number = index + 1;
                Err(invalid(format!("line {line_number}: expected microseconds, found `{}`", line.trim())))
            }
        };
        let lines = text.trim_end().lines().enumerate();
        let intervals: Arc<[Duration]> = lines.map(read).collect::<Result<_>>()?;
        if intervals.iter().all(Duration::is_zero) {
            return Err(invalid("expected at least one interval above 0".to_owned()));
        }
        Ok(Self(intervals))
    }

    /// Starts a second, in the mean.
    pub fn rate(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().map(Duration::as_secs_f64).sum::<f64>()
    }
}

/// When the requests of all threads start.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// At a rate.
    Rate {
        /// A second.
        rate: f64,
        /// How they are spread.
        distribution: Distribution,
        /// What a Poisson process follows from.
        seed: u64,
    },
    /// At recorded distances; the first of them comes before the first start.
    Replay(Intervals),
}

impl Schedule {
    /// The starts of thread `index` of `of`.
    pub fn share(&self, index: usize, of: usize) -> Arrivals {
        match self {
            Self::Rate { rate, distribution, seed } => {
                let arrivals = Arrivals::new(rate / of as f64, *distribution, seed + index as u64);
                match distribution {
                    // Those of the threads do not coincide.
                    Distribution::Constant => arrivals.shifted(index as f64 / of as f64),
                    // Several Poisson processes are one.
                    Distribution::Poisson => arrivals,
                }
            }
            Self::Replay(intervals) => Arrivals(Kind::Replay {
                intervals: intervals.clone(),
                next: 0,
                at: Duration::ZERO,
                skip: index,
                every: of,
            }),
        }
    }
}

/// The intended starts, counted from the beginning; without an end.
#[derive(Debug)]
pub struct Arrivals(Kind);

#[derive(Debug)]
enum Kind {
    Rate {
        /// Seconds between two, in the mean.
        distance: f64,
        /// Where the next one lies in units of `distance`.
        at: f64,
        /// Much larger than the rest.
        random: Option<Box<StdRng>>,
    },
    Replay {
        intervals: Intervals,
        /// Which of them comes next.
        next: usize,
        at: Duration,
        /// How many starts are others' before the next of ours.
        skip: usize,
        /// Of so many starts one is ours.
        every: usize,
    },
}

impl Arrivals {
    /// Starts at `rate` a second; those of a Poisson process follow from `seed`.
    pub fn new(rate: f64, distribution: Distribution, seed: u64) -> Self {
        let random = match distribution {
            Distribution::Constant => None,
            Distribution::Poisson => Some(Box::new(StdRng::seed_from_u64(seed))),
        };
        Self(Kind::Rate { distance: 1.0 / rate, at: 0.0, random })
    }

    /// The same starts, later by a share of the distance of two.
    fn shifted(mut self, share: f64) -> Self {
        if let Kind::Rate { at, .. } = &mut self.0 {
            *at += share;
        }
        self
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(match &mut self.0 {
            Kind::Rate { distance, at, random: None } => {
                let now = *at;
                *at += 1.0;
                Duration::from_secs_f64(now * *distance)
            }
            Kind::Rate { distance, at, random: Some(random) } => {
                // Inverse of the exponential distribution; `random` is within 0..1, so the logarithm is finite.
                *at -= (1.0 - random.random::<f64>()).ln();
                Duration::from_secs_f64(*at * *distance)
            }
            Kind::Replay { intervals, next, at, skip, every } => {
                for _ in 0..=*skip {
                    *at += intervals.0[*next];
                    *next = (*next + 1) % intervals.0.len();
                }
                *skip = *every - 1;
                *at
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_starts_lie_at_equal_distances() {
        let starts: Vec<_> = Arrivals::new(200.0, Distribution::Constant, 7).take(4).collect();
        assert_eq!(starts, [0, 5, 10, 15].map(Duration::from_millis));
    }

    #[test]
    fn distances_of_a_poisson_process_are_exponential() {
        let starts: Vec<f64> =
            Arrivals::new(100.0, Distribution::Poisson, 1).take(100_000).map(|s| s.as_secs_f64()).collect();
        let distances: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let n = distances.len() as f64;
        let mean = distances.iter().sum::<f64>() / n;
        let deviation = (distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt();
        let beyond_mean = distances.iter().filter(|&&d| d > mean).count() as f64 / n;
        // Mean and deviation are both 1 / rate, and 1 / e of the distances are longer; 4 standard errors.
        assert!((mean - 0.01).abs() < 0.00013, "{mean}");
        assert!((deviation - 0.01).abs() < 0.0002, "{deviation}");
        assert!((beyond_mean - (-1f64).exp()).abs() < 0.006, "{beyond_mean}");
    }

    #[test]
    fn a_seed_repeats_its_starts() {
        let of = |seed| -> Vec<_> { Arrivals::new(10.0, Distribution::Poisson, seed).take(20).collect() };
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    /// The first ten starts of all threads, in order.
    fn all(schedule: &Schedule, threads: usize) -> Vec<Duration> {
        let mut starts: Vec<_> =
            (0..threads).flat_map(|index| schedule.share(index, threads).take(10)).collect();
        starts.sort_unstable();
        starts.truncate(10);
        starts
    }

    #[test]
    fn threads_share_the_starts() {
        let constant = Schedule::Rate { rate: 200.0, distribution: Distribution::Constant, seed: 0 };
        let recorded = Schedule::Replay(Intervals::parse("1000\n0\n2500\n").unwrap());
        for schedule in [constant, recorded] {
            let one = all(&schedule, 1);
            assert_eq!(all(&schedule, 2), one);
            assert_eq!(all(&schedule, 4), one);
        }
    }

    #[test]
    fn recorded_starts_repeat() {
        let intervals = Intervals::parse("1000\n0\n2500\n").unwrap();
        assert!((intervals.rate() - 3.0 / 0.0035).abs() < 1e-6);
        let starts: Vec<_> = Schedule::Replay(intervals).share(0, 1).take(5).collect();
        assert_eq!(starts, [1000, 1000, 3500, 4500, 4500].map(Duration::from_micros));
    }

    #[test]
    fn a_recording_that_is_none_is_refused() {
        for (text, words) in [
            ("", "at least one"),
            ("0\n0", "at least one"),
            ("10\nten", "line 2: expected microseconds, found `ten`"),
            ("10\n\n5", "line 2"),
            ("-5", "line 1"),
            ("1.5", "line 1"),
        ] {
            let error = Intervals::parse(text).unwrap_err();
            assert!(error.message().contains(words), "{text:?}: {error}");
        }
        assert!(Intervals::parse("10\r\n20\r\n").is_ok());
    }
}
