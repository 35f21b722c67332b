"""The look at a file's structure that comes before HDF5: shards pass, circles and overlaps do not.

What random changes do is in `test_shards_fuzz.py`; these are the ones that are hard to hit.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards_cases import SPEC, levels, make_index

from c2f_data.resample import reduced_size
from c2f_data.shards.picture_sizes import at_shorter_side
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.structure import check_structure
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("toy")
    write_shards(make_index(root), levels(), SPEC, root / "shards")
    return next((root / "shards").glob("*.h5")).read_bytes()


def look(data: bytes) -> None:
    check_structure(io.BytesIO(data), len(data))


def array_at(data: bytes, name: str) -> int:
    """Where the place of an array is noted."""
    with h5py.File(io.BytesIO(data)) as file:
        place = struct.pack("<Q", file[name].id.get_offset())
    assert data.count(place) == 1
    return data.index(place)


def put(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<Q", value) + data[at + 8 :]


def child_of_the_tree(data: bytes) -> int:
    return data.index(b"TREE") + 32


def first_entry(data: bytes) -> int:
    """Where the first entry of a group says what it leads to."""
    return data.index(b"SNOD") + 16


Forge = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda d: put(d, child_of_the_tree(d), d.index(b"TREE")), "used twice"),
        (lambda d: put(d, first_entry(d), struct.unpack("<Q", d[64:72])[0]), "used twice"),
        (lambda d: put(d, first_entry(d), 2**64 - 1), "outside the file"),
        (lambda d: put(d, array_at(d, "labels"), 0), "used twice"),
        (lambda d: put(d, array_at(d, "labels"), 8), "two parts in one place"),
        (lambda d: put(d, array_at(d, "labels"), len(d) - 8), "outside the file"),
        (lambda d: put(d, array_at(d, "labels") + 8, 2**40), "a shape of another size"),
        (lambda d: d[:8] + b"\3" + d[9:], "superblock"),
        (lambda d: d[:-1], "superblock"),
        (lambda d: d[:40], "outside the file"),
        (lambda _: b"", "outside the file"),
    ],
)
def test_a_structure_that_leads_elsewhere(shard: bytes, forge: Forge, said: str) -> None:
    look(shard)
    with pytest.raises(ValueError, match=said):
        look(forge(shard))


def test_another_program_s_file() -> None:
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="latest") as file:
        file["labels"] = np.zeros(3)
    with pytest.raises(ValueError, match="superblock"):
        look(memory.getvalue())


@pytest.mark.parametrize("count", [2, 9, 40])
def test_any_number_of_levels_passes(tmp_path: Path, count: int) -> None:
    """HDF5 splits the tables of larger groups, and stores other letters in another way."""
    names = tuple(f"livello-ä-{i}" for i in range(count))
    paths = tuple((*(f"n{i}" for i in range(count - 1)), f"art {k}") for k in range(4))
    taxonomy = Taxonomy("deep", names, paths)
    sides = {name: 4 + i % 9 for i, name in enumerate(names[:-1])}
    index = make_index(tmp_path, taxonomy)
    write_shards(index, plan_levels(taxonomy, sides), SPEC, tmp_path / "shards")
    reader = ShardReader(tmp_path / "shards")
    assert reader.levels == names
    assert min(reader.pixels("train", 0, names[0]).shape[:2]) == 4


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 4096))
def test_sizes_follow_the_rule_of_the_reduction(height: int, width: int, side: int) -> None:
    (found,) = at_shorter_side(np.array([[height, width]], dtype=np.int64), side).tolist()
    assert tuple(found) == reduced_size(height, width, side)
