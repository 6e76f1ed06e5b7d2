"""Learning rates of PyTorch's and timm's schedules: writes schedule.json. Run: python schedule.py (torch 2.x, timm 1.x)."""

import json
import pathlib

import torch
from timm.scheduler import CosineLRScheduler
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

RATE, EPOCHS, STEPS = 0.3, 12, 5
LOSSES = [2.0, 1.5, 1.49999, 1.6, 1.6, 1.6, 1.4, 1.5, 1.5, 1.5, 1.5, 1.5]


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)


def now(made):
    return made.param_groups[0]["lr"]


def by_epoch(schedule):
    made = optimizer()
    schedule = schedule(made)
    rates = []
    for loss in LOSSES:
        rates.append(now(made))
        made.step()
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(loss)
        else:
            schedule.step()
    return rates


def timm_rates(per_step, **settings):
    made = optimizer()
    unit = STEPS if per_step else 1
    schedule = CosineLRScheduler(made, t_in_epochs=not per_step, **settings)
    rates = []
    for epoch in range(EPOCHS):
        for step in range(STEPS if per_step else 1):
            rates.append(now(made))
            if per_step:
                schedule.step_update(epoch * STEPS + step + 1)
        schedule.step(epoch + 1)
    assert len(rates) == EPOCHS * unit
    return rates


def warm_linear(made):
    """The formula of transformers' `get_linear_schedule_with_warmup`."""
    warm, total = 2 * STEPS, EPOCHS * STEPS
    return LambdaLR(made, lambda t: t / warm if t < warm else (total - t) / (total - warm))


def by_step(schedule):
    made = optimizer()
    schedule = schedule(made)
    rates = []
    for _ in range(EPOCHS * STEPS):
        rates.append(now(made))
        made.step()
        schedule.step()
    return rates


def sequential(made):
    warm = LinearLR(made, start_factor=0.01 / RATE, total_iters=3)
    return SequentialLR(made, [warm, CosineAnnealingLR(made, EPOCHS - 3, eta_min=0.001)], milestones=[3])


cases = [
    ({"name": "step", "step_size": 3, "gamma": 0.2}, by_epoch(lambda o: StepLR(o, 3, gamma=0.2))),
    (
        {"name": "multistep", "milestones": [4, 9], "gamma": 0.1},
        by_epoch(lambda o: MultiStepLR(o, [4, 9], gamma=0.1)),
    ),
    ({"name": "cosine", "min_lr": 0.01}, by_epoch(lambda o: CosineAnnealingLR(o, EPOCHS, eta_min=0.01))),
    ({"name": "linear"}, by_epoch(lambda o: PolynomialLR(o, EPOCHS, power=1.0))),
    (
        {"name": "cosine", "warmup_epochs": 3.0, "warmup_lr": 0.001, "min_lr": 1e-5},
        timm_rates(False, t_initial=EPOCHS, warmup_t=3, warmup_lr_init=0.001, lr_min=1e-5),
    ),
    (
        {"name": "cosine", "warmup_epochs": 3.0, "warmup_lr": 0.001, "unit": "step"},
        timm_rates(True, t_initial=EPOCHS * STEPS, warmup_t=3 * STEPS, warmup_lr_init=0.001),
    ),
    (
        {"name": "cosine", "warmup_epochs": 3.0, "warmup_lr": 0.001, "warmup_prefix": True},
        timm_rates(False, t_initial=EPOCHS - 3, warmup_t=3, warmup_lr_init=0.001, warmup_prefix=True),
    ),
    (
        {"name": "cosine", "warmup_epochs": 3.0, "warmup_lr": 0.01, "warmup_prefix": True, "min_lr": 0.001},
        by_epoch(sequential),
    ),
    ({"name": "linear", "warmup_epochs": 2.0, "warmup_prefix": True, "unit": "step"}, by_step(warm_linear)),
    (
        {"name": "plateau", "gamma": 0.5, "patience": 1, "threshold": 1e-4},
        by_epoch(lambda o: ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=1e-4)),
    ),
    (
        {"name": "plateau", "gamma": 0.1, "patience": 0, "threshold": 0.01, "cooldown": 2, "min_lr": 0.01},
        by_epoch(lambda o: ReduceLROnPlateau(o, factor=0.1, patience=0, threshold=0.01, cooldown=2, min_lr=0.01)),
    ),
]
data = {
    "rate": RATE,
    "epochs": EPOCHS,
    "steps": STEPS,
    "losses": LOSSES,
    "cases": [{"schedule": s, "rates": r} for s, r in cases],
}
pathlib.Path(__file__).with_name("schedule.json").write_text(json.dumps(data))
