"""scikit-learn's figures over random answers: writes metrics.json. Run: python metrics.py (scikit-learn 1.x)."""

import json
import pathlib

import numpy as np
from sklearn import metrics

rng = np.random.default_rng(0)
cases = []
# The last class of the second case is neither true nor predicted, the one before is predicted but never true.
for classes, n, never, silent in [(3, 60, [], []), (8, 120, [6, 7], [7]), (2, 9, [], [1])]:
    truth = rng.choice([c for c in range(classes) if c not in never], n)
    scores = rng.normal(size=(n, classes)).astype("f")
    scores[np.arange(n), truth] += 1
    scores[:, silent] = -9
    predicted = scores.argmax(1)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(classes), zero_division=0
    )
    best = np.argsort(-scores, axis=1)[:, :5]
    cases.append(
        {
            "truth": truth.tolist(),
            "scores": scores.round(4).tolist(),
            "accuracy": metrics.accuracy_score(truth, predicted),
            "top5": float((best == truth[:, None]).any(1).mean()),
            "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
            "weighted_f1": metrics.f1_score(truth, predicted, average="weighted", zero_division=0),
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "f1": f1.tolist(),
            "support": support.tolist(),
            "confusion": metrics.confusion_matrix(truth, predicted, labels=range(classes)).tolist(),
        }
    )
pathlib.Path(__file__).with_name("metrics.json").write_text(json.dumps(cases))
