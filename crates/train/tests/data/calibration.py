"""Temperature by torch's LBFGS and calibration errors by torchmetrics: writes calibration.json.

Run: python calibration.py (torch 2.x, torchmetrics 1.x)
"""

import json
import pathlib

import torch
from torchmetrics.functional.classification import multiclass_calibration_error

cases = []
for seed, (classes, n, sharp) in enumerate([(3, 80, 3.0), (10, 120, 0.4)]):
    torch.manual_seed(seed)
    truth = torch.randint(classes, (n,))
    scores = torch.randn(n, classes)
    scores[torch.arange(n), truth] += 1.5
    scores = (scores * sharp * 1e3).round() / 1e3
    inverse = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([inverse], lr=0.5, max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores.double() * inverse, truth)
        loss.backward()
        return loss

    optimizer.step(closure)
    temperature = 1 / inverse.item()
    nll, ece = [], []
    for t in (1.0, temperature):
        scaled = scores.double() / t
        nll.append(torch.nn.functional.cross_entropy(scaled, truth).item())
        ece.append(multiclass_calibration_error(scaled.softmax(1), truth, classes, n_bins=15, norm="l1").item())
    cases.append(
        {
            "scores": [[round(x, 3) for x in row] for row in scores.tolist()],
            "truth": truth.tolist(),
            "temperature": temperature,
            "nll": nll,
            "ece": ece,
        }
    )
pathlib.Path(__file__).with_name("calibration.json").write_text(json.dumps(cases))
