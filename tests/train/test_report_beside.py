"""The paper's Table 3 beside our runs, and how far answers can be trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import report_samples as samples
from report_samples import Page, build

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import wilson
from c2f_train.config import TrainConfig
from c2f_train.prediction.guarantee import risk_curve
from c2f_train.prediction.stored import Condition
from c2f_train.publication.run_tables import stopping_table
from c2f_train.publication.table import csv_text
from c2f_train.report import render
from c2f_train.report.stopping import RunStopping, _curve, stopping_plot
from c2f_train.report.table3 import table3
from c2f_train.results import read_run, write_run


@cache
def measured() -> CalibrationResult:
    return samples.calibration(samples.taxonomy(), n=600)


def runs(*models: str) -> list:
    return [
        samples.run(measured().levels, name=f"{model}-{i}", config=TrainConfig(model=model))
        for i, model in enumerate(models)
    ]


def test_each_system_has_its_own_runs_beside_it() -> None:
    made = runs("mlph", "hbp", "hbp", "average")
    rows = {(row.system, row.level): row for row in table3("cub", samples.taxonomy(), made)}
    assert rows["HBP", ""].paper == (pytest.approx(0.868),)
    assert [one.run for one in rows["HBP", ""].ours] == ["hbp-1", "hbp-2"]
    levels = [level for system, level in rows if system == "MLPH"]
    assert levels == ["species", "genus", "family"]
    ours = rows["MLPH", "genus"].ours[0].cell
    assert ours.accuracy == made[0].test[1].accuracy
    assert (ours.low, ours.high) == (made[0].test[1].low, made[0].test[1].high)
    assert rows["MLPH", "genus"].paper == (pytest.approx(0.917),)
    assert rows["B-CNN", ""].ours == ()
    last = table3("cub", samples.taxonomy(), made)[-1]
    assert (last.paper, [one.run for one in last.ours]) == ((None,), ["average-3"])
    both = table3("mine", samples.taxonomy(), made)
    assert both[0].datasets == ("CUB-200-2011", "Stanford Cars")
    assert table3("cub", samples.taxonomy(), []) == ()


def test_runs_that_saw_annotations_have_rows_of_their_own() -> None:
    whole, boxes, parts, mlph = runs("bcnn", "bcnn", "cbcnn", "mlph")
    made = [
        replace(whole, crop="none"),
        replace(boxes, crop="bbox"),
        replace(parts, crop="parts"),
        replace(mlph, crop="bbox"),
    ]
    rows = {row.system: row for row in table3("cub", samples.taxonomy(), made)}
    assert [one.run for one in rows["B-CNN"].ours] == ["bcnn-0"]
    beside = rows["B-CNN, with annotations"]
    assert [(one.run, one.crop) for one in beside.ours] == [("bcnn-1", "bbox")]
    assert [one.run for one in rows["CB-CNN, with annotations"].ours] == ["cbcnn-2"]
    assert rows["MLPH"].ours == ()
    assert [one.run for one in rows["MLPH, with annotations"].ours] == ["mlph-3"]
    assert rows["MLPH, with annotations"].paper == (None,)

    report = build(measured(), made[::-1])
    systems = [row.system for row in report.accuracy if row.source == "c2f"]
    assert systems == [
        "MLPH, with bounding boxes, run “mlph-3”",
        "CB-CNN, with part locations, run “cbcnn-2”",
        "B-CNN, with bounding boxes, run “bcnn-1”",
        "B-CNN, run “bcnn-0”",
    ]
    assert "images cut with bounding boxes instead of whole ones" in report.differences
    assert "MLPH, with bounding boxes, reaches an accuracy of" in report.headline[-1]
    text = Page(render(report)).text
    assert "run “cbcnn-2”, with part locations" in text
    assert "run “bcnn-0”, with" not in text


def test_a_run_of_before_crops_were_recorded_is_read(tmp_path: Path) -> None:
    path, run = tmp_path / "run.json", replace(runs("bcnn")[0], crop="parts")
    write_run(path, run)
    assert read_run(path) == run
    stored = json.loads(path.read_text(encoding="utf-8"))
    del stored["crop"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert read_run(path) == replace(run, crop=None)
    rows = {row.system: row for row in table3("cub", samples.taxonomy(), [read_run(path)])}
    assert [one.run for one in rows["B-CNN"].ours] == ["bcnn-0"]


def test_other_numbers_of_levels_have_the_finest_alone() -> None:
    table = samples.taxonomy(("make", "model"), (20, 60))
    whole = samples.calibration(
        table, middles=(20, 46), tops=(0.96, 0.885), thresholds=(0.8,), n=600, dataset="own"
    )
    run = samples.run(whole.levels, correct=[500, 400], n=600)
    rows = [row for row in table3("own", table, [run]) if row.system == "MLPH"]
    assert [bool(row.ours) for row in rows] == [True, False, False]


def test_the_page_has_the_table() -> None:
    text = Page(render(build(measured(), runs("hbp")))).text
    assert "The paper’s systems beside these runs" in text
    low, high = (100 * v for v in wilson(5058, 5794))
    assert f"HBP 86.8 % 87.3 %{low:.1f}–{high:.1f}, run “hbp-0”" in text


def condition(n: int = 400, *, native: bool = True) -> Condition:
    random = np.random.default_rng(3)
    coarse = random.uniform(0.5, 1, n)
    confidence = np.stack([coarse, coarse * random.uniform(0.4, 1, n)], axis=1)
    right = (random.random((n, 2)) < confidence).cumprod(axis=1).sum(axis=1)
    return Condition(
        resolution=112 if not native else 375,
        native=native,
        from_side=100,
        allowed="species",
        experts=("genus", "species"),
        weights=(1.0, 1.0),
        n_fit=100,
        loss_equal=1.0,
        loss_fitted=0.9,
        confidence=tuple(map(tuple, confidence.T.tolist())),
        right=tuple(right.tolist()),
        curve=risk_curve(confidence, right),
    )


def test_risk_and_coverage_are_those_that_were_counted() -> None:
    kept = condition()
    run = RunStopping("one", "val images", ("genus", "species"), (_curve(kept),))
    for point, known in zip(run.curves[0].points, kept.curve, strict=True):
        assert (point.answered, point.wrong) == (known.answered, known.wrong)
        if known.answered:
            assert point.risk is not None
            assert point.risk.value == known.wrong / known.answered
            assert (point.risk.low, point.risk.high) == wilson(known.wrong, known.answered)
    assert run.curves[0].promise == kept.guarantee(0.9)
    drawn = stopping_plot(run).panels[0].series[0]
    assert drawn.x[0] == 1.0  # at a confidence of 0 every image has an answer
    assert drawn.y[0] == kept.curve[0].wrong / kept.curve[0].answered
    lines = csv_text(stopping_table(run)).splitlines()
    assert len(lines) == 1 + len(kept.curve)
    page = replace(build(measured()), stopping=(run, replace(run, run="two")))
    text = Page(render(page)).text
    assert "How far answers can be trusted: run “one”" in text
    assert run.curves[0].statement in text
    assert f"{kept.curve[0].wrong}{100 * drawn.y[0]:.1f} % (" in text


def test_a_rule_that_never_answers_is_drawn_without_points() -> None:
    kept = condition(20, native=False)
    none = replace(kept, curve=tuple(replace(p, answered=0, wrong=0) for p in kept.curve))
    run = RunStopping("one", "val images", ("genus", "species"), (_curve(none),))
    assert stopping_plot(run).panels[0].series == ()
    assert "of 20" in Page(render(replace(build(measured()), stopping=(run,)))).text
