"""FastAPI + Pillow + NumPy + onnxruntime, as one would write it with care: what `tintype serve` is measured against.

Usage: MODEL=model.onnx SPEC=tintype.toml LABELS=labels.txt uvicorn --app-dir benches/peers fastapi_onnx:app --port 8001

Reads the same `tintype.toml` (shorter-side bilinear resize, centre crop, f32 nchw) so that both do the same work; one
intra-op thread, as `tintype serve` has.
"""

import base64
import io
import os
import tomllib

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, HTTPException
from PIL import Image
from pydantic import BaseModel

with open(os.environ["SPEC"], "rb") as f:
    SPEC = tomllib.load(f)
PRE, POST = SPEC["preprocess"], SPEC.get("postprocess", {})
LABELS = open(os.environ["LABELS"]).read().splitlines() if os.environ.get("LABELS") else None
SCALE = np.float32(PRE.get("scale", 1.0))
MEAN = np.array(PRE.get("mean", [0.0]), np.float32)
STD = np.array(PRE.get("std", [1.0]), np.float32)

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
INPUT = session.get_inputs()[0].name

app = FastAPI()


class Body(BaseModel):
    image: str


def prepare(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    (w, h), shorter, (ch, cw) = image.size, PRE["resize"]["shorter"], PRE["crop"]
    size = (shorter, int(shorter * h / w)) if w <= h else (int(shorter * w / h), shorter)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - cw) / 2), round((size[1] - ch) / 2)
    pixels = np.asarray(image.crop((left, top, left + cw, top + ch)), np.float32)
    return ((pixels * SCALE - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32, copy=False)


@app.post("/predict")
def predict(body: Body):
    try:
        tensor = prepare(base64.b64decode(body.image))
    except Exception as error:
        raise HTTPException(400, f"Invalid image file: {error}")
    scores = session.run(None, {INPUT: np.ascontiguousarray(tensor)})[0][0]
    if POST.get("activation", "softmax") == "softmax":
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    top = np.argsort(scores)[::-1][: POST.get("top_k", 5)]
    label = lambda i: LABELS[i] if LABELS else str(i)
    predictions = [{"label": label(i), "confidence": float(scores[i])} for i in top]
    return {"prediction": predictions[0]["label"], "predictions": predictions}
