"""What the page's script draws from: one JSON text, compact, safe inside an HTML page.

Keys are short words, classes are numbers, and rows of counts are arrays in the order of the
resolutions: 200 classes at 28 resolutions take about 100 kB.
"""

from __future__ import annotations

from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from c2f_data.calibration import CalibrationResult
from c2f_train.report.class_map import MOST_PAIRS, ClassMap, LevelMap
from c2f_train.report.failures import LevelFailures
from c2f_train.report.read_out import distance, stops
from c2f_train.report.run_report import RunReport
from c2f_train.report.wording import percent_short, pixels, plural

NEVER_LOST = -1
NOT_RANKED = -2


def page_data(report: RunReport) -> Markup:
    """JSON for a script element of type application/json; <, >, & and ' are escaped in it."""
    data: dict[str, Any] = {}
    if report.calibration is not None:
        data["chart"] = _chart(report.calibration)
        if report.classes is not None:
            data["map"] = _map(report, report.calibration, report.classes)
    return htmlsafe_json_dumps(data, separators=(",", ":"))


def _chart(calibration: CalibrationResult) -> dict[str, Any]:
    return {
        "levels": [curve.level for curve in reversed(calibration.curves)],
        "stops": [[s.resolution, s.name, *s.cells] for s in stops(calibration)],
    }


def _map(report: RunReport, calibration: CalibrationResult, classes: ClassMap) -> dict[str, Any]:
    failures = {level.level: level for level in report.failures.levels} if report.failures else {}
    return {
        "px": classes.resolutions,
        "stops": [pixels(r) if i else "native images" for i, r in enumerate(classes.resolutions)],
        "far": [distance(r, calibration.camera) for r in classes.resolutions],
        "start": start(calibration, classes),
        "levels": [_level(level, failures.get(level.level), classes) for level in classes.levels],
    }


def start(calibration: CalibrationResult, classes: ClassMap) -> int:
    """Position of the resolution that a reader sees first: the finest level's answer."""
    answers = [c.resolution for c in calibration.crossings if c.resolution is not None]
    for answer in answers:
        if answer in classes.resolutions[1:]:
            return classes.resolutions.index(answer, 1)
    return len(classes.resolutions) // 2


def _level(level: LevelMap, failures: LevelFailures | None, classes: ClassMap) -> dict[str, Any]:
    return {
        "name": level.level,
        "plural": plural(level.level),
        "asked": _asked(failures),
        "names": level.names,
        "parents": level.parents,
        "images": level.images,
        "right": level.correct,
        "near": level.siblings,
        "lost": _lost(level, failures, classes) if failures else [],
        "taken": [
            [value for pair in pairs for value in (pair.true, pair.predicted, pair.images)]
            for pairs in level.taken
        ],
        "cut": MOST_PAIRS,
    }


def _asked(failures: LevelFailures | None) -> str:
    """The threshold of a class in words; empty where the level was not searched."""
    if failures is None:
        return ""
    share = percent_short(failures.threshold)
    return f"{share} of its own native accuracy" if failures.relative else share


def _lost(level: LevelMap, failures: LevelFailures, classes: ClassMap) -> list[int]:
    """For each class the position of the resolution from which down it is lost."""
    # A reduced resolution may equal the nominal native one, which comes first.
    places = {resolution: i for i, resolution in enumerate(classes.resolutions) if i}
    known = {
        lost.name: NEVER_LOST
        if lost.resolution is None
        else (0 if lost.at_native else places[lost.resolution])
        for lost in failures.classes
    }
    return [known.get(name, NOT_RANKED) for name in level.names]
