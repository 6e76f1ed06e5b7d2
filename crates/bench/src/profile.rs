//! A sweep: load after load, each measured, as far as the threshold and the caller let it.

use tintype_core::Result;

use crate::arrivals::{Distribution, Intervals, Schedule};
use crate::driver::Driver;
use crate::export::History;
use crate::generator::{Generator, Load, Sending};
use crate::measure::{Beginning, Rules, WindowRule, measure};
use crate::range::Range;
use crate::reading::Probe;
use crate::report::{Level, Report};
use crate::search::Sweep;
use crate::stop::Stop;
use crate::tally::Keep;

/// The loads of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum Loads {
    /// Requests under way at any time.
    Concurrency(Range),
    /// Starts a second.
    Rate {
        /// A second.
        range: Range,
        /// How they are spread.
        distribution: Distribution,
        /// What a Poisson process follows from.
        seed: u64,
        /// No more requests under way than these.
        most_outstanding: usize,
    },
    /// One load: starts at recorded distances.
    Replay {
        /// These.
        intervals: Intervals,
        /// No more requests under way than these.
        most_outstanding: usize,
    },
}

impl Loads {
    /// The range of loads.
    pub fn range(&self) -> Range {
        match self {
            Self::Concurrency(range) | Self::Rate { range, .. } => *range,
            // It only names the load: six digits say enough.
            Self::Replay { intervals, .. } => {
                let rate = intervals.rate();
                Range::single(format!("{rate:.5e}").parse().unwrap_or(rate))
            }
        }
    }
}

/// Which loads of the range are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// All, up to the first beyond the threshold.
    Linear,
    /// Those that close in on the highest one within the threshold.
    Binary,
}

/// What is measured, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The loads.
    pub loads: Loads,
    /// Which of them.
    pub search: Search,
    /// How each is measured.
    pub rules: Rules,
    /// Threads that send.
    pub threads: usize,
    /// Rows of a request.
    pub batch_size: usize,
    /// What is kept of each request.
    pub keep: Keep,
}

/// Measures load after load through `driver`, adds each to `report`, and hands it to `tell` before, with its requests.
///
/// # Errors
/// What ended the generator before its time, or what `tell` says.
pub async fn profile<D: Driver>(
    driver: &D,
    probe: &mut impl Probe,
    report: &mut Report,
    (profile, stop): (&Profile, &Stop),
    mut tell: impl FnMut(&Report, &Level, &History) -> Result<()>,
) -> Result<()> {
    let range = profile.loads.range();
    let mut sweep = match profile.search {
        Search::Linear => Sweep::walk(range),
        Search::Binary => Sweep::binary(range),
    };
    let requests = match profile.rules.window {
        WindowRule::All(count) => Some(count + profile.rules.warm_up),
        WindowRule::Time(_) | WindowRule::Count(_) => None,
    };
    let mut within = true;
    while !stop.is_requested()
        && let Some(load) = sweep.next(within)
    {
        let beginning = Beginning::now(probe).await;
        let sending = Sending { threads: profile.threads, requests, keep: profile.keep };
        let generator = Generator::start(driver, &profile.load(load), sending)?;
        let measured = measure(generator.counts(), beginning, probe, &profile.rules, stop).await;
        let ending = generator.finish()?;
        let level = Level::new(load, &measured, ending, profile);
        within = level.within;
        tell(report, &level, &measured.history)?;
        report.levels.push(level);
    }
    report.interrupted = stop.is_requested();
    Ok(())
}

impl Profile {
    fn load(&self, load: f64) -> Load {
        let (schedule, most_outstanding) = match &self.loads {
            // Checked to be whole numbers of at least 1 where they are read.
            Loads::Concurrency(_) => return Load::Concurrency(load as usize),
            Loads::Rate { distribution, seed, most_outstanding, .. } => {
                let (distribution, seed) = (*distribution, *seed);
                (Schedule::Rate { rate: load, distribution, seed }, *most_outstanding)
            }
            Loads::Replay { intervals, most_outstanding } => {
                (Schedule::Replay(intervals.clone()), *most_outstanding)
            }
        };
        Load::Schedule { schedule, most_outstanding }
    }

    /// No more lanes than these are open at a time.
    pub fn most_lanes(&self) -> usize {
        match &self.loads {
            Loads::Concurrency(range) => range.end as usize,
            // Each thread rounds its share up.
            Loads::Rate { most_outstanding, .. } | Loads::Replay { most_outstanding, .. } => {
                most_outstanding.next_multiple_of(self.threads.max(1))
            }
        }
    }
}
