//! A tensor that is written and read again is the same tensor, whatever its type, in JSON and as bytes.

use half::{bf16, f16};
use proptest::prelude::*;
use tintype_api::kserve::binary::{self, Origin};
use tintype_api::kserve::{Content, Reply, ReplyOutput, request, response};
use tintype_core::{DType, Element, Tensor, TensorData};

use crate::support::only;

const ORIGIN: Origin<'static> = Origin { id: "", model: "m", input: "x" };

fn tensor<T: Element + std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Tensor> {
    (prop::collection::vec(element, 0..24), any::<bool>()).prop_map(|(values, nested)| {
        let shape =
            if nested && values.len() % 2 == 0 { vec![values.len() / 2, 2] } else { vec![values.len()] };
        Tensor::new(shape, values).expect("the shape fits")
    })
}

/// Tensors of every type; where `json` is to carry them, with finite numbers and without -0, which its parser reads as 0.
pub fn any_tensor(json: bool) -> impl Strategy<Value = Tensor> {
    let float = move |x: f64| !json || (x.is_finite() && x.to_bits() != (-0.0f64).to_bits());
    prop_oneof![
        tensor(any::<u32>().prop_map(f32::from_bits).prop_filter("", move |x| float(f64::from(*x)))),
        tensor(any::<u16>().prop_map(f16::from_bits).prop_filter("", move |x| float(x.to_f64()))),
        tensor(any::<u16>().prop_map(bf16::from_bits).prop_filter("", move |x| float(x.to_f64()))),
        tensor(any::<u64>().prop_map(f64::from_bits).prop_filter("", move |x| float(*x))),
        tensor(any::<i8>()),
        tensor(any::<i16>()),
        tensor(any::<i32>()),
        tensor(any::<i64>()),
        tensor(any::<u8>()),
        tensor(any::<u16>()),
        tensor(any::<u32>()),
        tensor(any::<u64>()),
        tensor(any::<bool>()),
        tensor(any::<String>().prop_map(String::into_bytes)),
    ]
}

/// The bits, so that numbers that are none can be compared.
fn bits(tensor: &Tensor) -> Vec<u8> {
    binary::encode(tensor.data()).expect("it can be written and read").into_owned()
}

/// The answer with `tensor` as an HTTP body, read as if it were a request.
fn through_http(tensor: &Tensor, content: Content) -> Tensor {
    let output = ReplyOutput { name: "x".into(), tensor: tensor.clone(), content };
    let reply = Reply { id: "7".into(), model: "m".into(), version: 1, outputs: vec![output] };
    let encoded = response::encode(&reply).expect("it can be written and read");
    let (json, rest) = encoded.body.split_at(encoded.header_len.unwrap_or(encoded.body.len()));
    // An answer's outputs have the form of a request's inputs.
    let json = String::from_utf8(json.to_vec())
        .expect("it can be written and read")
        .replace("\"outputs\":", "\"inputs\":");
    let body = [json.as_bytes(), rest].concat();
    only(
        request::decode("m", encoded.header_len.map(|_| json.len()), &body)
            .expect("it can be written and read"),
    )
}

/// There are few enough of these to try them all, but for -0, which the JSON parser reads as 0.
#[test]
fn every_half_goes_through_a_json_body() {
    let halves =
        |read: fn(u16) -> f64| (0..=u16::MAX).filter(move |&bits| bits != 0x8000 && read(bits).is_finite());
    let f16s = halves(|bits| f16::from_bits(bits).to_f64()).map(f16::from_bits).collect::<Vec<_>>();
    let bf16s = halves(|bits| bf16::from_bits(bits).to_f64()).map(bf16::from_bits).collect::<Vec<_>>();
    for tensor in [Tensor::new([f16s.len()], f16s).unwrap(), Tensor::new([bf16s.len()], bf16s).unwrap()] {
        let (read, given) = (bits(&through_http(&tensor, Content::Json)), bits(&tensor));
        let wrong = read.chunks(2).zip(given.chunks(2)).find(|(read, given)| read != given);
        assert_eq!(wrong, None, "{:?}", tensor.dtype());
    }
}

proptest! {
    #[test]
    fn through_bytes(tensor in any_tensor(false)) {
        let bytes = bits(&tensor);
        prop_assert_eq!(bytes.len(), binary::size(tensor.data()));
        let read = binary::decode(ORIGIN, tensor.dtype(), tensor.shape().to_vec(), &bytes).unwrap();
        prop_assert_eq!(read.dtype(), tensor.dtype());
        prop_assert_eq!(read.shape(), tensor.shape());
        prop_assert_eq!(bits(&read), bytes);
    }

    #[test]
    fn through_a_binary_body(tensor in any_tensor(false)) {
        let read = through_http(&tensor, Content::Binary);
        prop_assert_eq!((read.dtype(), read.shape()), (tensor.dtype(), tensor.shape()));
        prop_assert_eq!(bits(&read), bits(&tensor));
    }

    #[test]
    fn through_a_json_body(tensor in any_tensor(true)) {
        let read = through_http(&tensor, Content::Json);
        prop_assert_eq!((read.dtype(), read.shape()), (tensor.dtype(), tensor.shape()));
        prop_assert_eq!(bits(&read), bits(&tensor));
    }

    /// No bytes at all make the decoder do anything but answer or refuse.
    #[test]
    fn hostile_bodies_are_refused(body in prop::collection::vec(any::<u8>(), 0..200), header in 0usize..220) {
        let _ = request::decode("m", Some(header), &body);
        let _ = request::decode("m", None, &body);
    }

    #[test]
    fn hostile_data_is_refused(data in "[\\[\\],0-9\"a-z.e+{}:-]{0,60}", shape in prop::collection::vec(-2i64..5, 0..4)) {
        for &dtype in DType::ALL {
            let name = dtype.kserve();
            let body = format!(r#"{{"inputs":[{{"name":"x","shape":{shape:?},"datatype":"{name}","data":{data}}}]}}"#);
            if let Ok(request) = request::decode("m", None, body.as_bytes()) {
                let tensor = only(request);
                prop_assert_eq!(tensor.data().len(), shape.iter().product::<i64>() as usize);
            }
        }
    }

    #[test]
    fn hostile_strings_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), count in 0usize..8) {
        if let Ok(read) = binary::decode(ORIGIN, DType::Bytes, vec![count], &bytes) {
            prop_assert_eq!(bits(&read), bytes);
        }
    }
}

#[test]
fn bytes_are_little_endian_and_strings_are_counted() {
    let expect = |data: TensorData, expected: &[u8]| assert_eq!(*binary::encode(&data).unwrap(), *expected);
    expect(TensorData::F32(vec![1.0]), &[0, 0, 0x80, 0x3f]);
    expect(TensorData::F16(vec![f16::from_f32(1.0)]), &[0, 0x3c]);
    expect(TensorData::BF16(vec![bf16::from_f32(1.0)]), &[0x80, 0x3f]);
    expect(TensorData::I64(vec![-2]), &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    expect(TensorData::Bool(vec![true, false]), &[1, 0]);
    expect(TensorData::Bytes(vec![b"ab".to_vec(), vec![]]), &[2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]);
}
