//! From 8-bit pixels to the elements of a tensor: `y = (x * scale - mean) / std`.
//!
//! There are only 256 values a channel can have, so each channel has a table of its 256 results, computed once in `f64`
//! and rounded once. Channel order and layout are decided here too: output channel `c` reads picture channel
//! `from[c]` through table `c`.

use half::f16;

use super::Slot;
use crate::image::Size;
use crate::{Channels, Error, ErrorKind, Layout, PixelType, PreprocessSpec, Result, TensorData};

/// A plan's tables.
pub(super) struct Normalizer {
    tables: Tables,
    channels: Channels,
    layout: Layout,
}

enum Tables {
    F32(Vec<[f32; 256]>),
    F16(Vec<[f16; 256]>),
    U8(Vec<[u8; 256]>),
}

impl Normalizer {
    /// The tables of a validated spec.
    pub(super) fn new(spec: &PreprocessSpec) -> Self {
        let count = spec.channels.count();
        // One value stands for all channels.
        let of = |values: &[f64], c: usize, absent: f64| {
            values.get(c).or(values.first()).copied().unwrap_or(absent)
        };
        let value =
            |c: usize, x: usize| (x as f64 * spec.scale - of(&spec.mean, c, 0.0)) / of(&spec.std, c, 1.0);
        let tables = match spec.dtype {
            PixelType::F32 => Tables::F32(tables(count, |c, x| value(c, x) as f32)),
            PixelType::F16 => Tables::F16(tables(count, |c, x| f16::from_f64(value(c, x)))),
            PixelType::U8 => Tables::U8(tables(count, |_, x| x as u8)),
        };
        Self { tables, channels: spec.channels, layout: spec.layout }
    }

    /// Writes the interleaved RGB or grey `pixels` of a picture of `size`.
    ///
    /// # Errors
    /// `InvalidArgument` when the slot is of another dtype or length.
    pub(super) fn write(&self, pixels: &[u8], size: Size, slot: Slot<'_>) -> Result<()> {
        let (expected, found, length) = match (&self.tables, slot) {
            (Tables::F32(tables), Slot::F32(out)) if out.len() == pixels.len() => {
                self.write_as(tables, pixels, out);
                return Ok(());
            }
            (Tables::F16(tables), Slot::F16(out)) if out.len() == pixels.len() => {
                self.write_as(tables, pixels, out);
                return Ok(());
            }
            (Tables::U8(tables), Slot::U8(out)) if out.len() == pixels.len() => {
                self.write_as(tables, pixels, out);
                return Ok(());
            }
            (tables, Slot::F32(out)) => (tables.name(), "f32", out.len()),
            (tables, Slot::F16(out)) => (tables.name(), "f16", out.len()),
            (tables, Slot::U8(out)) => (tables.name(), "u8", out.len()),
        };
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "expected a slot of {} `{expected}` for {size} pixels, found {length} `{found}`",
                pixels.len()
            ),
        ))
    }

    /// The same in memory of its own, which is written once: zeroing that much first takes a page fault for each page.
    pub(super) fn collect(&self, pixels: &[u8]) -> TensorData {
        match &self.tables {
            Tables::F32(tables) => TensorData::F32(self.collect_as(tables, pixels)),
            Tables::F16(tables) => TensorData::F16(self.collect_as(tables, pixels)),
            Tables::U8(tables) => TensorData::U8(self.collect_as(tables, pixels)),
        }
    }

    fn collect_as<T: Copy>(&self, tables: &[[T; 256]], pixels: &[u8]) -> Vec<T> {
        let mut out = Vec::with_capacity(pixels.len());
        let from = if self.channels == Channels::Bgr { [2, 1, 0] } else { [0, 1, 2] };
        match (tables, self.layout) {
            ([first, second, third], Layout::Nhwc) => out.extend(pixels.chunks_exact(3).flat_map(|pixel| {
                let [r, g, b] = from.map(|channel| usize::from(pixel[channel]));
                [first[r], second[g], third[b]]
            })),
            ([_, _, _], Layout::Nchw) => {
                for (table, channel) in tables.iter().zip(from) {
                    out.extend(pixels.chunks_exact(3).map(|pixel| table[usize::from(pixel[channel])]));
                }
            }
            _ => out.extend(tables.iter().flat_map(|table| pixels.iter().map(|&x| table[usize::from(x)]))),
        }
        out
    }

    fn write_as<T: Copy>(&self, tables: &[[T; 256]], pixels: &[u8], out: &mut [T]) {
        let &[first, second, third] = tables else {
            if let Some(table) = tables.first() {
                out.iter_mut().zip(pixels).for_each(|(value, &x)| *value = table[usize::from(x)]);
            }
            return;
        };
        let [r, g, b] = if self.channels == Channels::Bgr { [2, 1, 0] } else { [0, 1, 2] };
        match self.layout {
            Layout::Nhwc => {
                for (pixel, values) in pixels.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
                    values[0] = first[usize::from(pixel[r])];
                    values[1] = second[usize::from(pixel[g])];
                    values[2] = third[usize::from(pixel[b])];
                }
            }
            Layout::Nchw => {
                let plane = pixels.len() / 3;
                let (one, rest) = out.split_at_mut(plane);
                let (two, three) = rest.split_at_mut(plane);
                let planes = one.iter_mut().zip(two).zip(three);
                for (pixel, ((x, y), z)) in pixels.chunks_exact(3).zip(planes) {
                    *x = first[usize::from(pixel[r])];
                    *y = second[usize::from(pixel[g])];
                    *z = third[usize::from(pixel[b])];
                }
            }
        }
    }
}

impl Tables {
    fn name(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::F16(_) => "f16",
            Self::U8(_) => "u8",
        }
    }
}

fn tables<T: Copy>(count: usize, value: impl Fn(usize, usize) -> T) -> Vec<[T; 256]> {
    (0..count).map(|c| std::array::from_fn(|x| value(c, x))).collect()
}

impl std::fmt::Debug for Normalizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Normalizer").field("dtype", &self.tables.name()).finish_non_exhaustive()
    }
}
