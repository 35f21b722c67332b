"""Check a set of shards down to the last byte, and say what is wrong in words.

What there is to hold a shard against, from cheap to dear: the manifest (size, SHA-256, head), its
sidecar, the hierarchy, the data set's index (images and labels), the images' own checksums, their
decoders, and at last the source images themselves (:mod:`c2f_data.shards.rederive`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from c2f_data.artefacts import TEMPORARY_PREFIX
from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.shards.faults import Fault, damaged_images, in_words
from c2f_data.shards.head import Head, check_size, read_head
from c2f_data.shards.manifest import MANIFEST, ShardEntry, ShardManifest, read_manifest
from c2f_data.shards.place import at_hand, file_names
from c2f_data.shards.pool import Progress, Tick, run_all
from c2f_data.shards.sidecar import Sidecar, read_sidecar, sidecar_path
from c2f_data.shards.tasks import SHARD_FILE, ShardTask, plan_shards
from c2f_data.storage import Place
from c2f_data.subset import subset_like

CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong.

    Attributes:
        file: name of the file in the folder.
        what: in words.
        images: ids of the images that are known to be affected, each with its level.
    """

    file: str
    what: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardCheck:
    """All that a process needs to check one shard.

    Attributes:
        manifest: without its list of shards.
        task: the shard as the data set has it now; None: not known.
        decode: decode every image at every level.
        rederive: make every image anew from its source and compare.
    """

    folder: Place
    manifest: ShardManifest
    entry: ShardEntry
    task: ShardTask | None
    decode: bool
    rederive: bool


def verify(
    folder: Place,
    *,
    decode: bool = False,
    index: DatasetIndex | None = None,
    rederive: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Problem]:
    """Check every shard: there, of its size, SHA-256, schema, offsets, labels; more if asked.

    Args:
        decode: also decode every image at every level and compare its size.
        index: the data set, where it is at hand: images and labels must be its own.
        rederive: also make every image anew from its source and compare: the finest level's bytes
            (or pixels, where they are stored as lossless RGB), every other level's pixels. It
            needs ``index``.
        jobs: number of processes; 1: in this one.
        progress: called with bytes done and bytes in all.

    Returns:
        The problems, in the order of the manifest; empty: all is well.

    Raises:
        ArtefactError: the manifest is absent, damaged, or of another schema version.
        C2FError: one of the processes was killed.
    """
    manifest = read_manifest(folder)
    if index is not None:
        index = subset_like(index, manifest.classes)
    problems = []
    if index is not None and index.fingerprint != manifest.index_fingerprint:
        problems.append(Problem(MANIFEST, changed_data_set(index, manifest)))
        index = None
    checks = _Checks(folder, manifest, index, decode=decode, rederive=rederive)
    total = sum(_steps(check.entry, check) for check in checks)
    for found in run_all(check_shard, checks, jobs, total, progress):
        problems += found
    return problems


def changed_data_set(index: DatasetIndex, manifest: ShardManifest) -> str:
    """In words: the data set is not the one that the shards were made from."""
    hierarchy = index.taxonomy.fingerprint != manifest.taxonomy_fingerprint
    what = "another hierarchy" if hierarchy else "other images, labels or splits"
    return f"the data set in {index.root} has {what} than these shards"


def extra_files(folder: Place) -> tuple[str, ...]:
    """Names of shards, sidecars and temporary files that the manifest knows nothing of.

    They do no harm: a build that was interrupted left them, and the next one takes them up or
    removes them.

    Raises:
        ArtefactError: as :func:`read_manifest`.
    """
    listed = {entry.file for entry in read_manifest(folder).shards}
    names = sorted(file_names(folder))
    return tuple(name for name in names if _is_extra(name, listed))


def _is_extra(name: str, listed: set[str]) -> bool:
    if name.startswith(TEMPORARY_PREFIX):
        return True
    shard = Path(name).with_suffix(".h5").name
    made = Path(name).suffix in (".h5", ".json") and SHARD_FILE.fullmatch(shard)
    return bool(made) and shard not in listed


class _Checks(Sequence[ShardCheck]):
    """One check a shard, made when it is asked for: a task holds the records of its images."""

    def __init__(
        self,
        folder: Place,
        manifest: ShardManifest,
        index: DatasetIndex | None,
        *,
        decode: bool,
        rederive: bool,
    ) -> None:
        self._folder, self._decode, self._rederive = folder, decode, rederive
        self._entries, self._manifest = manifest.shards, replace(manifest, shards=())
        self._tasks: Sequence[ShardTask] = ()
        if index is not None:
            self._tasks = plan_shards(index, manifest.plan, folder)
        self._places = {task.file: place for place, task in enumerate(self._tasks)}

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, which: int) -> ShardCheck: ...
    @overload
    def __getitem__(self, which: slice) -> tuple[ShardCheck, ...]: ...
    def __getitem__(self, which: int | slice) -> ShardCheck | tuple[ShardCheck, ...]:
        if isinstance(which, slice):
            return tuple(self[i] for i in range(*which.indices(len(self))))
        entry = self._entries[which]
        place = self._places.get(entry.file)
        task = None if place is None else self._tasks[place]
        return ShardCheck(self._folder, self._manifest, entry, task, self._decode, self._rederive)


def _steps(entry: ShardEntry, check: ShardCheck) -> int:
    """Bytes to go through: once for the checksum, once more for the images."""
    return entry.bytes * (2 if check.decode or check.rederive else 1)


class _Meter:
    """Counts the bytes of a shard, so that they add up even where a check ends early."""

    def __init__(self, tick: Tick, total: int) -> None:
        self._tick = tick
        self._left = total

    def __call__(self, steps: int) -> None:
        steps = min(steps, self._left)
        self._left -= steps
        self._tick(steps)

    def finish(self) -> None:
        self(self._left)


def check_shard(check: ShardCheck, tick: Tick) -> tuple[Problem, ...]:
    """The problems of one shard and of its sidecar.

    Args:
        tick: called with the number of bytes done since the last call.
    """
    meter = _Meter(tick, _steps(check.entry, check))
    entry = check.entry
    with at_hand(check.folder, (entry.file, f"{Path(entry.file).stem}.json")) as folder:
        problems = tuple(_problems(check, folder, meter))
    meter.finish()
    return problems


def _problems(check: ShardCheck, folder: Path, tick: Tick) -> Iterator[Problem]:
    entry = check.entry
    path = folder / entry.file
    sidecar = sidecar_path(path)
    try:
        made: Sidecar | None = read_sidecar(sidecar)
    except ArtefactError as error:
        made = None
        yield Problem(sidecar.name, error.message.removeprefix(f"{sidecar}: "))
    if made is not None and made.entry != entry:
        yield Problem(sidecar.name, "it tells of another build than the manifest")
    try:
        check_size(path, entry)
        whole = _sha256(path, tick) == entry.sha256
        head = read_head(folder, check.manifest, entry)
        faults = tuple(_faults(check, head, made, tick, whole=whole))
    except OSError as error:
        yield Problem(entry.file, error.strerror or str(error))
        return
    except ArtefactError as error:
        yield Problem(entry.file, error.message.removeprefix(f"{path}: "))
        return
    for what in _wrong_labels(check, head):
        yield Problem(entry.file, what)
    if not whole:
        yield Problem(entry.file, f"its SHA-256 differs; {in_words(faults)}", _named(faults))
    elif faults:
        yield Problem(entry.file, in_words(faults), _named(faults))


def _faults(
    check: ShardCheck, head: Head, made: Sidecar | None, tick: Tick, *, whole: bool
) -> Iterator[Fault]:
    if check.rederive and check.task is not None:
        from c2f_data.shards.rederive import differing_images  # it needs torch

        return differing_images(head, check.task, made, tick)
    if whole and not check.decode:
        return iter(())
    return damaged_images(head, tick, decode=check.decode)


def _wrong_labels(check: ShardCheck, head: Head) -> Iterator[str]:
    codes = check.manifest.taxonomy.codes
    if (codes[head.labels[:, -1]] != head.labels).any():
        yield "labels of one image contradict the hierarchy"
    if check.task is None:
        return
    if head.image_ids != tuple(record.image_id for record in check.task.records):
        yield "it holds other images than the data set has in this place"
    elif [tuple(row) for row in head.labels.tolist()] != list(check.task.labels):
        yield "an image has another label than in the data set"


def _named(faults: Sequence[Fault]) -> tuple[str, ...]:
    return tuple(fault.image for fault in faults)


def _sha256(path: Path, tick: Tick) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            tick(len(chunk))
    return digest.hexdigest()
