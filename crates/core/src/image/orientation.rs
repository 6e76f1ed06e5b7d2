//! How a stored picture is to be turned for display.

use super::{Region, Size};

/// One of the eight EXIF orientations, as two mirrors and a transposition.
///
/// The turned pixel `(X, Y)` is the stored pixel found by mirroring `X` and `Y` in the turned picture as `flip_x` and
/// `flip_y` say, then exchanging them where `transpose` is set. This is what Pillow's `ImageOps.exif_transpose` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orientation {
    transpose: bool,
    flip_x: bool,
    flip_y: bool,
}

impl Orientation {
    /// The orientation of an EXIF value; as stored for anything but 2..=8.
    pub fn from_exif(value: u32) -> Self {
        let (transpose, flip_x, flip_y) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { transpose, flip_x, flip_y }
    }

    /// Whether the picture stays as it is stored.
    pub fn is_identity(self) -> bool {
        self == Self::default()
    }

    /// The size of a turned picture that is stored in `size`.
    pub fn oriented(self, size: Size) -> Size {
        if self.transpose { Size { width: size.height, height: size.width } } else { size }
    }

    /// Where `region` of the turned picture lies in the stored one, whose size is `stored`.
    pub(crate) fn to_stored(self, region: Region, stored: Size) -> Region {
        let turned = self.oriented(stored);
        let mut at = region;
        if self.flip_x {
            at.x = turned.width - region.x - region.width;
        }
        if self.flip_y {
            at.y = turned.height - region.y - region.height;
        }
        if self.transpose { transposed(at) } else { at }
    }

    /// Where `region` of the stored picture lies in the turned one.
    pub(crate) fn to_turned(self, region: Region, stored: Size) -> Region {
        let turned = self.oriented(stored);
        let mut at = if self.transpose { transposed(region) } else { region };
        if self.flip_x {
            at.x = turned.width - at.x - at.width;
        }
        if self.flip_y {
            at.y = turned.height - at.y - at.height;
        }
        at
    }

    /// Turns RGB `pixels` of `stored` size into `out`; false, leaving `out` alone, when nothing is to be turned.
    pub(crate) fn turn(self, pixels: &[u8], stored: Size, out: &mut Vec<u8>) -> bool {
        if self.is_identity() {
            return false;
        }
        let turned = self.oriented(stored);
        let (width, height) = (turned.width as usize, turned.height as usize);
        let stride = stored.width as usize * 3;
        // Stored bytes from one turned pixel to the next along a turned row, and from row to row.
        let (along, down) = if self.transpose { (stride, 3) } else { (3, stride) };
        let out = super::prepare_buffer(out, pixels.len());
        for (y, row) in out.chunks_exact_mut(width * 3).enumerate() {
            let y = if self.flip_y { height - 1 - y } else { y };
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let x = if self.flip_x { width - 1 - x } else { x };
                let at = y * down + x * along;
                pixel.copy_from_slice(&pixels[at..at + 3]);
            }
        }
        true
    }
}

fn transposed(region: Region) -> Region {
    Region { x: region.y, y: region.x, width: region.height, height: region.width }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_map_there_and_back() {
        let stored = Size { width: 11, height: 7 };
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value);
            let region = Region { x: 1, y: 2, width: 5, height: 3 };
            let turned = orientation.to_turned(region, stored);
            assert_eq!(orientation.to_stored(turned, stored), region, "orientation {value}");
        }
    }

    #[test]
    fn turning_a_part_is_taking_the_part_of_the_turned() {
        let stored = Size { width: 6, height: 4 };
        let all: Vec<u8> = (0..6 * 4 * 3).collect();
        let region = Region { x: 2, y: 1, width: 3, height: 2 };
        for value in 2..=8 {
            let orientation = Orientation::from_exif(value);
            let (mut whole, mut part) = (Vec::new(), Vec::new());
            orientation.turn(&all, stored, &mut whole);
            orientation.turn(&cut(&all, stored, region), region.size(), &mut part);
            let turned = orientation.to_turned(region, stored);
            assert_eq!(part, cut(&whole, orientation.oriented(stored), turned), "orientation {value}");
        }
    }

    fn cut(pixels: &[u8], size: Size, region: Region) -> Vec<u8> {
        let mut out = Vec::new();
        for y in region.y..region.y + region.height {
            let at = (y * size.width + region.x) as usize * 3;
            out.extend_from_slice(&pixels[at..at + region.width as usize * 3]);
        }
        out
    }
}
