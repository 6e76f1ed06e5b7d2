//! What an inference engine is to the rest of tintype.

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor, TensorSpec};

use crate::{ResidentSession, inputs};

/// An engine that loads models.
pub trait Backend: Send + Sync {
    /// The engine's name and version, e.g. `onnxruntime 1.31.1`.
    fn name(&self) -> &str;

    /// Loads a model into a session of its own.
    ///
    /// # Errors
    /// `InvalidModel` when the model cannot be read or has an unsupported operator, `NotFound` when its file is
    /// missing, `MissingRuntime` when the engine's library is.
    fn load(&self, model: &ModelSource, options: &SessionOptions) -> Result<Box<dyn Session>>;

    /// Loads a model into a session whose results can stay on its device.
    ///
    /// # Errors
    /// Those of [`Backend::load`]; `Unsupported` where an engine has no such sessions, or not on the device (also where
    /// `or_cpu` is set: what stays must be known to stay).
    fn load_resident(&self, _: &ModelSource, _: &SessionOptions) -> Result<Box<dyn ResidentSession>> {
        let message = format!("`{}` keeps no tensors on a device", self.name());
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

/// A loaded model. One thread runs it at a time.
pub trait Session: Send {
    /// The inputs, in the order of [`Session::run`]'s arguments.
    fn inputs(&self) -> &[TensorSpec];

    /// The outputs, in the order of [`Session::run`]'s results.
    fn outputs(&self) -> &[TensorSpec];

    /// Computes all outputs.
    ///
    /// # Errors
    /// `InvalidArgument` when the number, a dtype or a shape of `inputs` does not fit; `Engine` when the engine fails.
    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>>;

    /// Runs once on zeros of each size in `batches`, so that the first request does not pay for allocation. Where a
    /// model has a fixed first axis, its own size is used.
    ///
    /// # Errors
    /// As [`Session::run`]; `Unsupported` when an axis other than the first is dynamic.
    fn warm_up(&mut self, batches: &[usize]) -> Result<()> {
        for &batch in batches {
            let zeros = inputs::zeros(self.inputs(), batch)?;
            self.run(&zeros.iter().collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// Where a session computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// On the CPU.
    #[default]
    Cpu,
    /// On an NVIDIA GPU.
    Cuda {
        /// Which one, counted from 0.
        id: i32,
        /// Whether the CPU will do where the GPU or its library is missing; loading fails otherwise.
        or_cpu: bool,
    },
}

/// An engine inside the engine, as `execution_accelerators` of a `config.pbtxt` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accelerator {
    /// `tensorrt`, `cuda` or `openvino`.
    pub name: String,
    /// Its settings, as ONNX Runtime names them.
    pub parameters: Vec<(String, String)>,
}

/// How far a graph is optimised when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimization {
    /// What keeps every operator: constants are folded, what is not needed is left out.
    Basic,
    /// Operators are fused, too.
    Extended,
    /// Layouts are changed, too.
    #[default]
    All,
    /// Not at all: that was done before.
    Done,
}

/// How a session computes.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Where it computes.
    pub device: Device,
    /// Engines to try first, in order of preference; loading fails where one is missing.
    pub accelerators: Vec<Accelerator>,
    /// How far the graph is optimised when it is loaded.
    pub optimization: Optimization,
    /// Threads that compute one operator; 1 for serving (several sessions use the cores better), all for training.
    pub intra_threads: usize,
    /// Whether idle threads of the pool spin: faster steps for the one busy session of a training, wasted otherwise.
    pub spinning: bool,
    /// Whether `tintype`-domain operators (see [`crate::ort`]) may occur in the model.
    pub custom_operators: bool,
}

impl Default for SessionOptions {
    /// On the CPU, optimised, one thread, no spinning, no custom operators.
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            accelerators: Vec::new(),
            optimization: Optimization::All,
            intra_threads: 1,
            spinning: false,
            custom_operators: false,
        }
    }
}
