//! Parts of tensors, and tensors out of parts.

use super::Tape;
use crate::proto::NodeProto;

impl Tape {
    /// The elements `start..start + count` along `axis`; `x` itself where those are all.
    pub(in crate::gradient) fn part(&mut self, x: &str, axis: usize, start: usize, count: usize) -> String {
        let mut shape = self.own(x);
        if start == 0 && shape[axis] == count {
            return x.to_owned();
        }
        shape[axis] = count;
        let lists = [start as i64, (start + count) as i64, axis as i64].map(|v| self.integers(&[v]));
        self.op("Slice", &[x, &lists[0], &lists[1], &lists[2]], shape)
    }

    /// `x` with the order of its elements along `axis` turned round.
    pub(in crate::gradient) fn reversed(&mut self, x: &str, axis: usize) -> String {
        let lists = [-1, i64::MIN, axis as i64, -1].map(|v| self.integers(&[v]));
        let shape = self.own(x);
        self.op("Slice", &[x, &lists[0], &lists[1], &lists[2], &lists[3]], shape)
    }

    /// `x` between `before` and `after` zeros along `axis`.
    pub(in crate::gradient) fn between_zeros(
        &mut self,
        x: &str,
        axis: usize,
        before: usize,
        after: usize,
    ) -> String {
        if before == 0 && after == 0 {
            return x.to_owned();
        }
        let mut shape = self.own(x);
        let mut pads = vec![0i64; 2 * shape.len()];
        (pads[axis], pads[shape.len() + axis]) = (before as i64, after as i64);
        shape[axis] += before + after;
        let pads = self.integers(&pads);
        self.op("Pad", &[x, &pads], shape)
    }

    /// The parts joined along `axis`.
    pub(in crate::gradient) fn joined(&mut self, parts: &[String], axis: usize) -> String {
        if let [only] = parts {
            return only.clone();
        }
        let mut shape = self.own(&parts[0]);
        shape[axis] = parts.iter().map(|p| self.own(p)[axis]).sum();
        let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.one(NodeProto::new("Concat", &inputs, &[]).with("axis", axis as i64), shape)
    }

    /// `x` broadcast to `shape`; `x` itself if it has it.
    pub(in crate::gradient) fn expanded(&mut self, x: &str, shape: &[usize]) -> String {
        if self.shapes.get(x) == Some(shape) {
            return x.to_owned();
        }
        let sizes: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let sizes = self.integers(&sizes);
        self.op("Expand", &[x, &sizes], shape.to_vec())
    }

    /// Zeros of `shape`.
    pub(in crate::gradient) fn zeros(&mut self, shape: &[usize]) -> String {
        let sizes: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let sizes = self.integers(&sizes);
        self.op("ConstantOfShape", &[&sizes], shape.to_vec())
    }
}
