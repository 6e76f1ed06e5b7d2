//! Layers without parameters.

use super::Builder;

/// A square pooling window.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// Height and width of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Rows and columns on every side that count for nothing.
    pub padding: usize,
}

impl Builder {
    /// `max(x, 0)`
    pub fn relu(&mut self, name: &str, x: &str) -> String {
        self.apply("Relu", name, &[x])
    }

    /// `min(max(x, 0), 6)`
    pub fn relu6(&mut self, name: &str, x: &str) -> String {
        let (least, most) = (self.number(name, "min", 0.0), self.number(name, "max", 6.0));
        self.apply("Clip", name, &[x, &least, &most])
    }

    /// `min(max(x / 6 + 1/2, 0), 1)`
    pub fn hard_sigmoid(&mut self, name: &str, x: &str) -> String {
        let node = self.node("HardSigmoid", name, &[x]);
        self.add(node.with("alpha", 1.0f32 / 6.0).with("beta", 0.5f32))
    }

    /// `x · hard_sigmoid(x)`
    pub fn hard_swish(&mut self, name: &str, x: &str) -> String {
        self.apply("HardSwish", name, &[x])
    }

    /// `x · Φ(x)` with the normal distribution's Φ.
    pub fn gelu(&mut self, name: &str, x: &str) -> String {
        // One operator instead of five; from set 20 on.
        self.needs_opset(20);
        self.apply("Gelu", name, &[x])
    }

    /// Shares along the last axis: `exp(x) / Σ exp(x)`.
    pub fn softmax(&mut self, name: &str, x: &str) -> String {
        let node = self.node("Softmax", name, &[x]);
        self.add(node.with("axis", -1))
    }

    /// The maximum of each `kernel` × `kernel` pixels, side by side.
    pub fn max_pool(&mut self, name: &str, x: &str, kernel: usize) -> String {
        self.max_pool_by(name, x, Pool { kernel, stride: kernel, padding: 0 })
    }

    /// The maximum of each window.
    pub fn max_pool_by(&mut self, name: &str, x: &str, pool: Pool) -> String {
        let Pool { kernel, stride, padding } = pool;
        let node = self.node("MaxPool", name, &[x]);
        self.add(
            node.with("kernel_shape", vec![kernel as i64; 2])
                .with("strides", vec![stride as i64; 2])
                .with("pads", vec![padding as i64; 4]),
        )
    }

    /// The mean of each `kernel` × `kernel` pixels, side by side.
    pub fn average_pool(&mut self, name: &str, x: &str, kernel: usize) -> String {
        let node = self.node("AveragePool", name, &[x]);
        self.add(node.with("kernel_shape", vec![kernel as i64; 2]).with("strides", vec![kernel as i64; 2]))
    }

    /// The mean of each channel, `[N, C, 1, 1]`.
    pub fn global_average_pool(&mut self, name: &str, x: &str) -> String {
        self.apply("GlobalAveragePool", name, &[x])
    }

    /// Pictures as rows, `[N, C · H · W]`.
    pub fn flatten(&mut self, name: &str, x: &str) -> String {
        let node = self.node("Flatten", name, &[x]);
        self.add(node.with("axis", 1))
    }

    /// Drops each value with probability `ratio` (at least 0, less than 1) in training; nothing in inference.
    pub fn dropout(&mut self, name: &str, x: &str, ratio: f32) -> String {
        let ratio = self.number(name, "ratio", ratio);
        self.apply("Dropout", name, &[x, &ratio])
    }

    /// `x + y`
    pub fn add_values(&mut self, name: &str, x: &str, y: &str) -> String {
        self.apply("Add", name, &[x, y])
    }

    /// `x · y`
    pub fn multiply(&mut self, name: &str, x: &str, y: &str) -> String {
        self.apply("Mul", name, &[x, y])
    }

    /// `x · factor`
    pub fn scale(&mut self, name: &str, x: &str, factor: f32) -> String {
        let factor = self.number(name, "factor", factor);
        self.apply("Mul", name, &[x, &factor])
    }

    /// The matrix product over the last two axes, one for each place of the axes before them.
    pub fn matmul(&mut self, name: &str, x: &str, y: &str) -> String {
        self.apply("MatMul", name, &[x, y])
    }

    /// The same elements under other axes, of which one may be -1: what is left.
    pub fn reshape(&mut self, name: &str, x: &str, axes: &[i64]) -> String {
        let shape = self.list(name, "shape", axes);
        self.apply("Reshape", name, &[x, &shape])
    }

    /// The axes in another order.
    pub fn transpose(&mut self, name: &str, x: &str, order: &[i64]) -> String {
        let node = self.node("Transpose", name, &[x]);
        self.add(node.with("perm", order.to_vec()))
    }

    /// Equal parts along axis 1, called `<name>/0`, `<name>/1`, ….
    pub fn split<const PARTS: usize>(&mut self, name: &str, x: &str, size: usize) -> [String; PARTS] {
        let sizes = self.list(name, "sizes", &[size as i64; PARTS]);
        let mut node = self.node("Split", name, &[x, &sizes]).with("axis", 1);
        let parts = std::array::from_fn(|i| format!("{name}/{i}"));
        node.output = parts.to_vec();
        self.add(node);
        parts
    }

    /// The rows at `index` of axis 1, without that axis.
    pub fn pick(&mut self, name: &str, x: &str, index: i64) -> String {
        let place = self.index(name, index);
        let node = self.node("Gather", name, &[x, &place]);
        self.add(node.with("axis", 1))
    }

    /// Every `step`th row and column of pictures.
    pub fn every(&mut self, name: &str, x: &str, step: usize) -> String {
        let starts = self.list(name, "starts", &[0, 0]);
        let ends = self.list(name, "ends", &[i64::MAX, i64::MAX]);
        let axes = self.list(name, "axes", &[2, 3]);
        let steps = self.list(name, "steps", &[step as i64; 2]);
        self.apply("Slice", name, &[x, &starts, &ends, &axes, &steps])
    }

    /// Zeros around a value: so many before each axis, then so many behind each.
    pub fn pad(&mut self, name: &str, x: &str, pads: &[i64]) -> String {
        let pads = self.list(name, "pads", pads);
        self.apply("Pad", name, &[x, &pads])
    }

    /// One value a channel, `[N, C, 1, 1]`, at every place of `side` × `side`.
    pub fn spread(&mut self, name: &str, x: &str, side: usize) -> String {
        let shape = self.list(name, "shape", &[1, 1, side as i64, side as i64]);
        self.apply("Expand", name, &[x, &shape])
    }

    fn apply(&mut self, op: &str, name: &str, reads: &[&str]) -> String {
        let node = self.node(op, name, reads);
        self.add(node)
    }
}
