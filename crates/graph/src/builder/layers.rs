//! Layers with parameters.

use super::Builder;

/// A convolution over pictures, square and without dilation.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Rows and columns of zeros on every side.
    pub padding: usize,
    /// Groups of channels that do not see each other; as many as `inputs` for a depthwise convolution.
    pub groups: usize,
    /// Whether there is a bias; not needed before a batch norm.
    pub bias: bool,
}

impl Conv {
    /// A convolution that keeps height and width for an odd `kernel`, with a bias.
    pub fn same(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, padding: kernel / 2, groups: 1, bias: true }
    }

    /// [`Conv::same`] for a batch norm behind it, which would cancel a bias.
    pub fn bare(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { bias: false, ..Self::same(inputs, outputs, kernel) }
    }

    /// A window of its own for each of the channels, for a batch norm behind it.
    pub fn depthwise(channels: usize, kernel: usize, stride: usize) -> Self {
        Self { stride, groups: channels, ..Self::bare(channels, channels, kernel) }
    }
}

impl Builder {
    /// A convolution with the parameters `<name>.weight` `[O, C / groups, k, k]` and `<name>.bias` `[O]`.
    pub fn conv(&mut self, name: &str, x: &str, conv: Conv) -> String {
        let Conv { inputs, outputs, kernel, stride, padding, groups, bias } = conv;
        let inner = inputs / groups.max(1);
        let draw = self.defaults.conv;
        let mut reads = vec![x.to_owned(), self.weight(name, &[outputs, inner, kernel, kernel], draw)];
        if bias {
            reads.push(self.bias(name, outputs, inner * kernel * kernel, draw));
        }
        let node = self.node("Conv", name, &reads.iter().map(String::as_str).collect::<Vec<_>>());
        self.add(
            node.with("kernel_shape", vec![kernel as i64; 2])
                .with("strides", vec![stride as i64; 2])
                .with("pads", vec![padding as i64; 4])
                .with("group", groups as i64),
        )
    }

    /// A linear layer with the parameters `<name>.weight` `[O, F]` and `<name>.bias` `[O]`.
    pub fn linear(&mut self, name: &str, x: &str, inputs: usize, outputs: usize) -> String {
        let draw = self.defaults.linear;
        let weight = self.weight(name, &[outputs, inputs], draw);
        let bias = self.bias(name, outputs, inputs, draw);
        let node = self.node("Gemm", name, &[x, &weight, &bias]);
        self.add(node.with("transB", 1))
    }

    /// A batch norm with the parameters `<name>.weight` (ones) and `<name>.bias` (zeros) and the running statistics
    /// `<name>.running_mean` (zeros) and `<name>.running_var` (ones).
    pub fn batch_norm(&mut self, name: &str, x: &str, channels: usize) -> String {
        let mut reads = vec![x.to_owned()];
        for (what, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            reads.push(self.parameter(name, what, &[channels], &vec![value; channels]));
        }
        let node =
            self.node("BatchNormalization", name, &reads.iter().map(String::as_str).collect::<Vec<_>>());
        let defaults = self.defaults;
        // ONNX's momentum is the share that stays.
        self.add(node.with("epsilon", defaults.norm_epsilon).with("momentum", 1.0 - defaults.norm_momentum))
    }

    /// A layer norm over the last axis, of `width`, with the parameters `<name>.weight` (ones) and `<name>.bias` (zeros).
    pub fn layer_norm(&mut self, name: &str, x: &str, width: usize) -> String {
        let weight = self.parameter(name, "weight", &[width], &vec![1.0; width]);
        let bias = self.parameter(name, "bias", &[width], &vec![0.0; width]);
        let node = self.node("LayerNormalization", name, &[x, &weight, &bias]);
        let epsilon = self.defaults.norm_epsilon;
        self.add(node.with("axis", -1).with("epsilon", epsilon))
    }

    /// A parameter of the network itself, drawn from a normal distribution.
    pub fn free_parameter(&mut self, name: &str, shape: &[usize], deviation: f32) -> String {
        let values = self.normal(shape.iter().product(), deviation);
        self.parameter("", name, shape, &values)
    }
}
