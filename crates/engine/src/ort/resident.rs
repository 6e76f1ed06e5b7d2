//! ONNX Runtime's tensors kept on their device between runs, through its I/O binding.

use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::value::{DynTensor, DynTensorValueType, Tensor as OrtTensor};
use tintype_core::{Error, ErrorKind, Result, Tensor, TensorData, TensorSpec};

use super::session::specs;
use super::{error, value};
use crate::{Device, Operand, Resident, ResidentSession, inputs};

/// A session on `device`.
pub(super) struct OrtResidentSession {
    session: ort::session::Session,
    device: Device,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl OrtResidentSession {
    /// Reads the specs of a loaded model.
    ///
    /// # Errors
    /// `Unsupported` when an input or output is not a tensor, or of an element type that tintype has not.
    pub(super) fn new(session: ort::session::Session, device: Device) -> Result<Self> {
        let (inputs, outputs) = specs(&session)?;
        Ok(Self { session, device, inputs, outputs })
    }

    /// Where outputs stay.
    fn memory(&self) -> ort::Result<MemoryInfo<'static>> {
        match self.device {
            Device::Cpu => memory(AllocationDevice::CPU, 0),
            Device::Cuda { id, .. } => memory(AllocationDevice::CUDA, id),
        }
    }
}

fn memory(device: AllocationDevice, id: i32) -> ort::Result<MemoryInfo<'static>> {
    MemoryInfo::new(device, id, AllocatorType::Device, MemoryType::Default)
}

impl ResidentSession for OrtResidentSession {
    fn run(&mut self, operands: Vec<Operand>, kept: usize) -> Result<(Vec<Tensor>, Vec<Resident>)> {
        let to_host = self.outputs.len().checked_sub(kept);
        let to_host = to_host.filter(|_| operands.len() == self.inputs.len()).ok_or_else(|| {
            let (expected, found) = (self.inputs.len(), operands.len());
            let message = format!(
                "expected {expected} inputs and at least {kept} outputs, found {found} and {}",
                self.outputs.len()
            );
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        // A binding of its own for every run: with one that is kept, a run writes over the results of the one before.
        let mut binding = self.session.create_binding().map_err(error::engine)?;
        for (spec, operand) in self.inputs.iter().zip(operands) {
            match operand {
                Operand::Host(tensor) => {
                    inputs::check(std::slice::from_ref(spec), &[&tensor])?;
                    binding.bind_input(&spec.name, &owned(tensor)?)
                }
                Operand::Resident(resident) => binding.bind_input(&spec.name, value_of(resident)?),
            }
            .map_err(error::engine)?;
        }
        let (host, device) =
            (memory(AllocationDevice::CPU, 0).map_err(error::engine)?, self.memory().map_err(error::engine)?);
        for (index, spec) in self.outputs.iter().enumerate() {
            let memory = if index < to_host { &host } else { &device };
            binding.bind_output_to_device(&spec.name, memory).map_err(error::engine)?;
        }
        let results = self.session.run_binding(&binding).map_err(error::engine)?;
        let (mut copied, mut stay) = (Vec::with_capacity(to_host), Vec::with_capacity(kept));
        for (index, (_, result)) in results.into_iter().enumerate() {
            if index < to_host {
                copied.push(value::copy(&result)?);
            } else {
                stay.push(Resident::new(result.downcast::<DynTensorValueType>().map_err(error::engine)?));
            }
        }
        Ok((copied, stay))
    }

    fn give(&self, tensor: Tensor) -> Result<Resident> {
        owned(tensor).map(Resident::new)
    }

    fn fetch(&self, tensor: &Resident) -> Result<Tensor> {
        let copy = value_of(tensor)?.to(AllocationDevice::CPU, 0).map_err(error::engine)?;
        value::copy(&copy.into_dyn())
    }
}

fn value_of(resident: &Resident) -> Result<&DynTensor> {
    resident
        .get::<DynTensor>()
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the resident tensor is of another engine"))
}

/// `tensor` with its elements in place; the binding would copy what it only borrowed.
fn owned(tensor: Tensor) -> Result<DynTensor> {
    let (shape, data) = tensor.into_parts();
    macro_rules! owned {
        ($($variant:ident),*) => {
            match data {
                $(TensorData::$variant(values) => {
                    OrtTensor::from_array((shape, values)).map_err(error::engine)?.upcast()
                })*
                TensorData::Bytes(_) => {
                    return Err(Error::new(ErrorKind::Unsupported, "strings do not stay on a device"));
                }
            }
        };
    }
    Ok(owned!(F32, F16, BF16, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool))
}
