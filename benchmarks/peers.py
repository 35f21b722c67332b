"""What c2f's loader is measured beside.

:func:`naive_loader` is what a new user writes: torchvision's folder of classes, every step by
Pillow. The peers differ from c2f in the container alone: they hold the same JPEG bytes, and c2f's
own decoder, resizer, cuts and batches take it from there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from c2f_data.errors import ConfigError
from c2f_train.loader import chunks

MEASURED_WITH = (
    *("torch", "torchvision", "numpy", "pillow", "simplejpeg", "h5py"),
    *("lmdb", "webdataset", "litdata"),
)
BATCH = 8
SHORTER, CROP = 512, 448
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# An epoch's images as (position, JPEG bytes), in the peer's own order.
Stream = Callable[[], Iterator[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A container with the photographs in it.

    Attributes:
        order: ``random``: any image at any time, here in c2f's order; ``own``: it streams.
        stream: one epoch.
    """

    name: str
    order: str
    stream: Stream


def library(name: str) -> ModuleType:
    """A package that only the benchmarks need. Raises ConfigError where it is absent."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{name} is not installed", "Install the packages to compare with: pip install '.[dev]'"
        ) from error


class Chosen:
    """The order of a torchvision loader's images; a benchmark sets it before each epoch."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


def naive_loader(folder: Path, order: Sequence[int], workers: int, *, floats: bool = True) -> Any:
    """torchvision's ImageFolder, all Pillow: shorter side 512, a random 448 px square, a flip.

    Args:
        workers: processes that load; they stay from epoch to epoch.
        floats: end with ToTensor and Normalize, as usual; else with uint8 tensors.
    """
    transforms: Any = library("torchvision").transforms
    data: Any = import_module("torch.utils.data")
    bicubic = transforms.InterpolationMode.BICUBIC  # what c2f enlarges with
    steps = [
        transforms.Resize(SHORTER, interpolation=bicubic),
        transforms.RandomCrop(CROP),
        transforms.RandomHorizontalFlip(),
    ]
    if floats:
        steps += [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    else:
        steps += [transforms.PILToTensor()]
    images = library("torchvision").datasets.ImageFolder(folder, transforms.Compose(steps))
    return data.DataLoader(
        images,
        batch_size=BATCH,
        sampler=Chosen(order),
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def make_peers(paths: Sequence[Path], order: Sequence[int], folder: Path) -> tuple[Peer, ...]:
    """Put the files into every container below ``folder``.

    Args:
        order: of an epoch, for those that can read any image at any time.
    """
    data = [path.read_bytes() for path in paths]
    return (
        Peer("plain files", "random", lambda: ((i, paths[i].read_bytes()) for i in order)),
        Peer("lmdb", "random", _lmdb(data, order, folder / "lmdb")),
        Peer("webdataset", "own", _webdataset(data, folder / "webdataset.tar")),
        Peer("litdata", "own", _litdata(data, folder / "litdata")),
    )


def versions() -> Mapping[str, str]:
    """Installed versions of all that the figures depend on."""
    return {name: version(name) for name in MEASURED_WITH}


def _lmdb(data: Sequence[bytes], order: Sequence[int], folder: Path) -> Stream:
    lmdb = library("lmdb")
    room = 2 * sum(map(len, data)) + 2**20
    with lmdb.open(str(folder), map_size=room) as store, store.begin(write=True) as writing:
        for i, image in enumerate(data):
            writing.put(f"{i:08d}".encode(), image)
    opened = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)

    def stream() -> Iterator[tuple[int, bytes]]:
        with opened.begin() as reading:
            for i in order:
                yield i, bytes(reading.get(f"{i:08d}".encode()))

    return stream


def _webdataset(data: Sequence[bytes], path: Path) -> Stream:
    webdataset = library("webdataset")
    with webdataset.TarWriter(str(path)) as writing:
        for i, image in enumerate(data):
            writing.write({"__key__": f"{i:08d}", "jpg": image})

    def stream() -> Iterator[tuple[int, bytes]]:
        for sample in webdataset.WebDataset(str(path), shardshuffle=False):
            yield int(sample["__key__"]), sample["jpg"]

    return stream


def _litdata(data: Sequence[bytes], folder: Path) -> Stream:
    with redirect_stdout(sys.stderr):
        litdata = library("litdata")
        cache = import_module("litdata.streaming.cache").Cache(str(folder), chunk_bytes="64MB")
        for i, image in enumerate(data):
            cache[i] = {"number": i, "jpg": image}
        cache.done()
        cache.merge()
        streaming = litdata.StreamingDataset(str(folder))

    def stream() -> Iterator[tuple[int, bytes]]:
        for sample in streaming:
            yield sample["number"], sample["jpg"]

    return stream


def batches_of(stream: Stream) -> Iterator[list[tuple[int, bytes]]]:
    """An epoch in lists of a batch's size."""
    return chunks(stream(), BATCH)
