"""A linear layer trained by PyTorch on whole batches: writes linear.json. Run: python linear.py (torch 2.x)."""

import json
import pathlib

import torch

torch.manual_seed(0)
rows, features, classes = 24, 5, 3
# No class is a third of the rows: the first gradient of its bias would be rounding alone, which Adam would blow up.
truth = torch.tensor([0] * 11 + [1] * 9 + [2] * 4)
x = (torch.randn(rows, features) + 1.5 * torch.eye(features)[truth]).mul(100).round().div(100)
held_x = (torch.randn(9, features) + 1.5 * torch.eye(features)[:classes].repeat(3, 1)).mul(100).round().div(100)
held_truth = torch.arange(9) % classes
layer = torch.nn.Linear(features, classes)
torch.nn.init.zeros_(layer.weight)
torch.nn.init.zeros_(layer.bias)
made = torch.optim.Adam(layer.parameters(), lr=0.05, weight_decay=0.01)
epochs = []
for _ in range(12):
    loss = torch.nn.functional.cross_entropy(layer(x), truth)
    made.zero_grad()
    loss.backward()
    made.step()
    with torch.no_grad():
        held = layer(held_x)
    epochs.append(
        {
            "train_loss": loss.item(),
            "val_loss": torch.nn.functional.cross_entropy(held, held_truth).item(),
            "val_accuracy": (held.argmax(1) == held_truth).double().mean().item(),
        }
    )
pathlib.Path(__file__).with_name("linear.json").write_text(
    json.dumps(
        {
            "x": x.flatten().tolist(),
            "truth": truth.tolist(),
            "held_x": held_x.flatten().tolist(),
            "held_truth": held_truth.tolist(),
            "epochs": epochs,
        }
    )
)
