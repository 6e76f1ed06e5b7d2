//! When a load was measured long enough: perf_analyzer's rule over the last three windows.

use std::time::Duration;

/// Windows that must agree, and that a result is made of.
pub const WINDOWS: usize = 3;

/// A window in the figures that must agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Inferences a second.
    pub throughput: f64,
    /// The mean latency, or the percentile that was chosen.
    pub latency: Duration,
}

/// What follows from the windows so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another window is needed.
    Continue,
    /// The last three agree.
    Stable,
    /// They do not, and there will be no more.
    Unstable,
}

/// The windows of one load.
#[derive(Debug, Clone)]
pub struct Trials {
    /// The share by which the largest figure may exceed the smallest.
    tolerance: f64,
    most: usize,
    threshold: Option<Duration>,
    seen: Vec<Figures>,
}

impl Trials {
    /// Windows agree when their largest figure is at most `percent` above the smallest; after `most` of them it is over.
    pub fn new(percent: f64, most: usize, threshold: Option<Duration>) -> Self {
        Self { tolerance: percent / 100.0, most: most.max(1), threshold, seen: Vec::new() }
    }

    /// Judges one more window.
    pub fn push(&mut self, window: Figures) -> Verdict {
        self.seen.push(window);
        let Some(last) = self.seen.len().checked_sub(WINDOWS).map(|first| &self.seen[first..]) else {
            return self.unless_over();
        };
        if agree(last.iter().map(|w| w.throughput), self.tolerance)
            && agree(last.iter().map(|w| w.latency.as_secs_f64()), self.tolerance)
        {
            return Verdict::Stable;
        }
        // Clearly beyond the threshold: nobody needs to know by how much exactly.
        if let Some(threshold) = self.threshold
            && last.iter().all(|window| window.latency > threshold)
        {
            return Verdict::Unstable;
        }
        self.unless_over()
    }

    fn unless_over(&self) -> Verdict {
        if self.seen.len() >= self.most { Verdict::Unstable } else { Verdict::Continue }
    }
}

fn agree(values: impl Iterator<Item = f64> + Clone, tolerance: f64) -> bool {
    let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
    low > 0.0 && high <= low * (1.0 + tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of each window, as throughput and latency in milliseconds.
    fn judge(mut trials: Trials, windows: &[(f64, u64)]) -> Vec<Verdict> {
        let figures = |&(throughput, ms)| Figures { throughput, latency: Duration::from_millis(ms) };
        windows.iter().map(|window| trials.push(figures(window))).collect()
    }

    use Verdict::{Continue, Stable, Unstable};

    #[test]
    fn the_last_three_windows_must_agree_on_both_figures() {
        let ten = || Trials::new(10.0, 10, None);
        assert_eq!(judge(ten(), &[(100.0, 100), (109.0, 100), (105.0, 109)]), [Continue, Continue, Stable]);
        assert_eq!(
            judge(ten(), &[(50.0, 100), (100.0, 100), (100.0, 100), (100.0, 100)]),
            [Continue, Continue, Continue, Stable],
            "the first has no say any more"
        );
        assert_eq!(judge(ten(), &[(100.0, 100), (100.0, 100), (111.0, 100)])[2], Continue);
        assert_eq!(judge(ten(), &[(100.0, 100), (100.0, 100), (100.0, 111)])[2], Continue);
        assert_eq!(judge(ten(), &[(0.0, 0); 3])[2], Continue, "nothing at all is not stable");
    }

    #[test]
    fn it_ends() {
        let windows: Vec<_> = (0..4).map(|i| (f64::from(2 << i), 10)).collect();
        assert_eq!(judge(Trials::new(10.0, 4, None), &windows), [Continue, Continue, Continue, Unstable]);
        assert_eq!(judge(Trials::new(10.0, 1, None), &[(1.0, 1)]), [Unstable]);
    }

    #[test]
    fn three_windows_beyond_the_threshold_are_enough() {
        let threshold = Some(Duration::from_millis(50));
        let windows = [(10.0, 60), (20.0, 60), (10.0, 90)];
        assert_eq!(judge(Trials::new(10.0, 10, threshold), &windows)[2], Unstable);
        assert_eq!(judge(Trials::new(10.0, 10, None), &windows)[2], Continue);
    }
}
