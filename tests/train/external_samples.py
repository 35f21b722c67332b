"""Tiny classifiers of every kind, for the tests of external classifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from c2f_data.taxonomy import Taxonomy

CPU = torch.device("cpu")
SIDE = 16
TREE = Taxonomy(
    "crows",
    ("family", "genus", "species"),
    (
        ("Corvidae", "Corvus", "Common Raven"),
        ("Corvidae", "Corvus", "American Crow"),
        ("Corvidae", "Pica", "Magpie"),
        ("Laridae", "Larus", "Herring Gull"),
    ),
)
NAMES = tuple(path[-1] for path in TREE.paths)
# In another order than the data set's, with two outputs that it does not have.
LABELS = ("Magpie", "tench", "American_Crow", "003.Herring_Gull", "Common Raven", "toaster")
OUTPUTS = [4, 2, 0, 3]


class Colours(nn.Module):
    """Scores that depend on the mean of each channel; a convolution, so any side will do."""

    def __init__(self, outputs: int = len(LABELS)) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, outputs)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def pixels(count: int = 5, side: int = SIDE, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def write_labels(folder: Path, names: tuple[str, ...] = LABELS) -> Path:
    path = folder / "labels.txt"
    path.write_text("\n".join(names) + "\n", encoding="utf-8")
    return path


def imagenet(images: Tensor) -> Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def export(
    path: Path, model: nn.Module, side: int | None = SIDE, batch: int | None = None, **options: str
) -> Path:
    """Save a program of float images; None leaves a dimension open."""
    dtype = torch.uint8 if options.get("dtype") == "uint8" else torch.float32
    example = torch.zeros(batch or 2, 3, side or 20, side or 20, dtype=dtype)
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {} if batch else {0: dynamic}
    shapes |= {} if side else {2: dynamic, 3: dynamic}
    program = torch.export.export(model, (example,), dynamic_shapes=(shapes,))
    torch.export.save(program, path)
    return path


def onnx_file(
    path: Path,
    shape: tuple[int | str, ...] = ("n", 3, SIDE, SIDE),
    *,
    outputs: int = len(LABELS),
    dtype: str = "FLOAT",
    softmax: bool = False,
) -> Path:
    """Write a network that maps the mean of each channel to scores: ``mean @ weight``."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    last = shape[-1] == 3
    weight = numpy_helper.from_array(onnx_weight(outputs), "weight")
    middle = list(range(1, len(shape) - 1))
    axes = numpy_helper.from_array(np.asarray(middle if last else [2, 3]), "axes")
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weight"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=1),
    ]
    result = "shares" if softmax else "scores"
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", getattr(TensorProto, dtype), shape)],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, (shape[0], outputs))],
        [weight, axes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, path)
    return path


def onnx_weight(outputs: int = len(LABELS)) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 3, (3, outputs)).astype(np.float32)
