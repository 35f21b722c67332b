"""Images, labels, resolutions and shards of fine-grained data sets with a class hierarchy.

Terms used throughout: levels are ordered coarse to fine (family, genus, species); I_high, I_med
and I_low are the data set at native resolution, at r_med and at r_low; r is the shorter side of
an image in pixels.

The names below are the public ones; docs/api.md describes them. They are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2f_data.lazy import Sections, homes_of, loader_of

PUBLIC: Sections = {
    "Failures": {
        "c2f_data.errors": (
            "C2FError",
            "DataSetError",
            "ImageError",
            "TaxonomyError",
            "ArtefactError",
            "ConfigError",
            "DeviceError",
        ),
    },
    "Hierarchies": {
        "c2f_data.taxonomy": ("Taxonomy",),
        "c2f_data.open_dataset": ("load_hierarchy",),
        "c2f_data.hierarchy.table": ("read_taxonomy", "write_taxonomy"),
        "c2f_data.hierarchy.diff": ("compare_hierarchies=compare", "HierarchyDiff"),
        "c2f_data.hierarchy.draft": ("draft_table", "Draft"),
    },
    "Data sets": {
        "c2f_data.workspace": ("Workspace", "DatasetFolder", "DatasetSource"),
        "c2f_data.open_dataset": ("DatasetChoice", "open_images=open_dataset"),
        "c2f_data.index": ("DatasetIndex", "ImageRecord"),
        "c2f_data.subset": ("some_classes=subset",),
        "c2f_data.checkup": ("check_up", "CheckUp"),
        "c2f_data.demo": ("DemoSpec", "render_demo=render_dataset"),
        "c2f_data.fetch.resume": ("RemoteFile",),
        "c2f_data.fetch.archive": ("CUB_ARCHIVE=CUB", "fetch_archive=fetch", "Fetched"),
        "c2f_data.sources.archive": ("unpack_archive",),
    },
    "Resolution": {
        "c2f_data.resample_spec": ("Reduction", "ResampleSpec"),
        "c2f_data.resample": ("ResolutionSweep", "reduce_pixels=reduce", "to_input"),
        "c2f_data.camera": ("Camera",),
    },
    "Calibrations": {
        "c2f_data.calibration": (
            "CalibrationResult",
            "CalibrationProtocol=Protocol",
            "LevelResolution",
            "read_calibration=read_result",
            "write_calibration=write_result",
        ),
        "c2f_data.curve": (
            "AccuracyPoint",
            "CalibrationCurve",
            "Crossing",
            "Outcome",
            "find_crossing",
            "locate_crossing",
            "wilson",
        ),
        "c2f_data.predictions": (
            "Predictions",
            "read_predictions",
            "predictions_frame=as_frame",
        ),
        "c2f_data.stored": ("Thresholds", "read_stored", "ask_again"),
    },
    "Shards": {
        "c2f_data.shards.schema": (
            "LevelPlan",
            "ShardPlan",
            "plan_levels",
            "make_shard_plan=make_plan",
        ),
        "c2f_data.shards.input_side": ("InputSide",),
        "c2f_data.shards.writer": ("write_shards",),
        "c2f_data.shards.calibrated": ("write_calibrated_shards",),
        "c2f_data.shards.manifest": ("ShardManifest", "read_manifest"),
        "c2f_data.shards.reader": ("ShardReader",),
        "c2f_data.shards.verify": ("verify_shards=verify", "ShardProblem=Problem"),
        "c2f_data.shards.repair": ("repair_shards=repair", "Repair"),
        "c2f_data.shards.alone": ("find_heads", "Heads"),
        "c2f_data.shards.summary": ("summarise_shards=summarise", "ShardSummary"),
    },
    "Exports": {
        "c2f_data.export.plan": ("ExportPlan", "Statement", "plan_export=make_plan"),
        "c2f_data.export.export": ("export_shards=export", "Exported"),
    },
    "Provenance": {
        "c2f_data.provenance": ("Provenance", "collect_provenance=collect"),
    },
}

# For type checkers: python -m tools.public_names writes the imports and __all__.
if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult, LevelResolution
    from c2f_data.calibration import Protocol as CalibrationProtocol
    from c2f_data.calibration import read_result as read_calibration
    from c2f_data.calibration import write_result as write_calibration
    from c2f_data.camera import Camera
    from c2f_data.checkup import CheckUp, check_up
    from c2f_data.curve import (
        AccuracyPoint,
        CalibrationCurve,
        Crossing,
        Outcome,
        find_crossing,
        locate_crossing,
        wilson,
    )
    from c2f_data.demo import DemoSpec
    from c2f_data.demo import render_dataset as render_demo
    from c2f_data.errors import (
        ArtefactError,
        C2FError,
        ConfigError,
        DataSetError,
        DeviceError,
        ImageError,
        TaxonomyError,
    )
    from c2f_data.export.export import Exported
    from c2f_data.export.export import export as export_shards
    from c2f_data.export.plan import ExportPlan, Statement
    from c2f_data.export.plan import make_plan as plan_export
    from c2f_data.fetch.archive import CUB as CUB_ARCHIVE
    from c2f_data.fetch.archive import Fetched
    from c2f_data.fetch.archive import fetch as fetch_archive
    from c2f_data.fetch.resume import RemoteFile
    from c2f_data.hierarchy.diff import HierarchyDiff
    from c2f_data.hierarchy.diff import compare as compare_hierarchies
    from c2f_data.hierarchy.draft import Draft, draft_table
    from c2f_data.hierarchy.table import read_taxonomy, write_taxonomy
    from c2f_data.index import DatasetIndex, ImageRecord
    from c2f_data.open_dataset import DatasetChoice, load_hierarchy
    from c2f_data.open_dataset import open_dataset as open_images
    from c2f_data.predictions import Predictions, read_predictions
    from c2f_data.predictions import as_frame as predictions_frame
    from c2f_data.provenance import Provenance
    from c2f_data.provenance import collect as collect_provenance
    from c2f_data.resample import ResolutionSweep, to_input
    from c2f_data.resample import reduce as reduce_pixels
    from c2f_data.resample_spec import Reduction, ResampleSpec
    from c2f_data.shards.alone import Heads, find_heads
    from c2f_data.shards.calibrated import write_calibrated_shards
    from c2f_data.shards.input_side import InputSide
    from c2f_data.shards.manifest import ShardManifest, read_manifest
    from c2f_data.shards.reader import ShardReader
    from c2f_data.shards.repair import Repair
    from c2f_data.shards.repair import repair as repair_shards
    from c2f_data.shards.schema import LevelPlan, ShardPlan, plan_levels
    from c2f_data.shards.schema import make_plan as make_shard_plan
    from c2f_data.shards.summary import ShardSummary
    from c2f_data.shards.summary import summarise as summarise_shards
    from c2f_data.shards.verify import Problem as ShardProblem
    from c2f_data.shards.verify import verify as verify_shards
    from c2f_data.shards.writer import write_shards
    from c2f_data.sources.archive import unpack_archive
    from c2f_data.stored import Thresholds, ask_again, read_stored
    from c2f_data.subset import subset as some_classes
    from c2f_data.taxonomy import Taxonomy
    from c2f_data.workspace import DatasetFolder, DatasetSource, Workspace

__all__ = [
    "CUB_ARCHIVE",
    "AccuracyPoint",
    "ArtefactError",
    "C2FError",
    "CalibrationCurve",
    "CalibrationProtocol",
    "CalibrationResult",
    "Camera",
    "CheckUp",
    "ConfigError",
    "Crossing",
    "DataSetError",
    "DatasetChoice",
    "DatasetFolder",
    "DatasetIndex",
    "DatasetSource",
    "DemoSpec",
    "DeviceError",
    "Draft",
    "ExportPlan",
    "Exported",
    "Fetched",
    "Heads",
    "HierarchyDiff",
    "ImageError",
    "ImageRecord",
    "InputSide",
    "LevelPlan",
    "LevelResolution",
    "Outcome",
    "Predictions",
    "Provenance",
    "Reduction",
    "RemoteFile",
    "Repair",
    "ResampleSpec",
    "ResolutionSweep",
    "ShardManifest",
    "ShardPlan",
    "ShardProblem",
    "ShardReader",
    "ShardSummary",
    "Statement",
    "Taxonomy",
    "TaxonomyError",
    "Thresholds",
    "Workspace",
    "ask_again",
    "check_up",
    "collect_provenance",
    "compare_hierarchies",
    "draft_table",
    "export_shards",
    "fetch_archive",
    "find_crossing",
    "find_heads",
    "load_hierarchy",
    "locate_crossing",
    "make_shard_plan",
    "open_images",
    "plan_export",
    "plan_levels",
    "predictions_frame",
    "read_calibration",
    "read_manifest",
    "read_predictions",
    "read_stored",
    "read_taxonomy",
    "reduce_pixels",
    "render_demo",
    "repair_shards",
    "some_classes",
    "summarise_shards",
    "to_input",
    "unpack_archive",
    "verify_shards",
    "wilson",
    "write_calibrated_shards",
    "write_calibration",
    "write_shards",
    "write_taxonomy",
]
_HOMES = homes_of(PUBLIC)
__getattr__ = loader_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
