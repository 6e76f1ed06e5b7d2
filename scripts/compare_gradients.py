#!/usr/bin/env python3
"""Compares the small CNN's gradients at full width with PyTorch's: 64x64 pictures, batch 32, train-mode batch norm.

    scripts/compare_gradients.py [--seeds 8] [--tolerance 1e-4]

A difference is relative: the largest of a tensor's elements as a share of the tensor's largest, and of all tensors the
worst. Among the network's millions of values a few lie so near to a ReLU's zero, or to another value of their pool,
that rounding alone decides where the gradient goes; then any two computations differ by 1e-3 or more, PyTorch's in f32
and in f64 too (the last two columns). So each ReLU and each pool of PyTorch in f64 is made to go the way that it went in
tintype: then nothing but the arithmetic is compared, and every seed has to be within the tolerance. How many went another way
by themselves, and how far from the tie those were at most (as a share of the layer's standard deviation), is shown too: only
what lies within rounding of a tie may.
Exits with 1 when any seed is beyond the tolerance, or another way was taken further than the tolerance from the tie.
Needs Python with PyTorch and NumPy; tintype's side is built by cargo.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
BATCH = 32


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        channels = 3
        for i, width in enumerate((64, 128, 256, 512), 1):
            setattr(self, f"conv{i}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(width))
            channels = width
        self.fc1 = nn.Linear(512 * 4 * 4, 100)
        self.fc2 = nn.Linear(100, 2)

    def forward(self, x, relus=None):
        """With `relus`, the results of another computation's ReLUs: goes the ways that these show."""
        self.other_ways, self.furthest = 0, 0.0
        relus = relus or [None] * 5
        for i in range(1, 5):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = self.pool(self.relu(x, relus[i - 1]), relus[i - 1])
        return self.fc2(self.relu(self.fc1(x.flatten(1)), relus[4]))

    def relu(self, x, guide):
        if guide is None:
            return torch.relu(x)
        self.note((x > 0) != (guide > 0), x.abs(), x)
        return x * (guide > 0)

    def pool(self, x, guide):
        if guide is None:
            return nn.functional.max_pool2d(x, 2)
        windows, guides = (t.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4) for t in (x, guide))
        # Of equal values the first, as PyTorch's own pooling.
        chosen = guides.argmax(4, keepdim=True)
        found, largest = windows.gather(4, chosen), windows.amax(4, keepdim=True)
        self.note(found != largest, largest - found, x)
        return found.squeeze(4)

    def note(self, other, distance, x):
        self.other_ways += int(other.sum())
        if other.any():
            self.furthest = max(self.furthest, float((distance[other].max() / x.std()).detach()))


def by_torch(net, pictures, targets, dtype, relus=None):
    other = Net().train()
    other.load_state_dict(net.state_dict())
    other = other.to(dtype)
    nn.functional.cross_entropy(other(pictures.to(dtype), relus), targets.to(dtype)).backward()
    return {name: p.grad.double().numpy() for name, p in other.named_parameters()}, other


def by_tintype(binary, net, pictures, targets):
    with tempfile.TemporaryDirectory() as folder:
        tensors = {"image": pictures, "targets": targets, **dict(net.named_parameters())}
        for name, tensor in tensors.items():
            tensor.detach().numpy().astype("<f4").tofile(f"{folder}/{name}.f32")
        subprocess.run([binary, folder], check=True)

        def read(name, shape):
            return np.fromfile(f"{folder}/{name}.f32", "<f4").reshape(shape)

        gradients = {n: read(f"{n}.gradient", p.shape).astype(float) for n, p in net.named_parameters()}
        shapes = [(BATCH, width, size, size) for width, size in ((64, 64), (128, 32), (256, 16), (512, 8))]
        relus = [torch.from_numpy(read(f"relu{i}", s)) for i, s in enumerate([*shapes, (BATCH, 100)], 1)]
        return gradients, relus


def worst(found, expected):
    return max(np.abs(found[name] - e).max() / np.abs(e).max() for name, e in expected.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    cargo = ["cargo", "build", "--release", "--quiet", "-p", "tintype-engine", "--example", "gradients"]
    messages = subprocess.run(
        [*cargo, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    artifacts = (json.loads(line) for line in messages.splitlines())
    binary = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == "gradients"][-1]

    failed = []
    print("       on tintype's ways:                           on their own ways:")
    print("seed   to PyTorch f64   other ways   furthest        to PyTorch f32   to f64    PyTorch f32 to f64")
    for seed in range(args.seeds):
        torch.manual_seed(seed)
        net, pictures = Net(), torch.randn(BATCH, 3, 64, 64)
        targets = nn.functional.one_hot(torch.arange(BATCH) % 2, 2).float()
        ours, relus = by_tintype(binary, net, pictures, targets)
        guided, guide = by_torch(net, pictures, targets, torch.float64, relus)
        (single, _), (double, _) = (by_torch(net, pictures, targets, d) for d in (torch.float32, torch.float64))
        difference = worst(ours, guided)
        print("{:4}   {:14.1e}   {:10}   {:8.1e}        {:14.1e}   {:6.1e}   {:18.1e}".format(
            seed, difference, guide.other_ways, guide.furthest,
            worst(ours, single), worst(ours, double), worst(single, double),
        ), flush=True)
        if max(difference, guide.furthest) > args.tolerance:
            failed.append(seed)
    print(f"beyond {args.tolerance:.0e}: {failed or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
