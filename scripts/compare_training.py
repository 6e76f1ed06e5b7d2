#!/usr/bin/env python3
"""Trains resnet20 from scratch by the same recipe in tintype and in PyTorch; prints curves and final accuracies.

    scripts/compare_training.py [--data ../shared/data/cifar10-jpg/train] [--epochs 15] [--seeds 0,1,2]
                                [--lr 0.1] [--batch 128] [--binary target/release/tintype]

SGD with Nesterov's momentum 0.9 and weight decay 5e-4, cosine per step, padded crop and mirroring, validation on a
fifth. PyTorch learns from the same files, held out by the same split: its side reads tintype's. Needs Python with
PyTorch, torchvision and timm; the network is written out below, as in torchvision's CIFAR recipes. Exits with 1 when
the mean final accuracies are more than --points apart.
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


def torch_run(options, seed):
    import torch
    from PIL import Image
    from torch import nn
    from torchvision import transforms as T

    torch.manual_seed(seed)
    torch.set_num_threads(options.threads)

    class Block(nn.Module):
        def __init__(self, inputs, width, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            if y.shape != x.shape:
                # The shortcut without weights: every second pixel, channels of zeros on both sides.
                more = (y.shape[1] - x.shape[1]) // 2
                x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
            return torch.relu(x + y)

    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for width in (16, 32, 64):
        for block in range(3):
            layers.append(Block(inputs, width, 2 if block == 0 and width > 16 else 1))
            inputs = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)

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
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = f"""scope=all model=resnet20 data={options.data} seed={seed} run_dir={run} trainer.epochs={options.epochs}
            trainer.batch_size={options.batch} trainer.threads={options.threads} augment=cifar optim=sgd
            optim.lr={options.lr} optim.nesterov=true optim.weight_decay=0.0005 optim.schedule.name=cosine
            optim.schedule.unit=step preprocess=imagenet"""
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
