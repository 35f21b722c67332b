"""The work that ``benchmarks.shards`` times: each function gives ways to do the same work."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.peers import BATCH, CROP, DEVIATION, MEAN, SHORTER, Peer, batches_of, naive_loader
from benchmarks.photographs import Photographs
from c2f_data.decode import Pixels, decode_bytes, decode_file
from c2f_data.index import TRAIN
from c2f_data.resample import ResampleSpec, ResolutionSweep, reduce_all, reduced_size
from c2f_data.shards.encodings import WEBP, encode
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_train.data import TrainingImages
from c2f_train.loader import Item, load, loader
from c2f_train.run import ShardPictures

SPEC = ResampleSpec(enlarge_to=SHORTER, crop=CROP)
EXACT = ResampleSpec(engine="pillow")
SWEEP = ResolutionSweep.geometric(375, lowest=16, points=12).resolutions
LEVEL = "species"
SEED = 1

Work = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Shards:
    """The photographs in shards of both layouts."""

    encoded: ShardReader
    raw: ShardReader

    @classmethod
    def of(cls, photographs: Photographs, folder: Path) -> Shards:
        index = photographs.index
        levels = plan_levels(index.taxonomy, {"genus": 112})
        write_shards(index, levels, SPEC, folder / "encoded")
        write_shards(
            index, levels, SPEC, folder / "raw", encoding="raw", enlarged=InputSide.of(SPEC)
        )
        return cls(ShardReader(folder / "encoded"), ShardReader(folder / "raw"))

    def bytes_of(self, position: int) -> bytes:
        """A photograph's JPEG bytes."""
        return self.encoded.read(TRAIN, position, LEVEL)


def naive_sweep(path: Path) -> list[Pixels]:
    """As a script does it: open, decode and reduce, for each resolution anew; never enlarged."""
    reduced = []
    for resolution in SWEEP:
        with Image.open(path) as image:
            small = image.convert("RGB")
        if resolution < min(small.size):
            height, width = reduced_size(small.height, small.width, resolution)
            small = small.resize((width, height), Image.Resampling.BICUBIC)
        reduced.append(np.array(small))
    return reduced


def sweep(path: Path, spec: ResampleSpec) -> list[Pixels]:
    """As c2f does it: decode once, every resolution from the full image."""
    return list(reduce_all(decode_file(path).pixels, SWEEP, spec))


def sweeps(paths: Sequence[Path]) -> Work:
    """All reduced images, nothing encoded."""
    return {
        "sweep": lambda: [sweep(path, SPEC) for path in paths],
        "sweep, Pillow's pixels": lambda: [sweep(path, EXACT) for path in paths],
        "sweep, naive": lambda: [naive_sweep(path) for path in paths],
    }


def lossless(pictures: Sequence[Pixels]) -> Work:
    """Decoded photographs to bytes."""
    return {
        "lossless WebP": lambda: [encode(pixels, WEBP) for pixels in pictures],
        "PNG level 6": lambda: [as_png(pixels) for pixels in pictures],
    }


def as_png(pixels: Pixels) -> bytes:
    """Pillow's default PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def size_of_webp(pictures: Sequence[Pixels]) -> float:
    """Bytes as lossless WebP by bytes as PNG level 6."""
    webp = sum(len(encode(pixels, WEBP)) for pixels in pictures)
    return webp / sum(len(as_png(pixels)) for pixels in pictures)


def training_images(reader: ShardReader) -> TrainingImages:
    """What a training draws from; nothing is kept in memory."""
    return TrainingImages(ShardPictures(reader, TRAIN, LEVEL), SPEC, SEED, cache=False)


def loaders(photographs: Photographs, shards: Shards, order: Sequence[int]) -> Work:
    """One epoch of batches of 8, as they leave for the device: c2f's in uint8."""
    keys = [(1, position) for position in order]

    def own(reader: ShardReader, workers: int) -> Callable[[], object]:
        images = training_images(reader)
        return lambda: consume(loader(images, BATCH, workers, keys))

    def naive(workers: int, *, floats: bool = True) -> Callable[[], object]:
        batches = naive_loader(photographs.folder, order, workers, floats=floats)
        return lambda: consume(batches)

    def normalised() -> None:
        for images, _ in loader(training_images(shards.encoded), BATCH, 0, keys):
            normalise(images)

    return {
        "JPEG": own(shards.encoded, 0),
        "JPEG, two threads": own(shards.encoded, 2),
        "JPEG, normalised": normalised,
        "raw": own(shards.raw, 0),
        "ImageFolder": naive(0),
        "ImageFolder, two workers": naive(2),
        "ImageFolder, uint8": naive(0, floats=False),
    }


def normalise(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) uint8 to normalised float32."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    deviation = torch.tensor(DEVIATION).view(1, 3, 1, 1) * 255
    return images.float().sub_(mean).div_(deviation)


def end_to_end(shards: Shards, peers: Iterable[Peer], order: Sequence[int]) -> Work:
    """One epoch from each container, by one thread, with the same decoder, resizer and cuts."""
    images = training_images(shards.encoded)
    keys = [(1, position) for position in order]

    def of(peer: Peer) -> Callable[[], object]:
        return lambda: consume(load(cut, batches_of(peer.stream), 0))

    own = {"shards": lambda: consume(loader(images, BATCH, 0, keys))}
    return own | {peer.name: of(peer) for peer in peers}


def cut(key: tuple[int, bytes]) -> Item:
    """The training image of (position, JPEG bytes)."""
    position, data = key
    return TrainingImages(_Decoded(data), SPEC, SEED, cache=False)[1, position]


def layout_only(shards: Shards, peers: Iterable[Peer], order: Sequence[int]) -> Work:
    """One epoch's bytes from each container, not decoded. Shards check a CRC of each image."""

    def of(peer: Peer) -> Callable[[], object]:
        return lambda: sum(len(data) for _, data in peer.stream())

    own = {"shards": lambda: sum(len(shards.bytes_of(i)) for i in order)}
    return own | {peer.name: of(peer) for peer in peers}


def consume(batches: Iterable[object]) -> None:
    """Take every batch and drop it."""
    for _ in batches:
        pass


@dataclass(frozen=True, slots=True)
class _Decoded:
    data: bytes

    def __len__(self) -> int:
        return 1

    def pixels(self, position: int) -> Pixels:
        return decode_bytes(self.data, f"image {position}").pixels
