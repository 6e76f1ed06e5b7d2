"""What the servers are given: models with the same random weights for every engine, and a picture.

Usage: inputs.py FOLDER [MODEL…]

Writes `FOLDER/<model>/model.onnx`, `model.pt`, `model.mar` and `tintype.toml`, and `FOLDER/picture.jpg`; what is there already stays.

Weights are drawn with a fixed seed. A network that was never trained passes on next to nothing, and its denormal numbers would
slow down some engines: so batch norms first learn their statistics from pieces of the picture, and the last layer is scaled until
its logits differ as those of a trained network do.
"""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

MODELS = ("mobilenet_v3_small", "mobilenet_v2", "resnet50", "vit_tiny")
SPEC = """[preprocess]
resize = { shorter = 256 }
crop = [224, 224]
scale = 0.00392156862745098
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""
PICTURE_SIZE, PICTURE_BYTES = (1200, 727), 230_000
SEED = 20


def draw_picture(path: Path) -> None:
    """A JPEG of a photo's size and, in bytes, of its detail."""
    rng = np.random.default_rng(SEED)
    width, height = PICTURE_SIZE
    image = Image.new("RGB", PICTURE_SIZE, (150, 180, 220))
    draw = ImageDraw.Draw(image)
    for _ in range(400):
        x, y, r = rng.integers(0, width), rng.integers(0, height), int(rng.integers(5, 120))
        draw.ellipse((x - r, y - r, x + r, y + r), tuple(int(c) for c in rng.integers(0, 256, 3)))
    image = image.filter(ImageFilter.GaussianBlur(1))
    grain = rng.normal(0, 12, (height, width, 1))
    image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))

    def encoded(quality: int) -> bytes:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return file.getvalue()

    path.write_bytes(min((encoded(quality) for quality in range(50, 96)), key=lambda jpeg: abs(len(jpeg) - PICTURE_BYTES)))


def pieces(path: Path) -> np.ndarray:
    """Some of the picture, `[n, 3, 224, 224]`, normalised as in `SPEC`."""
    pixels = np.asarray(Image.open(path).reduce(2), np.float32) / 255
    pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    corners = [(y, x) for y in (0, 60, 120) for x in range(0, 376, 50)]
    return np.stack([pixels[y : y + 224, x : x + 224] for y, x in corners]).transpose(0, 3, 1, 2).astype(np.float32)


def build(name: str, batch: np.ndarray):
    """The network with drawn weights that fit `batch`, in evaluation mode."""
    import timm
    import torch
    import torchvision

    torch.manual_seed(SEED)
    if name == "vit_tiny":
        network = timm.create_model("vit_tiny_patch16_224")
        last = network.head
    else:
        network = getattr(torchvision.models, name)()
        last = network.fc if name == "resnet50" else network.classifier[-1]
    batch = torch.from_numpy(batch)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of what it sees
    with torch.no_grad():
        network.train()(batch)
        logits = network.eval()(batch)
        last.weight.mul_(3 / logits.std(dim=1).mean())
    return network


def export(network, folder: Path) -> None:
    """Writes the network for ONNX Runtime, for PyTorch and for TorchServe."""
    import torch

    example = torch.zeros(1, 3, 224, 224)
    torch.onnx.export(network, (example,), folder / "model.onnx", input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": {0: "n"}, "output": {0: "n"}}, opset_version=17, dynamo=False)
    network = network.to(memory_format=torch.channels_last)
    with torch.no_grad():
        traced = torch.jit.trace(network, example.to(memory_format=torch.channels_last))
    torch.jit.save(torch.jit.freeze(traced), folder / "model.pt")
    archiver = Path(sys.executable).with_name("torch-model-archiver")
    subprocess.run([archiver, "--model-name", "model", "--version", "1.0", "--serialized-file", folder / "model.pt",
                    "--handler", "image_classifier", "--export-path", folder, "--force"], check=True)


def main(folder: Path, models: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "picture.jpg").exists():
        draw_picture(folder / "picture.jpg")
    for name in models or MODELS:
        if (folder / name).exists():
            continue
        print(f"exporting {name}", file=sys.stderr)
        unfinished = folder / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        export(build(name, pieces(folder / "picture.jpg")), unfinished)
        (unfinished / "tintype.toml").write_text(SPEC)
        unfinished.rename(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
