"""Shards of the images of shards_cases, exported; what a reader of them should find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shards_cases import SPEC, TAXONOMY, levels, make_index

from c2f_data.export.export import Exported, export
from c2f_data.export.plan import Target, make_plan
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.writer import write_shards


@dataclass(frozen=True)
class Expected:
    """An image as the reader of the shards has it."""

    image_id: str
    split: str
    labels: tuple[int, ...]
    pixels: dict[str, NDArray[np.uint8]]
    stored: dict[str, bytes]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(names[label] for names, label in zip(TAXONOMY.names, self.labels, strict=True))


def make_reader(root: Path, **how: Any) -> ShardReader:
    """Several shards a split, under ``root``."""
    write_shards(make_index(root), levels(), SPEC, root / "shards", **how)
    return ShardReader(root / "shards")


def expected(reader: ShardReader, split: str) -> Iterator[Expected]:
    """Every image of a split, in order."""
    labels = reader.labels(split)
    for i, image_id in enumerate(reader.image_ids(split)):
        yield Expected(
            image_id,
            split,
            tuple(int(label) for label in labels[i]),
            {level: reader.pixels(split, i, level) for level in reader.levels},
            {level: reader.read(split, i, level) for level in reader.levels},
        )


def write(reader: ShardReader, target: Target, out: Path, **how: Any) -> Exported:
    """An export of everything."""
    return export(reader, make_plan(reader.manifest, target), out, **how)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
