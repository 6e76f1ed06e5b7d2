//! One traced request as it is written: Triton's records, in JSON.
//!
//! ```json
//! {"id":1,"model_name":"m","model_version":1,"request_id":"7"},
//! {"id":1,"timestamps":[{"name":"REQUEST_START","ns":1}]},
//! {"id":1,"activity":"TENSOR_QUEUE_INPUT","tensor":{"name":"x","data":"0.5,1","shape":"1,2","dtype":"FP32"}}
//! ```

use std::fmt::{Display, Write};

use tintype_core::{NamedTensor, TensorData};

use super::Activity;

/// What is known of a request.
#[derive(Debug, Default)]
pub(super) struct Record {
    id: u64,
    /// Of the ensemble, for a request of a step.
    pub(super) parent: Option<u64>,
    pub(super) model: String,
    pub(super) version: u64,
    /// What the client calls it.
    pub(super) request: String,
    /// In nanoseconds.
    pub(super) timestamps: Vec<(Activity, u64)>,
    pub(super) tensors: Vec<(Activity, NamedTensor)>,
}

impl Activity {
    fn name(self) -> &'static str {
        match self {
            Self::HttpRecvStart => "HTTP_RECV_START",
            Self::HttpRecvEnd => "HTTP_RECV_END",
            Self::HttpSendStart => "HTTP_SEND_START",
            Self::HttpSendEnd => "HTTP_SEND_END",
            Self::GrpcWaitreadStart => "GRPC_WAITREAD_START",
            Self::GrpcWaitreadEnd => "GRPC_WAITREAD_END",
            Self::GrpcSendStart => "GRPC_SEND_START",
            Self::GrpcSendEnd => "GRPC_SEND_END",
            Self::RequestStart => "REQUEST_START",
            Self::QueueStart => "QUEUE_START",
            Self::PrepareStart => "PREPARE_START",
            Self::PrepareEnd => "PREPARE_END",
            Self::ComputeStart => "COMPUTE_START",
            Self::ComputeInputEnd => "COMPUTE_INPUT_END",
            Self::ComputeOutputStart => "COMPUTE_OUTPUT_START",
            Self::ComputeEnd => "COMPUTE_END",
            Self::RequestEnd => "REQUEST_END",
            Self::InferResponseComplete => "INFER_RESPONSE_COMPLETE",
            Self::TensorQueueInput => "TENSOR_QUEUE_INPUT",
            Self::TensorBackendOutput => "TENSOR_BACKEND_OUTPUT",
        }
    }
}

impl Record {
    pub(super) fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }

    /// About the memory that it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        512 + self.tensors.iter().map(|(_, named)| named.tensor.data().memory()).sum::<usize>()
    }

    /// Appends it to `out`, without a comma before or after it.
    pub(super) fn write(&self, out: &mut String) -> std::fmt::Result {
        let (id, version) = (self.id, self.version);
        write!(out, "{{\"id\":{id},\"model_name\":{},\"model_version\":{version}", quoted(&self.model))?;
        if !self.request.is_empty() {
            write!(out, ",\"request_id\":{}", quoted(&self.request))?;
        }
        if let Some(parent) = self.parent {
            write!(out, ",\"parent_id\":{parent}")?;
        }
        out.push('}');
        if !self.timestamps.is_empty() {
            let stamps = self
                .timestamps
                .iter()
                .map(|(activity, ns)| format!("{{\"name\":\"{}\",\"ns\":{ns}}}", activity.name()));
            write!(out, ",{{\"id\":{id},\"timestamps\":[{}]}}", joined(stamps))?;
        }
        for (activity, NamedTensor { name, tensor }) in &self.tensors {
            write!(
                out,
                ",{{\"id\":{id},\"activity\":\"{}\",\"tensor\":{{\"name\":{},\"data\":{},\"shape\":\"{}\",\"dtype\":\"{}\"}}}}",
                activity.name(),
                quoted(name),
                quoted(&values(tensor.data())),
                joined(tensor.shape()),
                tensor.dtype().kserve()
            )?;
        }
        Ok(())
    }
}

/// The values with commas between them; strings in quotes, those that are not text as base64.
fn values(data: &TensorData) -> String {
    match data {
        TensorData::F32(v) => joined(v),
        TensorData::F16(v) => joined(v),
        TensorData::BF16(v) => joined(v),
        TensorData::F64(v) => joined(v),
        TensorData::I8(v) => joined(v),
        TensorData::I16(v) => joined(v),
        TensorData::I32(v) => joined(v),
        TensorData::I64(v) => joined(v),
        TensorData::U8(v) => joined(v),
        TensorData::U16(v) => joined(v),
        TensorData::U32(v) => joined(v),
        TensorData::U64(v) => joined(v),
        TensorData::Bool(v) => joined(v.iter().map(|&value| u8::from(value))),
        TensorData::Bytes(v) => joined(v.iter().map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => format!("\"{text}\""),
            Err(_) => format!("\"{}\"", base64_simd::STANDARD.encode_to_string(bytes)),
        })),
    }
}

fn joined(values: impl IntoIterator<Item = impl Display>) -> String {
    let mut out = String::new();
    for (index, value) in values.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(out, "{comma}{value}");
    }
    out
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use tintype_core::Tensor;

    use super::*;

    #[test]
    fn a_record_reads_as_tritons_do() {
        let mut record = Record::new(7);
        record.parent = Some(3);
        record.model = "m".into();
        record.version = 2;
        record.request = "a \"b\"".into();
        record.timestamps = vec![(Activity::RequestStart, 5), (Activity::RequestEnd, 9)];
        let numbers = Tensor::new([1, 2], vec![0.5f32, 1.0]).unwrap();
        let strings = Tensor::new([2], vec![b"cat".to_vec(), vec![0xff]]).unwrap();
        record.tensors = vec![
            (Activity::TensorQueueInput, NamedTensor { name: "x".into(), tensor: numbers }),
            (Activity::TensorBackendOutput, NamedTensor { name: "y".into(), tensor: strings }),
        ];
        let mut text = "[".to_owned();
        record.write(&mut text).unwrap();
        let found: serde_json::Value = serde_json::from_str(&(text + "]")).unwrap();
        let tensor = |activity: &str, name: &str, data: &str, shape: &str, dtype: &str| {
            let tensor = serde_json::json!({"name": name, "data": data, "shape": shape, "dtype": dtype});
            serde_json::json!({"id": 7, "activity": activity, "tensor": tensor})
        };
        let expected = serde_json::json!([
            {"id": 7, "model_name": "m", "model_version": 2, "request_id": "a \"b\"", "parent_id": 3},
            {"id": 7, "timestamps": [{"name": "REQUEST_START", "ns": 5}, {"name": "REQUEST_END", "ns": 9}]},
            tensor("TENSOR_QUEUE_INPUT", "x", "0.5,1", "1,2", "FP32"),
            tensor("TENSOR_BACKEND_OUTPUT", "y", "\"cat\",\"/w==\"", "2", "BYTES"),
        ]);
        assert_eq!(found, expected);
        assert_eq!(record.size(), 512 + 8 + 4 + 2 * size_of::<Vec<u8>>());
    }
}
