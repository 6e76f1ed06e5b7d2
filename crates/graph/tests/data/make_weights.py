#!/usr/bin/env python3
"""Writes weights/: one small network in the forms in which people save networks.

Needs torch and safetensors. The values follow from the parameters' names (`value`), so that the test can make them too.
"""

import math
from collections import OrderedDict
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import torch
from safetensors.torch import save_file
from torch import nn

WIDTHS, HIDDEN, CLASSES, IMAGE = (2, 3, 4, 5), 6, 3, 16
FOLDER = Path(__file__).with_name("weights")


class Net(nn.Module):
    """`tintype_graph::arch::small_cnn`"""

    def __init__(self):
        super().__init__()
        channels = 3
        for i, width in enumerate(WIDTHS, 1):
            setattr(self, f"conv{i}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(width))
            channels = width
        self.fc1 = nn.Linear(channels * (IMAGE // 16) ** 2, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, CLASSES)
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x):
        for i in range(1, 5):
            x = nn.functional.max_pool2d(torch.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))), 2)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def value(name, shape):
    """Multiples of 1/64 below 2: exact in every type of float."""
    start = sum(name.encode())
    numbers = [(start + 7 * i) % 128 / 64 for i in range(math.prod(shape))]
    return torch.tensor(numbers).reshape(shape)


class Callback:
    """Something of somebody's own, as a checkpoint of Lightning's holds."""

    best = 0.5


net = Net()
for name, tensor in net.state_dict().items():
    if tensor.is_floating_point():
        tensor.copy_(value(name, tuple(tensor.shape)))
state = net.state_dict()
FOLDER.mkdir(exist_ok=True)
torch.save(state, FOLDER / "state.pth")
torch.save(state, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
torch.save(net, FOLDER / "module.pt")
# This form holds the source of every class too, and where it lay.
torch.serialization.get_source_lines_and_file = lambda _: (["class Net: ..."], 1, "net.py")
torch.save(net, FOLDER / "legacy_module.pt", _use_new_zipfile_serialization=False)
# TorchScript does not tell such buffers from others.
del net.scratch
torch.jit.trace(net.eval(), torch.zeros(1, 3, IMAGE, IMAGE)).save(FOLDER / "traced.pt")
with ZipFile(FOLDER / "traced.pt") as traced, ZipFile(FOLDER / "script.pt", "w") as script:
    for name in traced.namelist():
        # These say on which machine it was traced.
        if not name.endswith(".debug_pkl"):
            script.writestr(ZipInfo(name), traced.read(name))
(FOLDER / "traced.pt").unlink()
lightning = OrderedDict((f"model._orig_mod.{name}", tensor) for name, tensor in state.items())
optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 1e-3}]}
torch.save(
    {
        "epoch": 3, "global_step": 2**40, "pytorch-lightning_version": "2.5.0", "state_dict": lightning,
        "callbacks": {"checkpoint": Callback()}, "optimizer_states": [optimizer],
        "hyper_parameters": {"lr": 1e-3, "path": FOLDER.relative_to(FOLDER.parent)},
    },
    FOLDER / "lightning.ckpt",
)
# Views of one storage, transposed, and types of other widths.
odd = {name: tensor.to(dtype) for (name, tensor), dtype in zip(
    state.items(), [torch.float16, torch.float64, torch.bfloat16, torch.float32] * len(state)
)}
shared = torch.cat([state["fc1.weight"].T.flatten(), state["fc1.bias"]])
odd["fc1.weight"] = shared[: state["fc1.weight"].numel()].reshape(state["fc1.weight"].T.shape).T
odd["fc1.bias"] = shared[state["fc1.weight"].numel():]
odd["fc2.weight"] = nn.Parameter(state["fc2.weight"])
torch.save({"model": odd, "epoch": 1}, FOLDER / "odd.pth")
half = {f"module.{name}": t.half() if t.is_floating_point() else t for name, t in state.items()}
save_file(half, FOLDER / "half.safetensors")
torch.save({**state, "fc3.bias": torch.zeros(3), "fc1.bias": torch.zeros(7)}, FOLDER / "misfit.pth")
