//! A sweep: load after load, each measured, as far as the threshold and the caller let it.

use tintype_core::Result;

use crate::arrivals::Distribution;
use crate::driver::Driver;
use crate::generator::{Generator, Load};
use crate::measure::{Beginning, Rules, WindowRule, measure};
use crate::range::Range;
use crate::reading::Probe;
use crate::report::{Level, Report};
use crate::search::Sweep;
use crate::stop::Stop;

/// The loads of a sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
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
}

/// Measures load after load through `driver`, adds each to `report`, and hands it to `tell`.
///
/// # Errors
/// What ended the generator before its time, or what `tell` says.
pub async fn profile<D: Driver>(
    driver: &D,
    probe: &mut impl Probe,
    report: &mut Report,
    (profile, stop): (&Profile, &Stop),
    mut tell: impl FnMut(&Report, &Level) -> Result<()>,
) -> Result<()> {
    let range = match profile.loads {
        Loads::Concurrency(range) | Loads::Rate { range, .. } => range,
    };
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
        let generator = Generator::start(driver, profile.load(load), profile.threads, requests)?;
        let measured = measure(generator.counts(), beginning, probe, &profile.rules, stop).await;
        let ending = generator.finish()?;
        let level = Level::new(load, &measured, ending, profile);
        within = level.within;
        tell(report, &level)?;
        report.levels.push(level);
    }
    report.interrupted = stop.is_requested();
    Ok(())
}

impl Profile {
    fn load(&self, load: f64) -> Load {
        match self.loads {
            // Checked to be whole numbers of at least 1 where they are read.
            Loads::Concurrency(_) => Load::Concurrency(load as usize),
            Loads::Rate { distribution, seed, most_outstanding, .. } => {
                Load::Rate { rate: load, distribution, seed, most_outstanding }
            }
        }
    }
}
