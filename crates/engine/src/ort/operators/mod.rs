//! Operators of the domain `tintype`, opset 1, that a differentiated graph needs and ONNX has not.
//!
//! They are what is bound by memory and would otherwise be five or ten passes of ONNX's own operators. All tensors
//! are `f32` unless said otherwise; all run on the session's own threads.
//!
//! * `BatchNormTrain(x[N,C,…], gamma[C], beta[C]; epsilon: float = 1e-5, relu: int = 0) → (y, mean[C], var[C])`
//! * `BatchNormTrainGrad(dy, x, y, gamma, mean, var; epsilon, relu) → (dx, dgamma[C], dbeta[C])`
//! * `ReluGrad(dy, y) → dx`, `HardSwishGrad(dy, x) → dx`
//! * `MaxPoolGrad(dy, x, y; kernel_shape, strides = 1, pads = 0: ints) → dx`
//! * `Dropout(x, seed: i64[1]; ratio: float, salt: int = 0) → y`, which is its own gradient operator
//! * `SumToChannels(x[N,C,…]) → [C]`
//! * `Columns(x[N,C,H,W]; kernel_shape, strides = 1, dilations = 1, pads = 0: ints, images: int = 0) → columns`
//! * `ConvGradWeight(x, dy; kernel_shape, strides = 1, pads = 0: ints) → dw[O,C,kh,kw]`
//! * `DepthwiseConv(x, w[C,1,kh,kw]; kernel_shape, strides = 1, pads = 0: ints) → y`
//! * `DepthwiseConvGradWeight(x, dy; kernel_shape, strides = 1, pads = 0: ints) → dw[C,1,kh,kw]`
//!
//! `kernel` registers them, `threads` splits their work, `wide` compiles their loops for wide registers, `phases` lays planes
//! out for windows, `correlate` multiplies them; each other file is one operator or a pair.

mod activation;
mod batch_norm;
mod columns;
mod conv_grad_weight;
mod correlate;
mod depthwise;
mod depthwise_conv;
mod dropout;
mod kernel;
mod max_pool;
mod phases;
mod sum_to_channels;
#[expect(unsafe_code, reason = "threads fill parts of one output that do not overlap")]
mod threads;
mod wide;

use ort::operator::OperatorDomain;

use self::activation::{ActivationGrad, HardSwish, Relu};
use self::kernel::Registered;

/// The domain of these operators in a model.
pub const DOMAIN: &str = "tintype";

/// The domain with all operators, for one session.
pub(super) fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?
        .add(Registered::<batch_norm::BatchNormTrain>::new())?
        .add(Registered::<batch_norm::BatchNormTrainGrad>::new())?
        .add(Registered::<ActivationGrad<Relu>>::new())?
        .add(Registered::<ActivationGrad<HardSwish>>::new())?
        .add(Registered::<max_pool::MaxPoolGrad>::new())?
        .add(Registered::<dropout::Dropout>::new())?
        .add(Registered::<sum_to_channels::SumToChannels>::new())?
        .add(Registered::<columns::Columns>::new())?
        .add(Registered::<conv_grad_weight::ConvGradWeight>::new())?
        .add(Registered::<depthwise_conv::DepthwiseConv>::new())?
        .add(Registered::<depthwise::DepthwiseConvGradWeight>::new())
}
