//! Splitting an operator's output among ONNX Runtime's threads, without locks and without overlap.
//!
//! Each function hands every part of a slice to exactly one call of a closure. That is all the unsafe code the
//! operators need, and it is here.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use ort::operator::ComputeContext;
use tintype_core::{Error, ErrorKind, Result};

use super::super::error;

/// Something that calls `f` once for every index below `count`, from several threads.
pub(super) trait Threads {
    /// # Errors
    /// When the calls could not be made, or one panicked.
    fn for_each(&self, count: usize, f: &(dyn Fn(usize) + Sync)) -> Result<()>;
}

impl Threads for ComputeContext {
    fn for_each(&self, count: usize, f: &(dyn Fn(usize) + Sync)) -> Result<()> {
        // A panic must not unwind into ONNX Runtime's C++ frames.
        let panicked = AtomicBool::new(false);
        self.par_for(count, 0, |index| {
            if catch_unwind(AssertUnwindSafe(|| f(index))).is_err() {
                panicked.store(true, Ordering::Relaxed);
            }
        })
        .map_err(error::engine)?;
        if panicked.into_inner() {
            return Err(Error::new(ErrorKind::Internal, "an operator panicked"));
        }
        Ok(())
    }
}

/// `[N, C, …]` seen as `N · C` planes of `len` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planes {
    pub(super) rows: usize,
    pub(super) channels: usize,
    pub(super) len: usize,
}

impl Planes {
    /// # Errors
    /// When `shape` has fewer than two axes.
    pub(super) fn of(shape: &[usize]) -> Result<Self> {
        let [rows, channels, rest @ ..] = shape else {
            return Err(misfit(format!("expected a tensor of shape [N, C, ...], found {shape:?}")));
        };
        Ok(Self { rows: *rows, channels: *channels, len: rest.iter().product() })
    }

    pub(super) fn count(self) -> usize {
        self.rows * self.channels * self.len
    }

    /// Elements of one channel.
    pub(super) fn per_channel(self) -> usize {
        self.rows * self.len
    }

    /// The planes of `channel`, one a row.
    pub(super) fn of_channel(self, data: &[f32], channel: usize) -> impl Iterator<Item = &[f32]> {
        (0..self.rows).map(move |row| &data[(row * self.channels + channel) * self.len..][..self.len])
    }
}

/// Calls `f` with the index and the elements of every chunk of `len`; the last may be shorter.
pub(super) fn chunks(
    threads: &dyn Threads,
    data: &mut [f32],
    len: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<()> {
    let len = len.max(1);
    let count = data.len().div_ceil(len);
    let parts = Parts::new(data);
    threads.for_each(count, &|index| {
        let start = index * len;
        // SAFETY: `index` comes once, and chunks of different indices do not overlap.
        f(index, unsafe { parts.take(start, len.min(parts.len - start)) });
    })
}

/// Calls `f` with every channel of `data` and, in its place, stores the `K` numbers that it returns.
///
/// # Errors
/// When a slice is not as long as `planes` says.
pub(super) fn channels<const K: usize>(
    threads: &dyn Threads,
    planes: Planes,
    data: &mut [f32],
    summaries: [&mut [f32]; K],
    f: impl Fn(usize, &mut Channel) -> [f32; K] + Sync,
) -> Result<()> {
    require_len("a tensor", data.len(), planes.count())?;
    for summary in &summaries {
        require_len("a tensor with one element a channel", summary.len(), planes.channels)?;
    }
    let data = Parts::new(data);
    let summaries = summaries.map(Parts::new);
    threads.for_each(planes.channels, &|channel| {
        let results = f(channel, &mut Channel { data: &data, planes, channel });
        for (summary, result) in summaries.iter().zip(results) {
            // SAFETY: `channel` comes once, so this element is written by this call alone.
            let place = unsafe { summary.take(channel, 1) };
            place[0] = result;
        }
    })
}

/// What an operator says of inputs or attributes that do not fit it.
pub(super) fn misfit(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidModel, message)
}

/// # Errors
/// When `found` is not `expected`.
pub(super) fn require_len(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(misfit(format!("expected {what} of {expected} elements, found {found}")))
}

/// One channel of an output, for the one call that fills it.
pub(super) struct Channel<'a> {
    data: &'a Parts<'a>,
    planes: Planes,
    channel: usize,
}

impl Channel<'_> {
    /// The channel's plane in `row`.
    pub(super) fn plane(&mut self, row: usize) -> &mut [f32] {
        let Planes { rows, channels, len } = self.planes;
        assert!(row < rows, "row {row} of {rows}");
        // SAFETY: no other `Channel` has this channel, and `&mut self` keeps this one from giving out two planes at
        // a time.
        unsafe { self.data.take((row * channels + self.channel) * len, len) }
    }
}

/// A slice of which several threads take parts.
struct Parts<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: `take` is the only access, and its callers promise parts that do not overlap.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    fn new(data: &'a mut [f32]) -> Self {
        Self { start: data.as_mut_ptr(), len: data.len(), slice: PhantomData }
    }

    /// # Safety
    /// While the result lives no other part that overlaps it is taken.
    #[expect(clippy::mut_from_ref, reason = "the callers keep the parts apart")]
    unsafe fn take(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start <= self.len && len <= self.len - start, "a part beyond the end");
        // SAFETY: the range is within the slice (checked above), which is borrowed for `'a`; the caller promises that
        // nobody else has any of it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

/// Threads for tests: real ones, which meet overlaps as ONNX Runtime's would.
#[cfg(test)]
pub(super) struct TestThreads;

#[cfg(test)]
impl Threads for TestThreads {
    fn for_each(&self, count: usize, f: &(dyn Fn(usize) + Sync)) -> Result<()> {
        std::thread::scope(|scope| {
            for worker in 0..2 {
                scope.spawn(move || (worker..count).step_by(2).for_each(f));
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_comes_once() {
        for len in [0, 1, 3, 7, 100] {
            let mut data = vec![0.0; 23];
            chunks(&TestThreads, &mut data, len, |index, chunk| {
                chunk.iter_mut().for_each(|v| *v += 1.0 + index as f32);
            })
            .unwrap();
            let expected: Vec<f32> = (0..23).map(|i| 1.0 + (i / len.max(1)) as f32).collect();
            assert_eq!(data, expected, "{len}");
        }
    }

    #[test]
    fn every_channel_comes_once_with_its_planes() {
        let planes = Planes::of(&[2, 3, 2, 2]).unwrap();
        let (mut data, mut sums) = (vec![0.0; 24], vec![0.0; 3]);
        channels(&TestThreads, planes, &mut data, [&mut sums], |channel, out| {
            for row in 0..planes.rows {
                out.plane(row).fill((10 * row + channel) as f32);
            }
            [channel as f32]
        })
        .unwrap();
        let expected = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0].map(|v| [v; 4]).concat();
        assert_eq!((data, sums), (expected, vec![0.0, 1.0, 2.0]));
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let planes = Planes::of(&[1, 2]).unwrap();
        assert!(channels(&TestThreads, planes, &mut [0.0; 3], [], |_, _| []).is_err());
        assert!(channels(&TestThreads, planes, &mut [0.0; 2], [&mut [0.0; 1]], |_, _| [0.0]).is_err());
        assert!(Planes::of(&[1]).is_err());
    }
}
