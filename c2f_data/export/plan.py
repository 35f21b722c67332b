"""What is exported: which form, splits and levels, and what only the user can state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from c2f_data.errors import ConfigError
from c2f_data.shards.manifest import ShardEntry, ShardManifest

Target = Literal["webdataset", "parquet", "folder"]
ALL = "all"


@dataclass(frozen=True, slots=True)
class Statement:
    """What c2f can't know about a data set; None: left for the user to state.

    Attributes:
        licence: an SPDX identifier (``CC-BY-4.0``), a URL, or a name.
        creators: who made the data set; empty: not stated.
        url: the page of the data set.

    Raises:
        ConfigError: the URL is none.
    """

    licence: str | None = None
    creators: tuple[str, ...] = ()
    url: str | None = None

    def __post_init__(self) -> None:
        if self.url is not None and not re.fullmatch(r"https?://[^\s<>\"]+", self.url):
            raise ConfigError(
                f"--url {self.url} is no address of a page", "It begins with https:// or http://."
            )


@dataclass(frozen=True)
class ExportPlan:
    """What an export holds.

    Attributes:
        manifest: of the shards that are read.
        splits: in the manifest's order.
        levels: whose images are exported, coarse to fine; labels are always those of all levels.
    """

    target: Target
    manifest: ShardManifest
    splits: tuple[str, ...]
    levels: tuple[str, ...]

    @property
    def all_levels(self) -> tuple[str, ...]:
        """Level names, coarse to fine: the columns of the labels."""
        return tuple(level.name for level in self.manifest.levels)

    @cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Class names per level, coarse to fine; the position is the class id."""
        return self.manifest.taxonomy.names

    def resolution(self, level: str) -> int | None:
        """Shorter side in pixels of a level's images; None: native."""
        return next(v.resolution for v in self.manifest.levels if v.name == level)

    def entries(self, split: str) -> tuple[ShardEntry, ...]:
        """The shards of a split, in order. One file of an export comes of each."""
        return self.manifest.entries(split)

    def images(self, split: str) -> int:
        """Number of images of a split."""
        return self.manifest.images[split]

    @property
    def total(self) -> int:
        """Number of images of all splits that are exported; each has one picture a level."""
        return sum(self.images(split) for split in self.splits)

    @property
    def stored_bytes(self) -> int:
        """Size in bytes of the pictures as the shards hold them, for an estimate."""
        return sum(
            payload.bytes
            for split in self.splits
            for entry in self.entries(split)
            for payload in entry.payloads
            if payload.level in self.levels
        )


def make_plan(
    manifest: ShardManifest, target: Target, *, split: str = ALL, levels: Sequence[str] = ()
) -> ExportPlan:
    """Check what a user asked for.

    Args:
        split: a split, or ``all``.
        levels: whose images are wanted, in any order; none: all of them.

    Raises:
        ConfigError: no such split or level.
    """
    known = tuple(level.name for level in manifest.levels)
    for level in levels:
        if level not in known:
            raise ConfigError(
                f"--levels {level}: the shards have no such level",
                f"Their levels are {', '.join(known)}.",
            )
    if split != ALL and split not in manifest.images:
        raise ConfigError(
            f"--split {split}: the shards have no such split",
            f"Their splits are {', '.join(manifest.images)}.",
        )
    chosen = tuple(level for level in known if level in levels) or known
    splits = tuple(manifest.images) if split == ALL else (split,)
    return ExportPlan(target, manifest, splits, chosen)
