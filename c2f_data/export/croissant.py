"""croissant.json: what an export holds, for programs that search and load data sets.

One record set with the images and their labels, one a level that names its classes, one with the
levels' resolutions. Where a level's images are files of their own, they have a record set each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from c2f_data.export import class_folders, parquet, webdataset
from c2f_data.export.citations import CITATIONS
from c2f_data.export.describe import describe_images, describe_set, version_of
from c2f_data.export.jsonld import (
    CONFORMS_TO,
    CONTEXT,
    Field,
    FileObject,
    FileSet,
    RecordSet,
    Source,
)
from c2f_data.export.names import safe_names
from c2f_data.export.place import LABELS
from c2f_data.export.plan import ExportPlan, Statement

MIME = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_IMAGE, _TEXT, _INTEGER = ("sc:ImageObject",), ("sc:Text",), ("sc:Integer",)
_SPLIT = ("sc:Text", "cr:Split")
_LABEL = ("sc:Integer", "cr:Label")


def croissant(
    plan: ExportPlan,
    files: Sequence[FileObject],
    suffixes: Sequence[tuple[str, ...]],
    statement: Statement,
) -> dict[str, Any]:
    """The JSON-LD of an export.

    Args:
        files: what was written, but for single images.
        suffixes: kinds of image file found at each level that is exported, coarse to fine.
    """
    manifest = plan.manifest
    sets, records = _BUILDERS[plan.target](plan, files, suffixes)
    distribution: list[FileObject | FileSet] = [*files, *sets]
    stated: dict[str, Any] = {
        "license": statement.licence,
        "url": statement.url,
        "creator": [{"@type": "sc:Person", "name": name} for name in statement.creators],
        "citeAs": CITATIONS.get(manifest.dataset),
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": manifest.dataset,
        "description": describe_set(plan),
        "version": version_of(plan),
        **{key: value for key, value in stated.items() if value},
        "keywords": ["image classification", "fine-grained", "hierarchy", *plan.all_levels],
        "distribution": [part.json() for part in distribution],
        "recordSet": [table.json() for table in (*records, *_classes(plan), _levels(plan))],
    }


def _ids(plan: ExportPlan) -> dict[str, str]:
    """A level's name as part of an id, which is an IRI."""
    safe = safe_names(plan.all_levels)
    return {
        level: re.sub(r"[\s%#^`]", "_", name)
        for level, name in zip(plan.all_levels, safe, strict=True)
    }


def _classes(plan: ExportPlan) -> list[RecordSet]:
    found = []
    for level, names in zip(plan.all_levels, plan.names, strict=True):
        table = f"{_ids(plan)[level]}_classes"
        fields = (
            Field(f"{table}/id", "Class id.", _INTEGER),
            Field(f"{table}/name", "Name of the class.", _TEXT),
        )
        rows = tuple(enumerate(names))
        told = f"The classes of the level {level}."
        found.append(RecordSet(table, told, f"{table}/id", fields, rows, "sc:Enumeration"))
    return found


def _levels(plan: ExportPlan) -> RecordSet:
    fields = (
        Field("levels/name", "Level of the hierarchy, coarse to fine.", _TEXT),
        Field("levels/classes", "Number of classes.", _INTEGER),
        Field("levels/resolution", "Shorter side of its images: pixels, or native.", _TEXT),
    )
    rows = tuple(
        (level.name, level.count, "native" if level.resolution is None else str(level.resolution))
        for level in plan.manifest.levels
    )
    return RecordSet("levels", "The levels and their resolutions.", "levels/name", fields, rows)


def _label_fields(
    plan: ExportPlan, table: str, sources: Sequence[Source], *, joined: bool
) -> list[Field]:
    """One field a level.

    Args:
        joined: each names the table of its classes. Not where other tables refer to this one:
            mlcroissant joins a table with one other, and would not come to the images.
    """
    fields = []
    for level, source in zip(plan.all_levels, sources, strict=True):
        told, name = f"Class at the level {level}.", _ids(plan)[level]
        known = f"{name}_classes/id" if joined else None
        fields.append(Field(f"{table}/{name}", told, _LABEL, source, known))
    return fields


def _image_field(plan: ExportPlan, table: str, level: str, source: Source) -> Field:
    told = describe_images(plan, level)
    return Field(f"{table}/image_{_ids(plan)[level]}", told, _IMAGE, source)


_Described = tuple[list[FileSet], list[RecordSet]]


def _parquet(
    plan: ExportPlan, files: Sequence[FileObject], suffixes: Sequence[tuple[str, ...]]
) -> _Described:
    del files, suffixes
    of, table = "parquet-files", "images"
    mime = "application/x-parquet"
    file_set = FileSet(of, "All parquet files.", f"{parquet.FOLDER}/*.parquet", (mime,))
    fields = [
        Field(f"{table}/image_id", "Id of the image.", _TEXT, Source(of, "column", "image_id")),
        _split_field(table, of, r"^(?:.*/)?([A-Za-z0-9_]+)-\d+-of-\d+\.parquet$"),
    ]
    for level in plan.levels:
        column = parquet.image_column(level)
        source = Source(of, "column", column, transform=("jsonPath", "bytes"))
        fields.append(_image_field(plan, table, level, source))
    sources = [Source(of, "column", level) for level in plan.all_levels]
    fields += _label_fields(plan, table, sources, joined=True)
    told = "One record an image: its pictures at the exported levels, its classes at all levels."
    return [file_set], [RecordSet(table, told, f"{table}/image_id", tuple(fields))]


def _webdataset(
    plan: ExportPlan, files: Sequence[FileObject], suffixes: Sequence[tuple[str, ...]]
) -> _Described:
    tars = tuple(file.path for file in files if file.path.endswith(".tar"))
    of, table = "json-files", "images"
    sets = [FileSet(of, "Labels, one file an image.", "*.json", ("application/json",), tars)]
    fields = [
        _key_field(table, of, r"^(?:.*/)?([^./]+)\.json$"),
        Field(f"{table}/image_id", "Id of the image.", _TEXT, Source(of, "jsonPath", "$.image_id")),
        Field(f"{table}/split", "Split.", _SPLIT, Source(of, "jsonPath", "$.split")),
    ]
    sources = [Source(of, "jsonPath", f"$.labels[{_quoted(v)}]") for v in plan.all_levels]
    fields += _label_fields(plan, table, sources, joined=False)
    told = "One record an image: its classes at all levels."
    records = [RecordSet(table, told, f"{table}/key", tuple(fields))]
    names = webdataset.field_names(plan)
    for level, name, kinds in zip(plan.levels, names, suffixes, strict=True):
        mine = f"{_ids(plan)[level]}_files"
        mimes = tuple(MIME[kind] for kind in kinds)
        sets.append(FileSet(mine, describe_images(plan, level), f"*.{name}.*", mimes, tars))
        pattern = rf"^(?:.*/)?([^./]+)\.{re.escape(name)}\.\w+$"
        records.append(_pictures(plan, level, mine, "filename", pattern, f"{table}/key"))
    return sets, records


def _folder(
    plan: ExportPlan, files: Sequence[FileObject], suffixes: Sequence[tuple[str, ...]]
) -> _Described:
    del files
    of, table = LABELS, "images"

    def column(name: str) -> Source:
        return Source(of, "column", name, is_set=False)

    sets, pictures = [], []
    fields = [
        Field(f"{table}/image_id", "Id of the image.", _TEXT, column("image_id")),
        Field(f"{table}/split", "Split.", _SPLIT, column("split")),
    ]
    sources = [column(f"{level}_id") for level in plan.all_levels]
    fields += _label_fields(plan, table, sources, joined=False)
    tops = class_folders.level_folders(plan)
    for level, top, kinds in zip(plan.levels, tops, suffixes, strict=True):
        name = _ids(plan)[level]
        told = f"Path of the image at the level {level}."
        file = Field(f"{table}/{name}_file", told, _TEXT, column(f"{level}_file"))
        told = f"SHA-256 of that file, for {level}."
        check = Field(f"{table}/{name}_sha256", told, _TEXT, column(f"{level}_sha256"))
        fields += [file, check]
        mimes = tuple(MIME[kind] for kind in kinds)
        mine = f"{name}_files"
        sets.append(FileSet(mine, describe_images(plan, level), f"{top}/*/*/*", mimes))
        pictures.append(_pictures(plan, level, mine, "fullpath", None, file.id))
    told = "One record an image: its classes at all levels, and its files."
    return sets, [RecordSet(table, told, f"{table}/image_id", tuple(fields)), *pictures]


_BUILDERS = {"parquet": _parquet, "webdataset": _webdataset, "folder": _folder}


def _split_field(table: str, of: str, pattern: str) -> Field:
    source = Source(of, "fileProperty", "filename", transform=("regex", pattern))
    return Field(f"{table}/split", "Split, by the file's name.", _SPLIT, source)


def _key_field(table: str, of: str, pattern: str) -> Field:
    source = Source(of, "fileProperty", "filename", transform=("regex", pattern))
    return Field(f"{table}/key", "Key of the image in its tar file.", _TEXT, source)


def _pictures(
    plan: ExportPlan, level: str, of: str, by: str, pattern: str | None, references: str
) -> RecordSet:
    """Image files of one level, each with the record that it belongs to."""
    table = f"{_ids(plan)[level]}_images"
    regex = ("regex", pattern) if pattern else None
    key = Source(of, "fileProperty", by, transform=regex)
    fields = (
        Field(f"{table}/key", "What ties it to its labels.", _TEXT, key, references),
        _image_field(plan, table, level, Source(of, "fileProperty", "content")),
    )
    return RecordSet(table, describe_images(plan, level), f"{table}/key", fields)


def _quoted(text: str) -> str:
    """A name in a JSONPath."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
