"""Draws a data set of two classes and lets Hugging Face's `datasets` write it: two shards to train, one to validate.

    pip install datasets pillow numpy
    python parquet.py

Written with datasets 5.2 and pyarrow 26. `pictures.json` has the class and the SHA-256 of the picture of each row.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image
from PIL import Image as Pillow

HERE = Path(__file__).parent / "parquet"
NAMES = ["stripes", "blobs"]


def picture(label: int, number: int) -> bytes:
    """An 8 × 8 PNG: stripes, or a blob, at a place that follows from the number."""
    y, x = np.mgrid[0:8, 0:8]
    if label == 0:
        grey = 255 * ((x + number) // 2 % 2)
    else:
        grey = 255 * np.exp(-((x - number % 8) ** 2 + (y - 3) ** 2) / 4)
    rgb = np.stack([grey, grey, 255 - grey], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(rgb).save(file, "PNG")
    return file.getvalue()


def main() -> None:
    (HERE / "data").mkdir(parents=True, exist_ok=True)
    features = Features({"image": Image(), "label": ClassLabel(names=NAMES)})
    digests = {}
    for name, numbers in [
        ("train-00000-of-00002", range(0, 5)),
        ("train-00001-of-00002", range(5, 9)),
        ("validation-00000-of-00001", range(9, 12)),
    ]:
        labels = [number % 2 for number in numbers]
        images = [picture(label, number) for label, number in zip(labels, numbers)]
        rows = {"image": [{"bytes": b, "path": f"{n}.png"} for b, n in zip(images, numbers)], "label": labels}
        # Small row groups, so that a shard has several.
        Dataset.from_dict(rows, features=features).to_parquet(HERE / "data" / f"{name}.parquet", batch_size=2)
        for row, (image, label) in enumerate(zip(images, labels)):
            digests[f"data/{name}.parquet#{row}"] = [NAMES[label], hashlib.sha256(image).hexdigest()]
    (HERE / "pictures.json").write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
