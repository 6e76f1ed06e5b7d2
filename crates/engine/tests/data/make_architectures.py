#!/usr/bin/env python3
"""Writes architectures.json: what torchvision, timm and PyTorch compute with the networks of `tintype_graph::arch`.

    make_architectures.py [NAME…]

Without names all but `vit_base_patch16_224`, which is the same code as its smaller sisters at four times the cost.
Needs torch, torchvision and timm. Weights are not stored: both sides make them of the parameters' names (`noise`, `value`).

For each network: the logits in evaluation mode, and of one step in training mode (without dropout) the loss and, of every
parameter, the gradient's norm and its products with three vectors of noise. The step is computed in f64, for pictures that
keep the network as far as possible from where a ReLU or a pooling decides otherwise by rounding alone.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

CLASSES, BATCH, VECTORS, TRIES = 5, 3, 3, 12
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def noise(seed, count):
    """SplitMix64 as numbers from -1 to 1."""
    with np.errstate(over="ignore"):
        z = (np.uint64(seed % 2**64) + np.arange(1, count + 1, dtype=np.uint64)) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)).astype(np.float32)


def value(name, shape, gain, shift):
    """A parameter's values; `shift` is the centre of the biases of batch norms."""
    u = noise(fnv(name), math.prod(shape))
    if name.endswith("running_var"):
        u = np.float32(1) + np.float32(0.5) * u
    elif len(shape) == 1 and name.endswith(".weight"):
        u = np.float32(1) + np.float32(0.3) * u
    elif len(shape) == 1:
        u = np.float32(shift) + np.float32(0.3) * u
    elif len(shape) == 3:
        u = np.float32(0.5) * u
    else:
        u = np.float32(gain / math.sqrt(math.prod(shape[1:]))) * u
    return torch.from_numpy(u.reshape(shape))


def fill(net, gain, shift):
    state = net.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            of_norm = name.endswith(".bias") and name.removesuffix("bias") + "running_mean" in state
            tensor.copy_(value(name, tuple(tensor.shape), gain, shift if of_norm else 0.0))


def pictures(seed, image):
    return torch.from_numpy(noise(seed, BATCH * 3 * image * image).reshape(BATCH, 3, image, image)) * 1.5


def targets():
    rows = torch.full((BATCH, CLASSES), 0.02, dtype=torch.float64)
    for i in range(BATCH):
        rows[i, i] = 0.92
    return rows


class BaseCnn(nn.Module):
    def __init__(self, image):
        super().__init__()
        channels, side = 3, image
        for i, width in enumerate((64, 128, 256, 512), 1):
            block = nn.Sequential()
            block.add_module("conv", nn.Conv2d(channels, width, 3))
            block.add_module("batch_norm", nn.BatchNorm2d(width))
            block.add_module("relu", nn.ReLU())
            setattr(self, f"conv_block{i}", block)
            setattr(self, f"maxpool{i}", nn.MaxPool2d(2))
            channels, side = width, (side - 2) // 2
        self.fc_block1 = nn.Sequential()
        self.fc_block1.add_module("fc", nn.Linear(channels * side * side, 100))
        self.fc_block1.add_module("relu", nn.ReLU())
        self.fc2 = nn.Linear(100, CLASSES)

    def forward(self, x):
        for i in range(1, 5):
            x = getattr(self, f"maxpool{i}")(getattr(self, f"conv_block{i}")(x))
        return self.fc2(self.fc_block1(x.flatten(1)))


def vgg19_bn():
    net = torchvision.models.vgg19_bn()
    classifier = nn.Sequential()
    for i, (inputs, outputs) in enumerate(((25088, 1028), (1028, 512), (512, CLASSES)), 1):
        classifier.add_module(f"fc{i}", nn.Linear(inputs, outputs))
        if i < 3:
            classifier.add_module(f"relu{i}", nn.ReLU())
    net.classifier = classifier
    return net


class CifarBlock(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.more = (width - channels) // 2
        self.conv1 = nn.Conv2d(channels, width, 3, 2 if self.more else 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.more:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return self.relu2(y + x)


class CifarResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        channels = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = [CifarBlock(channels if i == 0 else width, width) for i in range(depth)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            channels = width
        self.linear = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def torchvision_net(name):
    options = {"dropout": 0.0} if name.startswith("mobilenet") else {}
    return getattr(torchvision.models, name)(num_classes=CLASSES, **options)


def timm_net(name):
    return timm.create_model(name, num_classes=CLASSES, img_size=48)


# Image size, gain of the weights, centre of the norms' biases in training, and the network.
NETS = {
    "base_cnn": (48, 2.4, 2.5, lambda name: BaseCnn(48)),
    "vgg19_bn": (32, 2.4, 2.5, lambda name: vgg19_bn()),
    "resnet18": (64, 1.5, 2.5, torchvision_net),
    "resnet34": (64, 1.5, 2.5, torchvision_net),
    "resnet50": (64, 1.5, 2.5, torchvision_net),
    "resnet20": (32, 1.2, 2.5, lambda name: CifarResNet(3)),
    "resnet56": (32, 1.2, 2.5, lambda name: CifarResNet(9)),
    "mobilenet_v2": (64, 2.0, 2.5, torchvision_net),
    "mobilenet_v3_small": (64, 2.4, 0.0, torchvision_net),
    "mobilenet_v3_large": (64, 2.2, 0.0, torchvision_net),
    "vit_tiny_patch16_224": (48, 1.7, 0.0, timm_net),
    "vit_small_patch16_224": (48, 1.7, 0.0, timm_net),
    "vit_base_patch16_224": (48, 1.7, 0.0, timm_net),
    "deit_tiny_patch16_224": (48, 1.7, 0.0, timm_net),
}
SLOW = ["vit_base_patch16_224"]
KINKS = {nn.ReLU: (0.0,), nn.ReLU6: (0.0, 6.0), nn.Hardswish: (-3.0, 3.0), nn.Hardsigmoid: (-3.0, 3.0)}


def watch(net):
    """Collects how near the network comes to a place where its slope jumps."""
    distances = []

    def before(module, inputs):
        x = inputs[0].detach()
        if isinstance(module, nn.MaxPool2d):
            pad = F.pad(x, [module.padding] * 4, value=-1e9)
            windows = pad.unfold(2, module.kernel_size, module.stride).unfold(3, module.kernel_size, module.stride)
            top = windows.flatten(4).topk(2).values
            gaps = (top[..., 0] - top[..., 1])[top[..., 0] > 0]
            distances.append(float(gaps.min()) if gaps.numel() else math.inf)
        else:
            distances.extend(float((x - kink).abs().min()) for kink in KINKS[type(module)])

    for module in net.modules():
        if isinstance(module, (*KINKS, nn.MaxPool2d)):
            module.register_forward_pre_hook(before)
    return distances


def short(number):
    return float(f"{float(number):.6g}")


def reference(name):
    image, gain, shift, make = NETS[name]
    net = make(name)
    fill(net, gain, 0.0)
    with torch.no_grad():
        logits = net.eval().double()(pictures(100, image).double())
    net = make(name).double()
    distances = watch(net)
    fill(net, gain, shift)
    net.train()
    best = (-1.0, 0)
    for seed in range(101, 101 + TRIES):
        distances.clear()
        with torch.no_grad():
            net(pictures(seed, image).double())
        best = max(best, (min(distances, default=math.inf), seed))
    distance, seed = best
    fill(net, gain, shift)
    loss = F.cross_entropy(net(pictures(seed, image).double()), targets())
    loss.backward()
    gradients = {}
    for key, parameter in net.named_parameters():
        g = parameter.grad.flatten().numpy()
        products = [g @ noise(fnv(key) + k, g.size).astype(np.float64) for k in range(1, VECTORS + 1)]
        gradients[key] = [short(n) for n in (np.linalg.norm(g), *products)]
    print(f"{name}: logits {logits.std(0).mean():.3g} apart, of {logits.abs().max():.3g}; "
          f"nearest jump {distance:.1e}", flush=True)
    return {
        "image": image, "gain": gain, "shift": shift, "seed": seed,
        "logits": [round(float(v), 7) for v in logits.flatten()], "loss": short(loss.detach()), "gradients": gradients,
    }


def main():
    path = Path(__file__).with_name("architectures.json")
    names = sys.argv[1:] or [n for n in NETS if n not in SLOW]
    found = json.loads(path.read_text()) if sys.argv[1:] and path.exists() else {}
    found.update({name: reference(name) for name in names})
    lines = [f"{json.dumps(name)}: {json.dumps(found[name], separators=(',', ':'))}" for name in NETS if name in found]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
