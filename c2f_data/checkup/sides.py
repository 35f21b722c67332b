"""Native resolutions, and what a sweep of resolutions can cover with them.

A resolution is the shorter side in pixels. A sweep starts below the smaller of two sides: the
median native one, and the one that images are enlarged to for the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Finer where networks' inputs lie.
EDGES = (0, 64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048, 4096)
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class SideBin:
    """Images with low <= shorter side < high; high None: no end."""

    low: int
    high: int | None
    images: int


@dataclass(frozen=True, slots=True)
class SideQuantile:
    """A share of the images have a shorter side of at most so many pixels."""

    share: float
    pixels: int


@dataclass(frozen=True, slots=True)
class NativeSides:
    """Shorter sides of the readable images, in pixels; empty bins at both ends are left out."""

    images: int
    quantiles: tuple[SideQuantile, ...]
    bins: tuple[SideBin, ...]


@dataclass(frozen=True, slots=True)
class SweepCover:
    """What a calibration with the usual settings can measure.

    Attributes:
        images: how many it measures (on images carved from train).
        scheme: ``held-out validation`` or ``cross-validation``.
        input_size: side in pixels that the network sees.
        cap: highest resolution below native that is measured, in pixels, at most.
        limited_by: ``images`` (their median side) or ``network`` (its input).
        resolutions: the sweep, in pixels, descending.
        reduced: share of the measured images that are larger than its first resolution; the
            others are untouched there.
    """

    images: int
    scheme: str
    input_size: int
    cap: int
    limited_by: str
    resolutions: tuple[int, ...]
    reduced: float


def describe_sides(sides: NDArray[np.int32]) -> NativeSides:
    """Quantiles and histogram of (n,) shorter sides in pixels; n may be 0."""
    if sides.size == 0:
        return NativeSides(0, (), ())
    values = np.quantile(sides, QUANTILES, method="lower")
    quantiles = map(SideQuantile, QUANTILES, (int(v) for v in values))
    bins = []
    for low, high in zip(EDGES, (*EDGES[1:], None), strict=True):
        inside = (sides >= low) & (sides < (high or np.inf))
        bins.append(SideBin(low, high, int(inside.sum())))
    filled = [i for i, found in enumerate(bins) if found.images]
    return NativeSides(len(sides), tuple(quantiles), tuple(bins[filled[0] : filled[-1] + 1]))


def cover(sides: NDArray[np.int32], scheme: str, input_size: int) -> SweepCover:
    """The sweep over images of these sides.

    Args:
        sides: (n,) shorter sides of the measured images, n > 0.

    Raises:
        ConfigError: the images are too small for any sweep.
    """
    # Brings torch, which nothing else here needs.
    from c2f_data.resample import ResampleSpec, ResolutionSweep, input_cap

    spec = ResampleSpec.for_input(input_size)
    cap = input_cap(sides.astype(np.int64), spec)
    resolutions = ResolutionSweep.geometric(cap).resolutions
    return SweepCover(
        images=len(sides),
        scheme=scheme,
        input_size=input_size,
        cap=cap,
        limited_by="network" if cap == spec.enlarge_to else "images",
        resolutions=resolutions,
        reduced=float((sides > resolutions[0]).mean()),
    )
