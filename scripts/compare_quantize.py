#!/usr/bin/env python3
"""Compares `tintype optimize --int8` with ONNX Runtime's own quantiser, calibrated on the same images.

    scripts/compare_quantize.py MODEL.onnx --spec S.toml --labels L.txt --calibrate DIR --evaluate DATA
                                [--bin tintype] [--images 100] [--methods minmax,percentile,entropy]

ONNX Runtime's side is `quant_pre_process` and `quantize_static`: QDQ, u8 activations, s8 weights by channel, as tintype's.
Its entropy method has 128 bins and as many
steps, which leaves it nothing to choose: the range is the whole one. Both make a model of the same float one. Top-1 of each is what `tintype evaluate` says of it (not asked for where `--evaluate`
has no classes: `--unlabelled`); agreement with the float model is counted here, over the images of DATA, with Pillow's
pixels; latency is the median of rounds in turn, one thread, one image; size is the file's. Prints a table in Markdown.

DIR has images in class folders. The spec must be a shorter side, a crop, scale, mean and std.

Needs Python 3.11 with numpy, onnx, onnxruntime and Pillow.
"""

import argparse
import json
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

METHODS = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "percentile": (CalibrationMethod.Percentile, {"CalibPercentile": 99.99}),
    "entropy": (CalibrationMethod.Entropy, {}),
}
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def images_under(root: Path) -> list[Path]:
    files = [path for path in root.rglob("*") if path.suffix.lower() in ENDINGS]
    return sorted(files, key=lambda path: (path.relative_to(root).parts[0], str(path)))


def prepare(path: Path, spec: dict) -> np.ndarray:
    image = Image.open(path).convert("RGB")
    side, (height, width) = spec["resize"]["shorter"], spec["crop"]
    w, h = image.size
    size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    pixels = np.asarray(image.crop((left, top, left + width, top + height)), np.float32)
    pixels = (pixels * np.float32(spec["scale"]) - np.float32(spec["mean"])) / np.float32(spec["std"])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


class Images(CalibrationDataReader):
    def __init__(self, name: str, files: list[Path], spec: dict):
        self.rows = ({name: prepare(file, spec)} for file in files)

    def get_next(self):
        return next(self.rows, None)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    for name in ["spec", "calibrate", "evaluate"]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--bin", default="tintype")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--methods", default="minmax,percentile,entropy")
    parser.add_argument("--unlabelled", action="store_true")
    args = parser.parse_args()
    described = ["--spec", args.spec] + (["--labels", args.labels] if args.labels else [])
    spec = tomllib.loads(args.spec.read_text())["preprocess"]
    files = images_under(args.calibrate)
    chosen = [files[i * len(files) // args.images] for i in range(args.images)] if args.images < len(files) else files

    def ask(*words) -> str:
        return subprocess.run([args.bin, *map(str, words)], check=True, text=True, stdout=subprocess.PIPE).stdout

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = {"float": args.model}
        prepared = folder / "prepared.onnx"
        quant_pre_process(str(args.model), str(prepared), skip_symbolic_shape=True)
        name = session(args.model).get_inputs()[0].name
        for method in args.methods.split(","):
            began = time.perf_counter()
            ask("optimize", args.model, *described, "--int8", "--calibrate", args.calibrate, "--evaluate", args.evaluate,
                "--calibration-images", args.images, "--method", method, "--keep-float", 0, "--max-drop", 100,
                "--name", f"ours_{method}", "--out", folder)
            print(f"tintype {method}: {time.perf_counter() - began:.1f} s, comparing included", flush=True)
            models[f"tintype, {method}"] = folder / f"ours_{method}" / "1" / "model.onnx"
            began = time.perf_counter()
            target = folder / f"theirs_{method}.onnx"
            calibration, extra = METHODS[method]
            quantize_static(str(prepared), str(target), Images(name, chosen, spec), quant_format=QuantFormat.QDQ,
                            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                            calibrate_method=calibration, extra_options=extra)
            print(f"onnxruntime {method}: {time.perf_counter() - began:.1f} s", flush=True)
            models[f"onnxruntime, {method}"] = target

        sessions = {label: session(path) for label, path in models.items()}
        pictures = [prepare(file, spec) for file in images_under(args.evaluate)]
        best = {
            label: [int(np.argmax(s.run(None, {name: x})[0])) for x in pictures] for label, s in sessions.items()
        }
        times = {label: [] for label in sessions}
        for round_ in range(args.rounds + 3):
            for label, s in sessions.items():
                start = time.perf_counter()
                s.run(None, {name: pictures[0]})
                if round_ >= 3:
                    times[label].append(time.perf_counter() - start)
        print(f"\n{len(chosen)} images to calibrate, {len(pictures)} to compare\n")
        print("| model | top-1 | agreement | latency | times as fast | size |\n|---|---|---|---|---|---|")
        median = {label: 1e3 * float(np.median(t)) for label, t in times.items()}
        for label, path in models.items():
            top1 = "" if args.unlabelled else (
                f"{100 * json.loads(ask('evaluate', path, args.evaluate, *described, '--json'))['accuracy']:.1f} %"
            )
            same = 100 * np.mean([a == b for a, b in zip(best["float"], best[label])])
            print(f"| {label} | {top1} | {same:.1f} % | {median[label]:.2f} ms | "
                  f"{median['float'] / median[label]:.2f} | {path.stat().st_size / 2**20:.2f} MiB |")


if __name__ == "__main__":
    main()
