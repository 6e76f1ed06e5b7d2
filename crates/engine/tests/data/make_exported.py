"""Writes mobile.onnx, transformer.onnx and exported.json: small networks as PyTorch's two exporters write them, and
PyTorch's gradients of their parameters under the names that the files have for them.

    python make_exported.py        (torch, torchvision, onnx, onnxscript)

Batch norms run on the batch, as in training; there is no dropout.
"""

import json
import pathlib
import warnings
from functools import partial

import numpy as np
import onnx
import torch
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent


def wave(index, count, centre, height):
    """Numbers without a pattern that another program can write down too."""
    i = np.arange(1, count + 1, dtype=np.float64)
    return (centre + height * np.sin(1.0 + 12.9898 * i + index)).astype(np.float32)


class Mobile(nn.Module):
    """Depthwise convolutions, hard activations, squeeze and excitation, as in MobileNetV3."""

    def __init__(self):
        super().__init__()
        block = partial(InvertedResidualConfig, dilation=1, width_mult=1.0)
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), norm(8), nn.Hardswish())
        self.blocks = nn.Sequential(
            InvertedResidual(block(8, 3, 16, 8, True, "RE", stride=1), norm),
            InvertedResidual(block(8, 5, 16, 8, True, "HS", stride=2), norm),
        )
        self.head = nn.Sequential(nn.Linear(8, 8), nn.Hardswish(), nn.Linear(8, 4))

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Transformer(nn.Module):
    """Patches, a class token, positions, attention in heads, GELU, as in ViT."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 5, width))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=1e-6) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        n, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).reshape(n, tokens, width))
        x = x + self.narrow(nn.functional.gelu(self.wide(self.norm2(x))))
        return self.head(self.norm3(x)[:, 0])


def fill(model):
    for index, (name, p) in enumerate(model.named_parameters()):
        # Scales near 1, shifts near 0, matrices of the size that keeps values as large as they are.
        scale = p.dim() == 1 and name.endswith("weight")
        height = 0.3 if p.dim() == 1 else 1.5 / np.sqrt(p.numel() / p.shape[0])
        values = wave(index, p.numel(), 1.0 if scale else 0.0, height)
        p.data.copy_(torch.from_numpy(values).reshape(p.shape))


def export(model, x, file, name):
    if name == "mobile":
        torch.onnx.export(
            model, (x,), file, dynamo=False, opset_version=11, training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        )
    else:
        torch.onnx.export(
            model, (x,), file, dynamo=True, opset_version=20, input_names=["image"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N")},), external_data=False,
        )
    proto = onnx.load(file)
    # Where in the exporting program a node comes from, and on which machine that lay.
    for node in proto.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in list(proto.graph.value_info) + list(proto.graph.input) + list(proto.graph.output):
        del value.metadata_props[:]
    for tensor in proto.graph.initializer:
        del tensor.metadata_props[:]
    del proto.graph.metadata_props[:]
    onnx.save(proto, file)
    return {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}


def same(a, b):
    return a.size == b.size and np.array_equal(a.ravel(), b.ravel())


def main():
    result = {}
    for name, model, size in [("mobile", Mobile(), 16), ("transformer", Transformer(), 8)]:
        fill(model)
        x = torch.from_numpy(wave(100, 3 * 3 * size * size, 0.0, 1.0)).reshape(3, 3, size, size)
        targets = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0.9, 0.1], [0.25, 0.25, 0.25, 0.25]])
        stored = export(model.eval(), x, HERE / f"{name}.onnx", name)
        logits = model.train()(x)
        loss = -(targets * logits.log_softmax(1)).sum(1).mean()
        loss.backward()
        gradients = {}
        for parameter, p in model.named_parameters():
            found = [(k, a) for k in stored for a in (p, p.T) if same(a.detach().numpy(), stored[k])]
            assert found, f"{parameter} is not in the file"
            key, layout = found[0]
            gradients[key] = (p.grad if layout is p else p.grad.T).contiguous().ravel().tolist()
        rounded = {k: [float(f"{v:.7g}") for v in values] for k, values in gradients.items()}
        result[name] = {"loss": loss.item(), "logits": logits.detach().ravel().tolist(), "gradients": rounded}
    (HERE / "exported.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
