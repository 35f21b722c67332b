"""Make damaged and missing shards again from their sources, to the very same bytes.

The manifest says which bytes a shard had. A shard that is made again must have just these, or it
is thrown away and the old file stays as it is: then the sources changed, or the versions of the
libraries did, and only a new set of shards can follow (``c2f shard --overwrite``).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import TEMPORARY_PREFIX, disk_error, fsync_folder, remove_leftovers
from c2f_data.errors import ArtefactError, C2FError, DataSetError
from c2f_data.index import DatasetIndex
from c2f_data.lock import only_writer
from c2f_data.shards.build import build_shard
from c2f_data.shards.manifest import ShardEntry, ShardManifest, read_manifest
from c2f_data.shards.pool import Progress, Tick, run_all
from c2f_data.shards.sidecar import read_sidecar, sidecar_path
from c2f_data.shards.tasks import ShardTask, plan_shards
from c2f_data.shards.verify import Problem, changed_data_set
from c2f_data.subset import subset_like

ANEW = "Run `c2f shard --overwrite`: it writes the shards of the data set as it is now."


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of the problems.

    Attributes:
        repaired: names of the files that were put back, with the bytes that the manifest names.
        left: what could not be repaired, and why; these files were not touched.
    """

    repaired: tuple[str, ...]
    left: tuple[Problem, ...]


@dataclass(frozen=True)
class _Job:
    """One shard to make again.

    Attributes:
        task: how; its own folder is ``scratch``.
        entry: what it must become.
        files: names of the files to put back: the sidecar, the shard, or both.
        scratch: a temporary folder inside ``folder``.
        folder: the folder of the shards.
    """

    task: ShardTask
    entry: ShardEntry
    files: tuple[str, ...]
    scratch: Path
    folder: Path


def repair(
    folder: Path,
    problems: Sequence[Problem],
    index: DatasetIndex,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Repair:
    """Make the shards that have problems again; no other file is touched.

    Args:
        problems: as :func:`verify` gave them.
        index: the data set that the shards were made from.
        jobs: number of processes; 1: in this one.
        progress: called with images done and images in all.

    Raises:
        DataSetError: the data set is not the one that the shards were made from.
        ArtefactError: the manifest is absent or damaged, another process writes there, or the
            disk refused.
        C2FError: one of the processes was killed.
    """
    with only_writer(folder):
        manifest = read_manifest(folder)
        index = subset_like(index, manifest.classes)
        if index.fingerprint != manifest.index_fingerprint:
            raise DataSetError(f"nothing repaired: {changed_data_set(index, manifest)}", ANEW)
        remove_leftovers(folder)
        wanted = _wanted(manifest, problems)
        entries = {entry.file: entry for entry in manifest.shards}
        scratch = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}repair-", dir=folder))
        try:
            todo = [
                _Job(task, entries[task.file], wanted[task.file], scratch, folder)
                for task in plan_shards(index, manifest.plan, scratch)
                if task.file in wanted
            ]
            total = sum(job.entry.images for job in todo)
            failed = [found for found in run_all(_make_again, todo, jobs, total, progress) if found]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    kept = {problem.file for problem in failed}
    done = [name for job in todo if job.entry.file not in kept for name in job.files]
    tried = {name for job in todo for name in job.files}
    others = [problem for problem in problems if problem.file not in tried]
    return Repair(tuple(done), (*others, *failed))


def _wanted(manifest: ShardManifest, problems: Sequence[Problem]) -> dict[str, tuple[str, ...]]:
    """Name of a shard to the files of it that have problems, in the order of their writing."""
    wrong = {problem.file for problem in problems}
    wanted = {}
    for entry in manifest.shards:
        # The sidecar first, as when it was built.
        files = (sidecar_path(Path(entry.file)).name, entry.file)
        if wrong.intersection(files):
            wanted[entry.file] = tuple(name for name in files if name in wrong)
    return wanted


def _make_again(job: _Job, tick: Tick) -> Problem | None:
    """Put the files back, or say why not."""
    shard = job.scratch / job.entry.file
    try:
        fresh = build_shard(job.task, tick)
        if fresh != job.entry:
            return Problem(shard.name, f"can't be made again: {_why_not(job, shard)}")
        _put_back(job)
    except C2FError as error:
        return Problem(shard.name, f"can't be made again: {error.message}")
    finally:
        for path in (shard, sidecar_path(shard)):
            path.unlink(missing_ok=True)
    return None


def _put_back(job: _Job) -> None:
    try:
        for name in job.files:
            (job.scratch / name).replace(job.folder / name)
        fsync_folder(job.folder)
    except OSError as error:
        raise disk_error(error, job.folder) from error


def _why_not(job: _Job, fresh: Path) -> str:
    """Why a shard that was made again is not the one that the manifest lists."""
    try:
        before = read_sidecar(sidecar_path(job.folder / fresh.name))
        same = before.sources_sha256 == read_sidecar(sidecar_path(fresh)).sources_sha256
    except ArtefactError:
        return "its sources, or the libraries that provenance.json names, are not those of then"
    if same:
        return "its sources are the same, but the libraries that provenance.json names are others"
    return "its source images changed since it was written"
