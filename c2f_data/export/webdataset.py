"""Tar files as the WebDataset library reads them: one of each shard, the same bytes every time.

An image is a run of files with one key: ``train-00000012.genus.webp`` a level, and a ``json`` with
its id, classes and resolutions. The key has no dots, because the library takes all that follows
the first dot for the name of the field.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from c2f_data.errors import ConfigError
from c2f_data.export.names import token
from c2f_data.export.plan import ExportPlan
from c2f_data.export.samples import Part, Sample

JSON_FIELD = "json"


def field_names(plan: ExportPlan) -> tuple[str, ...]:
    """What stands between key and suffix, one a level that is exported.

    Raises:
        ConfigError: two levels would have the same.
    """
    fields = tuple(token(level) for level in plan.levels)
    if len(set(fields)) < len(fields):
        raise ConfigError(
            f"the levels {', '.join(plan.levels)} differ only in capitals, dots or signs",
            "WebDataset can't tell them apart: export one of them, or rename the columns.",
        )
    return fields


def file_name(part: Part) -> str:
    """``train-000003.tar``."""
    return f"{part.split}-{part.number:06d}.tar"


def write_webdataset(folder: Path, plan: ExportPlan, parts: Iterable[Part]) -> None:
    """Write one tar file of each part.

    Raises:
        ConfigError: the levels' names can't be told apart.
        ArtefactError: a shard is damaged.
        OSError: the disk refused.
    """
    fields = field_names(plan)
    for part in parts:
        with tarfile.open(folder / file_name(part), "w", format=tarfile.PAX_FORMAT) as tar:
            for sample in part.samples:
                key = f"{sample.split}-{sample.position:08d}"
                for field, picture in zip(fields, sample.pictures, strict=True):
                    _add(tar, f"{key}.{field}.{picture.suffix}", picture.data)
                text = json.dumps(_described(plan, sample), ensure_ascii=False)
                _add(tar, f"{key}.{JSON_FIELD}", text.encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    # TarInfo's own defaults are time 0 and owner 0, so nothing of this machine gets in.
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _described(plan: ExportPlan, sample: Sample) -> dict[str, object]:
    levels = plan.all_levels
    named = (names[label] for names, label in zip(plan.names, sample.labels, strict=True))
    return {
        "image_id": sample.image_id,
        "split": sample.split,
        "labels": dict(zip(levels, sample.labels, strict=True)),
        "names": dict(zip(levels, named, strict=True)),
        "resolutions": {level: plan.resolution(level) for level in plan.levels},
        "sizes": {
            level: picture.size for level, picture in zip(plan.levels, sample.pictures, strict=True)
        },
    }
