"""Look at every image of a data set before hours of work rest on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from c2f_data.checkup.colour import ColourCheck, judge_colours
from c2f_data.checkup.counts import Counts, count_images
from c2f_data.checkup.duplicates import Duplicates, find_duplicates
from c2f_data.checkup.findings import Finding, Severity, from_error, judge, worst_first
from c2f_data.checkup.scan import Progress, Scan, Unreadable, scan_images
from c2f_data.checkup.sides import NativeSides, SweepCover, cover, describe_sides
from c2f_data.errors import ConfigError
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources.official import OfficialCounts
from c2f_data.splits import make_evaluation


@dataclass(frozen=True, slots=True)
class CheckUp:
    """Everything that was found; ``findings`` has the judgement, the rest the facts.

    Attributes:
        layout: how the folder or archive was understood.
        findings: problems first, then warnings, then notes.
        unreadable: images that can't be decoded.
        colours: the votes of all images, of train and of test.
        sides: native shorter sides.
        sweep: what a calibration can measure; None where none is possible.
    """

    dataset: str
    root: str
    layout: str
    findings: tuple[Finding, ...]
    counts: Counts
    unreadable: tuple[Unreadable, ...]
    duplicates: Duplicates
    colours: tuple[ColourCheck, ...]
    sides: NativeSides
    sweep: SweepCover | None

    @property
    def sound(self) -> bool:
        """Nothing was found that would stop or falsify a calibration."""
        return all(finding.severity is not Severity.PROBLEM for finding in self.findings)


def check_up(
    index: DatasetIndex,
    *,
    official: OfficialCounts | None = None,
    input_size: int = 448,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CheckUp:
    """Decode every image and report what is wrong or remarkable.

    Args:
        official: counts of the complete data set, to stand beside the index's own. What
            differs is among the index's warnings: its adapter knows which split it read.
        input_size: side in pixels of what the network sees, for the sweep's range.
        workers: threads; None: one a core.
        progress: called with images done and images in all.

    Raises:
        ConfigError: fewer than one worker. What is wrong with the data is found, not raised.
    """
    counts = count_images(index, official)
    seen = scan_images(index, workers, progress)
    duplicates = find_duplicates(index, seen)
    colours = tuple(
        judge_colours(seen.foliage[positions], of)
        for of, positions in (
            ("all", np.arange(len(index.records))),
            (TRAIN, index.positions(TRAIN)),
            (TEST, index.positions(TEST)),
        )
    )
    findings = judge(index, counts, seen, duplicates, colours)
    sweep, failure = _sweep(index, seen, input_size)
    return CheckUp(
        dataset=index.dataset,
        root=str(index.root),
        layout=index.layout,
        findings=worst_first(findings + failure),
        counts=counts,
        unreadable=seen.unreadable,
        duplicates=duplicates,
        colours=colours,
        sides=describe_sides(seen.short_sides[seen.readable]),
        sweep=sweep,
    )


def _sweep(
    index: DatasetIndex, seen: Scan, input_size: int
) -> tuple[SweepCover | None, list[Finding]]:
    try:
        evaluation = make_evaluation(index, "val", 0)
    except ConfigError as error:
        return None, [from_error("split", error)]
    positions = np.asarray(evaluation.positions, np.int64)
    sides = seen.short_sides[positions][seen.readable[positions]]
    if sides.size == 0:  # already found: every image is unreadable
        return None, []
    try:
        return cover(sides, evaluation.scheme, input_size), []
    except ConfigError as error:
        return None, [from_error("sweep", error)]
