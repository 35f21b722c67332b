"""Warnings, each with the section of the report that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from c2f_data.calibration import CalibrationResult
from c2f_data.taxonomy import Taxonomy
from c2f_train.report import doubts
from c2f_train.report.wording import pixels
from c2f_train.results import RunResult

Section = Literal["dataset", "calibration", "training"]


@dataclass(frozen=True, slots=True)
class Note:
    """A warning and where it stands."""

    section: Section
    text: str


def collect(
    dataset: str,
    dataset_warnings: Sequence[str],
    index_fingerprint: str | None,
    taxonomy: Taxonomy,
    calibration: CalibrationResult | None,
    runs: Sequence[RunResult],
) -> tuple[Note, ...]:
    """All warnings: those that the parts brought along, and what only shows when they meet."""
    found = [Note("dataset", text) for text in dataset_warnings]
    seen_before = doubts.overlap(dataset, taxonomy, calibration, runs)
    found += [Note("dataset", text) for text in seen_before]
    if calibration is not None:
        # The index's own warnings come along in the calibration's; they are said once, above.
        own = [text for text in calibration.warnings if text not in dataset_warnings]
        found += [Note("calibration", text) for text in own]
        found += [Note("calibration", text) for text in doubts.few_measured(calibration)]
        found += _stale(index_fingerprint, taxonomy, calibration)
    for run in runs:
        found += [Note("training", f"Run “{run.name}”: {text}") for text in run.warnings]
        found += _mismatch(calibration, run)
    return tuple(dict.fromkeys(found))


def _stale(
    index_fingerprint: str | None, taxonomy: Taxonomy, calibration: CalibrationResult
) -> list[Note]:
    again = "Run c2f calibrate again for figures of the present state."
    if calibration.taxonomy_fingerprint != taxonomy.fingerprint:
        return [Note("calibration", f"The hierarchy has changed since this calibration. {again}")]
    if index_fingerprint not in (None, calibration.index_fingerprint):
        return [
            Note(
                "calibration",
                f"The images, their labels or their split have changed since this calibration. "
                f"{again}",
            )
        ]
    return []


def _mismatch(calibration: CalibrationResult | None, run: RunResult) -> list[Note]:
    """A run whose images have other resolutions than the calibration found."""
    if calibration is None:
        return []
    found = {level.name: level.resolution for level in calibration.levels if not level.native}
    other = [
        f"{level.name} {pixels(level.resolution)} instead of {pixels(measured)}"
        for level in run.levels
        if level.resolution is not None
        and (measured := found.get(level.name)) is not None
        and measured != level.resolution
    ]
    if not other:
        return []
    text = (
        f"Run “{run.name}” was trained at other resolutions than the calibration above gives: "
        f"{', '.join(other)}."
    )
    return [Note("training", text)]
