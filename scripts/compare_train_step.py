#!/usr/bin/env python3
"""Times one training step of the small CNN, tintype and PyTorch eager in turns, and prints medians and spread.

    scripts/compare_train_step.py [--rounds 4] [--steps 8] [--threads 2] [--max-ratio 1.0]

64x64 pictures, batch 32, Adam, train-mode batch norm, dropout; data and weights are random in both. Needs Python with
PyTorch; tintype's side is built by cargo. Both sides are run in processes of their own, A B A B, so that a busy
machine slows both alike. Exits with 1 when the ratio of the medians is above --max-ratio.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 2


def torch_steps(steps, threads, channels_last):
    import torch
    from torch import nn

    torch.manual_seed(1)
    torch.set_num_threads(threads)
    layers, channels = [], 3
    for width in (64, 128, 256, 512):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        channels = width
    head = [nn.Flatten(), nn.Linear(512 * 4 * 4, 100), nn.ReLU(), nn.Dropout(0.5), nn.Linear(100, 2)]
    model = nn.Sequential(*layers, *head)
    pictures = torch.rand(32, 3, 64, 64) * 2 - 1
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    targets = torch.arange(32) % 2
    optimizer = torch.optim.Adam(model.parameters())
    times, cpu = [], 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            cpu = time.process_time()
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pictures), targets)
        loss.backward()
        optimizer.step()
        value = loss.item()
        if step >= WARM_UP:
            times.append((time.perf_counter() - start) * 1e3)
    cpu = (time.process_time() - cpu) * 1e3 / max(steps, 1)
    return {"steps": times, "cpu_ms": cpu, "loss": value}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-ratio", type=float)
    parser.add_argument("--torch", choices=["eager", "channels_last"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        print(json.dumps(torch_steps(args.steps, args.threads, args.torch == "channels_last")))
        return 0

    cargo = ["cargo", "build", "--release", "--quiet", "-p", "tintype-engine", "--example", "train_step"]
    messages = subprocess.run(
        [*cargo, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    artifacts = (json.loads(line) for line in messages.splitlines())
    binary = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == "train_step"][-1]
    numbers = [str(args.steps), str(args.threads)]
    this = [sys.executable, __file__, "--steps", numbers[0], "--threads", numbers[1], "--torch"]
    sides = {
        "tintype": [binary, *numbers],
        "PyTorch": [*this, "eager"],
        "PyTorch, channels last": [*this, "channels_last"],
    }
    times, cpu = {name: [] for name in sides}, {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, command in sides.items():
            result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            times[name] += result["steps"]
            cpu[name].append(result["cpu_ms"])

    count = args.rounds * args.steps
    print(f"ms a step, {count} steps in {args.rounds} rounds, {args.threads} threads")
    for name, values in times.items():
        values.sort()
        print(
            f"{name:24} median {statistics.median(values):7.1f}   least {values[0]:7.1f}   "
            f"most {values[-1]:7.1f}   CPU {statistics.median(cpu[name]):7.1f}"
        )
    ratio = statistics.median(times["tintype"]) / statistics.median(times["PyTorch"])
    print(f"tintype / PyTorch: {ratio:.2f}")
    return int(args.max_ratio is not None and ratio > args.max_ratio)


if __name__ == "__main__":
    sys.exit(main())
