//! System shared memory for the tensors of requests: POSIX objects, which a KServe server on this machine is told of.
//!
//! One object holds the inputs of all requests, which nobody writes again. The other has a slot for each lane, and in it a
//! place for each output, so that answers under way do not overwrite each other. Both are written with `pwrite`, as in the
//! server. Their names go as soon as the server has them open: whatever ends this process, the system keeps nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::shm::{self, Mode, OFlags};
use tintype_api::kserve::{Form, Input, Output, Region, Register, Request, Value, binary};
use tintype_core::{DType, Error, ErrorKind, Result};

use crate::control::{Control, ModelFacts};

/// Tensors begin at multiples of this, as wide loads like it.
const ALIGNMENT: u64 = 64;

/// How long a server may take to forget a region.
const FORGET: Duration = Duration::from_secs(5);

/// An output of a model, and how many bytes it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSize {
    /// Its name.
    pub name: String,
    /// Of a whole batch.
    pub bytes: u64,
}

/// What the outputs of `facts` take in batches of `batch_size`; `open` bytes a row where a size is left open, and for texts.
pub fn output_sizes(facts: &ModelFacts, batch_size: usize, open: u64) -> Vec<OutputSize> {
    let batched = facts.max_batch_size > 0;
    let rows = if batched { batch_size as u64 } else { 1 };
    let size = |output: &tintype_api::kserve::TensorMetadata| {
        let element = DType::from_kserve(&output.datatype).and_then(DType::size);
        let mut dims = output.shape.iter().skip(usize::from(batched));
        let known = element.and_then(|element| {
            dims.try_fold(element as u64, |bytes, &dim| bytes.checked_mul(u64::try_from(dim).ok()?))
        });
        OutputSize { name: output.name.clone(), bytes: rows.saturating_mul(known.unwrap_or(open)) }
    };
    facts.metadata.outputs.iter().map(size).collect()
}

/// The tensors of a measurement in shared memory.
#[derive(Debug)]
pub struct SharedMemory {
    inputs: Object,
    outputs: Object,
    /// Those of the first slot.
    places: Vec<Place>,
    /// From a slot to the next, in bytes.
    slot: u64,
    slots: usize,
    /// With inputs in `inputs`, and no outputs yet.
    requests: Vec<Request>,
}

/// Where an output goes.
#[derive(Debug)]
struct Place {
    name: String,
    offset: u64,
    bytes: u64,
}

impl SharedMemory {
    /// Puts the inputs of `requests` into shared memory, and makes room for `outputs` in as many `slots`.
    ///
    /// # Errors
    /// `Io` when there is no room for the inputs, or no shared memory.
    pub fn new(requests: Vec<Request>, outputs: Vec<OutputSize>, slots: usize) -> Result<Self> {
        let mut end = 0u64;
        let mut take = |bytes: u64| {
            let offset = end;
            end = aligned(end.saturating_add(bytes));
            offset
        };
        let places = outputs.into_iter().map(|OutputSize { name, bytes }| {
            let offset = take(bytes);
            Place { name, offset, bytes }
        });
        let places = places.collect();
        let slot = end;
        // Containers that share their memory may have the same process numbers.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("tintype-bench-{}-{now}", std::process::id());
        let inputs = Object::new(format!("{name}-inputs"))?;
        let requests = inputs.hold(requests)?;
        let outputs = Object::new(format!("{name}-outputs"))?;
        let (all, inputs_end) = (slot.saturating_mul(slots as u64), inputs.length()?);
        // A region without a byte is none for some servers.
        outputs.resize(all.max(1))?;
        inputs.resize(inputs_end.max(1))?;
        Ok(Self { inputs, outputs, places, slot, slots, requests })
    }

    /// The requests of the lane that has `slot`: outputs go there. Its memory is taken from the system now.
    ///
    /// # Errors
    /// `Io` when there is no room.
    pub fn requests(&self, slot: usize) -> Result<Vec<Request>> {
        if slot >= self.slots {
            let message = format!("slot {slot} of the shared memory is one more than there are lanes");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let begin = self.slot * slot as u64;
        if self.slot > 0 {
            let reserved = fallocate(&self.outputs.file, FallocateFlags::empty(), begin, self.slot);
            reserved.map_err(|e| self.outputs.failed(e.into()))?;
        }
        let output = |place: &Place| {
            let Place { name, offset, bytes } = place;
            let region =
                Region { name: self.outputs.name.clone(), offset: begin + offset, byte_size: *bytes };
            Output { name: name.clone(), form: Some(Form::Shared(region)), classes: 0 }
        };
        let outputs: Vec<Output> = self.places.iter().map(output).collect();
        let requests = self.requests.iter().cloned();
        Ok(requests.map(|request| Request { outputs: outputs.clone(), ..request }).collect())
    }

    /// Tells the server of the regions. Their names go, whatever it says.
    ///
    /// # Errors
    /// `InvalidArgument` with its words, when it takes none; `Io`.
    pub async fn register(&self, control: &mut Control) -> Result<()> {
        for object in [&self.inputs, &self.outputs] {
            let key = format!("/{}", object.name);
            let register = Register { key, offset: 0, byte_size: object.length()? };
            if let Err(error) = control.register(&object.name, register).await {
                // It may have the first.
                let _ = self.unregister(control).await;
                return Err(error);
            }
        }
        self.inputs.unlink();
        self.outputs.unlink();
        Ok(())
    }

    /// Has the server forget the regions.
    ///
    /// # Errors
    /// `Io` when it is gone; `DeadlineExceeded` when it takes too long.
    pub async fn unregister(&self, control: &mut Control) -> Result<()> {
        for object in [&self.inputs, &self.outputs] {
            let forgotten = tokio::time::timeout(FORGET, control.unregister(&object.name)).await;
            forgotten.map_err(|_| {
                Error::new(ErrorKind::DeadlineExceeded, format!("the server took longer than {FORGET:?}"))
            })??;
        }
        Ok(())
    }
}

fn aligned(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(bytes)
}

/// A POSIX shared memory object; its name goes with it.
#[derive(Debug)]
struct Object {
    /// Without the slash before it.
    name: String,
    file: File,
}

impl Object {
    fn new(name: String) -> Result<Self> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        match shm::open(&name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self { name, file: file.into() }),
            Err(e) => Err(Error::new(ErrorKind::Io, format!("shared memory cannot be made: {e}"))),
        }
    }

    fn resize(&self, bytes: u64) -> Result<()> {
        ftruncate(&self.file, bytes).map_err(|e| self.failed(e.into()))
    }

    fn length(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|e| self.failed(e))
    }

    /// Writes the tensors of `requests` here; what is left of them says where they are.
    fn hold(&self, requests: Vec<Request>) -> Result<Vec<Request>> {
        let mut end = 0;
        let mut hold = |input: Input| {
            let Value::Tensor(tensor) = input.value else { return Ok(input) };
            let bytes = binary::encode(tensor.data())?;
            self.file.write_all_at(&bytes, end).map_err(|e| self.failed(e))?;
            let region = Region { name: self.name.clone(), offset: end, byte_size: bytes.len() as u64 };
            end = aligned(end + region.byte_size);
            let value = Value::Shared { region, dtype: tensor.dtype(), shape: tensor.shape().to_vec() };
            Ok(Input { name: input.name, value })
        };
        let held = requests.into_iter().map(|request| {
            let inputs = request.inputs.into_iter().map(&mut hold).collect::<Result<_>>()?;
            Ok(Request { inputs, ..request })
        });
        held.collect()
    }

    fn unlink(&self) {
        // Gone already is as good.
        let _ = shm::unlink(&self.name);
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let message = format!("shared memory `/{}`: {error}", self.name);
        let error = Error::new(ErrorKind::Io, message);
        error.with_hint("`df /dev/shm` says how much room there is; each lane needs some for its outputs")
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.unlink();
    }
}

#[cfg(test)]
mod tests {
    use tintype_api::kserve::{ModelMetadata, Options, TensorMetadata};
    use tintype_core::{Tensor, TensorData};

    use super::*;

    fn request(values: Vec<f32>) -> Request {
        let tensor = Tensor::from_data([1, values.len()], TensorData::F32(values)).unwrap();
        let text = Tensor::new([1], vec![b"cat".to_vec()]).unwrap();
        let inputs = [("x", tensor), ("text", text)]
            .map(|(name, tensor)| Input { name: name.to_owned(), value: Value::Tensor(tensor) });
        Request {
            id: String::new(),
            options: Options::default(),
            inputs: inputs.into(),
            outputs: Vec::new(),
            form: Form::Binary,
        }
    }

    fn size(name: &str, bytes: u64) -> OutputSize {
        OutputSize { name: name.to_owned(), bytes }
    }

    /// Every region that the requests of a slot write to, as a range of bytes.
    fn written(memory: &SharedMemory, slot: usize) -> Vec<std::ops::Range<u64>> {
        let requests = memory.requests(slot).unwrap();
        let outputs = requests[0].outputs.iter().map(|output| match &output.form {
            Some(Form::Shared(region)) => region.offset..region.offset + region.byte_size,
            form => panic!("expected a region, found {form:?}"),
        });
        outputs.collect()
    }

    #[test]
    fn inputs_lie_where_requests_say() {
        let asked = vec![request(vec![1.0, 2.0, 3.0]), request(vec![4.0])];
        let memory = SharedMemory::new(asked.clone(), vec![size("y", 8)], 1).unwrap();
        let found = memory.requests(0).unwrap();
        assert_eq!(found.len(), 2);
        for (asked, found) in asked.iter().zip(&found) {
            for (asked, found) in asked.inputs.iter().zip(&found.inputs) {
                let (Value::Tensor(tensor), Value::Shared { region, dtype, shape }) =
                    (&asked.value, &found.value)
                else {
                    panic!("expected a region, found {found:?}");
                };
                assert_eq!((tensor.dtype(), tensor.shape()), (*dtype, shape.as_slice()));
                let mut bytes = vec![0; region.byte_size as usize];
                memory.inputs.file.read_exact_at(&mut bytes, region.offset).unwrap();
                assert_eq!(bytes, *binary::encode(tensor.data()).unwrap());
            }
        }
    }

    #[test]
    fn no_two_slots_share_a_byte() {
        let memory = SharedMemory::new(vec![request(vec![1.0])], vec![size("a", 100), size("b", 28)], 3);
        let memory = memory.unwrap();
        let mut all: Vec<_> = (0..3).flat_map(|slot| written(&memory, slot)).collect();
        all.sort_by_key(|range| range.start);
        assert_eq!(all.len(), 6);
        assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start), "{all:?}");
        assert!(all.last().unwrap().end <= memory.outputs.length().unwrap());
        assert_eq!(memory.requests(3).unwrap_err().kind(), ErrorKind::Internal, "there are three");
    }

    #[test]
    fn nothing_is_left_behind() {
        let memory = SharedMemory::new(vec![request(vec![1.0])], Vec::new(), 1).unwrap();
        let name = memory.inputs.name.clone();
        let opens = || shm::open(&name, OFlags::RDONLY, Mode::empty()).is_ok();
        assert!(opens());
        drop(memory);
        assert!(!opens());
    }

    #[test]
    fn sizes_of_outputs_follow_from_their_shapes() {
        let output = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
        };
        let metadata = ModelMetadata {
            name: "m".to_owned(),
            versions: Vec::new(),
            platform: String::new(),
            inputs: Vec::new(),
            outputs: vec![
                output("scores", "FP32", &[-1, 1001]),
                output("boxes", "FP16", &[-1, -1, 4]),
                output("label", "BYTES", &[-1, 1]),
            ],
        };
        let mut facts = ModelFacts { metadata, max_batch_size: 8 };
        let sizes = [size("scores", 2 * 4004), size("boxes", 200), size("label", 200)];
        assert_eq!(output_sizes(&facts, 2, 100), sizes);
        facts.max_batch_size = 0;
        assert_eq!(output_sizes(&facts, 1, 100)[0], size("scores", 100), "the first axis is any other");
    }
}
