"""Export finished shards: files, hierarchy, description and card, all of them or nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from c2f_data.artefacts import sha256_file, write_json, write_text
from c2f_data.export.card import card
from c2f_data.export.class_folders import label_columns, write_class_folders
from c2f_data.export.croissant import croissant
from c2f_data.export.describe import version_of
from c2f_data.export.jsonld import FileObject
from c2f_data.export.loading import loading_lines
from c2f_data.export.parquet import check_parquet, write_parquet
from c2f_data.export.place import (
    CARD,
    CROISSANT,
    HIERARCHY,
    LABELS,
    SUMMARY,
    check_free,
    whole_folder,
)
from c2f_data.export.plan import ExportPlan, Statement, Target
from c2f_data.export.samples import Part, parts
from c2f_data.export.tally import Progress, Tally
from c2f_data.export.webdataset import field_names, write_webdataset
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.shards.reader import ShardReader

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult

SCHEMA, SCHEMA_VERSION = "c2f-export", 1
_MIME = {
    ".csv": "text/csv",
    ".tar": "application/x-tar",
    ".parquet": "application/x-parquet",
}


@dataclass(frozen=True, slots=True)
class ExportedLevel:
    """A level: its classes, and the shorter side of its images in pixels (None: native).

    Attributes:
        pictures: its pictures are exported; its labels always are.
    """

    name: str
    count: int
    resolution: int | None
    pictures: bool


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """export.json: what was written.

    Attributes:
        images: split to number of images.
        bytes: size of all files, this one not counted.
        files: path to SHA-256, of everything but this file and single images.
        plan_fingerprint: of the shards.
    """

    target: Target
    dataset: str
    version: str
    images: dict[str, int]
    levels: tuple[ExportedLevel, ...]
    bytes: int
    files: dict[str, str]
    plan_fingerprint: str
    index_fingerprint: str
    taxonomy_fingerprint: str


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export: its summary, and the lines of Python that load it."""

    summary: ExportSummary
    loading: tuple[str, ...]


_WRITE: dict[Target, Callable[[Path, ExportPlan, Iterable[Part]], None]] = {
    "webdataset": write_webdataset,
    "parquet": write_parquet,
    "folder": write_class_folders,
}
_CHECK: dict[Target, Callable[[ExportPlan], object]] = {
    "webdataset": field_names,
    "parquet": check_parquet,
    "folder": label_columns,
}


def check_export(plan: ExportPlan, out: Path, *, overwrite: bool = False) -> None:
    """Raise, before anything is read or written, what :func:`export` would raise at its start."""
    _CHECK[plan.target](plan)
    check_free(out, overwrite=overwrite)


def export(
    reader: ShardReader,
    plan: ExportPlan,
    out: Path,
    *,
    overwrite: bool = False,
    statement: Statement | None = None,
    calibration: CalibrationResult | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write an export. It appears under its name when it is complete.

    Args:
        plan: of the reader's manifest.
        out: folder that is not there yet, or an earlier export with ``overwrite``; absolute.
        calibration: gives the resolutions their intervals where it is of the same images.
        progress: called with images done and images in all.

    Raises:
        ArtefactError: a shard is damaged, something else is in the place, another process writes
            there, or the disk refused.
        ConfigError: names of levels that the form can't hold, or a package that is absent.
    """
    statement = statement or Statement()
    check_export(plan, out, overwrite=overwrite)
    tally = Tally(plan, progress)
    with whole_folder(out, overwrite=overwrite) as folder:
        _WRITE[plan.target](folder, plan, tally.watch(parts(reader, plan)))
        write_taxonomy(folder / HIERARCHY, plan.manifest.taxonomy)
        files = _data_files(folder, plan.target)
        suffixes = [tuple(sorted(found)) for found in tally.suffixes]
        described = croissant(plan, files, suffixes, statement)
        text = json.dumps(described, indent=1, ensure_ascii=False)
        write_text(folder / CROISSANT, f"{text}\n")
        write_text(folder / CARD, card(plan, tally, statement, calibration))
        sums = {file.path: file.sha256 for file in files}
        sums |= {name: sha256_file(folder / name) for name in (CROISSANT, CARD)}
        summary = _summary(plan, folder, sums)
        write_json(folder / SUMMARY, summary, schema=SCHEMA, version=SCHEMA_VERSION)
    return Exported(summary, loading_lines(plan, str(out), tally))


def _data_files(folder: Path, target: Target) -> list[FileObject]:
    """What was written so far, but for single images."""
    if target == "folder":
        paths = [folder / LABELS, folder / HIERARCHY]
    else:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        FileObject(
            path.relative_to(folder).as_posix(),
            _MIME[path.suffix],
            path.stat().st_size,
            sha256_file(path),
        )
        for path in paths
    ]


def _summary(plan: ExportPlan, folder: Path, sums: dict[str, str]) -> ExportSummary:
    manifest = plan.manifest
    return ExportSummary(
        target=plan.target,
        dataset=manifest.dataset,
        version=version_of(plan),
        images={split: plan.images(split) for split in plan.splits},
        levels=tuple(
            ExportedLevel(level.name, level.count, level.resolution, level.name in plan.levels)
            for level in manifest.levels
        ),
        bytes=_size(folder),
        files=sums,
        plan_fingerprint=manifest.plan_fingerprint,
        index_fingerprint=manifest.index_fingerprint,
        taxonomy_fingerprint=manifest.taxonomy_fingerprint,
    )


def _size(folder: Path) -> int:
    walked = os.walk(folder)
    return sum((Path(place) / name).stat().st_size for place, _, names in walked for name in names)
