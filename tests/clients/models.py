"""Writes the model repository that the client tests ask: identities of every type, an ensemble, an image classifier.

Usage: models.py DIR
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

# Triton's name → ONNX's
TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
LABELS = ["red", "green", "blue"]


def save(folder, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (folder / "1").mkdir(parents=True)
    onnx.save(model, folder / "1" / "model.onnx")


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def identity(root, name, kind):
    save(
        root / name,
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", kind, ["N", "W"])],
        [value("y", kind, ["N", "W"])],
    )


def arithmetic(root):
    """`double` and `increment`, and the ensemble `double_then_increment` of them."""
    shape = ["N", 4]
    for name, op, constant in [("double", "Mul", 2.0), ("increment", "Add", 1.0)]:
        c = helper.make_tensor("c", TensorProto.FLOAT, [1], [constant])
        save(
            root / name,
            [helper.make_node(op, ["x", "c"], ["y"])],
            [value("x", TensorProto.FLOAT, shape)],
            [value("y", TensorProto.FLOAT, shape)],
            [c],
        )
    ensemble = root / "double_then_increment"
    (ensemble / "1").mkdir(parents=True)
    (ensemble / "config.pbtxt").write_text(
        """name: "double_then_increment"
platform: "ensemble"
max_batch_size: 4
input [ { name: "IN" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ 4 ] } ]
ensemble_scheduling {
  step [
    { model_name: "double" model_version: -1
      input_map { key: "x" value: "IN" } output_map { key: "y" value: "doubled" } },
    { model_name: "increment" model_version: -1
      input_map { key: "x" value: "doubled" } output_map { key: "y" value: "OUT" } }
  ]
}
"""
    )


def lookup(root):
    """`lookup`: the numbers of a table by their index, which the operator refuses where there is none."""
    save(
        root / "lookup",
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [value("x", TensorProto.INT64, ["N", 1])],
        [value("y", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [10.0, 20.0, 30.0])],
    )


def classifier(root):
    """`colors`: the mean of each channel of an 8×8 image, under the names that its configuration gives."""
    folder = root / "colors"
    weights = np.zeros((3 * 64, 3), np.float32)
    for channel in range(3):
        weights[channel * 64 : (channel + 1) * 64, channel] = 1 / 64
    save(
        folder,
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["scores"])],
        [value("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [value("scores", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor("w", TensorProto.FLOAT, [192, 3], weights.flatten())],
    )
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    (folder / "1" / "tintype.toml").write_text(
        """[preprocess]
resize = { exact = [8, 8] }
scale = 0.00392156862745098

[serving.inputs]
IMAGE = "image"

[serving.outputs]
LABEL = "label"
PROBABILITY = "probability"
SCORES = "scores"
"""
    )
    (folder / "config.pbtxt").write_text(
        """name: "colors"
backend: "onnxruntime"
max_batch_size: 4
input [ { name: "IMAGE" data_type: TYPE_STRING dims: [ 1 ] } ]
output [
  { name: "LABEL" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "PROBABILITY" data_type: TYPE_FP32 dims: [ 1 ] },
  { name: "SCORES" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "labels.txt" }
]
"""
    )


def write(root):
    root = Path(root)
    for name, kind in TYPES.items():
        identity(root, f"identity_{name.lower()}", kind)
    arithmetic(root)
    lookup(root)
    classifier(root)


if __name__ == "__main__":
    write(sys.argv[1])
