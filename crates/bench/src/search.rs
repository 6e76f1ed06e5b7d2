//! Which load is measured next: a walk over a [`Range`], or perf_analyzer's binary search for the highest load within a
//! latency threshold.

use crate::range::{Range, Step};

/// The loads of a sweep, each chosen by what was seen at the ones before it.
#[derive(Debug, Clone)]
pub struct Sweep {
    range: Range,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing was measured yet.
    Walk(Option<f64>),
    /// The first load of a binary search.
    First,
    /// The range's start was asked.
    Start,
    /// The range's end was asked.
    End,
    /// `low` is within the threshold, `high` is not, `middle` was asked.
    Between {
        low: f64,
        high: f64,
        middle: f64,
    },
    Over,
}

impl Sweep {
    /// Every load of `range`, up to the first beyond the threshold.
    pub fn walk(range: Range) -> Self {
        Self { range, state: State::Walk(None) }
    }

    /// A binary search within `range`, until the places between which the threshold lies are a step apart.
    pub fn binary(range: Range) -> Self {
        Self { range, state: State::First }
    }

    /// The next load, given whether the last one was `within` the threshold; `None` at the end.
    pub fn next(&mut self, within: bool) -> Option<f64> {
        let Range { start, end, .. } = self.range;
        let (state, load) = match self.state {
            State::Walk(None) => (State::Walk(Some(start)), Some(start)),
            State::Walk(Some(last)) if within => match self.range.after(last) {
                Some(load) => (State::Walk(Some(load)), Some(load)),
                None => (State::Over, None),
            },
            State::First => (State::Start, Some(start)),
            State::Start if within && end > start => (State::End, Some(end)),
            State::End if !within => self.halve(start, end),
            State::Between { low: _, high, middle } if within => self.halve(middle, high),
            State::Between { low, middle, .. } => self.halve(low, middle),
            _ => (State::Over, None),
        };
        self.state = state;
        load
    }

    fn halve(&self, low: f64, high: f64) -> (State, Option<f64>) {
        let apart = match self.range.step {
            Step::Add(step) => high - low > step,
            Step::Times(factor) => high / low > factor,
        };
        let middle = f64::midpoint(low, high);
        let middle = if self.range.is_whole() { middle.floor() } else { middle };
        if apart && middle > low {
            (State::Between { low, high, middle }, Some(middle))
        } else {
            (State::Over, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loads that are measured when the threshold lies above `limit`.
    fn measured(mut sweep: Sweep, limit: f64) -> Vec<f64> {
        let mut found = Vec::new();
        let mut within = true;
        while let Some(load) = sweep.next(within) {
            within = load <= limit;
            found.push(load);
            assert!(found.len() < 100, "a sweep ends");
        }
        found
    }

    #[test]
    fn a_walk_ends_at_the_first_load_beyond_the_threshold() {
        let range: Range = "1:16:x2".parse().unwrap();
        assert_eq!(measured(Sweep::walk(range), 100.0), [1.0, 2.0, 4.0, 8.0, 16.0]);
        assert_eq!(measured(Sweep::walk(range), 3.0), [1.0, 2.0, 4.0]);
    }

    #[test]
    fn a_search_closes_in_on_the_threshold() {
        let range: Range = "1:64:1".parse().unwrap();
        assert_eq!(measured(Sweep::binary(range), 20.0), [1.0, 64.0, 32.0, 16.0, 24.0, 20.0, 22.0, 21.0]);
        assert_eq!(measured(Sweep::binary(range), 0.5), [1.0], "nothing is within");
        assert_eq!(measured(Sweep::binary(range), 64.0), [1.0, 64.0], "everything is");
        let fine: Range = "1:2:0.001".parse().unwrap();
        let last = measured(Sweep::binary(fine), 1.5).pop().unwrap();
        assert!((last - 1.5).abs() < 0.002, "{last}");
    }
}
