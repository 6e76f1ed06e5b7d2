//! What an operator of ours is, and its registration with ONNX Runtime.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ort::operator::{
    ComputeContext, KernelContext, Operator, OperatorInput, OperatorOutput, ShapeInferenceContext,
};
use ort::value::{Shape, SymbolicDimensions, TensorElementType, ValueRef, ValueRefMut, ValueType};
use tintype_core::{Error, ErrorKind, Result};

use super::super::error;
use super::threads::{Threads, misfit};

pub(super) type Type = TensorElementType;

/// An operator: its attributes, read when a session is made, and what it computes from them and its inputs.
pub(super) trait Kernel: Send + Sync + Sized + 'static {
    /// The operator's name in the domain.
    const NAME: &'static str;
    /// The element types of the inputs, all of which are required.
    const INPUTS: &'static [Type];
    /// How many outputs there are; all are `f32`.
    const OUTPUTS: usize;

    /// Reads the attributes.
    ///
    /// # Errors
    /// When one is missing or out of range.
    fn new(attributes: &Attributes) -> Result<Self>;

    /// What is known of an output's shape before running.
    fn output_like(output: usize) -> Like;

    /// Computes all outputs. It must not trust the shapes: a model can say anything.
    ///
    /// # Errors
    /// When the inputs do not fit.
    fn compute(&self, call: &Call) -> Result<()>;
}

/// The shape of an output, for ONNX Runtime's planning of memory.
pub(super) enum Like {
    /// That of an input.
    Input(usize),
    /// `[C]` of an input `[N,C,…]`.
    Channels(usize),
    /// Known only when it runs.
    Unknown,
}

/// An operator's attributes.
pub(super) struct Attributes<'a>(&'a KernelContext<'a>);

impl Attributes<'_> {
    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.0.get(name).unwrap_or(default)
    }

    pub(super) fn int(&self, name: &str) -> i64 {
        self.0.get(name).unwrap_or(0)
    }

    /// An `int` that means yes unless it is 0 or missing.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.int(name) != 0
    }

    /// `N` sizes, or `default` each where the attribute is missing.
    ///
    /// # Errors
    /// When there are not `N`, one is negative or larger than `u16::MAX`, or there is neither attribute nor default.
    pub(super) fn sizes<const N: usize>(&self, name: &str, default: Option<usize>) -> Result<[usize; N]> {
        let found: Option<Vec<i64>> = self.0.get(name);
        let Some(found) = found else {
            let default = default.ok_or_else(|| misfit(format!("attribute `{name}` is missing")))?;
            return Ok([default; N]);
        };
        let sizes: Vec<_> = found.iter().filter_map(|&v| u16::try_from(v).ok().map(usize::from)).collect();
        let expected = || misfit(format!("attribute `{name}`: expected {N} sizes, found {found:?}"));
        sizes.try_into().map_err(|_| expected())
    }
}

/// One execution of an operator.
pub(super) struct Call<'a>(&'a ComputeContext);

impl Call<'_> {
    pub(super) fn threads(&self) -> &dyn Threads {
        self.0
    }

    /// # Errors
    /// When the model leaves the input out.
    pub(super) fn input(&self, index: usize) -> Result<Input<'_>> {
        let value = self
            .0
            .input(index)
            .map_err(error::engine)?
            .ok_or_else(|| misfit(format!("input {index} is missing")))?;
        Ok(Input(value))
    }

    /// Allocates an output.
    pub(super) fn output(&self, index: usize, shape: &[usize]) -> Result<Output<'_>> {
        let shape: Vec<i64> = shape.iter().map(|&axis| axis as i64).collect();
        let value = self
            .0
            .output(index, shape)
            .map_err(error::engine)?
            .ok_or_else(|| misfit(format!("output {index} is missing")))?;
        Ok(Output(value))
    }
}

/// An input's value.
pub(super) struct Input<'a>(ValueRef<'a>);

impl Input<'_> {
    pub(super) fn shape(&self) -> Vec<usize> {
        let shape = self.0.dtype().tensor_shape();
        shape.into_iter().flat_map(|shape| shape.iter()).map(|&axis| axis.max(0) as usize).collect()
    }

    pub(super) fn f32s(&self) -> Result<&[f32]> {
        Ok(self.0.try_extract_tensor().map_err(error::engine)?.1)
    }

    pub(super) fn i64s(&self) -> Result<&[i64]> {
        Ok(self.0.try_extract_tensor().map_err(error::engine)?.1)
    }
}

/// An output's value.
pub(super) struct Output<'a>(ValueRefMut<'a>);

impl Output<'_> {
    pub(super) fn f32s(&mut self) -> Result<&mut [f32]> {
        Ok(self.0.try_extract_tensor_mut().map_err(error::engine)?.1)
    }
}

/// `K` as ONNX Runtime sees it.
pub(super) struct Registered<K>(PhantomData<K>);

impl<K> Registered<K> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Kernel> Operator for Registered<K> {
    type Kernel<'a> = Guarded<K>;

    fn name(&self) -> &str {
        K::NAME
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        K::INPUTS.iter().map(|&element| OperatorInput::required(element))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        (0..K::OUTPUTS).map(|_| OperatorOutput::required(Type::Float32))
    }

    fn create_kernel<'a>(&self, context: &KernelContext<'a>) -> ort::Result<Guarded<K>> {
        K::new(&Attributes(context)).map(Guarded).map_err(to_ort)
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        let inputs = context.inputs();
        for output in 0..K::OUTPUTS {
            let (input, axes) = match K::output_like(output) {
                Like::Input(input) => (input, 0..usize::MAX),
                Like::Channels(input) => (input, 1..2),
                Like::Unknown => continue,
            };
            let Some(ValueType::Tensor { shape, dimension_symbols: symbols, .. }) = inputs.get(input) else {
                continue;
            };
            let axes = axes.start..axes.end.min(shape.len());
            // An input without axes is one of unknown shape.
            if axes.is_empty() {
                continue;
            }
            // A size that is neither known nor named would be taken for -1.
            if axes.clone().any(|axis| shape[axis] < 0 && symbols[axis].is_empty()) {
                continue;
            }
            let shape = Shape::new(shape[axes.clone()].iter().copied());
            let dimension_symbols = SymbolicDimensions::new(symbols[axes].iter().cloned());
            context.set_output(output, &ValueType::Tensor { ty: Type::Float32, shape, dimension_symbols })?;
        }
        Ok(())
    }
}

/// A kernel whose panics stay on this side of ONNX Runtime's C++ frames.
pub(super) struct Guarded<K>(K);

impl<K: Kernel> ort::operator::Kernel for Guarded<K> {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        catch_unwind(AssertUnwindSafe(|| self.0.compute(&Call(context))))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, format!("`{}` panicked", K::NAME))))
            .map_err(to_ort)
    }
}

/// ONNX Runtime adds the node's name and hands the message back to whoever runs the session.
fn to_ort(error: Error) -> ort::Error {
    ort::Error::new(error.message())
}
