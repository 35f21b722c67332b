"""manifest.json: which shards there are and what is in them. Written last, so it means complete."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from c2f_data.artefacts import disk_error, read_json, write_json
from c2f_data.errors import ArtefactError
from c2f_data.provenance import Provenance
from c2f_data.resample_spec import Reduction
from c2f_data.shards.encodings import EncodingName
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.schema import LevelPlan, ShardPlan
from c2f_data.shards.tasks import SHARD_FILE
from c2f_data.sources.request import CROPS
from c2f_data.storage import Place
from c2f_data.taxonomy import Taxonomy

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
MANIFEST_SCHEMA = "c2f-shards"
MANIFEST_VERSION = 2
PROVENANCE_SCHEMA = "c2f-shards-provenance"

REBUILD = "Run `c2f shard --overwrite`: only what is damaged or missing is built again."


@dataclass(frozen=True, slots=True)
class PayloadRange:
    """Where the encoded images of a level lie in a shard: ``bytes`` bytes from ``offset``."""

    level: str
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One finished shard.

    Attributes:
        file: name in the manifest's folder.
        split: ``train`` or ``test``.
        images: number of images.
        canonical: how many of them are stored as lossless RGB instead of the source's bytes.
        bytes: size of the file.
        sha256: over the whole file.
        head_sha256: over all of it but the payloads. A reader checks it before HDF5 sees the
            file, because the HDF5 library notices no flipped byte and can crash on one.
        payloads: one a level, in the order of the file.
    """

    file: str
    split: str
    images: int
    canonical: int
    bytes: int
    sha256: str
    head_sha256: str
    payloads: tuple[PayloadRange, ...]


@dataclass(frozen=True)
class ShardManifest:
    """A finished set of shards; training needs nothing else.

    Attributes:
        dataset: name of the data set.
        plan_fingerprint: of :attr:`plan`; also in every shard and, shortened, in its name.
        levels: coarse to fine.
        images: split to number of images.
        reduction: how reduced images were made.
        encoding: how pixels are stored where the source's bytes are not.
        enlarged: see :class:`ShardPlan`.
        target_bytes: weight of a shard's images.
        index_fingerprint: of the data set.
        taxonomy_fingerprint: of the hierarchy.
        taxonomy_name: short name of the hierarchy.
        classes: one tuple of names per class, coarse to fine; the position is the class id.
        shards: in the order of their images.
        crop: what the images were cut to: ``none``, ``bbox`` or ``parts``; None: not known, for
            it was not recorded yet.
    """

    dataset: str
    plan_fingerprint: str
    levels: tuple[LevelPlan, ...]
    images: dict[str, int]
    reduction: Reduction
    encoding: EncodingName
    enlarged: InputSide | None
    target_bytes: int
    index_fingerprint: str
    taxonomy_fingerprint: str
    taxonomy_name: str
    classes: tuple[tuple[str, ...], ...]
    shards: tuple[ShardEntry, ...]
    crop: str | None = None

    @cached_property
    def plan(self) -> ShardPlan:
        """What determined the content of the shards."""
        return ShardPlan(
            dataset=self.dataset,
            index_fingerprint=self.index_fingerprint,
            taxonomy_fingerprint=self.taxonomy_fingerprint,
            levels=self.levels,
            reduction=self.reduction,
            encoding=self.encoding,
            enlarged=self.enlarged,
            target_bytes=self.target_bytes,
        )

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The hierarchy, rebuilt. Raises TaxonomyError when the classes contradict each other."""
        return Taxonomy(
            name=self.taxonomy_name,
            levels=tuple(level.name for level in self.levels),
            paths=self.classes,
            origin=MANIFEST,
        )

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(entry.bytes for entry in self.shards)

    @property
    def canonical(self) -> int:
        """Images stored as lossless RGB instead of the source's bytes."""
        return sum(entry.canonical for entry in self.shards)

    def entries(self, split: str) -> tuple[ShardEntry, ...]:
        """The shards of a split, in order."""
        return tuple(entry for entry in self.shards if entry.split == split)


def make_manifest(
    plan: ShardPlan, taxonomy: Taxonomy, shards: tuple[ShardEntry, ...], crop: str | None = None
) -> ShardManifest:
    images: dict[str, int] = {}
    for entry in shards:
        images[entry.split] = images.get(entry.split, 0) + entry.images
    return ShardManifest(
        dataset=plan.dataset,
        plan_fingerprint=plan.fingerprint,
        levels=plan.levels,
        images=images,
        reduction=plan.reduction,
        encoding=plan.encoding,
        enlarged=plan.enlarged,
        target_bytes=plan.target_bytes,
        index_fingerprint=plan.index_fingerprint,
        taxonomy_fingerprint=plan.taxonomy_fingerprint,
        taxonomy_name=taxonomy.name,
        classes=taxonomy.paths,
        shards=shards,
        crop=crop,
    )


def write_manifest(folder: Place, manifest: ShardManifest) -> None:
    """Write manifest.json, atomically. Raises ArtefactError as the disk does."""
    write_json(folder / MANIFEST, manifest, schema=MANIFEST_SCHEMA, version=MANIFEST_VERSION)


def read_manifest(folder: Place) -> ShardManifest:
    """Read and check manifest.json; the shards themselves are not opened.

    Raises:
        ArtefactError: absent, damaged, of another schema version, or it contradicts itself.
        TaxonomyError: its classes contradict each other.
    """
    path = folder / MANIFEST
    try:
        maker = "c2f shard --overwrite" if path.exists() else "c2f shard"
    except OSError as error:
        raise disk_error(error, path) from error
    manifest = read_json(
        path, ShardManifest, schema=MANIFEST_SCHEMA, version=MANIFEST_VERSION, maker=maker
    )
    fault = _fault(manifest)
    if fault:
        raise ArtefactError(f"{path}: {fault}", REBUILD)
    return manifest


def _fault(manifest: ShardManifest) -> str | None:
    """What is wrong in a manifest whose JSON has the right fields, or None."""
    if manifest.plan.fingerprint != manifest.plan_fingerprint:
        return "its plan and its plan_fingerprint differ"
    taxonomy = manifest.taxonomy
    if taxonomy.fingerprint != manifest.taxonomy_fingerprint:
        return "its classes and its taxonomy_fingerprint differ"
    if tuple(len(names) for names in taxonomy.names) != tuple(v.count for v in manifest.levels):
        return "its classes and its levels differ"
    if manifest.crop not in (None, *CROPS):
        return f"it has no crop {manifest.crop!r}"
    images: dict[str, int] = {}
    for entry in manifest.shards:
        # A name with a folder in it could point anywhere on the disk.
        if not SHARD_FILE.fullmatch(entry.file):
            return f"{entry.file!r} is not the name of a shard"
        ends = [0, *(r.offset + r.bytes for r in entry.payloads)]
        ordered = all(
            end <= r.offset and r.bytes > 0 for end, r in zip(ends, entry.payloads, strict=False)
        )
        named = {r.level for r in entry.payloads} == set(taxonomy.levels)
        if not (ordered and named and len(entry.payloads) == len(taxonomy.levels)):
            return f"the payloads of {entry.file} overlap or are not one a level"
        if entry.images < 1 or ends[-1] > entry.bytes:
            return f"{entry.file} has impossible sizes"
        images[entry.split] = images.get(entry.split, 0) + entry.images
    if len({entry.file for entry in manifest.shards}) != len(manifest.shards):
        return "a shard is listed twice"
    if images != manifest.images or not images:
        return "its shards and its number of images differ"
    return None


@dataclass(frozen=True, slots=True)
class ShardProvenance:
    """How the shards came to be; never part of what determines them.

    Attributes:
        jobs: number of processes.
    """

    provenance: Provenance
    jobs: int


def write_provenance(folder: Place, provenance: Provenance, jobs: int) -> None:
    """Write provenance.json, atomically. Raises ArtefactError as the disk does."""
    value = ShardProvenance(provenance, jobs)
    write_json(folder / PROVENANCE, value, schema=PROVENANCE_SCHEMA, version=1)
