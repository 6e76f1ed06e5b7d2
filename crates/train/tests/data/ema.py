"""timm's moving averages: writes ema.json. Run: python ema.py (torch 2.x, timm 1.x)."""

import json
import pathlib

import torch
from timm.utils import ModelEmaV2, ModelEmaV3

torch.manual_seed(0)
cases = []
for warmup, decay in [(False, 0.9), (True, 0.9), (True, 0.5)]:
    model = torch.nn.Linear(3, 1, bias=False)
    start = model.weight.detach().flatten().tolist()
    ema = ModelEmaV3(model, decay=decay, use_warmup=True) if warmup else ModelEmaV2(model, decay=decay)
    weights, averages = [], []
    for step in range(1, 31):
        model.weight.data += torch.randn(1, 3)
        ema.update(model, step=step) if warmup else ema.update(model)
        weights.append(model.weight.detach().flatten().tolist())
        averages.append(ema.module.weight.detach().flatten().tolist())
    cases.append({"warmup": warmup, "decay": decay, "start": start, "weights": weights, "averages": averages})
pathlib.Path(__file__).with_name("ema.json").write_text(json.dumps(cases))
