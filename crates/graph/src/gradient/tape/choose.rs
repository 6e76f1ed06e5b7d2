//! Gradients that pass at some places and not at others.

use super::Tape;

impl Tape {
    /// Where `x op y` holds, broadcast: a tensor of truth values. `op` is one of ONNX's comparisons.
    pub(in crate::gradient) fn compare(&mut self, op: &str, x: &str, y: f32) -> String {
        let y = self.scalar(y);
        self.elementwise(op, x, &y)
    }

    /// `x` where `condition` holds, else `y`; `y` is broadcast to the shape of `x`.
    pub(in crate::gradient) fn choose(&mut self, condition: &str, x: &str, y: &str) -> String {
        let shape = self.own(x);
        self.op("Where", &[condition, x, y], shape)
    }

    /// `x` where `condition` holds, else 0.
    pub(in crate::gradient) fn only_where(&mut self, condition: &str, x: &str) -> String {
        let zero = self.scalar(0.0);
        self.choose(condition, x, &zero)
    }

    /// 0 where `condition` holds, else `x`.
    pub(in crate::gradient) fn except_where(&mut self, condition: &str, x: &str) -> String {
        let (zero, shape) = (self.scalar(0.0), self.own(x));
        self.op("Where", &[condition, &zero, x], shape)
    }

    /// 1 where `condition` holds, else 0.
    pub(in crate::gradient) fn ones_where(&mut self, condition: &str) -> String {
        let (one, zero, shape) = (self.scalar(1.0), self.scalar(0.0), self.own(condition));
        self.op("Where", &[condition, &one, &zero], shape)
    }

    /// `x + number`
    pub(in crate::gradient) fn shifted(&mut self, x: &str, number: f32) -> String {
        let number = self.scalar(number);
        self.elementwise("Add", x, &number)
    }
}
