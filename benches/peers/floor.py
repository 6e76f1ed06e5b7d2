"""The floor: what preparing a picture and running the model cost with nothing around them, each alone on the servers' core.

Usage: floor.py MODEL_FOLDER PICTURE SECONDS

Prints JSON: the answer that every server has to give, by Pillow and ONNX Runtime, and the milliseconds of a run of the model
with that one picture. How long preparing takes, the example `prepare` of tintype-core tells (see `run.py`).
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path


def run_ms(model, batch, seconds: float) -> float:
    """The median of runs within `seconds`."""
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 5:
        began = time.perf_counter()
        model(batch)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


def main(folder: str, picture: str, seconds: float) -> None:
    os.environ["MODEL_DIR"] = folder
    import vision

    model = vision.OnnxModel()
    tensor = vision.prepare(Path(picture).read_bytes())
    best = vision.answer(model(tensor)[0])["predictions"][0]
    print(json.dumps({"label": best["label"], "probability": best["confidence"], "run_ms": run_ms(model, tensor, seconds)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
