//! Tiny ONNX models as bytes, encoded by hand.
//!
//! They let tests of an engine, a package or a server run a real model without a file, and without the graph crate
//! that some of those tests check. Each model has a dynamic first axis named `N`, opset 17 and IR version 8.

/// `y = x` for a tensor of `dtype` and shape `[N, axes…]`.
///
/// `dtype` is the name that tintype gives it: `f32`, `f16`, `bf16`, `f64`, `i8` … `u64`, `bool`, or `bytes`
/// (ONNX's strings). The input is `x`, the output `y`.
///
/// # Panics
/// When there is no such dtype.
pub fn identity(dtype: &str, axes: &[usize]) -> Vec<u8> {
    let shape = dynamic(axes);
    model(&Graph {
        nodes: vec![node("Identity", &["x"], &["y"], &[])],
        initializers: Vec::new(),
        inputs: vec![value("x", elem_type(dtype), &shape)],
        outputs: vec![value("y", elem_type(dtype), &shape)],
    })
}

/// Two inputs `a` and `b`, two outputs `sum = a + b` and `difference = a - b`, all `f32[N, width]`.
pub fn sum_and_difference(width: usize) -> Vec<u8> {
    let shape = dynamic(&[width]);
    let f32s = |name| value(name, 1, &shape);
    model(&Graph {
        nodes: vec![node("Add", &["a", "b"], &["sum"], &[]), node("Sub", &["a", "b"], &["difference"], &[])],
        initializers: Vec::new(),
        inputs: vec![f32s("a"), f32s("b")],
        outputs: vec![f32s("sum"), f32s("difference")],
    })
}

/// A linear classifier: `input` `f32[N, axes…]` → flattened to `[N, F]` → `logits` `f32[N, K]`, `K = bias.len()`.
///
/// `weights` is `[K, F]` in row-major order, as PyTorch's `Linear` has it.
///
/// # Panics
/// When `weights` is not as long as `K · F`.
pub fn scores(axes: &[usize], weights: &[f32], bias: &[f32]) -> Vec<u8> {
    let (classes, features) = (bias.len(), axes.iter().product::<usize>());
    assert_eq!(weights.len(), classes * features, "weights must be [{classes}, {features}]");
    model(&Graph {
        nodes: vec![
            node("Flatten", &["input"], &["features"], &[("axis", 1)]),
            node("Gemm", &["features", "weight", "bias"], &["logits"], &[("transB", 1)]),
        ],
        initializers: vec![tensor("weight", &[classes, features], weights), tensor("bias", &[classes], bias)],
        inputs: vec![value("input", 1, &dynamic(axes))],
        outputs: vec![value("logits", 1, &dynamic(&[classes]))],
    })
}

/// ONNX's `TensorProto.DataType` of a dtype.
#[expect(clippy::panic, reason = "a wrong name is a mistake in the test that calls it")]
fn elem_type(dtype: &str) -> u64 {
    match dtype {
        "f32" => 1,
        "u8" => 2,
        "i8" => 3,
        "u16" => 4,
        "i16" => 5,
        "i32" => 6,
        "i64" => 7,
        "bytes" => 8,
        "bool" => 9,
        "f16" => 10,
        "f64" => 11,
        "u32" => 12,
        "u64" => 13,
        "bf16" => 16,
        other => panic!("no dtype is called `{other}`"),
    }
}

/// An axis of a shape: a size, or `None` for the dynamic `N`.
type Axis = Option<usize>;

fn dynamic(axes: &[usize]) -> Vec<Axis> {
    std::iter::once(None).chain(axes.iter().copied().map(Some)).collect()
}

/// Encoded parts of a graph.
struct Graph {
    nodes: Vec<Vec<u8>>,
    initializers: Vec<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

// The field numbers below are those of onnx.proto.

fn model(graph: &Graph) -> Vec<u8> {
    let mut g = Vec::new();
    graph.nodes.iter().for_each(|n| bytes(&mut g, 1, n));
    bytes(&mut g, 2, b"test");
    graph.initializers.iter().for_each(|t| bytes(&mut g, 5, t));
    graph.inputs.iter().for_each(|v| bytes(&mut g, 11, v));
    graph.outputs.iter().for_each(|v| bytes(&mut g, 12, v));
    let mut opset = Vec::new();
    bytes(&mut opset, 1, b"");
    int(&mut opset, 2, 17);
    let mut model = Vec::new();
    int(&mut model, 1, 8);
    bytes(&mut model, 7, &g);
    bytes(&mut model, 8, &opset);
    model
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, u64)]) -> Vec<u8> {
    let mut n = Vec::new();
    inputs.iter().for_each(|name| bytes(&mut n, 1, name.as_bytes()));
    outputs.iter().for_each(|name| bytes(&mut n, 2, name.as_bytes()));
    bytes(&mut n, 3, op.as_bytes());
    bytes(&mut n, 4, op.as_bytes());
    for (name, value) in attributes {
        let mut a = Vec::new();
        bytes(&mut a, 1, name.as_bytes());
        int(&mut a, 3, *value);
        int(&mut a, 20, 2);
        bytes(&mut n, 5, &a);
    }
    n
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut t = Vec::new();
    shape.iter().for_each(|&d| int(&mut t, 1, d as u64));
    int(&mut t, 2, 1);
    bytes(&mut t, 8, name.as_bytes());
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes(&mut t, 9, &raw);
    t
}

fn value(name: &str, elem_type: u64, shape: &[Axis]) -> Vec<u8> {
    let mut dims = Vec::new();
    for axis in shape {
        let mut dim = Vec::new();
        match axis {
            Some(size) => int(&mut dim, 1, *size as u64),
            None => bytes(&mut dim, 2, b"N"),
        }
        bytes(&mut dims, 1, &dim);
    }
    let mut tensor = Vec::new();
    int(&mut tensor, 1, elem_type);
    bytes(&mut tensor, 2, &dims);
    let mut kind = Vec::new();
    bytes(&mut kind, 1, &tensor);
    let mut v = Vec::new();
    bytes(&mut v, 1, name.as_bytes());
    bytes(&mut v, 2, &kind);
    v
}

/// A length-delimited field.
fn bytes(out: &mut Vec<u8>, field: u64, payload: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// A varint field.
fn int(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_seven_bits_a_byte() {
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }

    #[test]
    fn a_model_is_what_python_encodes() {
        assert_eq!(identity("f32", &[2]), IDENTITY);
    }

    /// Python's onnx 1.23 made it: `make_model(make_graph([make_node("Identity", ["x"], ["y"], name="Identity")],
    /// "test", [make_tensor_value_info("x", FLOAT, ["N", 2])], [make_tensor_value_info("y", FLOAT, ["N", 2])]),
    /// opset_imports=[make_opsetid("", 17)])` with `ir_version = 8`.
    const IDENTITY: &[u8] = &[
        0x08, 0x08, 0x3a, 0x4e, 0x0a, 0x1a, 0x0a, 0x01, 0x78, 0x12, 0x01, 0x79, 0x1a, 0x08, 0x49, 0x64, 0x65,
        0x6e, 0x74, 0x69, 0x74, 0x79, 0x22, 0x08, 0x49, 0x64, 0x65, 0x6e, 0x74, 0x69, 0x74, 0x79, 0x12, 0x04,
        0x74, 0x65, 0x73, 0x74, 0x5a, 0x14, 0x0a, 0x01, 0x78, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09,
        0x0a, 0x03, 0x12, 0x01, 0x4e, 0x0a, 0x02, 0x08, 0x02, 0x62, 0x14, 0x0a, 0x01, 0x79, 0x12, 0x0f, 0x0a,
        0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x03, 0x12, 0x01, 0x4e, 0x0a, 0x02, 0x08, 0x02, 0x42, 0x04, 0x0a,
        0x00, 0x10, 0x11,
    ];
}
