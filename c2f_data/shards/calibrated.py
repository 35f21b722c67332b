"""The shards that follow from a calibration."""

from __future__ import annotations

from c2f_data.calibration import CalibrationResult
from c2f_data.index import DatasetIndex
from c2f_data.provenance import Provenance
from c2f_data.shards.manifest import ShardManifest
from c2f_data.shards.pool import Progress
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.storage import Place


def write_calibrated_shards(
    index: DatasetIndex,
    result: CalibrationResult,
    folder: Place,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
    provenance: Provenance | None = None,
) -> ShardManifest:
    """Write I_high, I_med and I_low at the resolutions that a calibration has found.

    Images are reduced as they were for the calibration, so I_med is what it saw at r_med.

    Args:
        result: a calibration of this hierarchy with an answer at every level.
        jobs, overwrite, progress, provenance, folder: see :func:`write_shards`.

    Raises:
        ConfigError: the calibration has no resolution for some level.
        TaxonomyError: it has a level that the hierarchy lacks.
        C2FError: what :func:`write_shards` raises.
    """
    return write_shards(
        index,
        plan_levels(index.taxonomy, result.coarser),
        result.protocol.spec,
        folder,
        jobs=jobs,
        overwrite=overwrite,
        progress=progress,
        provenance=provenance,
    )
