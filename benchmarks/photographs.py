"""Photographs to measure with: made ones, or those of a folder.

No photograph may be committed, so they are drawn: a background out of focus, a few textured things
in focus with sharp outlines. As in natural images the amplitude of detail falls with its
frequency, and colour has less detail than brightness. A JPEG of quality 90 has about the bytes
that one of CUB has, which is what decoding costs.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.decode import Pixels
from c2f_data.errors import ConfigError
from c2f_data.index import TRAIN, DatasetIndex, ImageRecord
from c2f_data.taxonomy import Taxonomy

HEIGHT, WIDTH = 375, 500
QUALITY = 90
TAXONOMY = Taxonomy("photographs", ("genus", "species"), (("all", "a"), ("all", "b")))


@dataclass(frozen=True, slots=True)
class Photographs:
    """Photographs on disk, in a folder for each of two classes.

    Attributes:
        folder: of the two folders.
        described: what they are, in words.
    """

    folder: Path
    index: DatasetIndex
    described: str

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order of the index."""
        return tuple(self.folder / record.path for record in self.index.records)


def lay_out(folder: Path, count: int, source: Path | None = None) -> Photographs:
    """Write ``count`` photographs into a folder: made, or spread over those below ``source``.

    Raises:
        ConfigError: ``source`` has no JPEG files.
    """
    names = [f"{'ab'[i * 2 // count]}/{i:05d}.jpg" for i in range(count)]
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if source is None:
        for i, name in enumerate(names):
            (folder / name).write_bytes(as_jpeg(photograph(i)))
    else:
        found = sorted(p for p in source.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        if len(found) < 2:
            raise ConfigError(f"{source}: {len(found)} JPEG files", "Name a folder with more.")
        for i, name in enumerate(names):
            shutil.copyfile(found[i * len(found) // count], folder / name)
    sizes = [(folder / name).stat().st_size for name in names]
    records = tuple(
        ImageRecord(name, name, "ab".index(name[0]), TRAIN, size)
        for name, size in zip(names, sizes, strict=True)
    )
    kind = f"made, {WIDTH} x {HEIGHT}, quality {QUALITY}" if source is None else "of a folder"
    return Photographs(
        folder,
        DatasetIndex("photographs", folder, kind, TAXONOMY, records),
        f"{count} JPEG photographs ({kind}), {np.mean(sizes) / 1000:.0f} kB each on average",
    )


def as_jpeg(pixels: Pixels) -> bytes:
    """Encoded as cameras and websites do: quality 90, colour at half the resolution."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def photograph(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """(height, width, 3) uint8, the same for the same seed."""
    random = np.random.default_rng([seed, 0x9407])
    size = (height, width)
    light = 120 + 45 * _detail(size, 1.4, random)
    colour = np.stack([18 * _detail(size, 1.8, random) for _ in range(2)])
    sharp = 38 * _detail(size, 1.0, random)
    rows, columns = np.mgrid[0:height, 0:width] / height
    for _ in range(int(random.integers(2, 5))):
        inside = _shape(rows, columns, random)
        texture = random.uniform(60, 190) + np.roll(sharp, random.integers(0, size), (0, 1))
        light = light + inside * (texture - light)
        colour = colour + inside * (random.uniform(-45, 45, (2, 1, 1)) - colour)
    light = light + random.normal(0, 4, size)  # of the sensor
    blue, red = colour
    # ITU-R BT.601, as in JPEG.
    planes = (light + 1.402 * red, light - 0.344 * blue - 0.714 * red, light + 1.772 * blue)
    return np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)


def _detail(
    size: tuple[int, int], slope: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Noise with mean 0 and deviation 1 whose amplitude falls as frequency ** -slope."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    shape = frequency.shape
    waves = random.normal(size=shape) + 1j * random.normal(size=shape)
    noise: NDArray[np.float64] = np.fft.irfft2(waves * frequency**-slope, size)
    noise /= noise.std()
    return noise


def _shape(
    rows: NDArray[np.float64], columns: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """1 inside a turned ellipse, 0 outside, an edge of about a pixel; in units of the height."""
    y, x = rows - random.uniform(0.2, 0.8), columns - random.uniform(0.2, 1.1)
    angle, long = random.uniform(0, np.pi), random.uniform(0.1, 0.4)
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = np.hypot(along, across / random.uniform(0.3, 0.9)) / long
    edge = (1 - distance) * long * len(rows)
    inside: NDArray[np.float64] = edge.clip(-0.5, 0.5) + 0.5
    return inside
