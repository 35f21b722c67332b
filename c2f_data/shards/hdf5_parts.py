"""The parts of an HDF5 file that :mod:`c2f_data.shards.structure` meets more than once.

Source: the HDF5 file format specification, version 3.0; each part names its section.
"""

from __future__ import annotations

import struct

# Classes of a datatype.
NUMBER, TEXT, ANY_LENGTH = 0, 3, 9


def messages(data: bytes) -> list[tuple[int, bytes]]:
    """The messages of an object header's block, which they fill."""
    found, at = [], 0
    while at < len(data):
        require(at + 8 <= len(data), "a message")
        kind, length, flags = struct.unpack("<HHB", data[at : at + 5])
        # 1: it does not change. Others mean that it is shared, or must be understood.
        require(flags in (0, 1) and length % 8 == 0, "a message's flags")
        require(at + 8 + length <= len(data), "the length of a message")
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length
    return found


def datatype(data: bytes) -> tuple[int, int, int]:
    """IV.A.2.d. Class, bytes of a value, and bytes that the description takes."""
    require(len(data) >= 8 and data[0] >> 4 == 1, "a datatype")
    kind, bits = data[0] & 15, int.from_bytes(data[1:4], "little")
    width = int.from_bytes(data[4:8], "little")
    if kind == NUMBER:
        # Little endian, signed or not, without padding, and all of its bits used.
        right = bits in (0, 8) and width in (1, 2, 4, 8)
        require(right and data[8:12] == struct.pack("<HH", 0, 8 * width), "a number's type")
        return kind, width, 12
    if kind == TEXT:
        # Padded by zeros or ended by one, ASCII or UTF-8.
        require(width > 0 and bits & 15 <= 1 and bits >> 4 <= 1, "a text's type")
        return kind, width, 8
    require(kind == ANY_LENGTH and width == 16, "a type that shards do not have")
    require(bits & 15 == 1 and bits >> 8 <= 1, "a text's type")
    letters = data[8:]
    require(letters[:1] in (b"\x10", b"\x13"), "a text's letters")  # a NUMBER or a TEXT
    _, letter, used = datatype(letters)
    require(letter == 1, "a text's letters")
    return kind, width, 8 + used


def dataspace(data: bytes) -> tuple[tuple[int, ...], int]:
    """IV.A.2.b. The shape, and bytes that the description takes; it can't grow."""
    require(len(data) >= 8, "a shape")
    version, rank, flags = data[:3]
    require(version == 1 and rank <= 2 and flags <= 1, "a shape")
    used = 8 + 8 * rank * (1 + flags)
    require(len(data) >= used, "a shape")
    sides = struct.unpack(f"<{rank * (1 + flags)}Q", data[8:used])
    require(not flags or sides[:rank] == sides[rank:], "a shape that grows")
    return sides[:rank], used


def name_at(names: bytes, at: int) -> bytes:
    """A name in a group's heap, which ends with a zero."""
    end = names.find(b"\0", at) if at < len(names) else -1
    require(end >= 0, "a name")
    return names[at:end]


def only_zeros(data: bytes) -> None:
    """Padding. Raises ValueError for anything else."""
    require(not data.strip(b"\0"), "padding")


def require(right: bool, what: str) -> None:
    """Raises ValueError, which says what is not as it must be."""
    if not right:
        raise ValueError(f"its HDF5 structure is not a shard's: {what or 'superblock'}")
