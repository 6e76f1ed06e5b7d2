#!/usr/bin/env python3
"""Measures what decoding and changing images costs a training on the CPU, beside the same steps on rows that are ready.

    scripts/measure_loader.py [ARCH…] [--photos ../shared/data/cats-dogs/train] [--small ../shared/data/cifar10-jpg/train]
                              [--rounds 3] [--epochs 3] [--most 0.05] [--binary target/release/tintype]

Three ways in turns, with `tintype train` itself, at batch 32 (128 for networks of 32 pixels), on all cores:

  ready    `augment=none`: rows of numbers in memory, which a batch only copies
  changed  `augment=imagenet` (`cifar` for 32 pixels) out of decoded images in memory
  decoded  the same with `data.cache=0`: every epoch decodes the files anew, as PyTorch's loader does

Threads that load take the cores from the steps as well as keeping them waiting, so the cost is told by the time of an image:
`cost = 1 - rate / rate of ready`, of medians over rounds and all epochs but the first. `waited` is the share of the time in
which a step stood still for its batch. Exits with 1 when `changed` costs more than --most.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHS = ["resnet20", "mobilenet_v3_small", "resnet18"]
SMALL = {"resnet20", "resnet56"}


def words(arch, way):
    """What is trained, and how its images come."""
    augment = "cifar" if arch in SMALL else "imagenet"
    return {
        "ready": ["augment=none"],
        "changed": [f"augment={augment}"],
        "decoded": [f"augment={augment}", "data.cache=0"],
    }[way] + [f"model={arch}", f"trainer.batch_size={128 if arch in SMALL else 32}"]


def epochs(arch, way, options):
    """Images a second and the share of time waited, of each epoch but the first."""
    data = options.small if arch in SMALL else options.photos
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fixed = f"""scope=all data={data} run_dir={run} data.examine=false data.val_fraction=0.05 optim=sgd optim.lr=0.01
            trainer.update_bn=0 trainer.epochs={options.epochs}"""
        command = [options.binary, "train", *fixed.split(), *words(arch, way)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [line for line in lines if line["event"] == "epoch"][1:]
    images = options.images[data]
    return [(e["images_per_second"], e["waited_seconds"] * e["images_per_second"] / images) for e in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archs", nargs="*", metavar="ARCH", default=ARCHS)
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared/data/cats-dogs/train")
    parser.add_argument("--small", type=Path, default=ROOT.parent / "shared/data/cifar10-jpg/train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--most", type=float, default=0.05)
    parser.add_argument("--binary", default=str(ROOT / "target/release/tintype"))
    options = parser.parse_args()
    options.images = {
        data: 0.95 * sum(1 for path in data.rglob("*") if path.is_file()) for data in (options.photos, options.small)
    }
    worst = 0.0
    for arch in options.archs:
        found = {"ready": [], "changed": [], "decoded": []}
        for _ in range(options.rounds):
            for way, measured in found.items():
                measured += epochs(arch, way, options)
        rate = {way: statistics.median(r for r, _ in measured) for way, measured in found.items()}
        for way, measured in found.items():
            cost = 1 - rate[way] / rate["ready"]
            rates = [r for r, _ in measured]
            print(
                f"{arch:20} {way:8} {rate[way]:8.1f} images/s ({min(rates):.1f} to {max(rates):.1f})"
                f"   cost {100 * cost:5.1f} %   waited {100 * statistics.median(w for _, w in measured):5.1f} %",
                flush=True,
            )
        worst = max(worst, 1 - rate["changed"] / rate["ready"])
    sys.exit(worst > options.most)


if __name__ == "__main__":
    main()
