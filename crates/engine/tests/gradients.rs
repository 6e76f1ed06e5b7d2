//! Gradients of graphs that `tintype-graph` differentiates, run on ONNX Runtime: against central differences for
//! every operator, with and without the fused operators, and against PyTorch for a whole network.

#[path = "gradients/activations.rs"]
mod activations;
#[path = "gradients/differences.rs"]
mod differences;
#[path = "gradients/operators.rs"]
mod operators;
#[path = "gradients/places.rs"]
mod places;
#[path = "gradients/pytorch.rs"]
mod pytorch;
#[path = "gradients/step.rs"]
mod step;
#[path = "gradients/sums.rs"]
mod sums;
