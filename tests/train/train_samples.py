"""A small striped data set, its shards, and helpers that the tests of c2f_train share.

A family is a colour, a genus the direction of coarse stripes, a species the direction of fine
ones: reduced far enough, the species look alike first and the genera next. All are rows or
columns, so that a mirror image stays in its class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions, read_predictions
from c2f_data.resample import ResampleSpec
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.sources.folder import read_folder
from c2f_data.sources.request import SourceRequest
from c2f_data.taxonomy import Taxonomy
from c2f_train.backbones import Backbone
from c2f_train.model import HierarchicalClassifier, build_model
from c2f_train.progress import Look

CPU = torch.device("cpu")
FINE, COARSE = 4.0, 18.0
PATHS = tuple(
    (f"family {f}", f"genus {f}{g}", f"species {f}{g}{s}")
    for f in range(2)
    for g in range(2)
    for s in range(2)
)
STRIPED = Taxonomy("striped", ("family", "genus", "species"), PATHS)
TWO_LEVELS = Taxonomy("striped", ("genus", "species"), tuple(path[1:] for path in PATHS))
RESOLUTIONS = {"family": 8, "genus": 24}


def stripes(label: int, height: int, width: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """An image of one of the eight species, (height, width, 3)."""
    family, genus, species = label // 4, label // 2 % 2, label % 2
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)

    def wave(across: NDArray[np.float64], period: float) -> NDArray[np.float64]:
        return np.sin(2 * np.pi * (across / period + random.random()))

    coarse = wave(columns if genus else rows, COARSE)
    fine = wave(columns if species else rows, FINE)
    grey = 128 + 45 * coarse + 45 * fine + random.normal(0, 4, (height, width))
    colour = np.array([1.2, 1.0, 0.7] if family else [0.7, 1.0, 1.2])
    return (grey[:, :, None] * colour).clip(0, 255).astype(np.uint8)


def make_striped(
    root: Path, train: int = 4, test: int = 2, taxonomy: Taxonomy = STRIPED
) -> DatasetIndex:
    """Write ``train`` and ``test`` images a species, about 72 px high, and read them back."""
    random = np.random.default_rng(7)
    for split, count in (("train", train), ("test", test)):
        for label, path in enumerate(PATHS):
            folder = root / split / path[-1]
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = (int(side) for side in random.integers(72, 84, 2))
                image = Image.fromarray(stripes(label, height, width, random))
                image.save(folder / f"{number}.png")
    return read_folder(SourceRequest("striped", root, taxonomy))


def make_shards(index: DatasetIndex, folder: Path) -> Path:
    """Shards of the data set, the genera at 24 px, the families at 8 px."""
    write_shards(index, plan_levels(index.taxonomy, RESOLUTIONS), ResampleSpec(), folder)
    return folder


class SmallBody(nn.Module):
    """Three 6-channel maps, 4 px a location: the smallest trunk that a pooling accepts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, stride=4, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.third = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.first(x).relu()
        y = self.second(x).relu()
        return x, y, self.third(y).relu()


def small_model(
    pooling: str = "multilinear",
    dim: int = 8,
    counts: tuple[int, ...] = (2, 4, 8),
    seed: int = 0,
) -> HierarchicalClassifier:
    """A model whose every parameter depends on the seed."""
    torch.manual_seed(seed)
    return build_model(Backbone("small", SmallBody(), (6, 6, 6)), pooling, dim, counts, seed)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's tensors."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors that are not bit for bit what they were."""
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def sweep_rows(folder: Path, resolution: int) -> Predictions:
    """What a calibration of the striped data set measured at a resolution."""
    (path,) = folder.glob(f"*/predictions/r{resolution:05d}.h5")
    return read_predictions(path)


class Recorder:
    """A Progress that counts steps, keeps notes, and presses Ctrl-C after a number of steps."""

    def __init__(self, stop_after: int | None = None, only: str = "") -> None:
        """Args: only: count the tasks whose name starts with this."""
        self.notes: list[str] = []
        self.steps: dict[str, int] = {}
        self._left = stop_after
        self._only = only

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[_Steps]:
        yield _Steps(self, what)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def search(self, what: str) -> Iterator[Callable[[Look], None]]:
        """Counts looks."""
        self.looks: list[Look] = []

        def look(seen: Look) -> None:
            self.looks.append(seen)
            self.count(what, 1)

        yield look

    def count(self, what: str, steps: int) -> None:
        self.steps[what] = self.steps.get(what, 0) + steps
        if self._left is not None and what.startswith(self._only):
            self._left -= steps
            if self._left <= 0:
                raise KeyboardInterrupt


class _Steps:
    def __init__(self, owner: Recorder, what: str) -> None:
        self._owner, self._what = owner, what

    def advance(self, steps: int = 1) -> None:
        self._owner.count(self._what, steps)


class StripeBody(nn.Module):
    """Fixed filters for what the striped species differ in; the third map has them, six channels.

    Fine and coarse stripes in rows and in columns, more red, more blue.
    """

    def __init__(self) -> None:
        super().__init__()
        fine, coarse, colour = torch.zeros(19), torch.zeros(19), torch.zeros(19)
        fine[7:12] = torch.tensor([1.0, 0.0, -2.0, 0.0, 1.0])  # strongest at a period of 4 px
        coarse[1:9], coarse[10:18] = -0.25, 0.25  # boxes of 8 px see nothing of 4 px
        colour[9] = 1.0
        kernels = torch.zeros(6, 3, 19, 19)
        for channel, line in enumerate((fine, coarse)):
            kernels[2 * channel, :, :, 9] = line
            kernels[2 * channel + 1, :, 9, :] = line
        kernels[4, 0, :, 9], kernels[4, 2, :, 9] = colour, -colour
        kernels[5] = -kernels[4]
        self.filters = nn.Conv2d(3, 6, 19, stride=3, bias=False)
        self.filters.weight.data.copy_(kernels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.filters(x).relu()
        return x, x, x


def stripe_backbone(name: str, weights: str | None, taps: tuple[str, ...] = ()) -> Backbone:
    """Stands in for :func:`c2f_train.backbones.build_backbone`."""
    return Backbone(name, StripeBody(), (6, 6, 6), taps, source="fixed filters")
