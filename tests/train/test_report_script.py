"""What the page's script gets and may do: its data, its hash, its syntax, the pages without it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_samples as samples
from report_samples import Page

from c2f_data.camera import Camera
from c2f_data.predictions import Predictions, write_predictions
from c2f_data.taxonomy import Taxonomy
from c2f_train.report import (
    RunReport,
    build_report,
    class_map,
    find_failures,
    read_kept,
    read_report,
    render,
    write_report,
)

NODE = shutil.which("node")
EVIL = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "a'b\"c`${1}`",
    "\u05d0\u05d1\u05d2",  # right to left
    "\u2028Vögel & 鳥",
    "{{ 7 * 7 }}",
)


def made(table: Taxonomy, n: int = 600) -> tuple[RunReport, list[Predictions]]:
    predictions = samples.predictions(table, n=n)
    measured = replace(samples.calibration(table, n=n), camera=Camera(3000.0, 0.2))
    report = build_report(
        samples.facts(),
        table,
        measured,
        [],
        samples.provenance("report"),
        find_failures(measured, predictions, table),
        classes=class_map(predictions, table),
    )
    return report, predictions


@pytest.fixture(scope="module")
def table() -> Taxonomy:
    return samples.taxonomy()


@pytest.fixture(scope="module")
def full(table: Taxonomy) -> tuple[RunReport, list[Predictions]]:
    return made(table)


def data_of(page: Page) -> dict[str, Any]:
    [(kind, content)] = [script for script in page.scripts if script[0]]
    assert kind == "application/json"
    return dict(json.loads(content))


def test_only_the_pages_own_script_may_run(full: tuple[RunReport, list[Predictions]]) -> None:
    page = Page(render(full[0]))
    [script] = [content for kind, content in page.scripts if not kind]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert "innerHTML" not in script
    assert "eval" not in script


@pytest.mark.skipif(NODE is None, reason="no node")
def test_the_script_is_javascript(
    full: tuple[RunReport, list[Predictions]], tmp_path: Path
) -> None:
    [script] = [content for kind, content in Page(render(full[0])).scripts if not kind]
    (tmp_path / "page.js").write_text(script, encoding="utf-8")
    assert NODE is not None
    subprocess.run([NODE, "--check", tmp_path / "page.js"], check=True, timeout=60)


def test_ids_are_unique_and_references_are_met(
    full: tuple[RunReport, list[Predictions]],
) -> None:
    html = render(full[0])
    markup = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    ids = re.findall(r' id="([^"]+)"', markup)
    assert len(ids) == len(set(ids))
    for attribute in ("for", "list", "aria-labelledby"):
        assert set(re.findall(rf' {attribute}="([^"]+)"', markup)) <= set(ids)
    [script] = [content for kind, content in Page(html).scripts if not kind]
    assert set(re.findall(r'"#?((?:map|accuracy)-[a-z-]+)"', script)) <= set(ids)


def light(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_text_on_the_colours_of_classes_can_be_read(
    full: tuple[RunReport, list[Predictions]],
) -> None:
    rule = re.compile(r"\.a\d \{ background-color: (#\w{6}); color: (#\w{3,6}); \}")
    pairs = rule.findall(render(full[0]))
    assert len(pairs) == 18  # six steps; light, dark and print
    for back, ink in pairs:
        whole = ink if len(ink) == 7 else "#" + "".join(2 * digit for digit in ink[1:])
        high, low = sorted((light(back), light(whole)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_the_charts_data(full: tuple[RunReport, list[Predictions]]) -> None:
    report, _ = full
    chart = data_of(Page(render(report)))["chart"]
    assert chart["levels"] == ["species", "genus", "family"]
    assert report.calibration is not None
    species = report.calibration.curve("species")
    assert [stop[0] for stop in chart["stops"]] == [p.resolution for p in species.points]
    last = species.points[-1]
    where, told = chart["stops"][-1][1:3]
    assert where == f"{last.resolution}\N{NO-BREAK SPACE}px, as from 50.0\N{NO-BREAK SPACE}m"
    assert told.startswith(f"{100 * last.correct / last.n:.1f}\N{NO-BREAK SPACE}% (")
    assert told.endswith("n = 600")


def test_every_class_has_its_counts(
    full: tuple[RunReport, list[Predictions]], table: Taxonomy
) -> None:
    report, predictions = full
    found = data_of(Page(render(report)))["map"]
    assert found["px"] == [p.resolution for p in predictions]
    for j, level in enumerate(found["levels"]):
        above = table.codes[:, max(j - 1, 0)] if j else np.zeros(len(table.paths), int)
        parent = dict(zip(table.codes[:, j].tolist(), above.tolist(), strict=True))
        for c in range(table.count(level["name"])):
            rows = np.flatnonzero(predictions[0].true[:, j] == c)
            assert level["images"][c] == rows.size
            for at, p in enumerate(predictions):
                named = p.predicted[rows, j]
                siblings = [i for i in named if i != c and parent[int(i)] == parent[c]]
                assert level["right"][c][at] == np.sum(named == c)
                assert level["near"][c][at] == len(siblings)
        for at, flat in enumerate(level["taken"]):
            triples = np.asarray(flat, int).reshape(-1, 3)
            assert triples[:, 2].sum() == sum(row[at] for row in level["near"])
            assert np.all(np.diff(triples[:, 2]) <= 0)


def test_a_class_is_lost_where_the_failures_say(full: tuple[RunReport, list[Predictions]]) -> None:
    report, _ = full
    assert report.failures is not None
    failures = report.failures.levels[0]
    level = data_of(Page(render(report)))["map"]["levels"][-1]
    for lost in failures.classes:
        at = level["lost"][level["names"].index(lost.name)]
        assert (at == -1) == (lost.resolution is None)
        if at >= 0:
            assert failures.resolutions[at] == lost.resolution
    assert data_of(Page(render(report)))["map"]["levels"][0]["lost"] == []


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    paths = tuple((f"f{i % 2}{EVIL[i % 2]}", f"g{i}", name) for i, name in enumerate(EVIL))
    table = Taxonomy("evil", samples.THREE, paths)
    report, _ = made(table, n=60)
    html = render(report)
    page = Page(html)
    assert html.lower().count("<script") == page.tags.count("script") == 2
    assert html.lower().count("</script") == 2
    assert "<!--" not in html
    level = data_of(page)["map"]["levels"][-1]
    assert level["names"] == list(EVIL)
    for name in EVIL:
        assert " ".join(name.split()) in page.text


def test_without_a_script_all_classes_are_in_a_table(
    full: tuple[RunReport, list[Predictions]],
) -> None:
    report, predictions = full
    assert report.calibration is not None
    answers = {c.resolution for c in report.calibration.crossings}
    shown = [predictions[0], *(p for p in predictions[1:-1] if p.resolution in answers)]
    rows = predictions[0].true[:, 2] == 7
    shares = [100 * np.mean(p.correct("species")[rows]) for p in (*shown, predictions[-1])]
    row = f"species 7 {rows.sum()} {' '.join(f'{share:.0f}' for share in shares)}"
    assert row in Page(render(report)).text


def test_a_large_page_stays_small(full: tuple[RunReport, list[Predictions]]) -> None:
    assert len(render(full[0]).encode()) < 1_000_000


def test_left_out_without_predictions(table: Taxonomy) -> None:
    report = samples.build(samples.calibration(table, n=600))
    page = Page(render(report))
    assert "map" not in data_of(page)
    assert "Class by class" not in page.text


def test_kept_predictions_are_read(
    full: tuple[RunReport, list[Predictions]], table: Taxonomy, tmp_path: Path
) -> None:
    report, predictions = full
    assert report.calibration is not None
    assert read_kept(report.calibration, tmp_path, table) == ()
    for i, p in enumerate(predictions):
        write_predictions(tmp_path / report.calibration.predictions / f"{i}.h5", p)
    kept = read_kept(report.calibration, tmp_path, table)
    assert class_map(kept, table) == report.classes
    other = replace(report.calibration, taxonomy_fingerprint="00" * 32)
    assert read_kept(other, tmp_path, table) == ()


def test_json_round_trip(full: tuple[RunReport, list[Predictions]], tmp_path: Path) -> None:
    _, path = write_report(tmp_path, full[0])
    assert read_report(path) == full[0]
