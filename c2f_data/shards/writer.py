"""Build the shards of a data set: resume what was finished, manifest last.

An interrupted build leaves whole shards and no manifest; the next one keeps them. A build of
another plan writes under other names (the plan's fingerprint is in them), so the old shards stay
usable until the new manifest replaces theirs, and only then are they removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from c2f_data.artefacts import disk_error
from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.provenance import Provenance
from c2f_data.resample_spec import Reduction
from c2f_data.shards.encodings import WEBP, EncodingName
from c2f_data.shards.head import check_size
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.manifest import (
    MANIFEST,
    ShardEntry,
    ShardManifest,
    make_manifest,
    read_manifest,
    write_manifest,
    write_provenance,
)
from c2f_data.shards.place import clean_up, file_names, listed_sizes, watch
from c2f_data.shards.pool import Progress, run_tasks
from c2f_data.shards.schema import LevelPlan, ShardPlan, make_plan
from c2f_data.shards.tasks import SHARD_FILE, ShardTask, plan_shards
from c2f_data.storage import Place
from c2f_data.storage_lock import writer_lock

# Builds every task, wherever that is, and gives their entries in the order of the tasks.
Engine = Callable[[Sequence[ShardTask], Progress | None], tuple[ShardEntry, ...]]


def write_shards(
    index: DatasetIndex,
    levels: Sequence[LevelPlan],
    spec: Reduction,
    folder: Place,
    *,
    jobs: int = 1,
    engine: Engine | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    provenance: Provenance | None = None,
    encoding: EncodingName = WEBP,
    enlarged: InputSide | None = None,
    target_bytes: int | None = None,
) -> ShardManifest:
    """Write the shards of a data set, or return at once when they are there.

    Whole shards of the same plan are kept (their SHA-256 is compared), all others are built. The
    result is the same bytes for any number of jobs and any engine.

    Args:
        levels: coarse to fine, see :func:`plan_levels`.
        spec: only what makes reduced pixels counts; its input geometry does not.
        folder: belongs to the shards alone; a URL: every shard is uploaded when it is finished.
        jobs: number of processes. With more than one or with an engine, a script that calls this
            needs the usual ``if __name__ == "__main__":``, because new processes import it.
        engine: runs the tasks instead, for example a :class:`RayEngine`; None: ``jobs`` processes.
        overwrite: replace shards of another plan or with a damaged manifest; check every shard
            of the same plan again.
        progress: called with images done and images in all.
        provenance: written beside the shards; never part of them.
        encoding, enlarged, target_bytes: see :func:`make_plan`.

    Raises:
        ConfigError: the levels do not fit the index, or the encoding's package is absent.
        DataSetError, ImageError: a source image is absent, damaged, or changed meanwhile.
        ArtefactError: the folder holds shards of another plan, another process writes there, the
            folder vanished meanwhile, or the disk refused. What was finished stays.
        C2FError: one of the processes was killed. What was finished stays.
    """
    plan = make_plan(
        index,
        tuple(levels),
        spec,
        encoding=encoding,
        enlarged=enlarged,
        target_bytes=target_bytes,
    )
    tasks = plan_shards(index, plan, folder)
    with writer_lock(folder):
        if not overwrite:
            manifest = finished_manifest(folder, plan)
            if manifest is not None:
                return manifest
        clean_up(folder)
        check = watch(folder)
        watched = _watched(progress, check)
        entries = engine(tasks, watched) if engine else run_tasks(tasks, jobs, watched)
        check()
        # Of a process that was killed, and of another build's processes that outlived it a moment.
        clean_up(folder)
        sizes = listed_sizes(folder)
        for entry in entries:
            check_size(folder / entry.file, entry, sizes)
        if provenance is not None:
            write_provenance(folder, provenance, jobs)
        manifest = make_manifest(plan, index.taxonomy, entries, index.crop)
        write_manifest(folder, manifest)
        _remove_stale(folder, manifest)
    return manifest


def _watched(progress: Progress | None, check: Callable[[], None]) -> Progress:
    """Look after the folder with every step, so that a build into nowhere ends soon."""

    def report(done: int, total: int) -> None:
        check()
        if progress:
            progress(done, total)

    return report


def finished_manifest(folder: Place, plan: ShardPlan) -> ShardManifest | None:
    """The manifest of a plan whose shards are all there with their sizes; None: there is work.

    Raises:
        ArtefactError: the folder holds shards of another plan, or a damaged manifest.
    """
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_manifest(folder)
    if manifest.plan_fingerprint != plan.fingerprint:
        raise ArtefactError(
            f"{folder} holds other shards: {_difference(manifest.plan, plan)}",
            "Run `c2f shard --overwrite` to replace them, or choose another --workspace.",
        )
    sizes = listed_sizes(folder)
    for entry in manifest.shards:
        path = folder / entry.file
        try:
            size = path.stat().st_size if sizes is None else sizes.get(entry.file, -1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, path) from error
        if size != entry.bytes:
            return None
    return manifest


def _difference(old: ShardPlan, new: ShardPlan) -> str:
    """In words, the first difference that a user can act on."""
    if old.dataset != new.dataset:
        return f"of {old.dataset}, not of {new.dataset}"
    if old.taxonomy_fingerprint != new.taxonomy_fingerprint:
        return "their hierarchy is another one"
    if old.levels != new.levels:
        return f"{_resolutions(old)}; asked for: {_resolutions(new)}"
    if old.index_fingerprint != new.index_fingerprint:
        return "the images, labels or splits of the data set were others"
    if (old.encoding, old.enlarged) != (new.encoding, new.enlarged):
        return f"{_storage(old)}; asked for: {_storage(new)}"
    return "made with other settings"


def _resolutions(plan: ShardPlan) -> str:
    return ", ".join(
        f"{level.name} {'native' if level.resolution is None else f'{level.resolution} px'}"
        for level in plan.levels
    )


def _storage(plan: ShardPlan) -> str:
    side = "" if plan.enlarged is None else f" at {plan.enlarged.described}"
    return f"layout {plan.layout}{side}, encoding {plan.encoding}"


def _remove_stale(folder: Place, manifest: ShardManifest) -> None:
    """Delete shards that the manifest does not list, and their sidecars; nothing else."""
    listed = {entry.file for entry in manifest.shards}
    for name in file_names(folder):
        shard = str(Path(name).with_suffix(".h5"))
        if name.endswith((".h5", ".json")) and SHARD_FILE.fullmatch(shard) and shard not in listed:
            (folder / name).unlink(missing_ok=True)
