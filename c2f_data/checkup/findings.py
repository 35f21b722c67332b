"""What a check-up found, judged: problems stop or falsify a calibration, warnings may, notes don't.

Images that a data set holds twice are a problem only from 1 % of the images concerned: an accuracy
can be off by that share at most, and official data sets have a few such images.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from c2f_data.checkup.colour import ColourCheck, ColourVerdict
from c2f_data.checkup.counts import FEW_IMAGES, Counts
from c2f_data.checkup.duplicates import DuplicateGroup, Duplicates
from c2f_data.checkup.scan import Scan
from c2f_data.errors import C2FError
from c2f_data.index import DatasetIndex

TINY_SIDE = 64
SERIOUS_SHARE = 0.01


class Severity(StrEnum):
    """How bad a finding is."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a user should know.

    Attributes:
        topic: a stable word for programs: ``unreadable``, ``split``, ``sweep``, ``leak``,
            ``labels``, ``repeats``, ``colour``, ``layout``, ``few``, ``tiny``, ``grey``,
            ``imagenet``, ``open``.
        message: what was found.
        hint: what to do or what it means; may be empty.
        examples: what it is about, one line each: images, groups or classes.
    """

    severity: Severity
    topic: str
    message: str
    hint: str
    examples: tuple[str, ...] = ()


def from_error(topic: str, error: C2FError) -> Finding:
    """A failure that a calibration would meet, too."""
    return Finding(Severity.PROBLEM, topic, error.message, error.hint)


def judge(
    index: DatasetIndex,
    counts: Counts,
    scan: Scan,
    duplicates: Duplicates,
    colours: tuple[ColourCheck, ...],
) -> list[Finding]:
    """All findings but those that planning a calibration gives, in no special order."""
    found = [Finding(Severity.WARNING, "layout", line, "") for line in index.warnings]
    found += _unreadable(scan, counts)
    found += _duplicates(duplicates, counts)
    found += _colours(colours)
    found += _few(counts)
    found += _appearance(index, scan)
    if index.dataset == "cub":
        found.append(_imagenet())
    return found


def worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """Problems, warnings, notes; otherwise in the given order."""
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def some_of(n: int, what: str) -> str:
    """``1 image``, ``1,130 images``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}{'es' if what.endswith('s') else 's'}"


def _unreadable(scan: Scan, counts: Counts) -> list[Finding]:
    if not scan.unreadable:
        return []
    lines = tuple(f"{bad.image_id}: {bad.reason}" for bad in scan.unreadable)
    message = f"{some_of(len(lines), 'image')} of {counts.images:,} can't be read"
    hint = "Restore the files from the original archive, or take them out of the data set."
    return [Finding(Severity.PROBLEM, "unreadable", message, hint, lines)]


def _duplicates(duplicates: Duplicates, counts: Counts) -> list[Finding]:
    across = [g for g in duplicates.groups if g.across_splits]
    torn = [g for g in duplicates.groups if g.across_classes]
    within = [g for g in duplicates.groups if len(set(g.splits)) < len(g.images)]
    found = []
    if across:
        n, share = duplicates.leaked, duplicates.leaked / counts.test
        found.append(
            Finding(
                _by_share(share),
                "leak",
                f"{some_of(n, 'test image')} ({share:.1%}) with the picture of a training image",
                "Accuracy on the test images can be too high by that share. Take them out of "
                "one of the splits.",
                tuple(map(_in_words, across)),
            )
        )
    if torn:
        n, share = duplicates.mislabelled, duplicates.mislabelled / counts.images
        found.append(
            Finding(
                _by_share(share),
                "labels",
                f"{some_of(n, 'image')} ({share:.1%}) with a picture that has several classes",
                "One of the labels is wrong: correct it, or take the pictures out.",
                tuple(map(_in_words, torn)),
            )
        )
    if within:
        found.append(
            Finding(
                Severity.WARNING,
                "repeats",
                f"{some_of(duplicates.spare, 'image')} too many: repeated within a split",
                "They count double. Validation images are carved from the training images, so "
                "a repeated one can be on both sides.",
                tuple(map(_in_words, within)),
            )
        )
    return found


def _by_share(share: float) -> Severity:
    return Severity.PROBLEM if share > SERIOUS_SHARE else Severity.WARNING


def _in_words(group: DuplicateGroup) -> str:
    """``identical: a.jpg (train) = b.jpg (test)``."""
    same = "identical" if group.identical else "near"
    names = [f"{i} ({s})" for i, s in zip(group.images, group.splits, strict=True)]
    return f"{same}: " + " = ".join(names)


def _colours(colours: tuple[ColourCheck, ...]) -> list[Finding]:
    swapped = [check for check in colours if check.verdict is ColourVerdict.SWAPPED]
    # One line for the whole set; lines for the splits where only one of them is concerned.
    chosen = [check for check in swapped if check.of == "all"] or swapped
    return [
        Finding(
            Severity.WARNING,
            "colour",
            f"{'' if check.of == 'all' else check.of + ' images: '}red and blue look swapped: "
            f"greens lean to yellow in {check.yellow} of {check.votes} pictures with foliage "
            f"({check.share or 0:.0%}; photographs: 95%, swapped at most {check.threshold:.0%})",
            "Look at some images. Software that mixes up RGB and BGR makes such copies; "
            "weights learnt on photographs do worse on them.",
        )
        for check in chosen
    ]


def _few(counts: Counts) -> list[Finding]:
    few = tuple(f"{c.name} ({c.train} train, {c.test} test)" for c in counts.per_class if c.few)
    if not few:
        return []
    message = f"{some_of(len(few), 'class')} with fewer than {FEW_IMAGES} train or test images"
    return [Finding(Severity.WARNING, "few", message, "Their accuracy is hardly known.", few)]


def _appearance(index: DatasetIndex, scan: Scan) -> list[Finding]:
    ids = [record.image_id for record in index.records]
    sides = scan.short_sides
    tiny = np.flatnonzero(scan.readable & (sides < TINY_SIDE))
    grey = np.flatnonzero(scan.readable & scan.grey)
    found = []
    if tiny.size:
        found.append(
            Finding(
                Severity.WARNING,
                "tiny",
                f"{some_of(tiny.size, 'image')} with a shorter side under {TINY_SIDE} px",
                "At resolutions above their own they are not reduced.",
                tuple(f"{ids[i]} ({scan.sizes[i, 1]} x {scan.sizes[i, 0]} px)" for i in tiny),
            )
        )
    if grey.size:
        found.append(
            Finding(
                Severity.NOTE,
                "grey",
                f"{some_of(grey.size, 'greyscale image')}",
                "Read as three equal channels.",
                tuple(ids[i] for i in grey),
            )
        )
    return found


def _imagenet() -> Finding:
    return Finding(
        Severity.NOTE,
        "imagenet",
        "some CUB images are ImageNet images, too",
        "The authors of CUB warn of it; 22 to 23 of its 5,794 test images were found by hash "
        "(guopei.github.io, 2016). It matters where a backbone was trained on ImageNet.",
    )
