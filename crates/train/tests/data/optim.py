"""Steps of PyTorch's optimizers: writes optim.json. Run: python optim.py (torch 2.x)."""

import json
import pathlib

import torch

torch.manual_seed(0)
cases = []
for name, rate, decay, momentum, more in [
    ("sgd", 0.1, 0.0, 0.0, {}),
    ("sgd", 0.1, 0.05, 0.9, {}),
    ("sgd", 0.1, 0.05, 0.9, {"nesterov": True}),
    ("adam", 0.01, 0.0, 0.0, {}),
    ("adam", 0.03, 0.1, 0.0, {}),
    ("adam", 0.03, 0.1, 0.0, {"betas": [0.8, 0.95], "eps": 1e-3}),
    ("adamw", 0.01, 0.0, 0.0, {}),
    ("adamw", 0.03, 0.3, 0.0, {}),
    ("adamw", 0.03, 0.3, 0.0, {"clip_norm": 1.0}),
    ("sgd", 0.1, 0.05, 0.9, {"clip_norm": 1.5}),
    ("sgd", 0.1, 0.05, 0.9, {"clip_value": 0.02}),
    ("adamw", 0.03, 0.3, 0.0, {"falling": True}),
]:
    start = torch.randn(20)
    weights = torch.nn.Parameter(start.clone())
    of = {k: v for k, v in more.items() if k in ("nesterov", "betas", "eps")}
    made = {
        "sgd": lambda: torch.optim.SGD([weights], lr=rate, weight_decay=decay, momentum=momentum, **of),
        "adam": lambda: torch.optim.Adam([weights], lr=rate, weight_decay=decay, **of),
        "adamw": lambda: torch.optim.AdamW([weights], lr=rate, weight_decay=decay, **of),
    }[name]()
    gradients = torch.randn(10, 20) * torch.logspace(-4, 1, 20)
    rates = []
    for step, gradient in enumerate(gradients):
        weights.grad = gradient.clone()
        if "falling" in more:
            made.param_groups[0]["lr"] = rate / (1 + step)
        rates.append(made.param_groups[0]["lr"])
        if "clip_norm" in more:
            torch.nn.utils.clip_grad_norm_([weights], more["clip_norm"])
        if "clip_value" in more:
            torch.nn.utils.clip_grad_value_([weights], more["clip_value"])
        made.step()
    config = {"name": name, "lr": rate, "weight_decay": decay, "momentum": momentum, **more}
    config.pop("falling", None)
    cases.append(
        {
            "config": config,
            "rates": rates,
            "start": start.tolist(),
            "gradients": gradients.tolist(),
            "end": weights.detach().tolist(),
        }
    )
pathlib.Path(__file__).with_name("optim.json").write_text(json.dumps(cases))
