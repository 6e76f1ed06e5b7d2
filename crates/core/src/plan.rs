//! A validated [`PreprocessSpec`], ready to run.

use crate::{DType, PreprocessSpec, Result, Tensor, image::Limits};

/// A validated preprocessing: the one way from encoded bytes to an input tensor.
#[derive(Debug, Clone)]
pub struct Plan {
    spec: PreprocessSpec,
    limits: Limits,
}

/// Buffers that one thread keeps between images.
#[derive(Debug, Default)]
pub struct Scratch {}

impl Plan {
    /// Validates `spec`.
    ///
    /// # Errors
    /// `InvalidConfig` naming the key, the expected and the found value.
    pub fn new(spec: PreprocessSpec, limits: Limits) -> Result<Self> {
        Ok(Self { spec, limits })
    }

    /// The spec that the plan runs.
    pub fn spec(&self) -> &PreprocessSpec {
        &self.spec
    }

    /// The element type of a prepared image.
    pub fn dtype(&self) -> DType {
        todo!()
    }

    /// `[C, H, W]` or `[H, W, C]` by layout; `None` when it depends on the image.
    pub fn output_shape(&self) -> Option<[usize; 3]> {
        todo!()
    }

    /// Decodes and prepares one image: a tensor of `[C, H, W]` or `[H, W, C]`, without a batch axis.
    pub fn prepare(&self, _bytes: &[u8], _scratch: &mut Scratch) -> Result<Tensor> {
        todo!()
    }

    /// The same, written into a slot of a batch: `f32` plans only, `slot.len()` = product of the output shape.
    pub fn prepare_into(&self, _bytes: &[u8], _scratch: &mut Scratch, _slot: &mut [f32]) -> Result<()> {
        todo!()
    }
}
