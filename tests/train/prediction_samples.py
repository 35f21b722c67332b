"""A striped model that is good at its job, its held-out images, and what was fitted on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from train_samples import CPU, PATHS, RESOLUTIONS, STRIPED, TWO_LEVELS, stripes

from c2f_data.calibration import LevelResolution
from c2f_data.resample import Pixels, ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_train.backbones import build_backbone
from c2f_train.checkpoint import ModelMeta, save_models
from c2f_train.model import build_model
from c2f_train.prediction.network import Network

FIVE_LEVELS = Taxonomy(
    "striped",
    ("class", "order", "family", "genus", "species"),
    tuple(("Aves", f"order {path[0]}", *path) for path in PATHS),
)
NATIVE = 72
# Shorter sides in pixels of each level's training images, coarse to fine.
SIDES = {
    "class": 6,
    "order": 8,
    "family": 10,
    **{level: side for level, side in RESOLUTIONS.items() if level != "family"},
    "species": NATIVE,
}


class Stripes:
    """Held-out images, made when they are asked for; the label is the position modulo eight."""

    def __init__(self, n: int, seed: int = 0) -> None:
        self.n = n
        self.seed = seed

    def __len__(self) -> int:
        return self.n

    def pixels(self, position: int) -> Pixels:
        random = np.random.default_rng([self.seed, position])
        height, width = (int(side) for side in random.integers(NATIVE, NATIVE + 12, 2))
        return stripes(position % len(PATHS), height, width, random)

    def labels(self, taxonomy: Taxonomy = STRIPED) -> NDArray[np.int64]:
        """(n, levels) class ids."""
        return taxonomy.codes[np.arange(self.n) % len(PATHS)]


def levels_of(taxonomy: Taxonomy) -> tuple[LevelResolution, ...]:
    """Its levels with the resolutions of SIDES, the finest native."""
    return tuple(
        LevelResolution(level, taxonomy.count(level), SIDES[level], level == taxonomy.finest)
        for level in taxonomy.levels
    )


def make_model(
    folder: Path,
    taxonomy: Taxonomy = STRIPED,
    *,
    trained: tuple[str, ...] | None = None,
    resolutions: bool = True,
    seed: int = 0,
    crop: str | None = None,
) -> Path:
    """A saved model with random numbers in it: whatever it answers, it answers consistently."""
    counts = [len(names) for names in taxonomy.names]
    model = build_model(build_backbone("tiny", "none"), "multilinear", 8, counts, seed)
    meta = ModelMeta(
        backbone="tiny",
        taps=model.backbone.taps,
        pooling="multilinear",
        dim=8,
        weights="from scratch",
        taxonomy=taxonomy.name,
        levels=taxonomy.levels,
        paths=taxonomy.paths,
        trained=trained or taxonomy.levels,
        spec=ResampleSpec.for_input(32),
        resolutions=levels_of(taxonomy) if resolutions else (),
        train_fingerprint="",
        folds=1,
        seed=seed,
        crop=crop,
    )
    save_models(folder, [model], meta)
    return folder


def network_of(folder: Path) -> Network:
    """The network of a model's folder, on the CPU."""
    return Network.load(folder, CPU, "float32")


def with_meta(network: Network, **changes: object) -> Network:
    """The same network that says something else about itself."""
    return replace(network, meta=replace(network.meta, **changes))  # type: ignore[arg-type]


__all__ = ["FIVE_LEVELS", "STRIPED", "TWO_LEVELS", "Stripes", "levels_of", "make_model"]
