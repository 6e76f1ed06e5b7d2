//! Where a training computes: `device` resolved to what the machine has.

use tintype_core::{Error, ErrorKind, ModelSource, Result};
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::proto::{DataType, GraphProto, NodeProto, ValueInfoProto};
use tintype_graph::{Half, Model};

use crate::config::{Device, Precision, TrainConfig};

/// Where and how a training computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub device: tintype_engine::Device,
    /// Whether the fused operators are there, which are for the CPU.
    pub fused: bool,
    /// Whether weights and moments stay on the device, and a graph is the optimizer.
    pub resident: bool,
    /// What products are computed in, where that is not single precision; with resident weights alone.
    pub half: Option<Half>,
}

impl Place {
    /// The CPU, with weights and moments in the trainer's own hands.
    pub const CPU: Self =
        Self { device: tintype_engine::Device::Cpu, fused: true, resident: false, half: None };

    /// The GPU of this number.
    const fn cuda(id: u32) -> Self {
        let device = tintype_engine::Device::Cuda { id: id as i32, or_cpu: false };
        Self { device, fused: false, resident: true, half: None }
    }

    /// The configured place; for `auto` the first GPU, or the CPU where there is none that the engine can use.
    ///
    /// # Errors
    /// `Unsupported` when the configured GPU is not there, or the engine's library is not one for GPUs; when mixed
    /// precision is asked for on the CPU, which would be slower with it.
    pub fn find(config: &TrainConfig, backend: &dyn Backend) -> Result<Self> {
        let mut place = match config.device {
            Device::Cpu => Self::CPU,
            Device::Cuda(id) => {
                let place = Self::cuda(id);
                place.check(backend).map_err(|e| e.context(format!("`device=cuda:{id}`")))?;
                place
            }
            Device::Auto => match Self::cuda(0).check(backend) {
                Ok(()) => Self::cuda(0),
                Err(error) => {
                    tracing::debug!(reason = error.message(), "no GPU for training");
                    Self::CPU
                }
            },
        };
        let precision = config.trainer.precision;
        place.half = match precision {
            Precision::Single => None,
            Precision::Float16 => Some(Half::Float16),
            Precision::Bfloat16 => Some(Half::Bfloat16),
        };
        if place.half.is_some() && !place.resident {
            let message =
                format!("`trainer.precision={precision}` is for GPUs, and training computes on the CPU");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        match place.device {
            tintype_engine::Device::Cpu => tracing::info!("training computes on the CPU"),
            tintype_engine::Device::Cuda { id, .. } => tracing::info!("training computes on GPU {id}"),
        }
        Ok(place)
    }

    /// Whether a session can be had there, with a graph that does nothing.
    fn check(self, backend: &dyn Backend) -> Result<()> {
        let value = |name: &str| ValueInfoProto::fixed(name, DataType::Float, &[1]);
        let graph = GraphProto {
            name: "nothing".to_owned(),
            node: vec![NodeProto::new("Identity", &["x"], &["y"])],
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        let model = ModelSource::Bytes(Model::new(graph, 17).to_bytes().into());
        let options = SessionOptions { device: self.device, ..SessionOptions::default() };
        backend.load_resident(&model, &options).map(|_| ())
    }

    /// The options of a session for training, with all of the configured cores.
    pub fn for_training(self, config: &TrainConfig) -> SessionOptions {
        SessionOptions {
            device: self.device,
            intra_threads: config.threads(),
            spinning: true,
            custom_operators: self.fused,
            ..SessionOptions::default()
        }
    }
}
