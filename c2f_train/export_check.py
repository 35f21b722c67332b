"""An exported model beside the model itself: the same images, the same logits but for rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from c2f_data.errors import C2FError
from c2f_data.index import TEST
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.data import CenterImages
from c2f_train.run import ShardPictures

# Of the largest logit. Two correct float32 programs differ by about 1e-6 of it.
TOLERANCE = 1e-3
RANDOM_IMAGES = 6
REAL_IMAGES = 8

Program = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True, slots=True)
class Check:
    """How far the file's logits are from PyTorch's.

    Attributes:
        random, real: images that both were asked about; real ones come from the shards.
        difference: the largest of any logit.
        largest: the largest absolute logit.
        tolerance: largest difference allowed, as a share of ``largest``.
        answers_changed: best classes that are not PyTorch's.
        runtime: what ran the file.
    """

    random: int
    real: int
    difference: float
    largest: float
    tolerance: float
    answers_changed: int
    runtime: str


def real_images(shards: Path, spec: ResampleSpec) -> Tensor:
    """Up to 8 test images as the network sees them, (n, 3, S, S) uint8, from every level's shards.

    Raises:
        C2FError: no finished shards, or images that are enlarged to another side.
    """
    reader = ShardReader(shards)
    reader.manifest.plan.check_input(spec)
    total = reader.length(TEST)
    count = min(REAL_IMAGES, total)
    images = []
    for number in range(count):
        level = reader.levels[number % len(reader.levels)]
        pixels, _ = CenterImages(ShardPictures(reader, TEST, level), spec)[number * total // count]
        images.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
    return torch.stack(images)


def random_images(side: int) -> Tensor:
    """Noise, and smooth colours that look more like a picture: (6, 3, side, side) uint8."""
    source = torch.Generator().manual_seed(0)
    half = RANDOM_IMAGES // 2
    noise = torch.randint(0, 256, (half, 3, side, side), generator=source, dtype=torch.uint8)
    coarse = torch.rand((RANDOM_IMAGES - half, 3, 4, 4), generator=source)
    smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return torch.cat([noise, smooth.mul(255).round().to(torch.uint8)])


def checked(
    graph: nn.Module, run: Program, images: Tensor, batch: int | None, runtime: str, out: Path
) -> Check:
    """Compare the file with PyTorch. Raises C2FError where they differ by more than rounding."""
    difference, largest, changed = 0.0, 0.0, 0
    for part in _parts(images, batch):
        with torch.no_grad():
            expected = graph(part)
            found = run(part)
        for a, b in zip(expected, found, strict=True):
            # NaN is passed on: max() would drop it.
            gap = float((a - b).abs().amax())
            difference = gap if math.isnan(gap) else max(difference, gap)
            largest = max(largest, float(a.abs().amax()))
            changed += int((a.argmax(dim=1) != b.argmax(dim=1)).sum())
            if not gap <= TOLERANCE * largest:
                raise C2FError(
                    f"{out.name} is not the model: a logit differs by {gap:.2g}, where the "
                    f"largest is {largest:.2g} ({runtime})",
                    "Nothing was written. Try another version of torch or onnxruntime.",
                )
    real = len(images) - RANDOM_IMAGES
    return Check(RANDOM_IMAGES, real, difference, largest, TOLERANCE, changed, runtime)


def _parts(images: Tensor, batch: int | None) -> Sequence[Tensor]:
    """In batches that the graph takes; where it takes any, in batches of 1, 2 and more."""
    if batch is None:
        return [images[:1], images[1:3], *torch.split(images[3:], 5)]
    whole = -(-len(images) // batch) * batch
    return torch.split(images[torch.arange(whole) % len(images)], batch)
