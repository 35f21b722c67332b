"""Look through the structure of an HDF5 file before the HDF5 library does.

The library trusts what it reads: a few changed bytes make it loop for ever, take all memory or
crash the process. So a file that may come from anywhere is first walked here, in plain Python, and
only the narrow kind that shards are passes: superblock 0, groups as symbol tables, contiguous
datasets of whole numbers or fixed text, attributes of numbers or text. Each structure must lie
inside the file and have its bytes for itself, so no pointer leads in a circle, out of the file, or
into the middle of something else.

Source: the HDF5 file format specification, version 3.0; each part names its section.
"""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import h5py

from c2f_data.shards.hdf5_parts import (
    ANY_LENGTH,
    dataspace,
    datatype,
    messages,
    name_at,
    only_zeros,
    require,
)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1
# Groups inside groups: /images/LEVEL/payload.
DEEPEST = 3
# Of a group's symbol table node, and of its tree; the defaults of the library, in the superblock.
LEAF_K, TREE_K = 4, 16
# Bytes of the tree's keys and children, of the node's entries.
TREE_SIZE = 24 + 8 * (4 * TREE_K + 1)
NODE_SIZE = 8 + 40 * 2 * LEAF_K
# In a local heap: there is no free block, or no further one.
NO_BLOCK = 1
# A shard has two groups, two arrays and some names a level; the structure of a thousand levels
# has less.
MOST_BYTES = 64 * 1024 * 1024

NIL, DATASPACE, DATATYPE, FILL, LAYOUT, ATTRIBUTE, CONTINUATION, SYMBOLS = (
    *(0x00, 0x01, 0x03, 0x05, 0x08, 0x0C, 0x10, 0x11),
)
# What people may well have put into a file.
OTHERS = {
    **dict.fromkeys((0x02, 0x06), "links to elsewhere"),
    0x07: "a dataset in another file",
    0x0B: "another layout, compressed",
}

# Where a group's tree and its heap of names are.
Table = tuple[int, int]
# Where an object header is, which kind of cache the entry has, and the cache.
Entry = tuple[int, int, Table]


class Readable(Protocol):
    """A file object."""

    def seek(self, offset: int, /) -> int: ...
    def read(self, size: int, /) -> bytes | None: ...


def open_checked(source: Path | Readable, size: int) -> h5py.File:
    """Open an HDF5 file that need not be trusted.

    Raises:
        ValueError, OSError: as :func:`check_structure`.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            check_structure(file, size)
    else:
        check_structure(source, size)
    return h5py.File(source, "r")


def check_structure(file: Readable, size: int) -> None:
    """Pass an HDF5 file that is built as shards are.

    Args:
        file: open for reading; its position changes.
        size: of the file in bytes.

    Raises:
        ValueError: it is built in another way, or its parts contradict each other.
        OSError: it can't be read.
    """
    try:
        _Walk(file, size).superblock()
    except struct.error as error:  # a part is too short
        raise ValueError(f"its HDF5 structure is not a shard's: {error}") from error


class _Walk:
    def __init__(self, file: Readable, size: int) -> None:
        self._file = file
        self._size = size
        self._taken: dict[int, int] = {}
        self._read = 0
        self._heaps: dict[int, dict[int, int]] = {}

    def superblock(self) -> None:
        """II.A. Superblock version 0, and the root group's entry at its end."""
        data = self._claim(0, 96)
        require(data[:8] == SIGNATURE, "signature")
        require(data[8:24] == struct.pack("<8BHHI", 0, 0, 0, 0, 0, 8, 8, 0, LEAF_K, TREE_K, 0), "")
        places = struct.unpack("<4Q", data[24:56])
        require(places == (0, UNDEFINED, self._size, UNDEFINED), "places in the superblock")
        _, address, cached, _, *table = struct.unpack("<QQIIQQ", data[56:96])
        found = self._object(address, 0)
        require(found is not None and cached == 1 and found == tuple(table), "root group")
        for (start, end), (after, _) in pairwise(sorted(self._taken.items())):
            require(start < end <= after, "two parts in one place")

    def _claim(self, start: int, length: int) -> bytes:
        """The bytes of a structure, which are no other structure's."""
        self._reserve(start, length)
        self._read += length
        require(self._read <= MOST_BYTES, "size of the structure")
        self._file.seek(start)
        data = self._file.read(length) or b""
        require(len(data) == length, "end of the file")
        return data

    def _reserve(self, start: int, length: int) -> None:
        require(length > 0 and start + length <= self._size, "a place outside the file")
        require(start not in self._taken, "a place that is used twice")
        self._taken[start] = start + length

    def _object(self, address: int, depth: int) -> Table | None:
        """IV.A.1.a. An object header, version 1. A group's symbol table, or None for a dataset."""
        version, _, count, links, length = struct.unpack("<BBHII", self._claim(address, 16)[:12])
        require(version == 1 and links == 1, "an object header")
        found: dict[int, bytes] = {}
        blocks = [(address + 16, length)]
        seen = 0
        while blocks:
            for kind, body in messages(self._claim(*blocks.pop())):
                seen += 1
                if kind == CONTINUATION:
                    require(len(body) == 16, "a continuation")
                    blocks.append(struct.unpack("<QQ", body))
                elif kind == ATTRIBUTE:
                    self._attribute(body)
                elif kind != NIL:
                    require(kind not in OTHERS, OTHERS.get(kind, ""))
                    require(kind not in found, "a message that comes twice")
                    found[kind] = body
        require(seen == count, "the number of messages")
        if SYMBOLS in found:
            require(set(found) == {SYMBOLS} and len(found[SYMBOLS]) == 16, "a group")
            require(depth < DEEPEST, "groups too deep")
            return self._group(struct.unpack("<QQ", found[SYMBOLS]), depth)
        require(found.get(LAYOUT, b"")[:2] == b"\x03\x01", "another layout")
        require(set(found) == {DATASPACE, DATATYPE, FILL, LAYOUT}, "a dataset")
        self._dataset(found)
        return None

    def _group(self, table: Table, depth: int) -> Table:
        """III.A.1, III.B: the tree of a group and its nodes; one level of the tree is enough."""
        tree, heap = table
        names = self._local_heap(heap)
        data = self._claim(tree, TREE_SIZE)
        head = struct.unpack("<4sBBHQQ", data[:24])
        used = head[3]
        require(head == (b"TREE", 0, 0, used, UNDEFINED, UNDEFINED), "a tree")
        require(0 < used <= 2 * TREE_K, "the size of a tree")
        keys = struct.unpack(f"<{2 * used + 1}Q", data[24 : 24 + 8 * (2 * used + 1)])
        previous = name_at(names, keys[0])
        for node, last in zip(keys[1::2], keys[2::2], strict=True):
            for name, entry in self._node(node, names):
                require(previous < name <= name_at(names, last), "the order of names")
                previous = name
                self._entry(entry, depth)
        return table

    def _node(self, address: int, names: bytes) -> list[tuple[bytes, Entry]]:
        """III.B. A node: the names and entries in it."""
        data = self._claim(address, NODE_SIZE)
        signature, version, _, used = struct.unpack("<4sBBH", data[:8])
        require((signature, version) == (b"SNOD", 1) and 0 < used <= 2 * LEAF_K, "a node")
        entries = struct.iter_unpack("<QQIIQQ", data[8 : 8 + 40 * used])
        return [
            (name_at(names, at), (to, kind, (tree, heap)))
            for at, to, kind, _, tree, heap in entries
        ]

    def _entry(self, entry: Entry, depth: int) -> None:
        """III.C. What an entry leads to; of a group, the library believes the cache."""
        address, kind, cached = entry
        require(kind < 2, "links to elsewhere")
        table = self._object(address, depth + 1)
        right = kind == 0 if table is None else kind == 1 and cached == table
        require(right, "an entry")

    def _local_heap(self, address: int) -> bytes:
        """III.D. The names of a group; the free blocks between them are a chain."""
        head = self._claim(address, 32)
        require(head[:8] == b"HEAP\0\0\0\0", "a heap")
        length, free, start = struct.unpack("<3Q", head[8:])
        data = self._claim(start, length)
        before = 0
        while free != NO_BLOCK:
            require(before <= free and free + 16 <= length, "a free block")
            following, block = struct.unpack("<QQ", data[free : free + 16])
            before = free + block
            require(block >= 16 and before <= length, "the size of a free block")
            free = following
        return data

    def _dataset(self, found: dict[int, bytes]) -> None:
        """IV.A.2.b, d, f, i: an array that lies in one piece, and for nobody else."""
        kind, width, used = datatype(found[DATATYPE])
        require(kind != ANY_LENGTH, "the type of a dataset")
        only_zeros(found[DATATYPE][used:])
        shape, used = dataspace(found[DATASPACE])
        only_zeros(found[DATASPACE][used:])
        fill = found[FILL]
        version, when, write, defined, length = struct.unpack("<4BI", fill[:8])
        require(version == 2 and when in (1, 2) and write in (0, 1, 2) and defined < 2, "a filling")
        require(length == 0 and len(fill) == 8, "a filling")
        layout = found[LAYOUT]
        require(len(layout) == 24, "another layout")
        start, total = struct.unpack("<QQ", layout[2:18])
        only_zeros(layout[18:])
        require(total == width * math.prod(shape), "a shape of another size")
        self._reserve(start, total)

    def _attribute(self, body: bytes) -> None:
        """IV.A.2.m. An attribute, version 1: its name, type and shape, each padded to 8 bytes."""
        version, _, name, kind, space = struct.unpack("<BBHHH", body[:8])
        require(version == 1, "an attribute")
        start, parts = 8, []
        for length in (name, kind, space):
            parts.append(body[start : start + length])
            require(len(parts[-1]) == length, "an attribute")
            start += -(-length // 8) * 8
        require(parts[0].endswith(b"\0") and parts[0].count(b"\0") == 1, "an attribute's name")
        what, width, used = datatype(parts[1])
        shape, taken = dataspace(parts[2])
        require((used, taken) == (kind, space), "an attribute's type")
        count = math.prod(shape)
        require(0 < count <= len(body), "an attribute's size")
        values = body[start : start + count * width]
        require(len(values) == count * width, "an attribute's values")
        only_zeros(body[start + len(values) :])
        if what == ANY_LENGTH:
            for length, address, number in struct.iter_unpack("<IQI", values):
                objects = self._global_heap(address)
                require(objects.get(number, -1) >= length, "a text")

    def _global_heap(self, address: int) -> dict[int, int]:
        """III.E. Texts of any length: number to length. Several attributes share one."""
        known = self._heaps.get(address)
        if known is not None:
            return known
        head = self._claim(address, 16)
        length = struct.unpack("<Q", head[8:])[0]
        require(head[:8] == b"GCOL\x01\0\0\0" and 16 < length <= self._size, "a heap of texts")
        data = self._claim(address + 16, length - 16)
        objects: dict[int, int] = {}
        at = 0
        while len(data) - at >= 16:
            number, _, _, size = struct.unpack("<HHIQ", data[at : at + 16])
            if number == 0:  # the free rest, with its own head
                require(size == len(data) - at, "the rest of a heap")
                break
            require(number not in objects, "a number in a heap")
            objects[number] = size
            at += 16 + -(-size // 8) * 8
            require(at <= len(data), "a text in a heap")
        self._heaps[address] = objects
        return objects
