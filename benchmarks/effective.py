"""How well enlarged and blurred images are told by their spectrum, and how often others are.

Images are reduced to a known share of their pixels and enlarged again by three kernels, some with
noise or JPEG afterwards; others are blurred. The baseline is what their file says: all pixels.

Usage: python -m benchmarks.effective [--json] [--images N] [--root FOLDER]
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from c2f_data.decode import Pixels, decode_file
from c2f_data.demo import DemoSpec, demo_birds, render_image
from c2f_data.effective_resolution import effective_resolution

SHARES = (0.12, 0.25, 0.5, 0.7)
KERNELS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
AFTERWARDS = ("nothing", "JPEG 75", "noise 3")
# Standard deviations in pixels: a slight softness, and ones that leave about half and a quarter.
BLURS = (0.5, 1.0, 2.0)
DRAWN = "rendered demo"


@dataclass(frozen=True, slots=True)
class Row:
    """One way to spoil an image.

    Attributes:
        share: of the pixels that were kept.
        alarms: share of the images that are told to resolve clearly less than they have.
        median, low, high: of (estimate / truth) over the images with an alarm: median, and what
            nine of ten lie between; None: no alarm.
    """

    kernel: str
    share: float
    afterwards: str
    alarms: float
    median: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Blur:
    """Alarms after a Gaussian blur, and the median share of the pixels that is told."""

    deviation_px: float
    alarms: float
    median: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Attributes: false_alarms: share of the untouched images; ``checked`` of them."""

    images: str
    checked: int
    spoilt: int
    false_alarms: float
    false_alarms_jpeg: float
    rows: tuple[Row, ...]
    blurs: tuple[Blur, ...]


def demo_images(count: int) -> Iterator[Pixels]:
    """Rendered birds, of all species in turn."""
    birds = demo_birds()
    for i in range(count):
        yield render_image(DemoSpec(), birds[i % len(birds)].class_id, i // len(birds))


def photographs(root: Path, count: int) -> Iterator[Pixels]:
    """Some of the JPEG files below a folder, drawn at random."""
    files = sorted(root.rglob("*.jpg"))
    for i in np.random.default_rng(0).permutation(len(files))[:count]:
        yield decode_file(files[i]).pixels


def enlarged(pixels: Pixels, share: float, kernel: str, afterwards: str, seed: int) -> Pixels:
    """An image that was reduced by bicubic interpolation and enlarged by ``kernel``."""
    image = Image.fromarray(pixels)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    again = image.resize(size, Image.Resampling.BICUBIC).resize(image.size, KERNELS[kernel])
    if afterwards == "JPEG 75":
        return jpeg(np.asarray(again), 75)
    if afterwards == "noise 3":
        drawn = np.random.default_rng(seed).normal(0, 3, pixels.shape)
        return np.clip(np.asarray(again) + drawn, 0, 255).astype(np.uint8)
    return np.asarray(again)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """An image after a JPEG of that quality."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def measure(name: str, images: list[Pixels], untouched: list[Pixels]) -> Report:
    """Spoil ``images`` in every way, and look for false alarms in ``untouched``."""
    rows = [
        _row(images, share, kernel, afterwards)
        for share in SHARES
        for kernel in KERNELS
        for afterwards in AFTERWARDS
    ]
    alarms = [effective_resolution(pixels).less for pixels in untouched]
    compressed = [effective_resolution(jpeg(pixels, 75)).less for pixels in untouched]
    return Report(
        name,
        len(untouched),
        len(images),
        float(np.mean(alarms)),
        float(np.mean(compressed)),
        tuple(rows),
        tuple(_blur(images, deviation) for deviation in BLURS),
    )


def _row(images: list[Pixels], share: float, kernel: str, afterwards: str) -> Row:
    found = [
        effective_resolution(enlarged(pixels, share, kernel, afterwards, seed))
        for seed, pixels in enumerate(images)
    ]
    told = [each.resolution / (share * each.side) for each in found if each.less]
    low, median, high = np.quantile(told, (0.05, 0.5, 0.95)) if told else (None, None, None)
    return Row(
        kernel, share, afterwards, len(told) / len(images), *map(_rounded, (median, low, high))
    )


def _blur(images: list[Pixels], deviation: float) -> Blur:
    kernel = ImageFilter.GaussianBlur(deviation)
    found = [
        effective_resolution(np.asarray(Image.fromarray(pixels).filter(kernel)))
        for pixels in images
    ]
    told = [each.resolution / each.side for each in found if each.less]
    return Blur(deviation, len(told) / len(images), _rounded(np.median(told) if told else None))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def print_report(report: Report) -> None:
    """A table for people."""
    print(
        f"{report.images}: false alarms {report.false_alarms:.1%} of {report.checked} untouched "
        f"images, {report.false_alarms_jpeg:.1%} after JPEG 75; {report.spoilt} spoilt in each way"
    )
    print(f"{'kernel':10}{'share':>7}  {'then':9}{'alarms':>8}{'estimate / truth':>24}")
    for row in report.rows:
        told = "" if row.median is None else f"{row.median:.2f} ({row.low:.2f} to {row.high:.2f})"
        print(f"{row.kernel:10}{row.share:7.2f}  {row.afterwards:9}{row.alarms:8.0%}{told:>24}")
    for blur in report.blurs:
        told = "" if blur.median is None else f"median {blur.median:.2f} of the pixels"
        print(f"blur of {blur.deviation_px} px: alarms {blur.alarms:.0%} {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--images", type=int, default=20, help="spoilt in every way")
    parser.add_argument("--root", type=Path, help="folder of JPEG photographs, beside the demo")
    given = parser.parse_args()
    untouched = list(demo_images(5 * given.images))
    reports = [measure(DRAWN, untouched[: given.images], untouched)]
    if given.root is not None:
        own = list(photographs(given.root, 5 * given.images))
        reports.append(measure(given.root.name, own[: given.images], own))
    if given.json:
        print(json.dumps({"reports": [asdict(report) for report in reports]}, indent=2))
        return
    for report in reports:
        print_report(report)


if __name__ == "__main__":
    main()
