"""Writes gradients.json: loss, logits, gradients and batch statistics of the small CNN, computed by PyTorch.

python make_gradients.py, with PyTorch 2 and NumPy. Parameters, images and targets are numbers that the test makes too,
by `wave`; only results are stored.
"""
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

WIDTHS, HIDDEN, CLASSES, IMAGE, BATCH = [4, 6, 8, 10], 12, 5, 16, 3


def wave(index, shape, centre=0.0, height=1.0):
    """Numbers without a short period: `centre + height * sin(1 + 12.9898 * (i + 1) + index)`, rounded to f32."""
    i = np.arange(np.prod(shape), dtype=np.float64)
    return (centre + height * np.sin(1.0 + 12.9898 * (i + 1.0) + index)).astype(np.float32).reshape(shape)


class Net(nn.Module):
    """The network of `tintype_graph::arch::small_cnn`, without dropout."""

    def __init__(self):
        super().__init__()
        channels = 3
        for i, width in enumerate(WIDTHS, 1):
            setattr(self, f"conv{i}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(width))
            channels = width
        self.fc1 = nn.Linear(channels * (IMAGE // 16) ** 2, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x):
        for i in range(1, 5):
            x = getattr(self, f"conv{i}")(x)
            x = nn.functional.max_pool2d(torch.relu(getattr(self, f"bn{i}")(x)), 2)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


torch.set_num_threads(1)
net = Net().train()
with torch.no_grad():
    for index, (name, parameter) in enumerate(net.named_parameters()):
        shape = tuple(parameter.shape)
        scale = ".weight" in name and len(shape) == 1
        height = 0.3 if len(shape) == 1 else 1.5 / np.sqrt(np.prod(shape[1:]))
        parameter.copy_(torch.from_numpy(wave(index, shape, 1.0 if scale else 0.0, height)))
images = torch.from_numpy(wave(100, (BATCH, 3, IMAGE, IMAGE)))
targets = torch.from_numpy(np.array([[1, 0, 0, 0, 0], [0, 0.9, 0.1, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2]], np.float32))
logits = net(images)
loss = -(targets * logits.log_softmax(1)).sum(1).mean()
loss.backward()

# After one step from mean 0 and variance 1 with PyTorch's momentum of 0.1.
running = {name: b for name, b in net.named_buffers() if "running" in name}
out = {
    "loss": loss.item(),
    "logits": logits.detach(),
    "gradients": {name: p.grad for name, p in net.named_parameters()},
    "running": running,
}


def numbers(value):
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    return [float(f"{v:.8g}") for v in value.flatten().tolist()] if torch.is_tensor(value) else value


path = Path(__file__).parent / "gradients.json"
path.write_text(json.dumps(numbers(out), separators=(",", ":")).replace('],"', '],\n"') + "\n")
print(path.stat().st_size, "bytes, loss", loss.item())
