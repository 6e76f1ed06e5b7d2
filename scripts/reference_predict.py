"""Classifies images with ONNX Runtime's Python, Pillow and NumPy, to compare with `tintype predict --json`.

Usage: reference_predict.py MODEL.onnx SPEC.toml IMAGE… > reference.jsonl

Writes one JSON line an image with every class's probability. Reads the same `tintype.toml` as tintype does
(shorter-side resize, centre crop, f32 nchw).
"""

import json
import sys
import tomllib

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def prepare(path, pre):
    image = Image.open(path)
    if pre.get("exif", "apply") == "apply":
        image = ImageOps.exif_transpose(image)
    image = image.convert("RGB")
    (w, h), shorter, (ch, cw) = image.size, pre["resize"]["shorter"], pre["crop"]
    size = (shorter, int(shorter * h / w)) if w <= h else (int(shorter * w / h), shorter)
    image = image.resize(size, FILTERS[pre.get("filter", "bilinear")])
    left, top = round((size[0] - cw) / 2), round((size[1] - ch) / 2)
    pixels = np.asarray(image.crop((left, top, left + cw, top + ch)), np.float32)
    mean, std = (np.array(pre.get(k, [d]), np.float32) for k, d in (("mean", 0.0), ("std", 1.0)))
    return ((pixels * np.float32(pre.get("scale", 1.0)) - mean) / std).transpose(2, 0, 1)


def main(model, spec, *images):
    with open(spec, "rb") as f:
        spec = tomllib.load(f)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for path in images:
        scores = session.run(None, {name: prepare(path, spec["preprocess"])[None].astype(np.float32)})[0]
        scores = scores.reshape(-1).astype(np.float64)
        if spec.get("postprocess", {}).get("activation", "softmax") == "softmax":
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        print(json.dumps({"path": path, "probabilities": [float(p) for p in scores]}))


main(*sys.argv[1:])
