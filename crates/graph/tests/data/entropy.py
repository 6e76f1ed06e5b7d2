"""Writes entropy.json: histograms and the ranges that ONNX Runtime's quantiser finds for them.

    python3 entropy.py          # needs numpy and onnxruntime; made with onnxruntime 1.31.1

The values are drawn here: a bell, a ReLU's output with a long tail, one with few values, and one that is even.
"""

import json
from pathlib import Path

import numpy as np
from onnxruntime.quantization.calibrate import HistogramCollector

LEVELS = 256


def case(name, values, levels=LEVELS, bins=512):
    values = values.astype(np.float32)
    reach = np.abs(values).max()
    counts, edges = np.histogram(values, bins, range=(-reach, reach))
    collector = HistogramCollector("entropy", False, bins, levels, None, "same")
    histogram = (counts, edges.astype(np.float32), values.min(), values.max(), reach)
    low, high = collector.get_entropy_threshold(histogram, levels)
    return {
        "name": name,
        "levels": levels,
        "min": float(values.min()),
        "max": float(values.max()),
        "counts": counts.tolist(),
        "low": float(low),
        "high": float(high),
    }


random = np.random.default_rng(7)
bell = random.normal(0, 1, 200_000)
relu = np.maximum(random.normal(-0.5, 1, 200_000), 0) ** 1.5
cases = [
    case("bell", bell, bins=2048),
    case("bell at 128 levels", bell, 128, bins=1024),
    case("relu with a tail", relu),
    case("few values", random.laplace(0.3, 2, 300), 128),
    case("even", random.uniform(-3, 1, 50_000), 128),
]
out = Path(__file__).with_name("entropy.json")
out.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
