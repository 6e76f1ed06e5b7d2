//! Rectangles of pixels.

use super::Size;

/// A rectangle of pixels inside a picture: `x..x + width`, `y..y + height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The leftmost column.
    pub x: u32,
    /// The topmost row.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Region {
    /// All of a picture.
    pub(crate) fn all(size: Size) -> Self {
        Self { x: 0, y: 0, width: size.width, height: size.height }
    }

    /// Its width and height.
    pub(crate) fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// The bytes that it takes as 8-bit RGB.
    pub(crate) fn rgb_len(self) -> usize {
        self.width as usize * self.height as usize * 3
    }

    /// The region with `margin` more pixels on every side and its left edge moved to a multiple of `step`, as far as a
    /// picture of `size` allows.
    pub(crate) fn grown(self, margin: u32, step: u32, size: Size) -> Self {
        let left = self.x.saturating_sub(margin) / step * step;
        let top = self.y.saturating_sub(margin);
        let right = self.x.saturating_add(self.width).saturating_add(margin).min(size.width);
        let bottom = self.y.saturating_add(self.height).saturating_add(margin).min(size.height);
        Self { x: left, y: top, width: right - left, height: bottom - top }
    }
}
