//! A model loaded into ONNX Runtime.

use ort::session::SessionInputValue;
use ort::value::{Outlet, ValueType};
use tintype_core::{Error, ErrorKind, Result, Tensor, TensorSpec};

use super::{error, value};
use crate::{Session, inputs};

/// A session and what it takes and gives, in the graph's order.
pub(super) struct OrtSession {
    session: ort::session::Session,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl OrtSession {
    /// Reads the specs of a loaded model.
    ///
    /// # Errors
    /// `Unsupported` when an input or output is not a tensor, or of an element type that tintype has not.
    pub(super) fn new(session: ort::session::Session) -> Result<Self> {
        let (inputs, outputs) = specs(&session)?;
        Ok(Self { session, inputs, outputs })
    }
}

impl Session for OrtSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        inputs::check(&self.inputs, inputs)?;
        let values =
            inputs.iter().map(|tensor| value::borrow(tensor)).collect::<Result<Vec<SessionInputValue>>>()?;
        let results = self.session.run(&values[..]).map_err(error::run)?;
        results.into_iter().map(|(_, result)| value::copy(&result)).collect()
    }
}

/// What a session takes and gives.
///
/// # Errors
/// `Unsupported` when an input or output is not a tensor, or of an element type that tintype has not.
pub(super) fn specs(session: &ort::session::Session) -> Result<(Vec<TensorSpec>, Vec<TensorSpec>)> {
    let inputs = session.inputs().iter().map(|outlet| spec("input", outlet)).collect::<Result<_>>()?;
    let outputs = session.outputs().iter().map(|outlet| spec("output", outlet)).collect::<Result<_>>()?;
    Ok((inputs, outputs))
}

fn spec(role: &str, outlet: &Outlet) -> Result<TensorSpec> {
    let refuse = |what: String| {
        let message = format!(
            "{role} `{}` is {what}; only dense tensors of plain numbers, bools and strings are supported",
            outlet.name()
        );
        Error::new(ErrorKind::Unsupported, message)
    };
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(refuse(format!("`{}`", outlet.dtype())));
    };
    let dtype = value::dtype(*ty).ok_or_else(|| refuse(format!("a tensor of `{ty}`")))?;
    let shape = shape.iter().map(|&axis| usize::try_from(axis).ok()).collect();
    Ok(TensorSpec { name: outlet.name().to_owned(), dtype, shape })
}
