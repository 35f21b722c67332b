"""The report's JSON and page: every outcome, any hierarchy, hostile names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_samples as samples
from report_samples import Page, build

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import Outcome
from c2f_data.errors import ArtefactError
from c2f_data.resample import ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_train.config import TrainConfig
from c2f_train.report import RunReport, make_strip, read_report, render, write_report


@pytest.fixture(scope="module")
def table() -> Taxonomy:
    return samples.taxonomy()


@pytest.fixture(scope="module")
def answered(table: Taxonomy) -> CalibrationResult:
    return samples.calibration(table)


@pytest.fixture(scope="module")
def full(answered: CalibrationResult) -> RunReport:
    return build(answered, [samples.run(answered.levels)])


def test_full_page_shows_the_data(full: RunReport, answered: CalibrationResult) -> None:
    page = Page(render(full))
    species, genus = answered.crossings
    assert (full.r_med, full.r_low) == (species.resolution, genus.resolution)
    assert (full.species, full.genera, full.families) == (200, 124, 37)
    told = f"{species.resolution} px ({species.interval_low}–{species.interval_high})"
    assert page.text.count(f"On these 5,794 images species can be told down to {told}") == 1
    assert "In brackets: the 95 % interval of the resolution at which accuracy crosses" in page.text
    assert "possible range" not in page.text
    for curve in answered.curves:
        for point in curve.points:
            share = f"{100 * point.correct / point.n:.1f} %"
            span = f"{100 * point.low:.1f}–{100 * point.high:.1f}"
            assert f"{share}{span}" in page.text
            assert f"{curve.level}, " in page.text
            assert f"{share} ({span} %), n = {point.n:,}" in page.text


def test_the_papers_tables_are_marked(full: RunReport) -> None:
    html = render(full)
    text = Page(html).text
    assert "The paper’s figures (Table 3, CUB-200-2011)" in text
    for figure in ("76.4 %", "85.1 %", "84.1 %", "86.2 %", "86.8 %", "87.0 %", "91.7 %", "94.5 %"):
        assert figure in text
    assert "93.8 %" not in re.sub(r"<details>.*?</details>|<title>.*?</title>", "", html)
    assert "CUB-200-2011 paper 200 113 36 5,994 5,794" in text
    assert "eBird/Clements v2025" in text
    assert "124 classes at level genus instead of 113" in text
    assert "context, not a like-for-like comparison" in text


def test_other_data_sets_get_the_papers_figures_as_other(answered: CalibrationResult) -> None:
    report = build(answered, known=samples.facts(dataset="mine"))
    text = Page(render(report)).text
    assert not report.comparable
    assert "The paper’s accuracies on Stanford Cars: another data set than mine." in text
    assert "Stanford Cars paper 196 113 14 8,144 8,041" in text


def test_page_makes_no_request(full: RunReport) -> None:
    strip = make_strip(
        samples.photograph(), full.levels, ResampleSpec(), image_id="a.jpg", classes=("f", "g", "s")
    )
    html = render(full, [strip])
    page = Page(html)
    assert len(page.sources) == 3
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "link" not in page.tags
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in page.policy
    assert len(html.encode()) < 2_000_000


def test_json_round_trip(full: RunReport, tmp_path: Path) -> None:
    html_path, json_path = write_report(tmp_path / "report", full)
    assert read_report(json_path) == full
    assert html_path.read_text(encoding="utf-8") == render(full)
    assert sorted(p.name for p in html_path.parent.iterdir()) == ["report.html", "report.json"]


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    levels = (evil, 'genus\' "x"', "Vögel & 鳥")
    table = Taxonomy(
        "evil", levels, ((f"f{evil}", "g", f"s{evil}"), ("f2", "g2", "{{ 7 * 7 }}")), origin=evil
    )
    measured = replace(
        samples.calibration(table, n=300, dataset=evil), layout=evil, warnings=(evil,)
    )
    facts = samples.facts(dataset=evil, layout=evil, warnings=(f"{evil} again",))
    report = build(
        measured,
        [samples.run(measured.levels, name=evil, correct=(290, 280, 270), n=300)],
        table=table,
        known=facts,
    )
    strip = make_strip(
        samples.photograph(), report.levels, ResampleSpec(), image_id=evil, classes=table.paths[0]
    )
    html = render(report, [strip])
    page = Page(html)
    assert (
        html.lower().count("<script") == page.tags.count("script") == 2
    )  # data and the page's own
    assert evil in page.text
    assert "Vögel & 鳥" in page.text
    _, json_path = write_report(tmp_path, report, [strip])
    assert read_report(json_path) == report


def test_below_at_native_says_what_to_do(table: Taxonomy) -> None:
    measured = samples.calibration(table, tops=(0.97, 0.86, 0.625), n=600)
    crossing = measured.crossings[0]
    assert crossing.outcome is Outcome.BELOW_AT_NATIVE
    text = Page(render(build(measured))).text
    assert "species stay below 80 % accuracy even at native resolution" in text
    assert f"would meet is {crossing.largest_threshold:.2f}" in text
    assert "--relative" in text
    assert "Species: no answer" in text


def test_never_below(table: Taxonomy) -> None:
    measured = samples.calibration(table, middles=(2, 3, 5), thresholds=(0.6, 0.5), n=600)
    assert {c.outcome for c in measured.crossings} == {Outcome.NEVER_BELOW}
    text = Page(render(build(measured))).text
    assert "species and genera can still be told at the lowest resolution measured, 12 px" in text
    assert "a grid that goes lower" in text


def test_below_at_start(table: Taxonomy) -> None:
    measured = samples.calibration(table, middles=(12, 46, 46), tops=(0.98, 0.89, 0.885), n=600)
    assert measured.crossings[1].outcome is Outcome.BELOW_AT_START
    text = Page(render(build(measured))).text
    assert "Genus accuracy is already below 80 % where its search starts" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": Outcome.NOT_MONOTONE}, "rises above the threshold again"),
        ({"limited_by_input": True}, "Limited by network input"),
        ({"interval_low": None}, "or less (lower end not determined)"),
        ({"interval_high": None}, "or more (upper end not determined)"),
        ({"interval_low": None, "interval_high": None}, "not determined by these images"),
    ],
)
def test_doubtful_answers_are_said(
    answered: CalibrationResult, changes: dict[str, object], words: str
) -> None:
    first = replace(answered.crossings[0], **changes)  # type: ignore[arg-type]
    measured = replace(answered, crossings=(first, *answered.crossings[1:]))
    assert words in Page(render(build(measured))).text


def test_relative_threshold(table: Taxonomy) -> None:
    measured = samples.calibration(table, tops=(0.985, 0.9, 0.71), relative=True, n=500)
    text = Page(render(build(measured))).text
    share = f"{100 * measured.crossings[0].threshold:.1f} % for species"
    assert f"at least 80 % of its accuracy on the native images (so {share}" in text


def test_accuracy_that_rounds_to_the_threshold(answered: CalibrationResult) -> None:
    first = answered.crossings[0]
    curve = answered.curve("species")
    points = tuple(
        replace(p, n=10_000, correct=7_999) if p.resolution == first.resolution else p
        for p in curve.points
    )
    curves = (*answered.curves[:-1], replace(curve, points=points))
    report = build(replace(answered, curves=curves))
    assert "79.99 %" in report.answers[0].text.replace("\N{NO-BREAK SPACE}", " ")


def test_without_a_run(answered: CalibrationResult) -> None:
    text = Page(render(build(answered))).text
    assert "No network has been trained on these resolutions yet" in text


def test_without_a_calibration_or_images(answered: CalibrationResult) -> None:
    facts = samples.facts(train=None, test=None, fingerprint=None)
    report = build(None, [samples.run(answered.levels)], known=facts)
    text = Page(render(report)).text
    assert text.count("MLPH reaches an accuracy of 87.3 % for species") == 1
    assert "c2f calibrate --dataset cub" in text
    assert report.r_med == answered.levels[1].resolution


def test_with_neither() -> None:
    with pytest.raises(ArtefactError, match="nothing to report"):
        build(None)


def test_run_of_the_finest_level_alone(answered: CalibrationResult) -> None:
    run = samples.run(answered.levels, config=TrainConfig(model="mlp", stage1_epochs=0))
    epochs = tuple(replace(e, loss={"species": 1.0}, accuracy={"species": 0.5}) for e in run.epochs)
    report = build(answered, [replace(run, test=run.test[-1:], epochs=epochs)])
    assert report.accuracy[0].cells[:2] == (None, None)
    assert "MLP, run “first”" in Page(render(report)).text


@pytest.mark.parametrize("epochs", [0, 1, 400])
def test_number_of_epochs(answered: CalibrationResult, epochs: int) -> None:
    run = samples.run(answered.levels)
    some = tuple(replace(run.epochs[0], epoch=i + 1) for i in range(epochs))
    html = render(build(answered, [replace(run, epochs=some)]))
    assert ("Training of run" in Page(html).text) == (epochs > 0)


@pytest.mark.parametrize(
    ("levels", "counts", "middles", "tops", "thresholds"),
    [
        (("make", "model"), (20, 60), (20, 46), (0.96, 0.885), (0.8,)),
        (
            ("order", "family", "tribe", "genus", "species"),
            (9, 37, 60, 124, 200),
            (5, 9, 14, 20, 46),
            (0.99, 0.985, 0.97, 0.96, 0.885),
            (0.8, 0.8, 0.75, 0.7),
        ),
    ],
)
def test_other_numbers_of_levels(
    levels: tuple[str, ...],
    counts: tuple[int, ...],
    middles: tuple[float, ...],
    tops: tuple[float, ...],
    thresholds: tuple[float, ...],
) -> None:
    table = samples.taxonomy(levels, counts)
    measured = samples.calibration(
        table, middles=middles, tops=tops, thresholds=thresholds, n=600, dataset="own"
    )
    run = samples.run(measured.levels, correct=[500] * len(levels), n=600)
    report = build(measured, [run], table=table, known=samples.facts(dataset="own"))
    text = Page(render(report)).text
    assert (report.r_med, report.r_low, report.species) == (None, None, None)
    assert [level.count for level in report.levels] == list(counts)
    for level in levels:
        assert level in text
    assert f"r{levels[-2]} = {report.answers[0].resolution} px" in text


def test_stale_inputs_and_other_resolutions_are_warned_of(answered: CalibrationResult) -> None:
    other = tuple(
        level if level.native else replace(level, resolution=(level.resolution or 0) + 9)
        for level in answered.levels
    )
    report = build(answered, [samples.run(other)], known=samples.facts(fingerprint="00" * 32))
    assert "their split have changed" in report.notes_on("calibration")[0]
    assert "trained at other resolutions" in report.notes_on("training")[0]
    changed = replace(answered, taxonomy_fingerprint="11" * 32)
    assert "hierarchy has changed" in build(changed).notes_on("calibration")[0]


def test_the_page_says_how_to_repeat_it(full: RunReport) -> None:
    text = Page(render(full)).text
    assert "c2f calibrate --dataset cub --t-med 0.8" in text
    assert "c2f train --name first" in text
    for detail in (full.taxonomy_fingerprint, "ab" * 32, "cd" * 32, "torch 2.12.1", "bicubic"):
        assert detail in text
