"""Which classes fail first: read off predictions, stored or left out with a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import report_samples as samples
from report_samples import Page, build

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import Crossing, Outcome, accuracy_curve
from c2f_data.predictions import Predictions, write_predictions
from c2f_data.taxonomy import Taxonomy
from c2f_train.report import (
    Failures,
    find_failures,
    read_failures,
    read_report,
    render,
    write_report,
)

LEVELS = ("genus", "species")
TABLE = Taxonomy("small", LEVELS, (("A", "a1"), ("A", "a2"), ("B", "b1"), ("B", "b2")))
IMAGES = 20  # a class


def predicted(resolution: int, *, native: bool = False, lost: dict[int, int]) -> Predictions:
    """Everything right but the classes in ``lost``, which are taken for another."""
    true = TABLE.codes[np.repeat(np.arange(4), IMAGES)]
    species = true[:, 1].copy()
    for one, other in lost.items():
        species[true[:, 1] == one] = other
    return Predictions(
        resolution=resolution,
        native=native,
        levels=LEVELS,
        image_ids=tuple(f"{i}.jpg" for i in range(len(true))),
        true=true,
        predicted=TABLE.codes[species],
        confidence=np.full(true.shape, 0.5),
        reduced=np.full(len(true), not native),
    )


# b1 is lost first, to its sibling; then a1, to the other genus.
MEASURED = (
    predicted(96, native=True, lost={}),
    predicted(48, lost={2: 3}),
    predicted(24, lost={2: 3, 0: 3}),
)
SPECIES = Crossing(
    "species", "genus", Outcome.CROSSED, 0.6, 0.6, False, 24, 48, 24, 48, False, None
)


@pytest.fixture(scope="module")
def calibrated() -> CalibrationResult:
    made = samples.calibration(
        samples.taxonomy(LEVELS, (2, 4)),
        middles=(6, 20),
        tops=(0.99, 0.97),
        thresholds=(0.8,),
        n=80,
    )
    protocol = replace(made.protocol, n=len(MEASURED[0].image_ids))
    return replace(
        made,
        crossings=(SPECIES,),
        curves=tuple(accuracy_curve(MEASURED, level) for level in LEVELS),
        taxonomy_fingerprint=TABLE.fingerprint,
        protocol=protocol,
    )


@pytest.fixture(scope="module")
def found(calibrated: CalibrationResult) -> Failures:
    return find_failures(calibrated, MEASURED, TABLE)


def test_the_first_lost_stands_first(found: Failures) -> None:
    (species,) = found.levels
    assert [(c.name, c.resolution) for c in species.classes[:2]] == [("b1", 48), ("a1", 24)]
    assert species.on_the_way == species.classes[:2]
    assert {c.name for c in species.never} == {"a2", "b2"}
    first = species.classes[0]
    assert (first.parent, first.n, first.seen_at, first.correct) == ("B", IMAGES, 48, 0)
    assert first.low == 0
    assert 0 < first.high < 0.2
    never = next(c for c in species.never if c.name == "a2")
    assert (never.seen_at, never.correct) == (24, IMAGES)


def test_confusions_and_errors_inside_the_parent(found: Failures) -> None:
    (species,) = found.levels
    assert species.confused_at == 24
    pairs = {(p.true, p.predicted): p for p in species.confused}
    assert set(pairs) == {("b1", "b2"), ("a1", "b2")}
    assert (pairs["b1", "b2"].siblings, pairs["a1", "b2"].siblings) == (True, False)
    inside = [(e.errors, e.inside) for e in species.errors]
    assert inside == [(0, 0), (IMAGES, IMAGES), (2 * IMAGES, IMAGES)]


def test_without_an_answer_the_lowest_resolution_is_compared(
    calibrated: CalibrationResult,
) -> None:
    open_end = replace(SPECIES, outcome=Outcome.NEVER_BELOW, resolution=None)
    asked = replace(calibrated, crossings=(open_end,))
    assert find_failures(asked, MEASURED[:2], TABLE).levels[0].confused_at == 48
    native_alone = find_failures(asked, MEASURED[:1], TABLE)
    assert native_alone.levels[0].confused_at is None
    text = Page(render(build(calibrated, table=TABLE, failures=native_alone))).text
    assert "Only the native images were measured" in text


def test_the_page_and_the_json_have_it(
    calibrated: CalibrationResult, found: Failures, tmp_path: Path
) -> None:
    report = build(calibrated, table=TABLE, failures=found)
    text = Page(render(report)).text
    assert "Which classes fail first n = 80 images at each of 3 resolutions" in text
    assert "none is below 60 % on the native images already, 2 are lost on the way down" in text
    assert "b1B 48 px 20 0.0 %0.0–" in text
    assert "a1taken for b2 0 20 20 < 0.001" in text
    assert "b1taken for b2 (same parent) 0 20 20 < 0.001" in text
    assert "How many species errors stay inside the genus" in text
    assert "24 px 40 50.0 %" in text
    _, path = write_report(tmp_path, report)
    assert read_report(path) == report


def test_stored_predictions_give_the_same(
    calibrated: CalibrationResult, found: Failures, tmp_path: Path
) -> None:
    for p in MEASURED:
        write_predictions(tmp_path / calibrated.predictions / f"r{p.resolution}.h5", p)
    assert read_failures(calibrated, tmp_path, TABLE) == found


def test_left_out_with_a_reason(calibrated: CalibrationResult, tmp_path: Path) -> None:
    other = replace(calibrated, taxonomy_fingerprint="00" * 32)
    med = replace(calibrated, protocol=replace(calibrated.protocol, genus_train="med"))
    for asked, reason in (
        (calibrated, "no predictions at native resolution"),
        (other, "the hierarchy has changed"),
        (med, "trained at r_med"),
    ):
        missing = read_failures(asked, tmp_path, TABLE)
        assert missing.levels == ()
        assert reason in missing.missing
        text = Page(render(build(calibrated, table=TABLE, failures=missing))).text
        assert f"Which classes fail first Left out: {missing.missing}." in text


def test_hostile_class_names_are_escaped(calibrated: CalibrationResult) -> None:
    evil = "<script>alert(1)</script>"
    table = Taxonomy(
        "evil", LEVELS, ((evil, f"a{evil}"), (evil, "{{ 7 }}"), ("B", f"b{evil}"), ("B", "b2"))
    )
    report = build(calibrated, table=table, failures=find_failures(calibrated, MEASURED, table))
    page = Page(render(report))
    assert page.tags.count("script") == 2  # the data and the page's own
    assert f"b{evil}taken for b2" in page.text
