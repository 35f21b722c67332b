"""Mutants of a shard, and a process that reads them: what `test_shards_fuzz.py` needs.

Run as a script it reads mutants one after another and says which one it is at, so that the test
that started it knows which one crashed it. Every mutant is a function of its seed and number.
"""

from __future__ import annotations

import io
import json
import random
import resource
import shutil
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from c2f_data.artefacts import sha256_file
from c2f_data.errors import C2FError
from c2f_data.shards.alone import read_alone
from c2f_data.shards.head import head_sha256
from c2f_data.shards.manifest import MANIFEST, PayloadRange
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.structure import open_checked
from c2f_data.shards.verify import verify

# Beyond what the process has when all is imported. The shards have a few kilobytes.
MOST_MEMORY = 512 * 1024 * 1024
MOST_SECONDS = 10
# Values that a parser may stumble over, whatever they stand for.
HOSTILE = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)

Mutate = Callable[[random.Random, bytearray, list[tuple[int, int]]], bytearray]


def flip_bits(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Flip some bits of the head."""
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        data[position(draw, head)] ^= 1 << draw.randrange(8)
    return data


def hostile_number(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Put an extreme number anywhere into the head."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        size = draw.choice((1, 2, 4, 8))
        at = position(draw, head) // size * size
        value = draw.choice(HOSTILE) if draw.random() < 0.7 else draw.getrandbits(8 * size)
        data[at : at + size] = struct.pack("<Q", value % 2**64)[:size]
    return data


def swap_blocks(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Exchange two blocks."""
    size = draw.choice((1, 4, 8, 16, 64, 256))
    first, second = position(draw, head), draw.randrange(len(data))
    first, second = min(first, len(data) - size), min(second, len(data) - size)
    one, two = data[first : first + size], data[second : second + size]
    data[first : first + size], data[second : second + size] = two, one
    return data


def copy_block(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Write one block of the head over another: right structures in wrong places."""
    size = draw.choice((4, 8, 24, 40, 96))
    source, target = position(draw, head), position(draw, head)
    block = bytes(data[source : source + size])
    data[target : target + len(block)] = block
    return data


def insert_bytes(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Move everything behind a place."""
    at = position(draw, head)
    data[at:at] = draw.randbytes(draw.choice((1, 7, 8, 512)))
    return data


def cut_off(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """End the file early."""
    del data[draw.randrange(len(data)) :]
    return data


def damage_images(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Change bytes anywhere, most of them in images."""
    for _ in range(draw.choice((1, 3))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return data


def change_attribute(
    draw: random.Random, data: bytearray, head: list[tuple[int, int]]
) -> bytearray:
    """Give an attribute another value or type, as the HDF5 library writes it."""

    def edit(file: h5py.File) -> None:
        level = draw.choice(list(file["images"]))
        place = file[draw.choice(("/", "/labels", f"/images/{level}", f"/images/{level}"))]
        name = draw.choice([*place.attrs])
        if draw.random() < 0.2:
            del place.attrs[name]
        else:
            place.attrs[name] = draw.choice(ATTRIBUTES)

    return edited(data, edit)


def change_values(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Put an extreme or a neighbour's value into an array: right structures, wrong numbers."""

    def edit(file: h5py.File) -> None:
        values = file[draw.choice(arrays(file))]
        row, flat = draw.randrange(len(values)), values[...].reshape(-1)
        if values.dtype.kind == "S":
            values[row] = draw.choice((b"", b"\xff\xfe", b"../x", values[0]))
        elif draw.random() < 0.5:
            first, second = draw.randrange(flat.size), draw.randrange(flat.size)
            flat[first], flat[second] = flat[second], flat[first]
            values[...] = flat.reshape(values.shape)
        else:
            extreme = np.uint64(draw.choice(HOSTILE)).astype(values.dtype)
            near = values[row] + values.dtype.type(1)
            values[row] = draw.choice((extreme, near))

    return edited(data, edit)


def change_array(draw: random.Random, data: bytearray, head: list[tuple[int, int]]) -> bytearray:
    """Put an array of another type, shape or storage in the place of one."""

    def edit(file: h5py.File) -> None:
        name = draw.choice(arrays(file))
        values = file[name][...]
        del file[name]
        how = draw.randrange(6)
        if how == 0:
            file[name] = values.astype(draw.choice(("<f8", ">i4", "<i2", "S3", "?")))
        elif how == 1:
            file[name] = np.concatenate([values, values[:1]])
        elif how == 2:
            file.create_dataset(name, data=values, chunks=True, compression="gzip")
        elif how == 3:
            huge = (draw.choice((2**31, 2**40, 2**62)), *values.shape[1:])
            file.create_dataset(name, huge, values.dtype)
        elif how == 4:
            file[name] = h5py.SoftLink(draw.choice(("/labels", "/nowhere", f"/{name}")))
        else:
            file.create_group(name)

    return edited(data, edit)


MUTATIONS: tuple[Mutate, ...] = (
    *(flip_bits, hostile_number, swap_blocks, copy_block, insert_bytes, cut_off, damage_images),
    *(change_attribute, change_values, change_array),
)
ATTRIBUTES: tuple[Any, ...] = (
    *(0, -1, 2**62, np.uint64(2**64 - 1), 1.5, float("nan"), True, "", "x" * 4000, b"bytes"),
    *("../..", "null", "{}", "[" * 30_000, '{"filter": "sharp"}', ["a", "b"], [[1, 2], [3, 4]]),
    *(h5py.Empty("f"), np.zeros(0), np.zeros((20, 20)), "webp-lossless", "raw", "encoded"),
)


def edited(data: bytearray, edit: Callable[[h5py.File], None]) -> bytearray:
    """A file after an edit by the HDF5 library; as it was where the library refuses the edit."""
    memory = io.BytesIO(data)
    try:
        with h5py.File(memory, "r+") as file:
            edit(file)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return data
    return bytearray(memory.getvalue())


def arrays(file: h5py.File) -> list[str]:
    """Names of all arrays."""
    found: list[str] = []
    file.visititems(
        lambda name, thing: found.append(name) if isinstance(thing, h5py.Dataset) else None
    )
    return found


def position(draw: random.Random, head: list[tuple[int, int]]) -> int:
    start, end = draw.choices(head, [end - start for start, end in head])[0]
    return draw.randrange(start, end)


@dataclass(frozen=True)
class Truth:
    """The shards before anything is done to them, and their pixels."""

    folder: Path
    pixels: dict[tuple[str, int, str], np.ndarray]

    @classmethod
    def of(cls, folder: Path) -> Truth:
        reader = ShardReader(folder)
        return cls(
            folder,
            {
                (split, i, level): reader.pixels(split, i, level)
                for split in reader.splits
                for i in range(reader.length(split))
                for level in reader.levels
            },
        )


def write_mutant(truth: Truth, where: Path, seed: int, number: int) -> str:
    """A copy of the shards of which one is a mutant that the manifest vouches for; in words."""
    draw = random.Random(f"{seed} {number}")
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(truth.folder, where)
    manifest = json.loads((where / MANIFEST).read_text(encoding="utf-8"))
    entry = draw.choice(manifest["shards"])
    path = where / entry["file"]
    data = bytearray(path.read_bytes())
    head, start = [], 0
    for place in entry["payloads"]:
        head.append((start, place["offset"]))
        start = place["offset"] + place["bytes"]
    if start < len(data):
        head.append((start, len(data)))
    head = [(start, end) for start, end in head if start < end]
    mutate = draw.choice(MUTATIONS)
    path.write_bytes(mutate(draw, data, head))
    vouch(where, entry["file"])
    return mutate.__name__


def vouch(folder: Path, file: str) -> None:
    """Make manifest and sidecar agree with a shard as it is, so that the gates behind are reached.

    The ranges of the payloads stay as they were."""
    path, shard = folder / MANIFEST, folder / file
    manifest = json.loads(path.read_text(encoding="utf-8"))
    entry = next(entry for entry in manifest["shards"] if entry["file"] == file)
    places = [PayloadRange(**place) for place in entry["payloads"]]
    entry["bytes"], entry["sha256"] = shard.stat().st_size, sha256_file(shard)
    entry["head_sha256"] = head_sha256(shard, places)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    sidecar = shard.with_suffix(".json")
    beside = json.loads(sidecar.read_text(encoding="utf-8"))
    sidecar.write_text(json.dumps({**beside, "entry": entry}), encoding="utf-8")


def read(truth: Truth, folder: Path) -> str:
    """Read all of a mutant in every way there is: ``true``, ``refused``, or what went wrong."""
    for path in folder.glob("*.h5"):
        with suppress(C2FError):
            read_alone(path)
        walk(path)
    try:
        reader = ShardReader(folder)
    except C2FError:
        return "refused"
    refused = False
    for (split, i, level), right in truth.pixels.items():
        try:
            pixels = reader.pixels(split, i, level)
        except C2FError:
            refused = True
            continue
        if not np.array_equal(pixels, right):
            return f"WRONG: {level} of image {i} in {split}"
    if refused and not verify(folder, decode=True):
        return "WRONG: verify has no problem with it"
    return "refused" if refused else "true"


def walk(path: Path) -> None:
    """What the look at the structure passes must not be too much for HDF5, whatever it reads."""
    try:
        file = open_checked(path, path.stat().st_size)
    except (ValueError, OSError):
        return

    def look(_name: str, thing: h5py.Group | h5py.Dataset) -> None:
        for key in thing.attrs:
            with suppress(Exception):
                thing.attrs[key]
        if isinstance(thing, h5py.Dataset):
            with suppress(Exception):
                thing[...]

    with file:
        with suppress(Exception):
            file.visititems(look)
        look("/", file)


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    folder, where, seed, first, last = sys.argv[1:]
    truth = Truth.of(Path(folder))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(int(first), int(last)):
        say(f"{number} ")
        # Its default is to end the process, also where it hangs inside a library.
        signal.alarm(MOST_SECONDS)
        name = write_mutant(truth, Path(where), int(seed), number)
        try:
            outcome = read(truth, Path(where))
        except BaseException as error:
            outcome = f"WRONG: {type(error).__name__}: {error}".replace("\n", " ")
        say(f"{name} {outcome}\n")
    signal.alarm(0)


if __name__ == "__main__":
    main()
