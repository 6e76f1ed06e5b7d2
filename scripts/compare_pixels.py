#!/usr/bin/env python3
"""Compares prepared pixels with Pillow's, and their speed with Pillow and NumPy.

    cargo build --release -p tintype-core --example prepare
    python scripts/compare_pixels.py target/release/examples/prepare SHARED [--seconds 2 --rounds 7]

SHARED is the folder with the real data (`data/imagenet-sample/dev`, `data/payload`, `data/odd-images`). Needs Pillow, NumPy, torchvision.

1. 224 x 224 after torchvision's Resize(256) and CenterCrop(224), from every photo and from the photo as PNG.
2. Odd and broken pictures: the same pixels, or a refusal with a reason; differences are listed.
3. Encoded bytes to a normalised [3, 224, 224] of float32, one core, ours and Pillow's by turns: CPU time an image, which
   a busy machine disturbs less than the clock on the wall, and medians of wall time.
"""

import argparse
import csv
import io
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torchvision.transforms.functional as F
from PIL import Image, ImageOps

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SPEC = f"""[preprocess]
resize = {{ shorter = 256 }}
crop = [224, 224]
scale = {1 / 255}
mean = {MEAN}
std = {STD}
"""


def dump(tool, folder, spec, files):
    """The prepared pixels of each file, or the line that says why there are none."""
    (folder / "spec.toml").write_text(spec)
    raw = folder / "pixels"
    lines = subprocess.run(
        [tool, folder / "spec.toml", "dump", raw], input="".join(f"{f}\n" for f in files),
        text=True, stdout=subprocess.PIPE, check=True,
    ).stdout.splitlines()
    data, at, found = np.fromfile(raw, np.uint8), 0, {}
    for line in lines:
        path, answer = line.split("\t", 1)
        if answer.startswith("ok "):
            shape = [int(n) for n in answer[3:].split("x")]
            found[path] = data[at : at + np.prod(shape)].reshape(shape)
            at += np.prod(shape)
        else:
            found[path] = answer
    return found


def pillow(path):
    image = Image.open(path)
    image.load()
    return ImageOps.exif_transpose(image).convert("RGB")


def photos(tool, folder, shared):
    files = [shared / "payload/rime_5868.jpg", *sorted((shared / "imagenet-sample/dev").glob("*.[jJ]*"))]
    for path in files[:]:
        copy = folder / f"{path.stem}.png"
        pillow(path).save(copy)
        files.append(copy)
    found = dump(tool, folder, SPEC, files)
    worst, mean, equal = 0, 0.0, 0
    for path in files:
        expected = np.asarray(F.center_crop(F.resize(pillow(path), 256), [224, 224])).astype(int)
        ours = found[str(path)]
        if isinstance(ours, str):
            sys.exit(f"{path}: {ours}")
        difference = np.abs(expected - ours)
        worst, mean = max(worst, difference.max()), max(mean, difference.mean())
        equal += not difference.any()
    print(f"photos: {len(files)} (half of them PNG), worst sample off by {worst}, worst mean {mean:.4f}, {equal} equal")


def odd(tool, folder, shared):
    base = shared / "odd-images"
    rows = list(csv.DictReader(open(base / "catalogue.csv")))
    found = dump(tool, folder, "[preprocess]\n", [base / row["file"] for row in rows])
    counts = {}
    for row in rows:
        ours = found.get(str(base / row["file"]), "no answer")
        try:
            expected, reason = np.asarray(pillow(base / row["file"])), ""
        except Exception as error:  # noqa: BLE001 - whatever Pillow raises is a refusal
            expected, reason = None, f"{type(error).__name__}: {error}".split(" '")[0]
        if isinstance(ours, str):
            outcome = "both refuse" if expected is None else "only Pillow reads"
            if expected is not None:
                print(f"  {row['file']}: {ours}")
        elif expected is None:
            outcome = "only we read"
            print(f"  {row['file']}: Pillow says {reason}")
        else:
            same = expected.shape == ours.shape and (expected == ours).all()
            outcome = "same pixels" if same else "other pixels"
            if not same:
                print(f"  {row['file']}: {expected.shape} {ours.shape}")
        counts[outcome] = counts.get(outcome, 0) + 1
    print(f"odd images: {counts}")


def pillow_ms(data, seconds):
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (MEAN, STD))
    taken, start, cpu = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds or len(taken) < 3:
        begin = time.perf_counter()
        image = Image.open(io.BytesIO(data)).convert("RGB")
        width, height = image.size
        size = (256, 256 * height // width) if width <= height else (256 * width // height, 256)
        image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
        image = image.crop((left, top, left + 224, top + 224))
        pixels = np.asarray(image, np.float32).transpose(2, 0, 1) * np.float32(1 / 255)
        np.ascontiguousarray((pixels - mean) / std)
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken), (time.process_time() - cpu) * 1e3 / len(taken)


def speed(tool, folder, shared, options):
    path = shared / "payload/rime_5868.jpg"
    (folder / "spec.toml").write_text(SPEC)
    os.sched_setaffinity(0, {0})  # and so the child
    data, ours, theirs = path.read_bytes(), [], []
    for _ in range(options.rounds):
        line = subprocess.run(
            [tool, folder / "spec.toml", "time", path, str(options.seconds)], text=True, stdout=subprocess.PIPE, check=True
        ).stdout
        words = line.split()
        ours.append((float(words[1]), float(words[5])))
        theirs.append(pillow_ms(data, options.seconds))
    for i, name in enumerate(("wall", "CPU")):
        a, b = (statistics.median(run[i] for run in side) for side in (ours, theirs))
        spread = [f"{min(r[i] for r in side):.2f} to {max(r[i] for r in side):.2f}" for side in (ours, theirs)]
        print(f"decode to tensor, {name}: ours {a:.2f} ms ({spread[0]}), Pillow + NumPy {b:.2f} ms ({spread[1]}), ratio {b / a:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", type=pathlib.Path)
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["photos", "odd", "speed"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tool = options.tool.resolve()
    options.shared = options.shared.resolve() / "data"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if options.only in (None, "photos"):
            photos(tool, folder, options.shared)
        if options.only in (None, "odd"):
            odd(tool, folder, options.shared)
        if options.only in (None, "speed"):
            speed(tool, folder, options.shared, options)
