"""A reader for the few kinds of MATLAB data in Stanford Cars' annotation files.

scipy's loadmat is no reader for files from strangers: a wrong type code in the file makes it follow
a wild pointer (scipy pull request 25349; seen with 1.17), which kills the process. This one knows
struct arrays, cells, text and single numbers, checks every length before it is used, and can't
read beyond the bytes that it was given.

Source: MAT-File Format, The MathWorks, "Level 5 MAT-File Format".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeAlias

from c2f_data.errors import DataSetError

# The official files have 0.2 MB, and 3 MB unpacked.
MAX_BYTES = 16 * 1024 * 1024
MAX_UNPACKED = 32 * 1024 * 1024
MAX_DEPTH = 4
MAX_DIMENSIONS = 32
MAX_FIELDS = 100
RESTORE = "Get the file again; c2f fetch cars says where copies are."

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)
_COMPLEX = 0x0800
_TAG, _INT, _UNSIGNED = struct.Struct("<2I"), struct.Struct("<i"), struct.Struct("<I")
_NUMBERS = {
    code: struct.Struct(f"<{form}")
    for code, form in zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), "bBhHiIfdqQ", strict=True)
}
_ENCODINGS = {
    1: "latin-1",
    2: "latin-1",
    4: "utf-16-le",
    16: "utf-8",
    17: "utf-16-le",
    18: "utf-32-le",
}


@dataclass(frozen=True, slots=True)
class Other:
    """A value of a kind that is not read, in words."""

    what: str

    def __repr__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class StructArray:
    """A struct array: by field name, the values of all rows in order."""

    rows: int
    fields: Mapping[str, tuple[Value, ...]]


Value: TypeAlias = "int | float | str | tuple[Value, ...] | StructArray | Other"


_NOTHING = Other("an empty array")


class _Damaged(Exception):  # noqa: N818
    """What is wrong with the bytes; always caught in this file."""


def read_matlab(path: Path, variables: Collection[str]) -> Mapping[str, Value]:
    """Those of the variables that the file has; a cell array is a tuple.

    Raises:
        DataSetError: unreadable, too large, another version of the format, or damaged.
    """
    data = _checked_bytes(path)
    try:
        return _variables(data, variables)
    except _Damaged as error:
        raise DataSetError(f"{path}: damaged MATLAB file ({error})", RESTORE) from error
    except (struct.error, UnicodeDecodeError, zlib.error) as error:
        raise DataSetError(f"{path}: damaged MATLAB file", RESTORE) from error


def _checked_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataSetError(f"{path}: {size:,} bytes are too many for annotations", RESTORE)
        data = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: unreadable ({error.strerror})", RESTORE) from error
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[124:126] in (b"\x00\x02", b"\x02\x00"):
        raise DataSetError(
            f"{path}: a MATLAB 7.3 file (HDF5), which is not read here",
            "Save it again in MATLAB with save(..., '-v7'), or get the official file.",
        )
    if data[126:128] != b"IM":  # the other byte order is that of machines long gone
        raise DataSetError(f"{path}: not a MATLAB 5 file", RESTORE)
    return data


def _variables(data: bytes, wanted: Collection[str]) -> Mapping[str, Value]:
    found: dict[str, Value] = {}
    position, left = _HEADER, MAX_UNPACKED
    while position + 8 <= len(data):
        kind, size = _TAG.unpack_from(data, position)
        position += 8
        if position + size > len(data):
            raise _Damaged("it breaks off")
        element = data[position : position + size]
        position += size
        if kind == _COMPRESSED:
            element = zlib.decompressobj().decompress(element, left + 1)
            if len(element) > left:
                raise _Damaged(f"it unpacks to over {MAX_UNPACKED >> 20} MiB")
            left -= len(element)
            kind, start, size, _ = _Elements(element).element(0)
            element = element[start : start + size]
        if kind == _MATRIX:
            reader = _Elements(element)
            if (name := reader.name()) in wanted:
                found[name] = reader.matrix(0, len(element), 0)
    return found


class _Elements:
    """The data elements in a piece of a file, each of them a type code, a size and bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def element(self, at: int) -> tuple[int, int, int, int]:
        """(type code, start, size, start of the next one)."""
        kind, size = _TAG.unpack_from(self._data, at)
        if kind > 0xFFFF:  # at most four bytes, which stand where the size stands otherwise
            start, size, kind = at + 4, kind >> 16, kind & 0xFFFF
            after = at + 8
        else:
            start, after = at + 8, at + 8 + (size + 7) // 8 * 8
        if start + size > len(self._data) or (start == at + 4 and size > 4):
            raise _Damaged("a value is longer than its place")
        return kind, start, size, after

    def name(self) -> str:
        """The name of the variable that these bytes are."""
        at = self.element(0)[3]
        at = self.element(at)[3]
        _, start, size, _ = self.element(at)
        return self._data[start : start + size].decode("latin-1")

    def matrix(self, start: int, end: int, depth: int) -> Value:
        """The value from ``start`` to ``end``; no bytes at all are an empty array."""
        if start == end:
            return _NOTHING
        _, flags_at, _, at = self.element(start)
        (flags,) = _UNSIGNED.unpack_from(self._data, flags_at)
        _, shape_at, size, at = self.element(at)
        dimensions = min(size // 4, MAX_DIMENSIONS)
        shape = struct.unpack_from(f"<{dimensions}i", self._data, shape_at)
        if min(shape, default=-1) < 0:
            raise _Damaged("an array of negative size")
        at = self.element(at)[3]  # the name
        kind, count = flags & 0xFF, prod(shape)
        if kind == _CHAR:
            return self._text(at, shape)
        if kind in _NUMERIC and count == 1 and not flags & _COMPLEX:
            return self._number(at)
        if kind == _CELL:
            return self._matrices(at, count, depth)[0]
        if kind == _STRUCT:
            return self._struct(at, count, depth)
        words = "complex number" if flags & _COMPLEX else f"value of MATLAB's class {kind}"
        return Other(f"a {words} ({' x '.join(map(str, shape))})")

    def _number(self, at: int) -> int | float:
        kind, start, size, _ = self.element(at)
        form = _NUMBERS.get(kind)
        if form is None or form.size != size:
            raise _Damaged("a number of unknown type")
        value: int | float = form.unpack_from(self._data, start)[0]
        return value

    def _text(self, at: int, shape: tuple[int, ...]) -> Value:
        if len(shape) != 2 or shape[0] > 1:
            return Other(f"text in {shape[0]} rows")
        kind, start, size, _ = self.element(at)
        encoding = _ENCODINGS.get(kind)
        if encoding is None:
            raise _Damaged("text of unknown type")
        return self._data[start : start + size].decode(encoding)

    def _matrices(self, at: int, count: int, depth: int) -> tuple[tuple[Value, ...], int]:
        """``count`` values one after the other, and where they end."""
        if depth >= MAX_DEPTH:
            raise _Damaged("arrays in arrays in arrays")
        if count * 8 > len(self._data) - at:
            raise _Damaged("an array is longer than the file")
        values = []
        for _ in range(count):
            kind, start, size, at = self.element(at)
            if kind != _MATRIX:
                raise _Damaged("an array is not where it should be")
            values.append(self.matrix(start, start + size, depth + 1))
        return tuple(values), at

    def _struct(self, at: int, count: int, depth: int) -> StructArray:
        _, start, _, at = self.element(at)
        (length,) = _INT.unpack_from(self._data, start)
        _, start, size, at = self.element(at)
        if length < 1 or size > MAX_FIELDS * length:
            raise _Damaged("no field names, or too many")
        names = [
            self._data[start + i : start + i + length].split(b"\0")[0].decode("latin-1")
            for i in range(0, size - size % length, length)
        ]
        values, _ = self._matrices(at, count * len(names), depth)
        fields = {name: values[i :: len(names)] for i, name in enumerate(names)}
        return StructArray(count, fields)
