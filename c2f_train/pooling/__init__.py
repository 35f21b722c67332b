"""Poolings: three feature maps to one vector. One file each, one line each in the registry.

Reading the registry loads no torch: a pooling's own file is imported when a model is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from c2f_data.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

Channels = tuple[int, int, int]
# d of MLPH, of HBP and of compact bilinear pooling.
USUAL_DIM = 8192


@dataclass(frozen=True, slots=True)
class Pooling:
    """A line of the registry.

    Attributes:
        file: the module of this package that holds it.
        kind: the class in it, a ``torch.nn.Module`` whose ``forward(x, y, z)`` takes three
            (B, c, h, w) maps to (B, F) and whose ``out_features`` is F. It is built as
            ``kind(channels, dim, **options)``, without ``dim`` where that is None.
        maps: which of the three maps it looks at.
        dim: the usual d, from its paper; None for a pooling without one.
        model: name of the model that is trained with it; empty: none.
        title: that model's name as papers print it.
    """

    file: str
    kind: str
    maps: str = "z"
    dim: int | None = None
    model: str = ""
    title: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


POOLINGS: Mapping[str, Pooling] = {
    "average": Pooling("average", "AveragePooling"),
    "root": Pooling("average", "AveragePooling", options={"root": True}),
    "hbp": Pooling(
        "multilinear",
        "MultiLinearPooling",
        maps="xyz",
        dim=USUAL_DIM,
        model="hbp",
        title="HBP",
        options={"trilinear": False},
    ),
    "multilinear": Pooling(
        "multilinear", "MultiLinearPooling", maps="xyz", dim=USUAL_DIM, model="mlp", title="MLP"
    ),
    "bilinear": Pooling("bilinear", "BilinearPooling", model="bcnn", title="B-CNN"),
    "tensor-sketch": Pooling(
        "compact", "TensorSketchPooling", dim=USUAL_DIM, model="cbcnn", title="CB-CNN"
    ),
    "maclaurin": Pooling(
        "compact",
        "RandomMaclaurinPooling",
        dim=USUAL_DIM,
        model="cbcnn-rm",
        title="CB-CNN, random Maclaurin",
    ),
    "kernel": Pooling("kernel", "KernelPooling", dim=4096, model="kp", title="KP"),
    "rbf-kernel": Pooling(
        "kernel",
        "KernelPooling",
        dim=4096,
        model="kp-rbf",
        title="KP, RBF kernel",
        options={"learned": False},
    ),
    "factorised": Pooling(
        "factorised",
        "FactorisedPooling",
        dim=USUAL_DIM,
        model="factorised",
        title="Factorised bilinear",
    ),
    "unit": Pooling(
        "average",
        "AveragePooling",
        model="average",
        title="Average pooling",
        options={"unit": True},
    ),
}


@dataclass(frozen=True, slots=True)
class Model:
    """What can be trained under a name.

    Attributes:
        pooling: its line in the registry.
        title: its name as papers print it.
        every_level: each level is trained at its own resolution; otherwise only I_high is.
    """

    pooling: str
    title: str
    every_level: bool = False

    @property
    def dim(self) -> int | None:
        """The usual d; None where the model has none."""
        return POOLINGS[self.pooling].dim


# MLPH has the pooling of MLP: what it adds is the hierarchy.
MODELS: Mapping[str, Model] = {
    "mlph": Model("multilinear", "MLPH", every_level=True),
    **{p.model: Model(name, p.title) for name, p in POOLINGS.items() if p.model},
}


def make_pooling(name: str, channels: Channels, dim: int) -> nn.Module:
    """Build a pooling by name; it has an attribute ``out_features``.

    Args:
        channels: of the three maps.
        dim: d: the width of projections or of a sketch; poolings without one ignore it.

    Raises:
        ConfigError: no pooling of that name.
    """
    if name not in POOLINGS:
        raise ConfigError(f"no pooling {name!r}", f"Choose one of {', '.join(POOLINGS)}.")
    line = POOLINGS[name]
    kind = getattr(import_module(f"{__name__}.{line.file}"), line.kind)
    arguments = (channels,) if line.dim is None else (channels, dim)
    return cast("nn.Module", kind(*arguments, **line.options))
