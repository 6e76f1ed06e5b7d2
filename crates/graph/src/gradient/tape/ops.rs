//! The operators that gradients are written in. Shapes are right by construction: callers pass values they know.

use super::Tape;
use crate::gradient::FUSED_DOMAIN;
use crate::proto::{DataType, NodeProto, TensorProto};
use crate::shape::broadcast;

/// Elements of the matrix that [`Tape::scattered`] multiplies with: beyond it, a row costs more than padding does.
const LARGEST_SELECTION: usize = 1 << 16;

impl Tape {
    /// A constant list of integers.
    pub(in crate::gradient) fn integers(&mut self, values: &[i64]) -> String {
        if let Some(name) = self.integers.get(values) {
            return name.clone();
        }
        let name = self.fresh("integers");
        self.initializers.push(TensorProto::from_i64(&name, &[values.len()], values));
        self.integers.insert(values.to_vec(), name.clone());
        name
    }

    /// A constant tensor.
    pub(in crate::gradient) fn constant(&mut self, shape: &[usize], values: &[f32]) -> String {
        let name = self.fresh("constant");
        self.initializers.push(TensorProto::from_f32(&name, shape, values));
        self.shapes.insert(&name, shape.to_vec());
        name
    }

    /// A constant number.
    pub(in crate::gradient) fn scalar(&mut self, value: f32) -> String {
        self.constant(&[], &[value])
    }

    /// The constant that is true.
    pub(in crate::gradient) fn truth(&mut self) -> String {
        let name = self.fresh("constant");
        let (data_type, raw_data) = (DataType::Bool as i32, Some(vec![1]));
        self.initializers.push(TensorProto {
            name: name.clone(),
            data_type,
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// `x op y`, broadcast.
    pub(in crate::gradient) fn elementwise(&mut self, op: &str, x: &str, y: &str) -> String {
        let (a, b) = (self.own(x), self.own(y));
        let shape = broadcast(&a, &b).unwrap_or(a);
        self.op(op, &[x, y], shape)
    }

    /// `op(x)`, of `x`'s shape.
    pub(in crate::gradient) fn unary(&mut self, op: &str, x: &str) -> String {
        let shape = self.own(x);
        self.op(op, &[x], shape)
    }

    /// `x` times a number; `x` itself for 1.
    pub(in crate::gradient) fn scaled(&mut self, x: &str, factor: f32) -> String {
        if factor == 1.0 {
            return x.to_owned();
        }
        let factor = self.scalar(factor);
        self.elementwise("Mul", x, &factor)
    }

    /// `x` under another shape; `x` itself if it has it.
    pub(in crate::gradient) fn reshape(&mut self, x: &str, shape: &[usize]) -> String {
        if self.shapes.get(x) == Some(shape) {
            return x.to_owned();
        }
        let sizes: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let sizes = self.integers(&sizes);
        self.op("Reshape", &[x, &sizes], shape.to_vec())
    }

    /// `x` with its axes in another order.
    pub(in crate::gradient) fn transpose(&mut self, x: &str, perm: &[usize]) -> String {
        let from = self.own(x);
        let shape = perm.iter().map(|&p| from[p]).collect();
        let perm: Vec<i64> = perm.iter().map(|&p| p as i64).collect();
        self.one(NodeProto::new("Transpose", &[x], &[]).with("perm", perm), shape)
    }

    /// The sum over `axes`, which stay as 1 or go.
    pub(in crate::gradient) fn sum(&mut self, x: &str, axes: &[usize], keep: bool) -> String {
        let from = self.own(x);
        let kept = from.iter().enumerate().filter(|(i, _)| keep || !axes.contains(i));
        let shape = kept.map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        let axes = self.integers(&axes);
        self.one(NodeProto::new("ReduceSum", &[x, &axes], &[]).with("keepdims", i64::from(keep)), shape)
    }

    /// The mean over `axes`, which stay as 1.
    pub(in crate::gradient) fn mean(&mut self, x: &str, axes: &[usize]) -> String {
        let shape = self.own(x);
        let count: usize = axes.iter().map(|&a| shape[a]).product();
        let sum = self.sum(x, axes, true);
        self.scaled(&sum, 1.0 / count as f32)
    }

    /// `[C]` as `[1, C, 1, …]` of `rank` axes.
    pub(in crate::gradient) fn per_channel(&mut self, x: &str, rank: usize) -> String {
        let channels = self.own(x).iter().product();
        let shape: Vec<usize> = (0..rank).map(|i| if i == 1 { channels } else { 1 }).collect();
        self.reshape(x, &shape)
    }

    /// `x[N, C, …]` summed over all axes but the second.
    pub(in crate::gradient) fn sum_to_channels(&mut self, x: &str) -> String {
        let shape = self.own(x);
        if self.fused {
            let node = NodeProto::new("SumToChannels", &[x], &[]).of_domain(FUSED_DOMAIN);
            return self.one(node, vec![shape[1]]);
        }
        let axes: Vec<usize> = (0..shape.len()).filter(|&i| i != 1).collect();
        self.sum(x, &axes, false)
    }

    /// `x` summed over the axes along which a tensor of `shape` was broadcast.
    pub(in crate::gradient) fn unbroadcast(&mut self, x: &str, shape: &[usize]) -> String {
        let from = self.own(x);
        let new = from.len() - shape.len();
        let axes: Vec<usize> =
            (0..from.len()).filter(|&i| i < new || (shape[i - new] == 1 && from[i] != 1)).collect();
        let summed = if axes.is_empty() { x.to_owned() } else { self.sum(x, &axes, true) };
        self.reshape(&summed, shape)
    }

    /// The matrix product of the last two axes, each transposed or not.
    pub(in crate::gradient) fn product(&mut self, a: Factor, b: Factor) -> String {
        let (x, y) = (self.own(a.name), self.own(b.name));
        let (rank_x, rank_y) = (x.len(), y.len());
        let mut shape = broadcast(&x[..rank_x - 2], &y[..rank_y - 2]).unwrap_or_default();
        shape.push(if a.transposed { x[rank_x - 1] } else { x[rank_x - 2] });
        shape.push(if b.transposed { y[rank_y - 2] } else { y[rank_y - 1] });
        let node = if a.transposed || b.transposed {
            NodeProto::new("FusedMatMul", &[a.name, b.name], &[])
                .of_domain("com.microsoft")
                .with("transA", i64::from(a.transposed))
                .with("transB", i64::from(b.transposed))
        } else {
            NodeProto::new("MatMul", &[a.name, b.name], &[])
        };
        self.one(node, shape)
    }

    /// Whether [`Tape::scattered`] is to be used for `count` elements a row of which it makes `size`.
    pub(in crate::gradient) fn scatters(&self, count: usize, size: usize) -> bool {
        self.fused && count > 1 && count * size <= LARGEST_SELECTION
    }

    /// Rows of `size` zeros, along the last axis, but for the elements of `x`, `step` apart from `first` on.
    ///
    /// This is a product with a matrix of zeros and ones: ONNX Runtime pads the last axis element by element, which takes
    /// ten times as long. A device rounds the factors of products, so there it is not for.
    pub(in crate::gradient) fn scattered(&mut self, x: &str, [first, step, size]: [usize; 3]) -> String {
        let count = self.own(x).last().copied().unwrap_or(1);
        let mut places = vec![0.0; count * size];
        (0..count).for_each(|i| places[i * size + first + i * step] = 1.0);
        let places = self.constant(&[count, size], &places);
        self.product(plain(x), plain(&places))
    }

    /// A part of `x` along its last two axes: from `start`, `size` pixels `step` apart.
    pub(in crate::gradient) fn pixels(
        &mut self,
        x: &str,
        start: [usize; 2],
        size: [usize; 2],
        step: [usize; 2],
    ) -> String {
        let mut shape = self.own(x);
        let rank = shape.len();
        if start == [0; 2] && step == [1; 2] && shape[rank - 2..] == size {
            return x.to_owned();
        }
        shape.truncate(rank - 2);
        shape.extend(size);
        let end: Vec<i64> = (0..2).map(|i| (start[i] + (size[i] - 1) * step[i] + 1) as i64).collect();
        let lists = [
            start.map(|v| v as i64).to_vec(),
            end,
            vec![rank as i64 - 2, rank as i64 - 1],
            step.map(|v| v as i64).to_vec(),
        ];
        let lists = lists.map(|list| self.integers(&list));
        let mut inputs = vec![x];
        inputs.extend(lists.iter().map(String::as_str));
        self.op("Slice", &inputs, shape)
    }

    /// `x` with zeros around its last two axes.
    pub(in crate::gradient) fn padded(&mut self, x: &str, before: [usize; 2], after: [usize; 2]) -> String {
        if before == [0; 2] && after == [0; 2] {
            return x.to_owned();
        }
        let mut shape = self.own(x);
        let rank = shape.len();
        let mut pads = vec![0i64; 2 * rank];
        for i in 0..2 {
            shape[rank - 2 + i] += before[i] + after[i];
            pads[rank - 2 + i] = before[i] as i64;
            pads[2 * rank - 2 + i] = after[i] as i64;
        }
        let pads = self.integers(&pads);
        self.op("Pad", &[x, &pads], shape)
    }
}

/// A matrix in a product.
#[derive(Clone, Copy)]
pub(in crate::gradient) struct Factor<'a> {
    name: &'a str,
    transposed: bool,
}

/// The matrix as it is.
pub(in crate::gradient) fn plain(name: &str) -> Factor<'_> {
    Factor { name, transposed: false }
}

/// The matrix with its last two axes swapped.
pub(in crate::gradient) fn transposed(name: &str) -> Factor<'_> {
    Factor { name, transposed: true }
}
