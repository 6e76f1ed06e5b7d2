#!/usr/bin/env python3
"""Times training steps of architectures, tintype and PyTorch eager in turns, and prints medians and ratios.

    scripts/compare_train_step.py [ARCH…] [--rounds 3] [--steps 3] [--threads 2] [--max-ratio 1.1]

Forward, gradients and Adam on random pictures of the architecture's own size, batch 32 (8 for vgg19_bn, 128 for resnet20), live batch norm
and dropout. Needs Python with torch, torchvision and timm; tintype's side is built by cargo. Each side runs in a process of
its own, A B A B, so that a busy machine slows both alike. Exits with 1 when a ratio of medians is above --max-ratio.
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
ARCHS = ["base_cnn", "resnet18", "resnet50", "mobilenet_v3_small", "vit_tiny_patch16_224", "vgg19_bn"]
# Images a step where they are not 32.
BATCH = {"resnet20": 128, "vgg19_bn": 8}


def network(arch):
    """PyTorch's network and the size of its pictures."""
    sys.path.insert(0, str(ROOT / "crates/engine/tests/data"))
    import make_architectures as nets

    match arch:
        case "base_cnn":
            return nets.BaseCnn(224), 224
        case "vgg19_bn":
            return nets.vgg19_bn(), 224
        case "resnet20" | "resnet56":
            return nets.CifarResNet(3 if arch == "resnet20" else 9), 32
    if arch.startswith(("vit", "deit")):
        return nets.timm.create_model(arch, num_classes=nets.CLASSES), 224
    return getattr(nets.torchvision.models, arch)(num_classes=nets.CLASSES), 224


def torch_steps(arch, steps, threads, channels_last):
    import torch
    from torch import nn

    torch.manual_seed(1)
    torch.set_num_threads(threads)
    model, image = network(arch)
    model.train()
    batch = BATCH.get(arch, 32)
    pictures = torch.rand(batch, 3, image, image) * 2 - 1
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    targets = torch.arange(batch) % 5
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
    parser.add_argument("archs", nargs="*", metavar="ARCH", default=ARCHS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-ratio", type=float)
    parser.add_argument("--torch", choices=["eager", "channels_last"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        print(json.dumps(torch_steps(args.archs[0], args.steps, args.threads, args.torch == "channels_last")))
        return 0

    cargo = ["cargo", "build", "--release", "--quiet", "-p", "tintype-engine", "--example", "train_step"]
    messages = subprocess.run(
        [*cargo, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    artifacts = (json.loads(line) for line in messages.splitlines())
    binary = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == "train_step"][-1]
    ratios = {arch: compare(binary, arch, args) for arch in args.archs}
    print(f"geometric mean {statistics.geometric_mean(ratios.values()):.2f}, most {max(ratios.values()):.2f}")
    return int(args.max_ratio is not None and max(ratios.values()) > args.max_ratio)


def compare(binary, arch, args):
    """Prints both sides' figures; returns the ratio of tintype's median to PyTorch's."""
    numbers = [str(args.steps), str(args.threads)]
    this = [sys.executable, __file__, arch, "--steps", numbers[0], "--threads", numbers[1], "--torch"]
    sides = {
        "tintype": [binary, arch, *numbers, str(BATCH.get(arch, 32))],
        "PyTorch": [*this, "eager"],
        "PyTorch, channels last": [*this, "channels_last"],
    }
    times, cpu = {name: [] for name in sides}, {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, command in sides.items():
            result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            times[name] += result["steps"]
            cpu[name].append(result["cpu_ms"])
    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = median["tintype"] / median["PyTorch"]
    print(f"{arch}: ratio {ratio:.2f}; ms a step, {args.rounds * args.steps} steps, {args.threads} threads")
    for name, values in times.items():
        print(
            f"  {name:24} median {median[name]:8.1f}   least {min(values):8.1f}   most {max(values):8.1f}   "
            f"CPU {statistics.median(cpu[name]):8.1f}",
            flush=True,
        )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
