"""What every peer in Python needs, once: preparing a picture as `tintype.toml` says, running the model, and the answer.

The environment says which model (`MODEL_DIR` with `tintype.toml`, `model.onnx` and `model.pt`) and which engine runs it
(`ENGINE`, `onnx` or `torch`). Everything computes with one thread, as `tintype serve` does on one core.
"""

import base64
import io
import os
import tomllib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(os.environ["MODEL_DIR"])
SPEC = tomllib.loads((FOLDER / "tintype.toml").read_text())["preprocess"]
# Of the order (pixel * scale - mean) / std only the last multiplication and addition are left at run time.
FACTOR = np.float32(SPEC["scale"]) / np.array(SPEC["std"], np.float32)
OFFSET = -np.array(SPEC["mean"], np.float32) / np.array(SPEC["std"], np.float32)
TOP_K = 5


def decoded(image: str) -> bytes:
    """The bytes of the file that a JSON request holds as base64."""
    return base64.b64decode(image, validate=True)


def prepare(data: bytes) -> np.ndarray:
    """The tensor of an encoded picture: `[1, 3, height, width]`, float32."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    (width, height), shorter, (crop_height, crop_width) = image.size, SPEC["resize"]["shorter"], SPEC["crop"]
    if width <= height:
        size = (shorter, int(shorter * height / width))
    else:
        size = (int(shorter * width / height), shorter)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - crop_width) / 2), round((size[1] - crop_height) / 2)
    pixels = np.asarray(image.crop((left, top, left + crop_width, top + crop_height)))
    values = pixels * FACTOR + OFFSET
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


class OnnxModel:
    """A session of ONNX Runtime."""

    def __init__(self, path: Path = FOLDER / "model.onnx") -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Logits `[n, classes]` of pictures `[n, 3, height, width]`."""
        return self.session.run(None, {self.input: batch})[0]


class TorchModel:
    """A frozen TorchScript module with weights in channels-last order: the quickest form of PyTorch's on one core."""

    def __init__(self, path: Path = FOLDER / "model.pt") -> None:
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        self.torch = torch
        self.module = torch.jit.load(path, map_location="cpu")

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Logits `[n, classes]` of pictures `[n, 3, height, width]`."""
        with self.torch.inference_mode():
            return self.module(self.torch.from_numpy(batch)).numpy()


def load_model() -> OnnxModel | TorchModel:
    """The model by the engine that the environment names."""
    return {"onnx": OnnxModel, "torch": TorchModel}[os.environ["ENGINE"]]()


def answer(logits: np.ndarray) -> dict:
    """The most likely classes of one row of logits, in the shape of tintype's `/predict`."""
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    best = np.argpartition(scores, -TOP_K)[-TOP_K:]
    best = best[np.argsort(scores[best])[::-1]]
    predictions = [{"label": str(i), "confidence": float(scores[i])} for i in best]
    return {"prediction": predictions[0]["label"], "predictions": predictions}
