//! What a batcher learns from watching: what a batch costs, and how fast jobs arrive. From these it chooses how many of
//! the waiting rows to run together.

use std::time::{Duration, Instant};

/// How fast the mean gap follows the arrivals: the weight of each. Slow enough that a random burst is not taken for load.
const FOLLOW: f64 = 1.0 / 256.0;

/// How fast the cost follows the batches: the share of each error that is taken away.
const LEARN: f64 = 1.0 / 16.0;

/// Beyond this utilisation the queue is served in full batches anyway.
const FULL: f64 = 0.99;

/// The least cost, in rows, that batches are thought to share.
const LEAST_SHARED: f64 = 1.0 / 1024.0;

/// The estimates of one model.
#[derive(Debug)]
pub(super) struct Load {
    cost: Cost,
    last_arrival: Option<Instant>,
    /// Mean seconds from row to row; `None` until two rows arrived.
    gap: Option<f64>,
}

/// What a batch costs.
#[derive(Debug, Clone, Copy)]
enum Cost {
    /// No batch was observed.
    Unknown,
    /// Batches of one size only: rows and time.
    Point(usize, Duration),
    /// Seconds that a batch takes whatever its size, and seconds of each row.
    Line([f64; 2]),
}

impl Load {
    pub(super) fn new() -> Self {
        Self { cost: Cost::Unknown, last_arrival: None, gap: None }
    }

    /// Learns that `rows` rows arrived at `now`.
    pub(super) fn arrived(&mut self, now: Instant, rows: usize) {
        if let Some(last) = self.last_arrival.replace(now) {
            let gap = now.saturating_duration_since(last).as_secs_f64() / rows.max(1) as f64;
            let mean = self.gap.get_or_insert(gap);
            *mean += (gap - *mean) * FOLLOW;
        }
    }

    /// Learns that a batch of `rows` rows took `time`.
    ///
    /// Normalised least mean squares: a step along `[1, rows]` that takes away a share of the error. Where all batches
    /// have one size, what is known of other sizes stays.
    pub(super) fn took(&mut self, rows: usize, time: Duration) {
        let [fixed, row] = match &mut self.cost {
            Cost::Point(known, before) if *known != rows => {
                let mut timed = [(*known, *before), (rows, time)];
                timed.sort();
                return self.calibrate(timed);
            }
            Cost::Line(line) => line,
            cost => {
                *cost = Cost::Point(rows, time);
                return;
            }
        };
        let (rows, time) = (rows.max(1) as f64, time.as_secs_f64());
        let step = LEARN * (time - (*fixed + *row * rows)) / (1.0 + rows * rows);
        *fixed = (*fixed + step).max(0.0);
        *row = (*row + step * rows).max(0.0);
    }

    /// Takes two timed batches, of different sizes, for the truth.
    fn calibrate(&mut self, [(small, fast), (large, slow)]: [(usize, Duration); 2]) {
        let row = slow.saturating_sub(fast).as_secs_f64() / large.saturating_sub(small).max(1) as f64;
        let fixed = (fast.as_secs_f64() - row * small as f64).max(0.0);
        self.cost = Cost::Line([fixed, row]);
    }

    /// How many of `waiting` rows to run together, on one of `instances`, at most `max`.
    ///
    /// `waiting` rows in batches of `k` that take `a + b·k` each wait the least in sum with `k = √(a·waiting / b)`:
    /// larger batches make their own rows wait for each other, smaller ones make those behind wait for `a` too often.
    /// Behind them are also those who will come before the queue is empty again, `1 / (1 - utilisation)` times as many.
    pub(super) fn batch_size(&self, waiting: usize, instances: usize, max: usize) -> usize {
        let Cost::Line([fixed, row]) = self.cost else { return max };
        // Never nothing: a queue that grows long is a reason to try larger batches once more.
        let fixed = fixed.max(row * LEAST_SHARED);
        let instances = instances.max(1) as f64;
        let busy = self.gap.map_or(0.0, |gap| (fixed / max as f64 + row) / (gap * instances)).min(FULL);
        let behind = waiting as f64 / instances / (1.0 - busy);
        // A row that costs nothing asks for the largest batch: the division gives infinity, or NaN for 0 / 0.
        let size = (fixed / row * behind).sqrt().ceil();
        if size.is_nan() { max } else { (size as usize).clamp(1, max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn line(load: &Load) -> [f64; 2] {
        match load.cost {
            Cost::Line(line) => line,
            other => unreachable!("{other:?}"),
        }
    }

    fn learned(fixed_ms: u32, row_ms: u32, sizes: &[usize]) -> Load {
        let mut load = Load::new();
        load.calibrate([(1, MS), (8, MS * 8)]);
        for &rows in sizes.iter().cycle().take(4000) {
            load.took(rows, MS * (fixed_ms + row_ms * rows as u32));
        }
        load
    }

    #[test]
    fn the_cost_is_learned_from_batches_of_several_sizes() {
        let [fixed, row] = line(&learned(6, 2, &[1, 3, 8]));
        assert!((fixed - 6e-3).abs() < 1e-4 && (row - 2e-3).abs() < 1e-4, "{fixed} {row}");
    }

    #[test]
    fn batches_of_one_size_leave_the_rest_as_it_was() {
        let [fixed, row] = line(&learned(0, 5, &[1]));
        assert!((fixed + row - 5e-3).abs() < 1e-4, "{fixed} {row}");
    }

    #[test]
    fn two_timed_batches_are_enough_to_begin_with() {
        let mut load = Load::new();
        load.calibrate([(1, MS * 5), (8, MS * 12)]);
        assert_eq!(line(&load).map(|s| (s * 1e6).round()), [4000.0, 1000.0]);
        let mut other = Load::new();
        other.took(8, MS * 12);
        other.took(8, MS * 12);
        assert_eq!(other.batch_size(8, 1, 8), 8, "one size says nothing of the others");
        other.took(1, MS * 5);
        assert_eq!(line(&other), line(&load));
    }

    #[test]
    fn rows_that_share_no_cost_run_alone_and_rows_that_share_all_run_together() {
        let mut load = Load::new();
        assert_eq!(load.batch_size(5, 1, 8), 8, "nothing is known");
        load.calibrate([(1, MS), (8, MS * 8)]);
        assert_eq!(load.batch_size(8, 1, 8), 1);
        load.calibrate([(1, MS), (8, MS)]);
        assert_eq!(load.batch_size(8, 1, 8), 8);
    }
}
