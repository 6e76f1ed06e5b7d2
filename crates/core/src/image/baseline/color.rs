//! From rows of Y, Cb and Cr to rows of RGB: libjpeg's "fancy" interpolation of chroma and its colour tables.

use std::ops::Range;

use super::header::Header;
use super::planes::Planes;
use crate::image::Region;
use crate::widest::Kernel;

/// Bits behind the point of the colour constants.
const BITS: u32 = 16;

const fn fixed(value: f64) -> i32 {
    (value * (1 << BITS) as f64 + 0.5) as i32
}

/// Working memory for one row.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sums: Vec<u16>,
    chroma: [Vec<u8>; 2],
}

/// Writes the rows of `want` that can be made now that row `mcus` of MCUs is there: all but its last one, whose chroma
/// depends on the next, and with the last one of the previous.
pub(super) struct Convert<'a> {
    pub header: &'a Header,
    pub planes: &'a Planes,
    pub mcus: u32,
    pub want: Region,
    pub rows: &'a mut Rows,
    /// All rows of `want`.
    pub out: &'a mut [u8],
}

impl Convert<'_> {
    /// Those rows.
    fn range(&self) -> Range<u32> {
        let height = 8 * self.header.down as u32;
        let bottom = self.want.y + self.want.height;
        let last = self.mcus + 1 == self.planes.rows.end;
        let end = if last { bottom } else { ((self.mcus + 1) * height - 1).min(bottom) };
        (self.mcus * height).saturating_sub(1).max(self.want.y)..end
    }

    /// Interpolates row `y` of a component to the width of luma.
    #[inline(always)]
    fn upsample(&mut self, component: usize, y: u32) {
        let Self { header, planes, rows: Rows { sums, chroma }, .. } = self;
        let out = &mut chroma[component - 1];
        let near = planes.row(component, y / header.down as u32);
        out.resize(near.len() * header.across, 0);
        if header.across == 1 {
            out.copy_from_slice(near);
            return;
        }
        sums.resize(near.len() + 2, 0);
        let middle = &mut sums[1..=near.len()];
        let (shift, first, second) = if header.down == 2 {
            let last = header.size.height.div_ceil(2) - 1;
            let far = if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(last) };
            for ((sum, &near), &far) in middle.iter_mut().zip(near).zip(planes.row(component, far)) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
            (4, 8, 7)
        } else {
            for (sum, &near) in middle.iter_mut().zip(near) {
                *sum = u16::from(near);
            }
            (2, 1, 2)
        };
        // Beyond the picture's edges its outermost samples are repeated.
        sums[0] = sums[1];
        let last = header.size.width.div_ceil(2) as usize - planes.columns.start as usize * 8;
        let last = last.min(near.len());
        sums[last + 1] = sums[last];
        for (pair, sums) in out.chunks_exact_mut(2).zip(sums.windows(3)) {
            pair[0] = ((3 * sums[1] + sums[0] + first) >> shift) as u8;
            pair[1] = ((3 * sums[1] + sums[2] + second) >> shift) as u8;
        }
    }
}

impl Kernel for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let Region { x, y: top, width, .. } = self.want;
        let left = x as usize - self.planes.columns.start as usize * 8 * self.header.across;
        let length = width as usize * 3;
        for y in self.range() {
            self.upsample(1, y);
            self.upsample(2, y);
            let [cb, cr] = &self.rows.chroma;
            let luma = &self.planes.row(0, y)[left..];
            let line = &mut self.out[(y - top) as usize * length..][..length];
            to_rgb(luma, &cb[left..], &cr[left..], line);
        }
    }
}

#[inline(always)]
fn to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    for (pixel, ((&y, &cb), &cr)) in out.chunks_exact_mut(3).zip(luma.iter().zip(cb).zip(cr)) {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        let half = 1 << (BITS - 1);
        let red = (fixed(1.402) * cr + half) >> BITS;
        let green = (half - fixed(0.344_14) * cb - fixed(0.714_14) * cr) >> BITS;
        let blue = (fixed(1.772) * cb + half) >> BITS;
        pixel[0] = (y + red).clamp(0, 255) as u8;
        pixel[1] = (y + green).clamp(0, 255) as u8;
        pixel[2] = (y + blue).clamp(0, 255) as u8;
    }
}
