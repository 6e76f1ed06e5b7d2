//! Sessions whose results stay where they were computed, for the next run to read.
//!
//! A training on a GPU runs the same graphs over the same weights again and again: here they cross the bus when a training
//! begins and when somebody wants to see them, and the batch alone crosses it in every step. On a CPU nothing is saved
//! and nothing is lost, so that whatever runs on a GPU can be tested without one.

use std::any::Any;
use std::fmt;

use tintype_core::{Result, Tensor};

/// A tensor in an engine's own memory. It is of use to the engine alone that made it.
pub struct Resident(Box<dyn Any + Send>);

impl Resident {
    /// Wraps what an engine calls a tensor.
    pub(crate) fn new(value: impl Any + Send) -> Self {
        Self(Box::new(value))
    }

    /// What was wrapped.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resident")
    }
}

/// What a run reads.
pub enum Operand<'a> {
    /// A tensor of the host's, which goes to the device and is not needed any more.
    Host(Tensor),
    /// A tensor that is there.
    Resident(&'a Resident),
}

/// A loaded model that leaves results on its device. One thread runs it at a time.
pub trait ResidentSession: Send {
    /// Computes all outputs from all inputs, both in the model's order: the first outputs as tensors of the host, the last
    /// `kept` ones where they are.
    ///
    /// # Errors
    /// `InvalidArgument` when the number, a dtype or a shape of host tensors does not fit, when a resident tensor is
    /// another engine's, or when there are fewer outputs; `Engine` when the engine fails.
    fn run(&mut self, inputs: Vec<Operand>, kept: usize) -> Result<(Vec<Tensor>, Vec<Resident>)>;

    /// Gives a tensor to the engine. It lies on the device once a run has made something of it.
    ///
    /// # Errors
    /// `Unsupported` for a dtype that the engine has not.
    fn give(&self, tensor: Tensor) -> Result<Resident>;

    /// Copies a tensor to the host.
    ///
    /// # Errors
    /// `InvalidArgument` when the tensor is another engine's; `Engine` when the engine fails.
    fn fetch(&self, tensor: &Resident) -> Result<Tensor>;
}
