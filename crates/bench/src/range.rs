//! A range of loads as perf_analyzer writes it: `start:end:step`, and `start:end:x2` for doubling.

use std::str::FromStr;

use tintype_core::{Error, ErrorKind, Result};

/// The loads `start`, …, `end`, both included where the steps meet it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first load, above 0.
    pub start: f64,
    /// No load is above it.
    pub end: f64,
    /// From a load to the next.
    pub step: Step,
}

/// From a load to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// So much more.
    Add(f64),
    /// So many times as much.
    Times(f64),
}

impl Range {
    /// One load.
    pub fn single(load: f64) -> Self {
        Self { start: load, end: load, step: Step::Add(1.0) }
    }

    /// The load after `load`, if it is within the range.
    pub fn after(&self, load: f64) -> Option<f64> {
        let next = match self.step {
            Step::Add(more) => load + more,
            Step::Times(factor) => load * factor,
        };
        // Sums of steps such as 0.1 miss their end by rounding.
        (next <= self.end * (1.0 + 1e-9)).then_some(next)
    }

    /// Whether every load is a whole number.
    pub fn is_whole(&self) -> bool {
        let (Step::Add(step) | Step::Times(step)) = self.step;
        [self.start, self.end, step].iter().all(|value| value.fract() == 0.0)
    }
}

impl FromStr for Range {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message =
                format!("expected `START`, `START:END`, `START:END:STEP` or `START:END:x2`, found `{text}`");
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let number = |text: &str| {
            text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0).ok_or_else(wrong)
        };
        let mut parts = text.split(':');
        let start = number(parts.next().unwrap_or_default())?;
        let end = parts.next().map_or(Ok(start), number)?;
        let step = match parts.next() {
            None => Step::Add(1.0),
            Some(step) => match step.strip_prefix('x').or_else(|| step.strip_suffix('x')) {
                Some(factor) => Step::Times(number(factor)?),
                None => Step::Add(number(step)?),
            },
        };
        if parts.next().is_some() || end < start || matches!(step, Step::Times(factor) if factor <= 1.0) {
            return Err(wrong());
        }
        Ok(Self { start, end, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(text: &str) -> Vec<f64> {
        let range: Range = text.parse().unwrap();
        std::iter::successors(Some(range.start), |&load| range.after(load)).collect()
    }

    #[test]
    fn ranges_are_read_and_walked() {
        assert_eq!(loads("4"), [4.0]);
        assert_eq!(loads("1:4"), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(loads("1:8:3"), [1.0, 4.0, 7.0]);
        assert_eq!(loads("1:64:x2"), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        assert_eq!(loads("1:10:3x"), [1.0, 3.0, 9.0]);
        assert_eq!(loads("0.1:0.3:0.1").len(), 3, "rounding does not lose the end");
        assert!("1:4:2".parse::<Range>().unwrap().is_whole());
        assert!(!"1:4:0.5".parse::<Range>().unwrap().is_whole());
    }

    #[test]
    fn what_would_never_end_is_refused() {
        for text in ["", "0", "-1", "a", "4:1", "1:2:0", "1:2:x1", "1:2:3:4", "nan", "1:inf"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
