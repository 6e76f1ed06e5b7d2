#!/usr/bin/env python3
"""Measures what decoding and changing images costs a training on the CPU.

    scripts/measure_loader.py [ARCH…] [--photos ../shared/data/cats-dogs/train] [--small ../shared/data/cifar10-jpg/train]
                              [--rounds 1] [--epochs 2] [--threads 2] [--most 0.05] [--binary target/release/tintype]

Three ways, with `tintype train` itself, at batch 32 (128 for networks of 32 pixels):

  ready    `augment=none`: rows of numbers in memory, which a batch only copies
  changed  `augment=imagenet` (`cifar` for 32 pixels) out of decoded images in memory
  decoded  the same with `data.cache=0`: every epoch decodes the files anew, as PyTorch's loader does

What a loader costs is the time that steps stand still for a batch (`waited_seconds` in the log) and the time of cores that its
threads take from the steps, which keep all of them busy. The latter is the threads' CPU time, as Linux counts it, by that of
all cores over the epochs, validation included. Both shares are of one run, so that a machine whose speed varies leaves them
alone; images a second are told beside them. Exits with 1 when both together are more than --most for `changed`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHS = ["resnet20", "mobilenet_v3_small", "resnet18"]
SMALL = {"resnet20", "resnet56"}
WAYS = ["ready", "changed", "decoded"]
# What the loader's threads are called, in crates/train/src/loader.rs.
THREAD = "load"


def words(arch, way):
    """What is trained, and how its images come."""
    augment = "cifar" if arch in SMALL else "imagenet"
    return {
        "ready": ["augment=none"],
        "changed": [f"augment={augment}"],
        "decoded": [f"augment={augment}", "data.cache=0"],
    }[way] + [f"model={arch}", f"trainer.batch_size={128 if arch in SMALL else 32}"]


def watch(pid, seconds, ended):
    """Keeps the CPU seconds of each loading thread as they were last seen: such a thread ends with its epoch."""
    while not ended.wait(0.01):
        for task in Path(f"/proc/{pid}/task").glob("*"):
            try:
                if (task / "comm").read_text().strip() == THREAD:
                    seconds[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except OSError:
                pass  # It has ended.


def measure(arch, way, options):
    """The epochs of a run as it logs them, and the CPU seconds of its loading threads."""
    data = options.small if arch in SMALL else options.photos
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fixed = f"""scope=all data={data} run_dir={run} data.examine=false data.val_fraction=0.05 optim=sgd optim.lr=0.01
            trainer.update_bn=0 trainer.epochs={options.epochs} trainer.threads={options.threads}"""
        command = [options.binary, "train", *fixed.split(), *words(arch, way)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seconds, ended = {}, threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, seconds, ended))
        watcher.start()
        _, errors = process.communicate()
        ended.set()
        watcher.join()
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{errors}")
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "epoch"], sum(seconds.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archs", nargs="*", metavar="ARCH", default=ARCHS)
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared/data/cats-dogs/train")
    parser.add_argument("--small", type=Path, default=ROOT.parent / "shared/data/cifar10-jpg/train")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--most", type=float, default=0.05)
    parser.add_argument("--binary", default=str(ROOT / "target/release/tintype"))
    options = parser.parse_args()
    most = 0.0
    for arch in options.archs:
        for way in options.ways.split(","):
            rates, waited, loading = [], [], []
            for _ in range(options.rounds):
                epochs, cpu = measure(arch, way, options)
                total = sum(epoch["seconds"] for epoch in epochs)
                rates += [epoch["images_per_second"] for epoch in epochs]
                waited.append(sum(epoch["waited_seconds"] for epoch in epochs) / total)
                loading.append(cpu / total / options.threads)
            cost = statistics.median(waited) + statistics.median(loading)
            print(
                f"{arch:20} {way:8} cost {100 * cost:5.1f} %: waited {100 * statistics.median(waited):4.1f} %,"
                f" cores {100 * statistics.median(loading):4.1f} %   {statistics.median(rates):7.1f} images/s",
                flush=True,
            )
            most = max(most, cost if way == "changed" else 0.0)
    sys.exit(most > options.most)


if __name__ == "__main__":
    main()
