"""What a set of shards holds, decided before the first byte is written.

A :class:`ShardPlan` is everything that determines the content, and nothing else: two machines
with equal plans and equal images write equal bytes, whatever the time, the folder or the number
of processes. Its fingerprint is in every shard, in the manifest and in every file name.

The plan carries a :class:`Reduction`, the part of a ResampleSpec that makes reduced pixels (noise
and JPEG among it). The other part (enlarged side, crop, fit) is a choice of the training, so
changing it keeps the shards; only the raw layout, whose images are enlarged already, has the
enlarged side in its plan, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from c2f_data.artefacts import fingerprint
from c2f_data.errors import ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.resample_spec import Reduction, ResampleSpec
from c2f_data.shards.encodings import (
    RAW,
    SOURCE_ENCODING,
    WEBP,
    EncodingName,
    check_available,
)
from c2f_data.shards.input_side import InputSide
from c2f_data.taxonomy import Taxonomy

SCHEMA = "c2f-shard"
SCHEMA_VERSION = 2

# Names inside a shard; docs and the README's example use the same ones.
IMAGE_IDS = "image_ids"
LABELS = "labels"
NATIVE_SIZES = "native_sizes"
CLASSES = "classes"
IMAGES = "images"
PAYLOAD = "payload"
OFFSETS = "offsets"
SIZES = "sizes"
CRC32 = "crc32"
CANONICAL = "canonical"

Layout = Literal["encoded", "raw"]

# One shard: large enough that its fsync and its sidecar cost nothing, small enough to be redone.
TARGET_BYTES = 64 * 1024 * 1024
# In the raw layout a shard of that size would hold a few dozen images; a process holds one shard.
TARGET_RAW_BYTES = 256 * 1024 * 1024
# A small data set still gives several processes something to do. A constant, because the number
# of processes must not show in the result.
SMALLEST_NUMBER_OF_SHARDS = 8


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """A level and the resolution of its images.

    Attributes:
        name: level name, for example ``genus``.
        count: number of classes.
        resolution: shorter side in pixels; None: native, the source's own bytes.

    Raises:
        ConfigError: the name can't name a dataset, or the resolution is below 2 px.
    """

    name: str
    count: int
    resolution: int | None

    def __post_init__(self) -> None:
        if self.name in ("", ".", "..") or "/" in self.name or "\0" in self.name:
            raise ConfigError(
                f"a level named {self.name!r}",
                "Rename that column of the table: letters, no slash.",
            )
        if self.resolution is not None and self.resolution < 2:
            raise ConfigError(
                f"{self.name} at {self.resolution} px", "Give 2 px or more: --resolution LEVEL=R."
            )


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """Everything that determines the content of a set of shards, besides the images' bytes.

    Attributes:
        dataset: name of the data set.
        index_fingerprint: over image ids, labels, splits, file sizes and the hierarchy.
        taxonomy_fingerprint: over the hierarchy.
        levels: coarse to fine; the finest is native, every other has a resolution.
        reduction: how reduced images are made.
        encoding: how pixels are stored where the source's bytes are not.
        enlarged: None: an image is stored at its level's resolution, native images as the
            source's own bytes. Else every level is stored decoded and enlarged to this side.
        target_bytes: weight of a shard's images, see :meth:`weight`; exceeded by less than its
            last image.

    Raises:
        ConfigError: a coarser level without a resolution, a finest level with one, or images
            that are enlarged but not raw.
    """

    dataset: str
    index_fingerprint: str
    taxonomy_fingerprint: str
    levels: tuple[LevelPlan, ...]
    reduction: Reduction
    encoding: EncodingName
    enlarged: InputSide | None
    target_bytes: int

    def __post_init__(self) -> None:
        if not self.levels:
            raise ConfigError("no levels", "Give a table with at least two levels.")
        *coarser, finest = self.levels
        missing = [level.name for level in coarser if level.resolution is None]
        if missing:
            raise ConfigError(
                f"no resolution for {', '.join(missing)}",
                f"Run `c2f calibrate`, or give it: --resolution {missing[0]}=R.",
            )
        if finest.resolution is not None:
            raise ConfigError(
                f"{finest.name} at {finest.resolution} px, but the finest level stays native",
                f"Leave out --resolution {finest.name}.",
            )
        if self.target_bytes < 1:
            raise ConfigError(f"shards of {self.target_bytes} bytes", "Give 1 byte or more.")
        if self.enlarged is not None and self.encoding != RAW:
            raise ConfigError(
                f"the raw layout with the encoding {self.encoding}",
                "The raw layout holds raw pixels: leave out --encoding.",
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all of it, in hexadecimal: equal for shards of equal content."""
        return fingerprint([SCHEMA, SCHEMA_VERSION, self])

    @property
    def native(self) -> LevelPlan:
        """The finest level."""
        return self.levels[-1]

    @property
    def layout(self) -> Layout:
        """``raw``: every level is decoded and enlarged; ``encoded``: it is not."""
        return "encoded" if self.enlarged is None else "raw"

    def encoding_of(self, level: str) -> str:
        """How a level's images are stored: ``source`` or a lossless encoding."""
        at_source = self.enlarged is None and level == self.native.name
        return SOURCE_ENCODING if at_source else self.encoding

    @property
    def canonical_encoding(self) -> EncodingName:
        """Of a native image whose source's bytes can't be used: a file, as its neighbours are."""
        return WEBP if self.enlarged is None and self.encoding == RAW else self.encoding

    def weight(self, source_bytes: int) -> int:
        """Bytes that an image counts for when images are dealt over shards."""
        if self.enlarged is None:
            return source_bytes
        return len(self.levels) * self.enlarged.typical_bytes

    def check_input(self, spec: ResampleSpec) -> None:
        """Raise ConfigError where the images are enlarged to another side than a chain's."""
        if self.enlarged is not None:
            self.enlarged.check(spec)


def plan_levels(taxonomy: Taxonomy, resolutions: Mapping[str, int]) -> tuple[LevelPlan, ...]:
    """One LevelPlan a level, coarse to fine.

    Args:
        resolutions: level name to shorter side in pixels, for every level but the finest.

    Raises:
        TaxonomyError: no level of that name.
        ConfigError: a resolution is missing, too small, or given for the finest level.
    """
    for name in resolutions:
        taxonomy.level_index(name)
    return tuple(
        LevelPlan(name, len(names), resolutions.get(name))
        for name, names in zip(taxonomy.levels, taxonomy.names, strict=True)
    )


def make_plan(
    index: DatasetIndex,
    levels: tuple[LevelPlan, ...],
    spec: Reduction,
    *,
    encoding: EncodingName = WEBP,
    enlarged: InputSide | None = None,
    target_bytes: int | None = None,
) -> ShardPlan:
    """Fix what the shards of a data set will hold.

    Args:
        spec: how images are reduced; of a whole chain its reduction counts.
        encoding: of reduced images; with ``enlarged`` it must be ``raw``.
        enlarged: store every level decoded and enlarged to this side.
        target_bytes: weight of a shard's images (:meth:`ShardPlan.weight`); None: 64 MiB, in the
            raw layout 256 MiB, or an eighth of a small data set.

    Raises:
        ConfigError: the levels are not those of the index or have no resolution, or the package
            of the encoding is absent.
    """
    check_available(encoding)
    taxonomy = index.taxonomy
    asked = tuple((level.name, level.count) for level in levels)
    have = tuple((name, taxonomy.count(name)) for name in taxonomy.levels)
    if asked != have:
        raise ConfigError(
            f"{index.dataset} has the levels {_described(have)}, not {_described(asked)}",
            "The hierarchy changed since the calibration: run `c2f calibrate` again.",
        )
    plan = ShardPlan(
        dataset=index.dataset,
        index_fingerprint=index.fingerprint,
        taxonomy_fingerprint=taxonomy.fingerprint,
        levels=levels,
        reduction=Reduction.of(spec),
        encoding=encoding,
        enlarged=enlarged,
        target_bytes=TARGET_BYTES if target_bytes is None else target_bytes,
    )
    if target_bytes is not None:
        return plan
    total = sum(plan.weight(record.bytes) for record in index.records)
    most = TARGET_BYTES if enlarged is None else TARGET_RAW_BYTES
    target = max(1, min(most, -(-total // SMALLEST_NUMBER_OF_SHARDS)))
    return replace(plan, target_bytes=target)


def _described(levels: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in levels)
