"""Small data sets for the tests of the check-up: smooth random pictures that any test can spoil."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.checkup import CheckUp
from c2f_data.checkup.findings import Finding
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.taxonomy import Taxonomy

CLASSES = ("a", "b")
TAXONOMY = Taxonomy("t", ("family", "genus", "species"), (("F", "G", "a"), ("F", "H", "b")))


def picture(seed: int, height: int = 90, width: int = 120) -> NDArray[np.uint8]:
    """A smooth random pattern in colour; another one for every seed."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (18, 24, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: NDArray[np.uint8], form: str = "PNG", **settings: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **settings)
    return file.getvalue()


def make_index(root: Path, images: Sequence[tuple[str, str, bytes]]) -> DatasetIndex:
    """An index over (class, split, bytes), in this order."""
    records = []
    for i, (name, split, data) in enumerate(images):
        (root / f"{i}.img").write_bytes(data)
        records.append(ImageRecord(f"{i}.img", f"{i}.img", CLASSES.index(name), split, len(data)))
    return DatasetIndex("t", root, "test", TAXONOMY, tuple(records))


def usual(n: int = 40) -> list[tuple[str, str, bytes]]:
    """n different pictures, half of them train, of two classes."""
    return [
        (CLASSES[i % 2], "train" if i % 4 < 2 else "test", encoded(picture(i))) for i in range(n)
    ]


def find(result: CheckUp, topic: str) -> Finding:
    (found,) = [finding for finding in result.findings if finding.topic == topic]
    return found


def topics(result: CheckUp) -> set[str]:
    return {finding.topic for finding in result.findings}
