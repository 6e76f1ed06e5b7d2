#!/usr/bin/env python3
"""Trains on a GPU with tintype and with PyTorch: checks the numbers against the CPU's, then measures images a second.

    scripts/compare_train_cuda.py [ARCH…] [--device cuda:0] [--precision 32-true|16-mixed|bf16-mixed] [--images 2048]

For somebody with an NVIDIA GPU, Python with torch, torchvision, timm and Pillow, and the library of `onnxruntime-gpu` (same
version as scripts/onnxruntime.txt) where tintype finds it: `TINTYPE_ORT_LIB=…/libonnxruntime.so`. Pictures are drawn by
this script.

1. A small network without dropout learns two epochs on the CPU and on the device, in single precision and in the one asked
   for. Losses must agree within --bound: on a GPU convolutions and products use TF32 unless NVIDIA_TF32_OVERRIDE=0 is set,
   with which 1e-4 should do.
2. Each ARCH learns three epochs of the same pictures: forward, gradients and Adam, live batch norm and dropout, no
   augmentation. tintype's figure is that of its last epoch, decoding included; PyTorch's is of steps on tensors that
   are already on the GPU, eager, with autocast where precision is mixed. The ratio is therefore never in tintype's favour.

`--device cpu` runs the script itself without a GPU. Exits with 1 where the losses do not agree.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from compare_train_step import network

ROOT = Path(__file__).resolve().parent.parent
ARCHS = ["resnet18", "resnet50", "mobilenet_v3_small", "vit_tiny_patch16_224"]
CLASSES = 5


def pictures(folder, count, side):
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for index in range(count):
        place = folder / f"class{index % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        noise = generator.integers(0, 120, (side, side, 3))
        tint = np.array([60, 90, 120]) * (index % CLASSES) // 2
        Image.fromarray((noise + tint).clip(0, 255).astype("uint8")).save(place / f"{index}.bmp")


def train(binary, data, words):
    """Runs tintype; returns a dict for each epoch."""
    with tempfile.TemporaryDirectory() as run:
        command = [binary, "train", "scope=all", f"data={data}", f"run_dir={run}/run", "augment=none", "data.examine=false"]
        done = subprocess.run([*command, *words], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)}:\n{done.stderr}")
        lines = map(json.loads, (Path(run) / "run/metrics.jsonl").read_text().splitlines())
        return [line for line in lines if "train_loss" in line and "val_loss" in line]


def agrees(binary, data, device, precision, bound):
    words = ["model=resnet20", "trainer.epochs=2", "trainer.batch_size=16", "optim=sgd", "optim.lr=0.02"]
    expected = train(binary, data, [*words, "device=cpu"])
    found = train(binary, data, [*words, f"device={device}", f"trainer.precision={precision}"])
    worst = 0.0
    for cpu, gpu in zip(expected, found):
        for key in ("train_loss", "val_loss"):
            worst = max(worst, abs(cpu[key] - gpu[key]) / max(abs(cpu[key]), 1e-3))
    print(f"{precision}: losses on {device} within {worst:.1e} of the CPU's (bound {bound:.0e})", flush=True)
    return worst <= bound


def torch_speed(arch, device, precision, batch, steps):
    import torch
    from torch import nn

    model, side = network(arch)
    model = model.to(device).train()
    images = torch.rand(batch, 3, side, side, device=device) * 2 - 1
    targets = torch.arange(batch, device=device) % CLASSES
    optimizer = torch.optim.Adam(model.parameters())
    half = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}.get(precision)
    kind = device.split(":")[0]
    scaler = torch.amp.GradScaler(kind, enabled=half == torch.float16)
    warm_up = 5
    for step in range(warm_up + steps):
        if step == warm_up:
            start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(kind, dtype=half or torch.bfloat16, enabled=half is not None):
            loss = nn.functional.cross_entropy(model(images), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        loss.item()
    return batch * steps / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archs", nargs="*", metavar="ARCH", default=ARCHS)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--precision", choices=["32-true", "16-mixed", "bf16-mixed"], default="32-true")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--steps", type=int, default=30, help="steps of PyTorch's that are timed")
    parser.add_argument("--bound", type=float, default=2e-2)
    parser.add_argument("--binary", help="tintype; built with cargo where not given")
    args = parser.parse_args()
    binary = args.binary
    if binary is None:
        subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "tintype"], cwd=ROOT, check=True)
        binary = str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/tintype")

    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        pictures(small, 200, 32)
        precisions = dict.fromkeys(["32-true", args.precision])
        same = [agrees(binary, small, args.device, precision, args.bound) for precision in precisions]
        if args.archs:
            large = Path(folder) / "large"
            pictures(large, args.images, args.side)
        for arch in args.archs:
            words = [f"model={arch}", "trainer.epochs=3", f"trainer.batch_size={args.batch}", f"device={args.device}"]
            epochs = train(binary, large, [*words, f"trainer.precision={args.precision}"])
            ours = epochs[-1]["images_per_second"]
            theirs = torch_speed(arch, args.device, args.precision, args.batch, args.steps)
            print(f"{arch}: {ours:.0f} images/s, PyTorch {theirs:.0f}, ratio {ours / theirs:.2f}", flush=True)
    return int(not all(same))


if __name__ == "__main__":
    sys.exit(main())
