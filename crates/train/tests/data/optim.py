"""Steps of PyTorch's optimizers: writes optim.json. Run: python optim.py (torch 2.x)."""

import json
import pathlib

import torch

torch.manual_seed(0)
cases = []
for name, lr, decay, momentum in [
    ("sgd", 0.1, 0.0, 0.0),
    ("sgd", 0.1, 0.05, 0.9),
    ("adam", 0.01, 0.0, 0.0),
    ("adam", 0.03, 0.1, 0.0),
    ("adamw", 0.01, 0.0, 0.0),
    ("adamw", 0.03, 0.3, 0.0),
]:
    start = torch.randn(20)
    weights = torch.nn.Parameter(start.clone())
    made = {
        "sgd": lambda: torch.optim.SGD([weights], lr=lr, weight_decay=decay, momentum=momentum),
        "adam": lambda: torch.optim.Adam([weights], lr=lr, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW([weights], lr=lr, weight_decay=decay),
    }[name]()
    gradients = torch.randn(10, 20) * torch.logspace(-4, 1, 20)
    for gradient in gradients:
        weights.grad = gradient.clone()
        made.step()
    cases.append(
        {
            "config": {"name": name, "lr": lr, "weight_decay": decay, "momentum": momentum},
            "start": start.tolist(),
            "gradients": gradients.tolist(),
            "end": weights.detach().tolist(),
        }
    )
pathlib.Path(__file__).with_name("optim.json").write_text(json.dumps(cases))
