"""A small data set with every kind of image file, for the tests of the shards."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.resample import ResampleSpec
from c2f_data.shards.schema import LevelPlan, plan_levels
from c2f_data.taxonomy import Taxonomy

TAXONOMY = Taxonomy(
    "toy",
    ("family", "genus", "species"),
    (
        ("gulls", "larus", "herring gull"),
        ("gulls", "larus", "common gull"),
        ("gulls", "rissa", "kittiwake"),
        ("crows", "corvus", "räven ✓"),
    ),
)
RESOLUTIONS = {"family": 12, "genus": 24}
SPEC = ResampleSpec()
# Names of the files whose own bytes can't be used as they are.
CANONICAL = ("turned.jpg", "cmyk.jpg", "deep.png", "alpha.png", "palette.png")


def picture(seed: int, height: int = 40, width: int = 56) -> NDArray[np.uint8]:
    """Smooth colours with some noise, so that JPEG has something to do."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.stack([rows * 3, columns * 2, (rows + columns) * 2], axis=2) + seed * 7
    return ((base + random.integers(0, 40, base.shape)) % 256).astype(np.uint8)


def write_images(folder: Path) -> list[str]:
    """One file of each kind that matters; the names, in order."""
    folder.mkdir(parents=True)
    rgb = Image.fromarray(picture(0))
    rgb.save(folder / "plain.jpg", quality=90)
    rgb.save(folder / "plain.png")
    rgb.convert("L").save(folder / "grey.jpg")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=exif)
    deep = (picture(1)[:, :, 0].astype(np.uint16)) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    rgba = np.dstack([picture(2), picture(3)[:, :, 0]])
    Image.fromarray(rgba).save(folder / "alpha.png")
    rgb.convert("P").save(folder / "palette.png")
    Image.fromarray(picture(4, 16, 20)).save(folder / "small.png")
    Image.fromarray(picture(5, 200, 31)).save(folder / "tall.webp", lossless=True)
    for seed in range(6, 14):
        Image.fromarray(picture(seed)).save(folder / f"more{seed:02}.jpg")
    return sorted(path.name for path in folder.iterdir())


def make_index(root: Path, taxonomy: Taxonomy = TAXONOMY) -> DatasetIndex:
    """The images of :func:`write_images` under ``root``, every third one in test."""
    folder = root / "images"
    names = sorted(p.name for p in folder.iterdir()) if folder.exists() else write_images(folder)
    records = tuple(
        ImageRecord(
            image_id=f"vögel/{name}",
            path=f"images/{name}",
            label=i % len(taxonomy.paths),
            split=TEST if i % 3 == 2 else TRAIN,
            bytes=(folder / name).stat().st_size,
        )
        for i, name in enumerate(names)
    )
    return DatasetIndex("toy", root, "made for a test", taxonomy, records)


def levels() -> tuple[LevelPlan, ...]:
    return plan_levels(TAXONOMY, RESOLUTIONS)


def tree(folder: Path) -> dict[str, bytes]:
    """What a folder of shards holds, without what may differ between two runs."""
    apart = {"provenance.json", ".lock"}
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name not in apart}


def open_rgb(data: bytes) -> NDArray[np.uint8]:
    """What any program that uses Pillow sees."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
