"""What torchvision makes of drawn pictures: writes augment.json.

Run: python augment.py (torchvision 0.29, Pillow 13). Pixels are hexadecimal, RGB, rows from the top.
"""

import json
import pathlib
import random

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandAugment
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import _apply_op

WIDTH, HEIGHT = 24, 19


def smooth():
    """Soft gradients with grain, in a part of the levels."""
    rng = random.Random(1)
    image = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            image.putpixel((x, y), tuple(30 + 5 * x + 3 * y * c + rng.randrange(12) for c in range(3)))
    return image


def noise():
    """Every pixel by itself, grey ones and pure ones among them."""
    rng = random.Random(2)
    image = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            pixel = [rng.randrange(256) for _ in range(3)]
            if x % 6 == 0:
                pixel = [pixel[0]] * 3
            if x % 6 == 1:
                pixel = [255 * (v > 127) for v in pixel]
            image.putpixel((x, y), tuple(pixel))
    return image


def hexed(image):
    return image.tobytes().hex()


names = ["Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast"]
names += ["Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"]
cases = []
for picture, image in [("smooth", smooth()), ("noise", noise())]:
    cases.append({"picture": picture, "change": "none", "value": 0.0, "pixels": hexed(image)})
    for change, function, values in [
        ("brightness", F.adjust_brightness, [0.0, 0.37, 1.8]),
        ("contrast", F.adjust_contrast, [0.0, 0.42, 1.9]),
        ("saturation", F.adjust_saturation, [0.0, 0.55, 1.7]),
        ("hue", F.adjust_hue, [-0.5, -0.13, 0.0, 0.21, 0.5]),
        ("mirror", lambda i, _: F.hflip(i), [0.0]),
        ("turn over", lambda i, _: F.vflip(i), [0.0]),
    ]:
        for value in values:
            pixels = hexed(function(image, value))
            cases.append({"picture": picture, "change": change, "value": value, "pixels": pixels})

space = RandAugment()._augmentation_space(31, (HEIGHT, WIDTH))
operations = []
for picture, image in [("smooth", smooth()), ("noise", noise())]:
    for index, name in enumerate(names):
        magnitudes, signed = space[name]
        for magnitude in [9, 30] if magnitudes.ndim and picture == "noise" else [9]:
            for negative in [False, True] if signed else [False]:
                value = float(magnitudes[magnitude]) if magnitudes.ndim else 0.0
                made = _apply_op(image, name, -value if negative else value, InterpolationMode.NEAREST, None)
                operations.append(
                    {
                        "picture": picture,
                        "operation": index,
                        "magnitude": magnitude,
                        "negative": negative,
                        "pixels": hexed(made),
                    }
                )
data = {"width": WIDTH, "height": HEIGHT, "changes": cases, "operations": operations}
pathlib.Path(__file__).with_name("augment.json").write_text(json.dumps(data))
