"""Steps that more than one command takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.workspace import DatasetFolder
from c2f_train.progress import counting

from .console import Console

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult
    from c2f_data.resample_spec import Reduction
    from c2f_data.shards.encodings import EncodingName
    from c2f_data.shards.input_side import InputSide
    from c2f_data.shards.manifest import ShardManifest
    from c2f_data.shards.schema import LevelPlan
    from c2f_data.shards.writer import Engine
    from c2f_data.storage import Place


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def build_shards(
    index: DatasetIndex,
    folder: DatasetFolder,
    plans: Sequence[LevelPlan],
    spec: Reduction,
    *,
    jobs: int | None,
    overwrite: bool,
    console: Console,
    encoding: EncodingName = "webp-lossless",
    enlarged: InputSide | None = None,
    engine: Engine | None = None,
    out: Place | None = None,
) -> ShardManifest:
    """Write shards with a progress display. Raises what write_shards raises.

    Args:
        engine: builds them instead of ``jobs`` processes.
        out: where they go instead of the data set's folder.
    """
    from c2f_data.provenance import collect
    from c2f_data.shards.writer import write_shards

    with console.task("Writing shards", len(index.records)) as task:
        manifest = write_shards(
            index,
            plans,
            spec,
            out or folder.shards,
            jobs=jobs or cores(),
            engine=engine,
            overwrite=overwrite,
            progress=counting(task),
            provenance=collect(device="cpu", seed=0),
            encoding=encoding,
            enlarged=enlarged,
        )
    size = f"{len(manifest.shards)} files, {manifest.bytes / 1e6:.0f} MB"
    console.note(f"Shards: {size} in {out or folder.shards}")
    return manifest


def shards_after_calibration(
    index: DatasetIndex,
    folder: DatasetFolder,
    result: CalibrationResult,
    *,
    jobs: int | None,
    overwrite: bool,
    console: Console,
) -> str | None:
    """Write the shards that a calibration asks for.

    Shards of other resolutions are kept unless ``overwrite``: the calibration itself has
    succeeded, so this is a warning and None is returned.
    """
    from c2f_data.shards.schema import plan_levels

    plans = plan_levels(index.taxonomy, result.coarser)
    spec = result.protocol.spec
    try:
        build_shards(index, folder, plans, spec, jobs=jobs, overwrite=overwrite, console=console)
    except ArtefactError as error:
        if overwrite or not folder.manifest.exists():
            raise
        console.warn(f"shards kept as they are: {error.message}")
        console.note("To replace them: c2f shard --overwrite")
        return None
    return str(folder.shards)


def read_calibration(folder: DatasetFolder) -> CalibrationResult | None:
    """The last calibration, or None. Raises ArtefactError where it is damaged."""
    from c2f_data.calibration import read_result

    return read_result(folder.result) if folder.result.exists() else None
