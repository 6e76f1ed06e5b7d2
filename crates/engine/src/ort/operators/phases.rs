//! Planes cut by strides, so that one loop runs over all windows of a kernel.

use tintype_core::Result;

use super::kernel::Attributes;
use super::threads::misfit;

/// How a kernel moves over a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    /// Above and to the left; what is below and to the right shows in the number of windows.
    pub pads: [usize; 2],
}

impl Window {
    /// Of an operator's `kernel_shape`, `strides` and `pads`.
    ///
    /// # Errors
    /// When one is out of range, or there is no `kernel_shape`.
    pub fn new(attributes: &Attributes) -> Result<Self> {
        let [top, left, ..] = attributes.sizes::<4>("pads", Some(0))?;
        let window = Self {
            kernel: attributes.sizes("kernel_shape", None)?,
            strides: attributes.sizes("strides", Some(1))?,
            pads: [top, left],
        };
        if window.kernel.contains(&0) || window.strides.contains(&0) {
            return Err(misfit("`kernel_shape` and `strides` must be at least 1"));
        }
        Ok(window)
    }
}

/// Loops over places take them by so many, and read on behind the last.
pub(super) const BLOCK: usize = 32;

/// A plane with the zeros around it, cut by the strides into planes of which a step to the next window is a step to
/// the next element. Each has rows of the same width, and whatever lies beside the places of windows has rows of that
/// width too, so that one loop runs over all rows.
pub(super) struct Phases {
    window: Window,
    pub values: Vec<f32>,
    /// Elements of one phase.
    size: usize,
    /// Elements of a row of windows.
    pub width: usize,
}

impl Phases {
    /// Room for planes of `x` rows and columns, on which there are `y` windows down and across.
    pub fn new(window: Window, x: [usize; 2], y: [usize; 2]) -> Self {
        // What the last window sees, and what there is.
        let side = |axis: usize| {
            let seen = y[axis] + window.kernel[axis].saturating_sub(1) / window.strides[axis];
            seen.max((x[axis] + window.pads[axis]).div_ceil(window.strides[axis]))
        };
        let width = side(1);
        let size = side(0) * width + width + BLOCK;
        Self { window, values: vec![0.0; window.strides[0] * window.strides[1] * size], size, width }
    }

    /// Replaces the plane, whose rows have `width` elements; the zeros around it stay.
    pub fn fill(&mut self, plane: &[f32], width: usize) {
        let Window { strides: [down, right], pads, .. } = self.window;
        for (i, row) in plane.chunks_exact(width.max(1)).enumerate() {
            let i = i + pads[0];
            let start = i % down * right * self.size + i / down * self.width;
            if right == 1 {
                self.values[start + pads[1]..][..width].copy_from_slice(row);
                continue;
            }
            for (j, &value) in row.iter().enumerate() {
                let j = j + pads[1];
                self.values[start + j % right * self.size + j / right] = value;
            }
        }
    }

    /// Where the first window sees this tap of the kernel, in row-major order.
    pub fn place(&self, tap: usize) -> usize {
        let Window { kernel, strides: [down, right], .. } = self.window;
        let (a, b) = (tap / kernel[1], tap % kernel[1]);
        (a % down * right + b % right) * self.size + a / down * self.width + b / right
    }

    /// Elements of `y[0]` rows of windows, up to a whole number of blocks.
    pub fn spread(&self, y: [usize; 2]) -> usize {
        (y[0] * self.width).next_multiple_of(BLOCK)
    }
}
