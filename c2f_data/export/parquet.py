"""Parquet files as the Hugging Face ``datasets`` library reads them: one of each shard.

Columns: ``image_id``, ``image_LEVEL`` (bytes and a file name) for each level that is exported, and
``LEVEL`` (class id) for every level. The schema's metadata says that they are images and classes,
and names the classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2f_data.errors import ConfigError, install_hint
from c2f_data.export.names import image_name
from c2f_data.export.plan import ExportPlan
from c2f_data.export.samples import Part, Sample

if TYPE_CHECKING:
    import pyarrow as pa

# Whichever comes first ends a row group: so much is in memory, and read at once by a reader.
GROUP_BYTES = 32 * 1024 * 1024
GROUP_ROWS = 1000
FOLDER = "data"
IMAGE_ID = "image_id"


def image_column(level: str) -> str:
    """Name of the column with a level's images."""
    return f"image_{level}"


def file_name(part: Part) -> str:
    """``data/train-00003-of-00008.parquet``, as the hub names its own."""
    return f"{FOLDER}/{part.split}-{part.number:05d}-of-{part.of:05d}.parquet"


def write_parquet(folder: Path, plan: ExportPlan, parts: Iterable[Part]) -> None:
    """Write one parquet file of each part.

    Raises:
        ConfigError: pyarrow is not installed, or a level's name is another column's.
        ArtefactError: a shard is damaged.
        OSError: the disk refused.
    """
    check_parquet(plan)
    import pyarrow.parquet as pq

    schema = _schema(plan)
    (folder / FOLDER).mkdir()
    for part in parts:
        with pq.ParquetWriter(
            folder / file_name(part),
            schema,
            # The pictures are compressed already, and a dictionary or least and largest values
            # of them would only hold the bytes twice.
            compression="none",
            use_dictionary=[IMAGE_ID, *plan.all_levels],
            write_statistics=[IMAGE_ID, *plan.all_levels],
        ) as writer:
            for group in _groups(part.samples):
                writer.write_table(_table(plan, schema, group), row_group_size=len(group))


def _groups(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    size = 0
    for sample in samples:
        group.append(sample)
        size += sum(len(picture.data) for picture in sample.pictures)
        if size >= GROUP_BYTES or len(group) == GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group


def check_parquet(plan: ExportPlan) -> None:
    """Raise ConfigError where pyarrow is absent, or a level's name is another column's."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "parquet files need the package pyarrow", install_hint("parquet")
        ) from error
    columns = _columns(plan)
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice:
        raise ConfigError(
            f"a level named {twice!r} has the name of another column", "Rename that level."
        )


def _columns(plan: ExportPlan) -> list[str]:
    return [IMAGE_ID, *(image_column(level) for level in plan.levels), *plan.all_levels]


def _schema(plan: ExportPlan) -> pa.Schema:
    import pyarrow as pa

    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    kinds = {IMAGE_ID: pa.string()}
    kinds |= {image_column(level): picture for level in plan.levels}
    kinds |= dict.fromkeys(plan.all_levels, pa.int64())
    fields = [pa.field(name, kinds[name]) for name in _columns(plan)]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": features(plan)})})


def features(plan: ExportPlan) -> dict[str, Any]:
    """The columns as the ``datasets`` library describes them."""
    described: dict[str, Any] = {IMAGE_ID: {"dtype": "string", "_type": "Value"}}
    described |= {image_column(level): {"_type": "Image"} for level in plan.levels}
    described |= {
        level: {"names": list(names), "_type": "ClassLabel"}
        for level, names in zip(plan.all_levels, plan.names, strict=True)
    }
    return {"features": described}


def _table(plan: ExportPlan, schema: pa.Schema, group: list[Sample]) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {IMAGE_ID: [sample.image_id for sample in group]}
    for i, level in enumerate(plan.levels):
        columns[image_column(level)] = [_picture(sample, i) for sample in group]
    for i, level in enumerate(plan.all_levels):
        columns[level] = [sample.labels[i] for sample in group]
    return pa.Table.from_pydict(columns, schema=schema)


def _picture(sample: Sample, i: int) -> dict[str, Any]:
    picture = sample.pictures[i]
    name = f"{image_name(sample.image_id, sample.position)}.{picture.suffix}"
    return {"bytes": picture.data, "path": name}
