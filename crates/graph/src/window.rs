//! The window of a convolution or a pooling over pictures `[N, C, H, W]`.

use tintype_core::{ErrorKind, Result};

use crate::proto::NodeProto;

/// No window, stride or padding is larger; sums and products of two stay in range.
const LARGEST: usize = 1 << 24;

/// How a window moves over a picture; first the vertical number, then the horizontal one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    /// Rows and columns of padding before the picture.
    pub(crate) before: [usize; 2],
    /// Rows and columns of padding after it.
    pub(crate) after: [usize; 2],
    /// Whether a last window that is not whole counts.
    ceil: bool,
}

impl Window {
    /// The window of `node` over pictures of `size` `[H, W]`, with `auto_pad` worked out.
    ///
    /// # Errors
    /// `InvalidModel` when an attribute is out of range.
    pub(crate) fn of(node: &NodeProto, kernel: [usize; 2], size: [usize; 2]) -> Result<Self> {
        let strides = numbers(node, "strides", [1; 2])?;
        let dilations = numbers(node, "dilations", [1; 2])?;
        let usable = |&n: &usize| (1..=LARGEST).contains(&n);
        if !strides.iter().chain(&dilations).chain(&kernel).all(usable) {
            return Err(node.error(ErrorKind::InvalidModel, "has a window, stride or dilation out of range"));
        }
        let mut window = Self {
            kernel,
            strides,
            dilations,
            before: [0; 2],
            after: [0; 2],
            ceil: node.int("ceil_mode").unwrap_or(0) != 0,
        };
        match node.string("auto_pad").unwrap_or("NOTSET") {
            "" | "NOTSET" => {
                let [top, left, bottom, right] = numbers(node, "pads", [0; 4])?;
                (window.before, window.after) = ([top, left], [bottom, right]);
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for i in 0..2 {
                    let covered = (size[i].div_ceil(strides[i]).max(1) - 1) * strides[i] + window.extent(i);
                    let total = covered.saturating_sub(size[i]);
                    let (small, large) = (total / 2, total - total / 2);
                    let upper = same == "SAME_UPPER";
                    window.before[i] = if upper { small } else { large };
                    window.after[i] = if upper { large } else { small };
                }
            }
            other => {
                return Err(node.error(ErrorKind::InvalidModel, format!("has the unknown padding `{other}`")));
            }
        }
        Ok(window)
    }

    /// The window of a transposed convolution over pictures of `size`: that of the convolution that would make such a
    /// picture out of the result.
    ///
    /// # Errors
    /// `InvalidModel` when an attribute is out of range; `Unsupported` for padding that follows from the size.
    pub(crate) fn transposed(node: &NodeProto, kernel: [usize; 2], size: [usize; 2]) -> Result<Self> {
        if !matches!(node.string("auto_pad").unwrap_or("NOTSET"), "" | "NOTSET" | "VALID")
            || node.ints("output_shape").is_some_and(|s| !s.is_empty())
        {
            return Err(node.error(ErrorKind::Unsupported, "has padding that follows from its size"));
        }
        Self::of(node, kernel, size)
    }

    /// The size of a transposed convolution's result over pictures of `size`; `None` when the padding leaves nothing.
    pub(crate) fn transposed_output(&self, node: &NodeProto, size: [usize; 2]) -> Result<Option<[usize; 2]>> {
        let more = numbers(node, "output_padding", [0; 2])?;
        let along = |i: usize| {
            let spanned = size[i].checked_sub(1)?.checked_mul(self.strides[i])? + self.extent(i) + more[i];
            spanned.checked_sub(self.before[i] + self.after[i]).filter(|&n| n > 0)
        };
        Ok(along(0).zip(along(1)).map(|(h, w)| [h, w]))
    }

    /// Pixels that the window spans along axis `i`.
    pub(crate) fn extent(&self, i: usize) -> usize {
        self.dilations[i] * (self.kernel[i] - 1) + 1
    }

    /// The size of the result over pictures of `size`; `None` when the window does not fit in.
    pub(crate) fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let mut output = [0; 2];
        for i in 0..2 {
            let room = (size[i] + self.before[i] + self.after[i]).checked_sub(self.extent(i))?;
            output[i] = room / self.strides[i] + 1;
            // A window must begin within the picture or the padding before it.
            let partly = self.ceil && room % self.strides[i] != 0;
            if partly && output[i] * self.strides[i] < size[i] + self.before[i] {
                output[i] += 1;
            }
        }
        Some(output)
    }

    /// Gives `node` the window's attributes but for its dilations, which not every operator has.
    pub(crate) fn write(&self, node: NodeProto) -> NodeProto {
        node.with("kernel_shape", integers(self.kernel))
            .with("strides", integers(self.strides))
            .with("pads", [integers(self.before), integers(self.after)].concat())
    }

    /// Whether the window is one pixel that visits every pixel: a matrix product.
    pub(crate) fn is_point(&self) -> bool {
        self.kernel == [1; 2] && self.strides == [1; 2] && self.before == [0; 2] && self.after == [0; 2]
    }
}

/// Two numbers as an attribute has them.
pub(crate) fn integers(values: [usize; 2]) -> Vec<i64> {
    values.map(|v| v as i64).to_vec()
}

/// An attribute of `N` numbers from 0 to [`LARGEST`].
fn numbers<const N: usize>(node: &NodeProto, name: &str, absent: [usize; N]) -> Result<[usize; N]> {
    let Some(values) = node.ints(name).filter(|v| !v.is_empty()) else { return Ok(absent) };
    let usable = |&v: &i64| usize::try_from(v).ok().filter(|&v| v <= LARGEST);
    let mut converted: Vec<usize> = values.iter().filter_map(usable).collect();
    if 2 * values.len() == N && converted.len() == values.len() {
        // A row of pixels is a picture of height 1: what is said of its one axis goes to the second.
        converted =
            absent.as_chunks::<2>().0.iter().zip(&converted).flat_map(|([a, _], &v)| [*a, v]).collect();
    }
    converted.try_into().map_err(|_| {
        node.error(
            ErrorKind::InvalidModel,
            format!("has `{name}` {values:?}, expected {N} numbers from 0 to {LARGEST}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes as PyTorch's `Conv2d` and `MaxPool2d` (with `ceil_mode`) give them, and TensorFlow's for `SAME`.
    #[test]
    fn sizes_are_those_of_pytorch_and_tensorflow() {
        let node = || NodeProto::new("MaxPool", &["x"], &["y"]);
        for (node, kernel, size, expected) in [
            (node(), [3, 3], [8, 9], Some([6, 7])),
            (node().with("pads", vec![1; 4]).with("strides", vec![2; 2]), [3, 3], [8, 9], Some([4, 5])),
            (node().with("dilations", vec![2; 2]), [3, 3], [8, 9], Some([4, 5])),
            (node().with("strides", vec![2; 2]).with("ceil_mode", 1), [2, 2], [5, 4], Some([3, 2])),
            (
                node().with("strides", vec![3; 2]).with("ceil_mode", 1).with("pads", vec![1; 4]),
                [2, 2],
                [4, 4],
                Some([2, 2]),
            ),
            (node().with("auto_pad", "SAME_UPPER").with("strides", vec![2; 2]), [3, 3], [7, 8], Some([4, 4])),
            (node(), [3, 3], [2, 9], None),
        ] {
            assert_eq!(Window::of(&node, kernel, size).unwrap().output(size), expected, "{node:?}");
        }
    }

    #[test]
    fn the_odd_pixel_of_same_padding_goes_where_it_says() {
        for (mode, before) in [("SAME_UPPER", [0, 0]), ("SAME_LOWER", [1, 1])] {
            let node = NodeProto::new("Conv", &["x", "w"], &["y"]).with("strides", vec![2; 2]);
            let window = Window::of(&node.with("auto_pad", mode), [3, 3], [8, 8]).unwrap();
            assert_eq!(window.before, before, "{mode}");
            assert_eq!(window.after, [1 - before[0], 1 - before[1]], "{mode}");
        }
    }

    #[test]
    fn a_stride_of_nothing_is_an_error() {
        let node = NodeProto::new("Conv", &["x", "w"], &["y"]);
        for node in [node.clone().with("strides", vec![0, 1]), node.with("pads", vec![-1, 0, 0, 0])] {
            assert_eq!(Window::of(&node, [1, 1], [4, 4]).unwrap_err().kind(), ErrorKind::InvalidModel);
        }
    }
}
