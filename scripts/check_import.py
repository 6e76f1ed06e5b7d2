#!/usr/bin/env python3
"""Checks `tintype package import` against PyTorch: networks of torchvision, timm and transformers with random weights, saved in
every form, imported, and run by ONNX Runtime on the same pictures.

    scripts/check_import.py TINTYPE

TINTYPE is the binary. Prints the largest difference of a logit for each and exits with 1 when one is above 1e-4.
Needs Python with torch, torchvision, timm, transformers, safetensors and onnxruntime.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import timm
import torch
import torchvision
import transformers
from safetensors.torch import save_file

TOLERANCE = 1e-4


def shaken(net):
    """Random statistics and scales, as after a training."""
    generator = torch.Generator().manual_seed(7)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(1 + torch.rand(tensor.shape, generator=generator))
        elif tensor.ndim == 1 and tensor.is_floating_point():
            tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))
    return net.eval()


def config_of_timm(net):
    keys = ("input_size", "mean", "std", "crop_pct", "crop_mode", "interpolation")
    pretrained = {k: v for k, v in net.pretrained_cfg.items() if k in keys}
    return {"architecture": net.pretrained_cfg["architecture"], "pretrained_cfg": pretrained}


def torchvision_state(folder):
    net = shaken(torchvision.models.resnet18())
    torch.save(net.state_dict(), folder / "w.pth")
    return net, folder / "w.pth", ["--arch", "resnet18"]


def torchvision_module(folder):
    net = shaken(torchvision.models.mobilenet_v3_small())
    torch.save(net, folder / "w.pt")
    return net, folder / "w.pt", ["--arch", "mobilenet_v3_small"]


def torchvision_parallel_legacy(folder):
    net = shaken(torchvision.models.mobilenet_v2())
    state = torch.nn.DataParallel(net).state_dict()
    torch.save({"state_dict": state, "epoch": 1}, folder / "w.th", _use_new_zipfile_serialization=False)
    return net, folder / "w.th", ["--arch", "mobilenet_v2"]


def lightning(folder):
    net = shaken(torchvision.models.resnet34())
    state = {f"model.{name}": tensor for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters())
    torch.save({"state_dict": state, "epoch": 1, "optimizer_states": [optimizer.state_dict()],
                "hyper_parameters": {"path": folder}}, folder / "w.ckpt")
    return net, folder / "w.ckpt", ["--arch", "resnet34"]


def of_timm(name):
    def make(folder):
        net = shaken(timm.create_model(name))
        save_file(net.state_dict(), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config_of_timm(net)))
        return net, folder, []
    return make


def transformers_vit(folder):
    config = transformers.ViTConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768, num_labels=10)
    net = shaken(transformers.ViTForImageClassification(config))
    net.save_pretrained(folder)
    transformers.ViTImageProcessor().save_pretrained(folder)
    return net, folder, []


def transformers_resnet(folder):
    net = shaken(transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=10)))
    net.save_pretrained(folder)
    return net, folder, []


CASES = {
    "torchvision resnet18, .pth": torchvision_state,
    "torchvision mobilenet_v3_small, pickled whole": torchvision_module,
    "torchvision mobilenet_v2, DataParallel, the format before 1.6": torchvision_parallel_legacy,
    "torchvision resnet34, Lightning's .ckpt": lightning,
    "timm vit_tiny_patch16_224, .safetensors": of_timm("vit_tiny_patch16_224"),
    "timm deit_tiny_patch16_224, .safetensors": of_timm("deit_tiny_patch16_224"),
    "timm resnet50, .safetensors": of_timm("resnet50"),
    "timm mobilenetv2_100, .safetensors": of_timm("mobilenetv2_100"),
    "transformers ViT, .safetensors": transformers_vit,
    "transformers ResNet-50, .safetensors": transformers_resnet,
}


def main(binary):
    failed = False
    pictures = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 224, 224), np.float32))
    for name, make in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            torch.manual_seed(1)
            net, source, words = make(folder)
            command = [binary, "--log", "warn", "package", "import", source, "--out", folder / "repository", *words]
            made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            with torch.no_grad():
                expected = net(pictures)
            expected = getattr(expected, "logits", expected).numpy()
            found = ort.InferenceSession(f"{made}/1/model.onnx").run(None, {"input": pictures.numpy()})[0]
        difference = np.abs(found - expected).max()
        failed |= not difference <= TOLERANCE
        print(f"{difference:8.1e} of {np.abs(expected).max():6.2f}   {name}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
