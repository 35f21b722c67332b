"""What the page says of how it was measured: cost, protocol, floor, distance, fit."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import report_samples as samples
from report_samples import Page, build

from c2f_data.calibration import CalibrationResult
from c2f_data.camera import Camera
from c2f_data.confidence import Confidence, TemperatureFit
from c2f_data.resample_spec import Reduction
from c2f_data.taxonomy import Taxonomy
from c2f_train.report import read_report, render, write_report
from c2f_train.report.figures import accuracy_figure
from c2f_train.report.svg import WIDE
from c2f_train.report.tables import curve_rows


@pytest.fixture(scope="module")
def table() -> Taxonomy:
    return samples.taxonomy()


@pytest.fixture(scope="module")
def whole(table: Taxonomy) -> CalibrationResult:
    return samples.calibration(table, n=600)


def words(calibration: CalibrationResult) -> str:
    return Page(render(build(calibration))).text


def test_cost_stands_beside_both_sweeps(whole: CalibrationResult) -> None:
    used = replace(
        whole,
        search="bisection",
        images_evaluated=2992,
        sweep_images=8568,
        stopped_sweep_images=6120,
    )
    text = words(used)
    assert "2,992 of 8,568 images × resolutions, 35 % of the full sweep; 49 % of a sweep" in text
    assert "Searchbisection over" in text
    assert "assumes that accuracy falls with the resolution" in text


def test_the_cost_of_training_again_is_said_apart(whole: CalibrationResult) -> None:
    again = replace(
        whole, images_evaluated=9000, sweep_images=30000, stopped_sweep_images=20000,
        training_images=4000, sweep_training_images=14000,
    )  # fmt: skip
    assert "last crossing; 4,000 and 14,000 of these are training images" in words(again)
    assert "training images" not in words(replace(whole, sweep_training_images=0))


def test_temperatures_and_calibration_errors(whole: CalibrationResult) -> None:
    levels = [
        Confidence(name, 375, t, TemperatureFit.FITTED, before, after, ())
        for name, t, before, after in (
            ("family", 0.5, 0.135, 0.021),
            ("genus", 0.53, 0.182, 0.031),
            ("species", 0.494, 0.285, 0.0431),
        )
    ]
    text = words(replace(whole, confidences=tuple(levels)))
    assert (
        "expected calibration error species 0.285 before and 0.043 after (temperature 0.49), "
        "genus 0.182 before and 0.031 after (temperature 0.53) and family 0.135 before and 0.021 "
        "after (temperature 0.50); temperatures fitted on the measured images"
    ) in text
    test = [replace(v, fit=TemperatureFit.TEST, temperature=1.0) for v in levels]
    text = words(replace(whole, confidences=tuple(test)))
    assert "error species 0.043, genus 0.031 and family 0.021; temperature not fitted" in text
    assert "calibration error" not in words(replace(whole, confidences=()))


def test_stored_predictions_cost_nothing(whole: CalibrationResult) -> None:
    text = words(replace(whole, search="stored predictions", images_evaluated=0))
    assert "no network was run: read off predictions that were kept" in text
    assert "0 of" not in text


def test_protocol_is_said(whole: CalibrationResult) -> None:
    spec = whole.protocol.spec.after(Reduction("box", engine="pillow", noise=5, jpeg=40))
    protocol = replace(whole.protocol, training="retrained", genus_accuracy="rolled-up", spec=spec)
    text = words(replace(whole, protocol=protocol, accuracy="class-balanced"))
    for said in (
        "trained again at every resolution that was measured",
        "genus and family scores are summed up from those of species",
        "mean of the classes’ own accuracies (class-balanced)",
        "reaches a class-balanced accuracy of at least 80 %",
        "95 % intervals of the mean over the classes",
    ):
        assert said in text
    assert text.count("box (pillow), noise of 5 grey levels, JPEG at quality 40") == 1


def test_coarser_classifiers_trained_at_the_answer(whole: CalibrationResult) -> None:
    """A level whose curve starts at r_med has no native accuracy to be a share of."""
    species, genus = whole.crossings
    assert species.resolution is not None
    below = tuple(
        replace(c, points=tuple(p for p in c.points if p.resolution <= species.resolution))
        for c in whole.curves[:-1]
    )
    measured = replace(
        whole,
        protocol=replace(whole.protocol, genus_train="med"),
        curves=(*below, whole.curves[-1]),
        crossings=(species, replace(genus, relative=True)),
    )
    text = words(measured)
    assert f"those of genus and family on images at {species.resolution} px" in text
    assert f"80 % of the accuracy at {species.resolution} px (so 80.0 %)" in text


def test_every_measured_resolution_has_a_row(whole: CalibrationResult) -> None:
    searched = samples.searched(whole)
    rows = curve_rows(searched.curves)
    assert [row.native for row in rows] == [True] + [False] * (len(rows) - 1)
    resolutions = [row.resolution for row in rows]
    assert resolutions == sorted(resolutions, reverse=True)
    for position, curve in enumerate(searched.curves):
        cells = [row.cells[position] for row in rows]
        assert tuple(cell for cell in cells if cell is not None) == curve.points
    empty = sum(cell is None for row in rows for cell in row.cells)
    assert empty > 0
    assert render(build(searched)).count('<td class="none">–</td>') >= empty


def test_confidence_is_that_of_the_search(whole: CalibrationResult) -> None:
    crossings = tuple(replace(c, confidence=0.9) for c in whole.crossings)
    text = words(replace(whole, crossings=crossings))
    assert "In brackets: the 90 % interval of the resolution at which accuracy crosses" in text
    assert f"px, 90 % interval {crossings[0].interval_low}–" in text


def test_floor(table: Taxonomy) -> None:
    measured = samples.calibration(table, n=600, middles=(15, 20, 46), floor=0.6)
    assert measured.floor is not None
    resolution = measured.floor.resolution
    assert resolution is not None
    report = build(measured)
    text = Page(render(report)).text
    assert f"Below about {resolution} px not even families can be told" in text
    assert f"Below {resolution} px not even families, 95 % interval" in text
    assert f"rfloor {resolution} px" in text
    assert report.floor is not None
    assert report.floor.resolution == resolution


def test_floor_that_is_never_reached(table: Taxonomy) -> None:
    measured = samples.calibration(table, n=600, middles=(3, 20, 46), floor=0.6)
    text = words(measured)
    assert "Families can be told at every resolution, down to 12 px." in text
    assert "Family: no answer" in text


def test_distance(whole: CalibrationResult) -> None:
    report = build(replace(whole, camera=Camera(3000.0, 0.2)))
    first = report.answers[0]
    assert first.resolution is not None
    assert first.bracket is not None
    assert first.distance == pytest.approx(600 / first.bracket[0])
    text = Page(render(report)).text
    assert f"the species is told up to {600 / first.bracket[0]:.2f} m away" in text
    assert "3000 pixels a metre at a distance of 1 m, an object of 0.2 m" in text
    assert "away" not in words(whole)


def test_json_round_trip_of_all_parts(table: Taxonomy, tmp_path: Path) -> None:
    measured = replace(samples.calibration(table, n=600, floor=0.6), camera=Camera(3000, 0.2))
    report = build(measured)
    assert any(report.fits)
    _, path = write_report(tmp_path, report)
    assert read_report(path) == report


def test_fit_is_drawn_and_named(whole: CalibrationResult) -> None:
    report = build(whole)
    wide, _ = ET.fromstring(f"<all>{accuracy_figure(whole, report.fits)}</all>")
    drawn = [path for path in wide.iter("path") if path.get("class") == "fit"]
    assert len(drawn) == len(whole.curves)
    finest = report.fits[-1]
    assert finest is not None
    _, y = map(float, drawn[0].get("d", "").split("L")[-1].split())
    top = WIDE.height - finest.accuracy(finest.highest) * (WIDE.height - WIDE.top)
    assert y == pytest.approx(top, abs=0.06)
    text = Page(render(report)).text
    assert "fit (logistic; no answer is read off it)" in text
    assert f"Species: half-way at {2**finest.log2_midpoint:.1f} px" in text


def test_no_fit_through_few_points(whole: CalibrationResult) -> None:
    few = samples.searched(whole)
    brackets = {r for crossing in whole.crossings for r in crossing.bracket}
    curves = tuple(
        replace(c, points=tuple(p for p in c.points if p.native or p.resolution in brackets))
        for c in few.curves
    )
    report = build(replace(few, curves=curves))
    assert report.fits == (None, None, None)
    assert "fit (logistic" not in render(report)


def test_a_curve_of_one_point_is_drawn_on_the_grid(table: Taxonomy) -> None:
    measured = samples.calibration(table, tops=(0.97, 0.7, 0.625), n=600)
    single = replace(
        measured, curves=tuple(replace(c, points=c.points[:1]) for c in measured.curves)
    )
    wide, _ = ET.fromstring(f"<all>{accuracy_figure(single)}</all>")
    marks = {float(m.get("cx", "")) for m in wide.iter("circle") if m.get("class") == "mark"}
    assert len(marks) == 1
    labels = [t.text for t in wide.iter("text")]
    assert {"48", "96", "192"} <= set(labels)
    assert "Species: no answer" in words(single)


def test_lines_over_resolutions_that_were_left_out_are_pale(whole: CalibrationResult) -> None:
    assert 'class="gap"' not in accuracy_figure(whole)
    found = samples.searched(whole)
    drawn = accuracy_figure(found)
    grid = found.grid
    gaps = sum(
        grid.index(low.resolution, 1) - (0 if high.native else grid.index(high.resolution, 1)) > 1
        for curve in found.curves
        for high, low in pairwise(curve.points)
    )
    assert gaps > 0
    assert drawn.count('class="gap"') == 2 * gaps  # wide and narrow
