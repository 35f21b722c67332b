"""Sentences about an export that several of its files have."""

from __future__ import annotations

from c2f_data.export.plan import ExportPlan
from c2f_data.hierarchy.formats import counted


def version_of(plan: ExportPlan) -> str:
    """A semantic version: of this form of export, and after the + what the shards were made of."""
    return f"1.0.0+{plan.manifest.plan_fingerprint[:12]}"


def describe_set(plan: ExportPlan) -> str:
    """One sentence about the whole."""
    levels = plan.manifest.levels
    classes = ", ".join(counted(level.name, level.count) for level in levels)
    splits = ", ".join(f"{plan.images(split):,} {split}" for split in plan.splits)
    return (
        f"{plan.manifest.dataset}: {plan.total:,} images ({splits}) labelled at "
        f"{len(levels)} levels ({classes}), with pictures at the resolution of "
        f"each of: {', '.join(plan.levels)}."
    )


def describe_images(plan: ExportPlan, level: str) -> str:
    """How the pictures of a level were made."""
    resolution = plan.resolution(level)
    if resolution is None:
        made = "native: the originals, or lossless copies of their pixels"
    else:
        made = (
            f"reduced to a shorter side of {resolution} px by {plan.manifest.reduction.described}"
        )
    enlarged = plan.manifest.plan.enlarged
    if enlarged is not None:
        made += f", then enlarged to {enlarged.described}"
    return f"Pictures for the level {level}: {made}."
