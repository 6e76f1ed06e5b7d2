#!/usr/bin/env python3
"""Compares the gradients of classifiers that PyTorch exported with PyTorch's own: of every parameter, one training step.

    scripts/compare_exports.py [--step PATH] [--tolerance 1e-3] [NETWORK …]

Each network of timm or torchvision gets random weights, is exported by one of PyTorch's exporters (`ts`: TorchScript's, `dy`:
the one of `torch.export`), and differentiated and run by `cargo run -p tintype-engine --example step_of` (`--step` names the
built one). PyTorch computes the same step in float64 and in float32. A batch norm that the exporter folded into a convolution
answers with its running statistics, one that is still in the graph with those of the batch, on both sides.

A difference is the largest of a tensor's elements, as a share of the tensor's largest or of 1e-4 of the network's largest.
`torch` is the same of PyTorch's float32: where a ReLU lies within rounding of a tie both are large, and that is no error
of either. So the first of a few pictures is taken for which PyTorch's is below 1e-4, and a row is in order within the
tolerance or within twice PyTorch's own difference. Every parameter of PyTorch must be accounted for. Prints a table in Markdown as it goes; exits with 1 when a row is not in order. Exports go to a
temporary folder and are deleted one by one.

Needs Python with torch, torchvision, timm, onnx and NumPy.
"""

import argparse
import copy
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

ROOT = Path(__file__).resolve().parent.parent
BATCH, CLASSES = 2, 10
# Pictures that are tried for one without a tie.
TRIES = 6
# library:name:exporter:operator set:side of the pictures
NETWORKS = """
tv:resnet18:ts:11:64 tv:resnet18:dy:18:64 tv:squeezenet1_1:dy:18:64 tv:mnasnet0_5:ts:12:64
tv:mobilenet_v2:ts:17:64 tv:mobilenet_v3_small:dy:18:64 tv:shufflenet_v2_x0_5:ts:17:64 tv:densenet121:ts:12:64
tv:googlenet:ts:17:64 tv:regnet_y_400mf:dy:18:64 tv:efficientnet_b0:ts:16:64 tv:vit_b_16:ts:17:32
tm:efficientnet_b0:dy:18:64 tm:tf_efficientnetv2_b0:ts:13:64 tm:regnety_002:ts:16:64 tm:convnext_atto:dy:18:64
tm:convnext_atto:ts:17:64 tm:deit_tiny_patch16_224:dy:18:64 tm:vit_tiny_patch16_224:ts:17:64
tm:mixer_s32_224:ts:17:64 tm:resmlp_12_224:dy:18:64 tm:swin_tiny_patch4_window7_224:ts:17:224
tm:swin_tiny_patch4_window7_224:dy:18:224 tm:gmlp_s16_224:ts:17:64 tm:poolformer_s12:ts:17:64
tm:mobilevitv2_050:dy:18:64 tm:repvgg_a0:dy:18:64 tm:cait_xxs24_224:ts:17:64 tm:xcit_nano_12_p16_224:ts:17:64
tm:ghostnet_100:ts:17:64 tm:nf_resnet50:ts:17:64 tm:res2net50_26w_4s:ts:17:64 tm:levit_128s:ts:17:224
tm:crossvit_tiny_240:ts:17:240 tm:coatnet_0_rw_224:dy:18:224 tm:edgenext_xx_small:ts:17:64
""".split()


def build(library: str, name: str, side: int) -> torch.nn.Module:
    torch.manual_seed(1)
    if library == "tv":
        import torchvision

        sizes = {"image_size": side} if name.startswith("vit") else {}
        sizes |= {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **sizes)
    else:
        import timm

        try:
            model = timm.create_model(name, num_classes=CLASSES, img_size=side)
        except TypeError:
            model = timm.create_model(name, num_classes=CLASSES)
    model.eval()
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        # Equal values would hide mistakes.
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random) * 0.02)
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.add_(torch.randn(module.running_mean.shape, generator=random) * 0.1)
                module.running_var.add_(torch.rand(module.running_var.shape, generator=random) * 0.1)
    return model


def export(model: torch.nn.Module, exporter: str, opset: int, image: torch.Tensor, path: Path) -> None:
    names = {"input_names": ["input"], "output_names": ["logits"], "opset_version": opset}
    if exporter == "ts":
        axes = {"input": {0: "N"}, "logits": {0: "N"}}
        torch.onnx.export(model, (image,), str(path), dynamo=False, dynamic_axes=axes, **names)
    else:
        shapes = ({0: torch.export.Dim("N", min=1, max=1024)},)
        torch.onnx.export(
            model, (image,), str(path), dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **names
        )


def step_in_torch(model: torch.nn.Module, image: torch.Tensor, targets: torch.Tensor) -> tuple[float, dict]:
    loss = -(targets * torch.log_softmax(model(image), 1)).sum(1).mean()
    model.zero_grad()
    loss.backward()
    gradients = {n: p.grad.double().numpy() for n, p in model.named_parameters() if p.grad is not None}
    return loss.item(), gradients


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-6)


class Matcher:
    """Finds the parameter of PyTorch behind a tensor of the graph, by its name or its values."""

    def __init__(self, model: torch.nn.Module, gradients: dict):
        self.gradients = gradients
        self.values = {n: p.detach().numpy() for n, p in model.named_parameters()}
        self.scales, self.shifts = {}, {}
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.affine and not module.training:
                scale = module.weight / torch.sqrt(module.running_var + module.eps)
                self.scales[name] = scale.detach().numpy()
                self.shifts[name] = (module.bias - module.running_mean * scale).detach().numpy()

    def find(self, name: str, value: np.ndarray, gradient: np.ndarray):
        """The parameters that it accounts for, what its gradient comes to, and what it should be."""
        own = self.values.get(name)
        if own is not None and near(own, value):
            return [name], gradient, self.gradients.get(name)
        for candidate, other in self.values.items():
            if other.size != value.size:
                continue
            for turned in [lambda a: a] + ([lambda a: a.T] if other.ndim == 2 else []):
                if near(turned(other).reshape(-1), value.reshape(-1)):
                    expected = self.gradients.get(candidate)
                    expected = None if expected is None else turned(expected).reshape(-1)
                    return [candidate], gradient.reshape(-1), expected
        return self.folded(value, gradient)

    def folded(self, value: np.ndarray, gradient: np.ndarray):
        if value.ndim == 4:
            for candidate, other in self.values.items():
                for norm, scale in self.scales.items() if other.shape == value.shape else []:
                    scale = scale.reshape(-1, 1, 1, 1)
                    if scale.size == value.shape[0] and near(other * scale, value):
                        return [candidate, f"{norm}.weight"], gradient * scale, self.gradients[candidate]
        if value.ndim == 1:
            for norm, shift in self.shifts.items():
                biased = [b * self.scales[norm] + shift for b in self.values.values() if b.shape == shift.shape]
                if any(near(other, value) for other in [shift, *biased]):
                    return [f"{norm}.bias"], gradient, self.gradients[f"{norm}.bias"]
        return None


def distance(found: np.ndarray, expected: np.ndarray, largest: float) -> float:
    scale = max(np.abs(expected).max(), 1e-4 * largest)
    return float(np.abs(found.reshape(-1) - expected.reshape(-1)).max() / scale)


def compare(network: str, step: str, folder: Path) -> tuple[str, float, float]:
    """What is wrong with a network (nothing: an empty text), and the differences of tintype and of PyTorch."""
    library, name, exporter, opset, side = network.split(":")
    model = build(library, name, int(side))
    path = folder / "model.onnx"
    try:
        export(model, exporter, int(opset), torch.randn(BATCH, 3, int(side), int(side)), path)
    except Exception as error:
        return f"not exported: {str(error).splitlines()[0][:100]}", np.nan, np.nan

    graph = onnx.load(path).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:  # parameters that were equal share one tensor
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    norms = [stored[n.input[1]] for n in graph.node if n.op_type == "BatchNormalization" and n.input[1] in stored]
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.affine:
            weight = module.weight.detach().numpy()
            module.train(any(near(weight, norm) for norm in norms))
    # Of a few pictures the first that PyTorch's own rounding does not push over a tie.
    for seed in range(7, 7 + TRIES):
        random = torch.Generator().manual_seed(seed)
        image = torch.randn(BATCH, 3, int(side), int(side), generator=random)
        targets = torch.softmax(torch.randn(BATCH, CLASSES, generator=random), 1)
        loss, exact = step_in_torch(copy.deepcopy(model).double(), image.double(), targets.double())
        _, rounded = step_in_torch(copy.deepcopy(model), image, targets)
        largest = max(np.abs(g).max() for g in exact.values())
        torch_worst = max(distance(rounded[n], exact[n], largest) for n in exact)
        if torch_worst < 1e-4:
            break

    image.numpy().astype("<f4").tofile(folder / "image.f32")
    targets.numpy().astype("<f4").tofile(folder / "targets.f32")
    (folder / "batch").write_text(str(BATCH))
    ran = subprocess.run([step, path, folder], capture_output=True, text=True)
    if ran.returncode != 0:
        return ran.stderr.strip().splitlines()[-1][:200], np.nan, np.nan

    found_loss = float(np.fromfile(folder / "loss.f32", "<f4")[0])
    matcher, accounted, worst, unknown = Matcher(model, exact), set(), 0.0, []
    names = (folder / "parameters.txt").read_text().splitlines()
    for index, parameter in enumerate(names):
        base = parameter if parameter in stored else parameter.rsplit("_", 1)[0]
        value = stored.get(base)
        gradient = np.fromfile(folder / f"{index}.f32", "<f4").astype(np.float64)
        match = None if value is None else matcher.find(parameter, value, gradient.reshape(value.shape))
        if match is None or match[2] is None:
            unknown.append(parameter)
            continue
        accounted.update(match[0])
        worst = max(worst, distance(match[1], match[2], largest))
    missing = sorted(set(exact) - accounted)
    problems = []
    if abs(found_loss - loss) > 1e-4:
        problems.append(f"loss {found_loss:.6f} for {loss:.6f}")
    if missing:
        problems.append(f"{len(missing)} without a gradient, as `{missing[0]}`")
    if unknown:
        problems.append(f"{len(unknown)} that PyTorch does not have, as `{unknown[0]}`")
    return "; ".join(problems), worst, torch_worst


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("networks", nargs="*", metavar="NETWORK", help="as tv:resnet18:ts:11:64")
    arguments.add_argument("--step", help="the built example `step_of`")
    arguments.add_argument("--tolerance", type=float, default=1e-3)
    options = arguments.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    step = options.step
    if step is None:
        subprocess.run(["cargo", "build", "-q", "-p", "tintype-engine", "--example", "step_of"], cwd=ROOT, check=True)
        step = str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/examples/step_of")
    failed = 0
    print("| network | exporter, operator set | gradients | torch | |\n|---|---|---|---|---|", flush=True)
    for network in options.networks or NETWORKS:
        library, name, exporter, opset, side = network.split(":")
        with tempfile.TemporaryDirectory() as folder:
            try:
                problem, worst, torch_worst = compare(network, step, Path(folder))
            except Exception as error:  # the others are still worth knowing
                problem, worst, torch_worst = f"{type(error).__name__}: {error}"[:200], np.nan, np.nan
        if not problem and not worst <= max(options.tolerance, 2 * torch_worst):
            problem = "differs"
        failed += bool(problem)
        of = {"tv": "torchvision", "tm": "timm"}[library]
        by = {"ts": "TorchScript", "dy": "torch.export"}[exporter]
        print(f"| {of} `{name}`, {side}² | {by}, {opset} | {worst:.1e} | {torch_worst:.1e} | {problem or 'equal'} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
