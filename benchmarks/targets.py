"""What the figures of ``benchmarks.shards`` should reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and its bound.

    Attributes:
        key: of the figure in ``--json``.
        what: in words, with what it is compared with.
        target: the bound, for example ``>= 7``.
    """

    key: str
    what: str
    target: str
    measured: float
    met: bool


@dataclass(frozen=True, slots=True)
class _Bound:
    key: str
    what: str
    bound: float
    at_least: bool = True


# Not more than 5 % slower than the fastest of the peers.
AS_FAST = 1 / 1.05

_BOUNDS = (
    _Bound("sweep_vs_pillow", "twelve resolutions, against Pillow from the file each time", 7),
    _Bound("sweep_exact_vs_pillow", "the same with exactly Pillow's pixels, decoded once", 1.4),
    _Bound("lossless_vs_png6", "encoding as lossless WebP, against PNG level 6", 7),
    _Bound("lossless_size_vs_png6", "bytes of that WebP by bytes of that PNG", 1, at_least=False),
    _Bound("loader_jpeg_1p", "JPEG shards, one thread, against ImageFolder in one process", 2.3),
    _Bound("loader_jpeg_2w", "JPEG shards, two threads, against ImageFolder's two workers", 1.8),
    _Bound("loader_raw_1p", "raw shards, one thread, against ImageFolder in one process", 3.3),
    _Bound("fastest_peer", "JPEG shards, against the fastest of the other containers", AS_FAST),
    _Bound("reader_bytes_per_image", "bytes a further image costs a reader", 1000, at_least=False),
)


def targets_of(figures: Mapping[str, float]) -> tuple[Target, ...]:
    """Every target with its figure."""
    rows = []
    for bound in _BOUNDS:
        value = figures[bound.key]
        met = value >= bound.bound if bound.at_least else value <= bound.bound
        sign = ">=" if bound.at_least else "<="
        rows.append(Target(bound.key, bound.what, f"{sign} {round(bound.bound, 3):g}", value, met))
    return tuple(rows)
