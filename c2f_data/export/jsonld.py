"""The parts of a Croissant description, as values, and their JSON-LD.

Croissant 1.0: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html. A description
names files (FileObject, FileSet), and record sets whose fields say where in the files a value is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"

_CROISSANT_TERMS = (
    *("citeAs", "column", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
    *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source"),
    *("subField", "transform"),
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
}


@dataclass(frozen=True, slots=True)
class FileObject:
    """One file.

    Attributes:
        path: relative to the description; also its id.
        encoding: MIME type.
        bytes: its size.
        sha256: 64 hexadecimal digits.
    """

    path: str
    encoding: str
    bytes: int
    sha256: str

    def json(self) -> dict[str, Any]:
        """As JSON-LD."""
        return {
            "@type": "cr:FileObject",
            "@id": self.path,
            "name": self.path,
            "contentUrl": self.path,
            "contentSize": f"{self.bytes} B",
            "encodingFormat": self.encoding,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files of one kind.

    Attributes:
        includes: a glob.
        encodings: MIME types.
        contained_in: ids of the archives that they are in; none: beside the description.
    """

    id: str
    description: str
    includes: str
    encodings: tuple[str, ...]
    contained_in: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As JSON-LD."""
        inside = [{"@id": archive} for archive in self.contained_in]
        return {
            "@type": "cr:FileSet",
            "@id": self.id,
            "name": self.id,
            "description": self.description,
            **({"containedIn": _one_or_many(inside)} if inside else {}),
            "encodingFormat": _one_or_many(list(self.encodings)),
            "includes": self.includes,
        }


@dataclass(frozen=True, slots=True)
class Source:
    """Where a field's values are.

    Attributes:
        of: id of the file or file set.
        how: ``column``, ``jsonPath`` or ``fileProperty``.
        what: name of the column, the path in the JSON, or the property.
        transform: ``regex`` or ``jsonPath``, and its argument; None: as it is.
    """

    of: str
    how: str
    what: str
    is_set: bool = True
    transform: tuple[str, str] | None = None

    def json(self) -> dict[str, Any]:
        """As JSON-LD."""
        kind = "fileSet" if self.is_set else "fileObject"
        found: dict[str, Any] = {kind: {"@id": self.of}, "extract": {self.how: self.what}}
        if self.transform is not None:
            found["transform"] = {self.transform[0]: self.transform[1]}
        return found


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a record set.

    Attributes:
        id: record set and name, with a slash between.
        types: for example ``sc:Integer``.
        source: None for fields of inline data.
        references: id of the field whose value this is, too.
    """

    id: str
    description: str
    types: tuple[str, ...]
    source: Source | None = None
    references: str | None = None

    def json(self) -> dict[str, Any]:
        """As JSON-LD."""
        return {
            "@type": "cr:Field",
            "@id": self.id,
            "name": self.id,
            "description": self.description,
            "dataType": _one_or_many(list(self.types)),
            **({} if self.source is None else {"source": self.source.json()}),
            **({"references": {"field": {"@id": self.references}}} if self.references else {}),
        }


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A table.

    Attributes:
        key: id of the field that tells the records apart.
        rows: inline data, one value a field; none: the values are in the files.
    """

    id: str
    description: str
    key: str
    fields: tuple[Field, ...]
    rows: tuple[tuple[Any, ...], ...] = ()
    type: str | None = None

    def json(self) -> dict[str, Any]:
        """As JSON-LD."""
        names = [field.id for field in self.fields]
        data = [dict(zip(names, row, strict=True)) for row in self.rows]
        return {
            "@type": "cr:RecordSet",
            "@id": self.id,
            "name": self.id,
            "description": self.description,
            **({"dataType": self.type} if self.type else {}),
            "key": {"@id": self.key},
            "field": [field.json() for field in self.fields],
            **({"data": data} if data else {}),
        }


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
