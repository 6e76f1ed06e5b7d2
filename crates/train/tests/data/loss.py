"""PyTorch's cross-entropy with smoothing, weights and mixed targets: writes loss.json. Run: python loss.py (torch 2.x, timm 1.x)."""

import json
import pathlib

import torch
from timm.data.mixup import mixup_target
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
CLASSES, ROWS = 4, 6
cases = []
for smoothing, weights, own in [
    (0.0, None, None),
    (0.1, None, None),
    (0.0, [0.5, 1.0, 2.0, 0.25], None),
    (0.2, [0.5, 1.0, 2.0, 0.25], None),
    (0.0, None, 0.3),
    (0.1, None, 0.7),
    (0.1, [0.5, 1.0, 2.0, 0.25], 0.6),
]:
    logits = torch.randn(ROWS, CLASSES, requires_grad=True)
    classes = torch.randint(CLASSES, (ROWS,))
    weight = None if weights is None else torch.tensor(weights)
    if own is None:
        loss = cross_entropy(logits, classes, weight=weight, label_smoothing=smoothing)
    else:
        targets = mixup_target(classes, CLASSES, own, smoothing)
        loss = cross_entropy(logits, targets, weight=weight)
    loss.backward()
    cases.append(
        {
            "smoothing": smoothing,
            "weights": weights,
            "own": own,
            "logits": logits.flatten().tolist(),
            "classes": classes.tolist(),
            "loss": loss.item(),
            "gradient": logits.grad.flatten().tolist(),
        }
    )
pathlib.Path(__file__).with_name("loss.json").write_text(json.dumps(cases))
