"""Build the shards of a data set: resume what was finished, manifest last.

An interrupted build leaves whole shards and no manifest; the next one keeps them. A build of
another plan writes under other names (the plan's fingerprint is in them), so the old shards stay
usable until the new manifest replaces theirs, and only then are they removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from c2f_data.artefacts import disk_error, remove_leftovers
from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.lock import only_writer
from c2f_data.provenance import Provenance
from c2f_data.resample_spec import Reduction
from c2f_data.shards.manifest import (
    MANIFEST,
    ShardManifest,
    make_manifest,
    read_manifest,
    write_manifest,
    write_provenance,
)
from c2f_data.shards.pool import Progress, run_tasks
from c2f_data.shards.schema import LevelPlan, ShardPlan, make_plan
from c2f_data.shards.tasks import SHARD_FILE, plan_shards


def write_shards(
    index: DatasetIndex,
    levels: Sequence[LevelPlan],
    spec: Reduction,
    folder: Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
    provenance: Provenance | None = None,
    target_bytes: int | None = None,
) -> ShardManifest:
    """Write the shards of a data set, or return at once when they are there.

    Whole shards of the same plan are kept (their SHA-256 is compared), all others are built. The
    result is the same bytes for any number of jobs.

    Args:
        levels: coarse to fine, see :func:`plan_levels`.
        spec: only what makes reduced pixels counts; its input geometry does not.
        folder: belongs to the shards alone.
        jobs: number of processes. With more than one, a script that calls this needs the usual
            ``if __name__ == "__main__":``, because new processes import it.
        overwrite: replace shards of another plan or with a damaged manifest; check every shard
            of the same plan again.
        progress: called with images done and images in all.
        provenance: written beside the shards; never part of them.
        target_bytes: source bytes in a shard; None: 64 MiB, or an eighth of a small data set.

    Raises:
        ConfigError: the levels do not fit the index.
        DataSetError, ImageError: a source image is absent, damaged, or changed meanwhile.
        ArtefactError: the folder holds shards of another plan, another process writes there, or
            the disk refused. What was finished stays.
    """
    plan = make_plan(index, tuple(levels), spec, target_bytes=target_bytes)
    tasks = plan_shards(index, plan, folder)
    with only_writer(folder):
        if not overwrite:
            manifest = finished_manifest(folder, plan)
            if manifest is not None:
                return manifest
        remove_leftovers(folder)
        entries = run_tasks(tasks, jobs, progress)
        if provenance is not None:
            write_provenance(folder, provenance, jobs)
        manifest = make_manifest(plan, index.taxonomy, entries)
        write_manifest(folder, manifest)
        _remove_stale(folder, manifest)
    return manifest


def finished_manifest(folder: Path, plan: ShardPlan) -> ShardManifest | None:
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
    for entry in manifest.shards:
        try:
            if (folder / entry.file).stat().st_size != entry.bytes:
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, folder / entry.file) from error
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
    return "made with other settings"


def _resolutions(plan: ShardPlan) -> str:
    return ", ".join(
        f"{level.name} {'native' if level.resolution is None else f'{level.resolution} px'}"
        for level in plan.levels
    )


def _remove_stale(folder: Path, manifest: ShardManifest) -> None:
    """Delete shards that the manifest does not list, and their sidecars; nothing else."""
    listed = {entry.file for entry in manifest.shards}
    for path in folder.iterdir():
        shard = path.with_suffix(".h5").name
        if path.suffix in (".h5", ".json") and SHARD_FILE.fullmatch(shard) and shard not in listed:
            path.unlink(missing_ok=True)
