//! Depthwise convolutions with large windows, by an operator of ours: those of the model, and those that are the gradient
//! of their inputs.

use crate::gradient::FUSED_DOMAIN;
use crate::proto::NodeProto;
use crate::shape::Shapes;
use crate::window::Window;

/// ONNX Runtime has a loop of its own for depthwise windows of this size, and none for larger ones.
const FAST: usize = 3 * 3;

/// Replaces them. What is returned they make, in shapes that ONNX Runtime is to be told.
pub(in crate::gradient) fn fuse(nodes: &mut [NodeProto], shapes: &Shapes) -> Vec<String> {
    let mut made = Vec::new();
    for node in nodes.iter_mut().filter(|node| node.op_type == "Conv" && node.domain.is_empty()) {
        if let Some(window) = window(node, shapes) {
            let [x, weight] = [0, 1].map(|i| node.input[i].as_str());
            let fused = NodeProto::new("DepthwiseConv", &[x, weight], &[&node.output[0]]);
            *node = window.write(fused.of_domain(FUSED_DOMAIN));
            made.push(node.output[0].clone());
        }
    }
    made
}

/// The window of a convolution that is to be replaced.
fn window(node: &NodeProto, shapes: &Shapes) -> Option<Window> {
    let [x, weight, bias @ ..] = &node.input[..] else { return None };
    let (&[_, channels, height, width], &[outputs, 1, kh, kw]) = (shapes.get(x)?, shapes.get(weight)?) else {
        return None;
    };
    let depthwise = channels == outputs && bias.iter().all(String::is_empty);
    let window = Window::of(node, [kh, kw], [height, width]).ok()?;
    (depthwise && window.dilations == [1; 2] && kh * kw > FAST).then_some(window)
}
