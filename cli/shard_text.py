"""What ``c2f shard --dry-run`` and ``c2f inspect`` say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from c2f_data.shards.estimate import Estimate
    from c2f_data.shards.summary import ShardSummary


UNITS = ("bytes", "kB", "MB", "GB", "TB")


def bytes_text(count: int) -> str:
    """``1.3 GB``; decimal units, as disks are sold."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if value < 9.95 and unit else f"{value:.0f} {UNITS[unit]}"


def seconds_text(seconds: float) -> str:
    """``4 min``: as exact as an estimate can be."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate_lines(estimate: Estimate) -> list[str]:
    """The plan with its estimates, for people."""
    rows = [
        (
            level.name,
            f"{level.count} classes",
            f"{level.resolution} px" if level.resolution else "native",
            level.encoding,
            f"about {bytes_text(level.bytes)}",
        )
        for level in estimate.levels
    ]
    lines = _aligned(rows)
    for split, images in estimate.images.items():
        files = estimate.shards[split]
        lines.append(f"{split}: {images} images in {files} {'file' if files == 1 else 'files'}")
    processes = "1 process" if estimate.jobs == 1 else f"{estimate.jobs} processes"
    lines.append(
        f"{bytes_text(estimate.source_bytes)} of images are read, about "
        f"{bytes_text(estimate.bytes)} written, in about {seconds_text(estimate.seconds)} with "
        f"{processes} (estimated from {estimate.sample} images)"
    )
    return lines


def summary_lines(summary: ShardSummary) -> list[tuple[str, str]]:
    """What holds for all levels, as (name, value)."""
    images = ", ".join(f"{count} {split}" for split, count in summary.images.items())
    side = "" if summary.enlarged is None else f", enlarged to {summary.enlarged.described}"
    return [
        ("schema", f"c2f-shard, version {summary.schema_version}"),
        ("data set", summary.dataset),
        ("files", f"{summary.shards}, {bytes_text(summary.bytes)}"),
        ("images", images),
        ("layout", f"{summary.layout}{side}"),
        ("native images", _native(summary)),
        ("reduced by", summary.reduction.described),
        ("plan", summary.plan_fingerprint),
        ("index", summary.index_fingerprint),
        ("hierarchy", summary.taxonomy_fingerprint),
        ("checked", "against manifest.json" if summary.listed else "alone: no manifest lists it"),
    ]


def level_rows(summary: ShardSummary) -> list[tuple[str, ...]]:
    """One row a level, below :data:`LEVEL_HEAD`."""
    return [
        (
            level.name,
            f"{level.resolution} px" if level.resolution else "native",
            _span(level.lowest_side, level.highest_side),
            level.encoding,
            str(level.images),
            bytes_text(level.bytes),
            str(level.count),
            _span(level.lowest_label, level.highest_label),
        )
        for level in summary.levels
    ]


LEVEL_HEAD = ("level", "resolution", "side (px)", "encoding", "images", "size", "classes", "labels")


def _native(summary: ShardSummary) -> str:
    total = sum(summary.images.values())
    kept = total - summary.canonical
    if summary.layout == "raw":
        return "decoded"
    return f"{kept} as the source's bytes, {summary.canonical} as lossless RGB"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _aligned(rows: Sequence[Sequence[Any]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
