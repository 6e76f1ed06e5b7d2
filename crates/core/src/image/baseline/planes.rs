//! The samples of the wanted part, before colours are made of them: two rows of MCUs of each component.

use std::ops::Range;

use super::header::Header;
use crate::image::Region;

/// Y, Cb and Cr of the previous and the current row of MCUs.
#[derive(Debug, Default)]
pub(super) struct Planes {
    /// MCUs whose samples are needed, those at the edges only for the interpolation of chroma.
    pub columns: Range<u32>,
    /// The same for rows of MCUs.
    pub rows: Range<u32>,
    /// First row of MCUs in the buffers; -1 before the second row has begun.
    top: i64,
    planes: [Plane; 3],
}

/// One component.
#[derive(Debug, Default)]
struct Plane {
    /// Two rows of MCUs.
    samples: Vec<u8>,
    stride: usize,
    /// Samples of an MCU across and down.
    width: usize,
    height: usize,
}

impl Planes {
    /// Makes room for `want` of a picture.
    pub(super) fn prepare(&mut self, header: &Header, want: Region) {
        // One sample of chroma around.
        let needed = |from: u32, length: u32, blocks: usize, mcus: u32| {
            let (side, reach) = (8 * blocks as u32, blocks as u32);
            from.saturating_sub(reach) / side..((from + length + reach).div_ceil(side)).min(mcus)
        };
        self.columns = needed(want.x, want.width, header.across, header.mcus.width);
        self.rows = needed(want.y, want.height, header.down, header.mcus.height);
        self.top = 0;
        for (i, plane) in self.planes.iter_mut().enumerate() {
            let (across, down) = if i == 0 { (header.across, header.down) } else { (1, 1) };
            (plane.width, plane.height) = (8 * across, 8 * down);
            plane.stride = plane.width * self.columns.len();
            plane.samples.resize(2 * plane.height * plane.stride, 0);
        }
    }

    /// Begins row `y` of MCUs: the current one becomes the previous one.
    pub(super) fn advance(&mut self, y: u32) {
        self.top = i64::from(y) - 1;
        for plane in &mut self.planes {
            let half = plane.samples.len() / 2;
            plane.samples.copy_within(half.., 0);
        }
    }

    /// Where the `i`-th block of component `c` in wanted column `x` of MCUs begins in the current row, and the samples from row
    /// to row.
    #[inline(always)]
    pub(super) fn block(&mut self, c: usize, x: usize, i: usize, across: usize) -> (&mut [u8], usize) {
        let plane = &mut self.planes[c];
        let (column, row) = if c == 0 { (i % across, i / across) } else { (0, 0) };
        let left = x * plane.width + column * 8;
        let begin = (plane.height + row * 8) * plane.stride + left;
        (&mut plane.samples[begin..], plane.stride)
    }

    /// Row `y` of component `c`, counted in samples of that component from the top of the picture. It begins at the first
    /// of `columns`.
    #[inline(always)]
    pub(super) fn row(&self, c: usize, y: u32) -> &[u8] {
        let plane = &self.planes[c];
        let row = (i64::from(y) - self.top * plane.height as i64) as usize;
        &plane.samples[row * plane.stride..][..plane.stride]
    }
}
