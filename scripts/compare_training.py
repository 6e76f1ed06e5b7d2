#!/usr/bin/env python3
"""Trains resnet20 from scratch by the same recipe in tintype and in PyTorch; prints curves and final accuracies.

    scripts/compare_training.py [--data ../shared/data/cifar10-jpg/train] [--epochs 15] [--seeds 0,1,2]
                                [--lr 0.1] [--batch 128] [--binary target/release/tintype]

SGD with Nesterov's momentum 0.9 and weight decay 5e-4, cosine per step, padded crop and mirroring, validation on a
fifth. PyTorch learns from the same files, held out by the same split, pictures whole and normalised as ImageNet's on both
sides. Both begin with the same weights, which PyTorch draws and `tintype package import` reads, under a last layer of
zeros: at this rate the first weights alone decide several points of accuracy, on either side. --own lets tintype draw its
own. Needs Python with PyTorch, torchvision and timm. Exits with 1 when the mean final accuracies are more than --points apart.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def split(folder, seed, share=0.2):
    """The split of crates/train/src/split.rs, for classes without equal files across them."""
    train, val = [], []
    for label, name in enumerate(sorted(p.name for p in folder.iterdir() if p.is_dir())):
        units = {}
        for path in sorted((folder / name).iterdir()):
            units.setdefault(sha256(path.read_bytes()).digest(), []).append(path)
        total = sum(map(len, units.values()))
        wanted, taken = max(1, math.floor(total * share + 0.5)), 0
        for digest in sorted(units, key=lambda d: sha256(seed.to_bytes(8, "little") + d).digest()):
            held = taken < wanted
            taken += len(units[digest]) if held else 0
            (val if held else train).extend((path, label) for path in units[digest])
    return train, val


def network(seed, zeros):
    """PyTorch's resnet20 as `seed` draws it."""
    import torch
    from torch import nn

    sys.path.insert(0, str(ROOT / "crates/engine/tests/data"))
    import make_architectures as nets

    nets.CLASSES = 10
    torch.manual_seed(seed)
    model = nets.CifarResNet(3)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
    if zeros:
        nn.init.zeros_(model.linear.weight)
        nn.init.zeros_(model.linear.bias)
    return model


def torch_run(options, seed):
    import torch
    from PIL import Image
    from torch import nn
    from torchvision import transforms as T

    torch.set_num_threads(options.threads)
    model = network(seed, zeros=not options.own)
    end = [T.ToTensor(), T.Normalize(MEAN, STD)]
    changed = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), *end])
    plain = T.Compose(end)
    rows = lambda files: [(Image.open(path).convert("RGB"), label) for path, label in files]
    train, val = (rows(files) for files in split(options.data, seed))
    steps = len(train) // options.batch
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs * steps)
    curve = []
    for _ in range(options.epochs):
        began, loss_sum = time.perf_counter(), 0.0
        model.train()
        order = torch.randperm(len(train)).tolist()
        for step in range(steps):
            batch = [train[i] for i in order[step * options.batch : (step + 1) * options.batch]]
            images = torch.stack([changed(image) for image, _ in batch])
            loss = nn.functional.cross_entropy(model(images), torch.tensor([label for _, label in batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item()
        model.eval()
        right = 0
        with torch.no_grad():
            for start in range(0, len(val), 256):
                part = val[start : start + 256]
                answers = model(torch.stack([plain(image) for image, _ in part])).argmax(1)
                right += (answers == torch.tensor([label for _, label in part])).sum().item()
        curve.append((loss_sum / steps, right / len(val), time.perf_counter() - began))
    return curve


def tintype_run(options, seed):
    import torch

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run, model = folder / "run", "model=resnet20"
        if not options.own:
            torch.save(network(seed, zeros=False).state_dict(), folder / "first.pth")
            imported = ["package", "import", folder / "first.pth", "--arch", "resnet20", "--out", folder / "package"]
            subprocess.run([options.binary, *imported], check=True, stdout=subprocess.DEVNULL)
            model = f"backbone={next((folder / 'package').iterdir())}"
        words = f"""scope=all {model} data={options.data} seed={seed} run_dir={run} trainer.epochs={options.epochs}
            trainer.batch_size={options.batch} trainer.threads={options.threads} augment=cifar optim=sgd
            optim.lr={options.lr} optim.nesterov=true optim.weight_decay=0.0005 optim.schedule.name=cosine
            optim.schedule.unit=step"""
        subprocess.run([options.binary, "train", *words.split()], check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    return [(line["train_loss"], line["val_accuracy"], line["seconds"]) for line in epochs]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/cifar10-jpg/train")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--own", action="store_true", help="tintype draws its own first weights")
    parser.add_argument("--points", type=float, default=2.0)
    parser.add_argument("--binary", default=str(ROOT / "target/release/tintype"))
    options = parser.parse_args()
    finals = {"tintype": [], "pytorch": []}
    for seed in map(int, options.seeds.split(",")):
        curves = {"tintype": tintype_run(options, seed), "pytorch": torch_run(options, seed)}
        print(f"seed {seed}\nepoch   tintype: loss  accuracy  s      pytorch: loss  accuracy  s")
        for epoch, (ours, theirs) in enumerate(zip(curves["tintype"], curves["pytorch"]), 1):
            cells = [f"{loss:13.3f} {100 * right:8.2f} % {seconds:6.1f}" for loss, right, seconds in (ours, theirs)]
            print(f"{epoch:5} {'   '.join(cells)}", flush=True)
        for name, curve in curves.items():
            finals[name].append(100 * curve[-1][1])
    for name, values in finals.items():
        print(f"{name:8} final accuracy {statistics.mean(values):.2f} % ({', '.join(f'{v:.2f}' for v in values)})")
    apart = abs(statistics.mean(finals["tintype"]) - statistics.mean(finals["pytorch"]))
    print(f"{apart:.2f} points apart, {options.points} allowed")
    sys.exit(apart > options.points)


if __name__ == "__main__":
    main()
