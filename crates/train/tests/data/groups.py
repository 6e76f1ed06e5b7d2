"""timm's layer-wise rates and weight decays: writes groups.json. Run: python groups.py (timm 1.x)."""

import json
import pathlib

import timm
from timm.optim import param_groups_layer_decay

cases = []
for name in ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_100", "efficientnet_b0"]:
    model = timm.create_model(name)
    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.75)
    names = {id(p): n for n, p in model.named_parameters()}
    of = {names[id(p)]: g for g in groups for p in g["params"]}
    parameters = [
        {"name": n, "axes": p.ndim, "rate": of[n]["lr_scale"], "decays": of[n]["weight_decay"] > 0}
        for n, p in model.named_parameters()
    ]
    # A few of each block's parameters tell its layer.
    few = ("bn1.weight", "bn1.bias", "norm1.weight", "norm1.bias", "conv_pw.weight", "qkv.weight", "conv1.weight")
    kept = [p for p in parameters if p["name"].endswith(few) or not p["name"].startswith(("blocks.", "layer"))]
    # timm counts EfficientNet's `conv_head` to the block before it and MobileNetV3's to the classifier; here both are the former.
    kept = [p for p in kept if name != "mobilenetv3_small_100" or not p["name"].startswith("conv_head")]
    cases.append({"model": name, "parameters": kept})
pathlib.Path(__file__).with_name("groups.json").write_text(json.dumps(cases))
