"""Running statistics of PyTorch's batch norm: writes batch_norm.json. Run: python batch_norm.py (torch 2.x)."""

import json
import pathlib

import torch

torch.manual_seed(0)
norm = torch.nn.BatchNorm2d(3)
batches = []
for _ in range(4):
    x = torch.randn(2, 3, 2, 3) * 3 + 1
    norm(x)
    batches.append(
        {
            "mean": x.mean((0, 2, 3)).tolist(),
            "variance": x.var((0, 2, 3), unbiased=False).tolist(),
        }
    )
pathlib.Path(__file__).with_name("batch_norm.json").write_text(
    json.dumps(
        {
            "count": 2 * 2 * 3,
            "batches": batches,
            "mean": norm.running_mean.tolist(),
            "variance": norm.running_var.tolist(),
        }
    )
)
