"""Makes `torchserve.mar` with TorchServe's own archiver, and what must be read out of it in `torchserve.json`.

    pip install torch-model-archiver==0.12.0 onnx
    python torchserve_mar.py

The archive differs from run to run in its times alone.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper

here = pathlib.Path(__file__).parent
labels = [["n02123045", "tabby, tabby cat"], ["n02012849", "crane"], ["n03126707", "crane"]]

graph = helper.make_graph(
    [helper.make_node("GlobalAveragePool", ["input"], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["scores"])],
    "colours",
    [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 224, 224])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    serialized = folder / "colours.onnx"
    serialized.write_bytes(model.SerializeToString())
    (folder / "index_to_name.json").write_text(json.dumps({str(i): pair for i, pair in enumerate(labels)}))
    subprocess.run(
        [sys.executable, "-m", "model_archiver.model_packaging"]
        + ["--model-name", "torchserve", "--version", "1.2", "--handler", "image_classifier"]
        + ["--serialized-file", str(serialized), "--extra-files", str(folder / "index_to_name.json")]
        + ["--export-path", str(here), "--force"],
        check=True,
    )
    digest = hashlib.sha256(serialized.read_bytes()).hexdigest()

expected = {"name": "torchserve", "version": "1.2", "labels": [pair[-1] for pair in labels], "model_sha256": digest}
(here / "torchserve.json").write_text(json.dumps(expected, indent=2) + "\n")
