"""Figures and tables for a paper: the numbers of the report, readable in a column, safe."""

from __future__ import annotations

import csv
import io
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import report_samples as samples
from numpy.typing import NDArray
from PIL import Image
from test_report_comparison import answers

from c2f_data.errors import ConfigError
from c2f_train.evaluation.matrix import Estimate
from c2f_train.publication import write_figures, write_tables
from c2f_train.publication.figures import figures
from c2f_train.publication.svg_file import COLOURS, COLUMN, COLUMN_MM, svg_text
from c2f_train.publication.table import Column, Table, csv_text, escaped, latex_text
from c2f_train.publication.tables import tables
from c2f_train.publication.write import file_name
from c2f_train.report import RunReport
from c2f_train.report.ablations import ablations
from c2f_train.report.comparison import compare_runs
from c2f_train.report.plot import Panel, Plot, Series

SVG = "{http://www.w3.org/2000/svg}"
POINT_MM = 25.4 / 72


@cache
def report() -> RunReport:
    """With everything that a report can have but an evaluation."""
    table = samples.taxonomy()
    measured = samples.calibration(table, floor=0.8, n=1200)
    runs = [
        answers("mlph_0"),
        answers("flat & <plain>", model="mlp", wrong=112),
        answers("other", wrong=30, n=300),
    ]
    made = samples.build(measured, [samples.run(measured.levels, name=n) for n in ("a", "b")])
    return replace(
        made, comparison=compare_runs(runs[0], runs[1:]), ablations=ablations(runs, ["cub"])
    )


def drawn(plot: Plot) -> list[tuple[Panel, Series]]:
    return [(panel, series) for panel in plot.panels for series in panel.series]


def test_every_figure_is_there() -> None:
    assert [plot.name for plot in figures(report())] == [
        "accuracy",
        "training-a",
        "training-b",
        "training-compared",
        "differences",
    ]


def test_the_figures_have_the_reports_numbers() -> None:
    calibration = report().calibration
    assert calibration is not None
    accuracy, training, *_, differences = figures(report())
    curves = [s for _, s in drawn(accuracy) if s.label]
    for series, curve in zip(curves, reversed(calibration.curves), strict=True):
        assert series.label == curve.level
        assert series.x == tuple(p.resolution for p in curve.points)
        assert series.y == tuple(p.accuracy for p in curve.points)
        assert series.low == tuple(p.low for p in curve.points)
    run = report().runs[0]
    losses = {s.label: s.y for s in training.panels[0].series}
    assert losses["genus"] == tuple(epoch.loss["genus"] for epoch in run.epochs)
    rates = training.panels[2].series[0].y
    assert rates == tuple(epoch.learning_rate for epoch in run.epochs)
    comparison = report().comparison
    assert comparison is not None
    shown = sorted(v for _, s in drawn(differences) for v in s.x)
    known = [100 * row.difference.value for row in comparison.differences if row.difference]
    assert shown == sorted(known)


@pytest.mark.parametrize("plot", figures(report()), ids=lambda plot: plot.name)
def test_an_svg_file_stands_alone_and_its_markers_lie_where_the_numbers_say(plot: Plot) -> None:
    text = svg_text(plot)
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("width") == f"{COLUMN_MM:g}mm"
    assert "var(" not in text
    assert "url(" not in text
    assert not [name for node in root.iter() for name in node.attrib if "href" in name]
    assert root.find(f"{SVG}title") is not None
    # 7 points at least in a column of 85 mm.
    size = COLUMN.font * COLUMN_MM / COLUMN.width / POINT_MM
    assert 7 < size < 9
    assert f"font: {COLUMN.font}px" in text
    circles = [
        (float(node.get("cx", "nan")), float(node.get("cy", "nan")))
        for node in root.iter(f"{SVG}circle")
        if node.get("class") == "mark"
    ]
    first = next(s for _, s in drawn(plot) if s.kind % 6 == 0 and s.label)
    panel = plot.panels[0]
    shown = first.x if first.marked else first.x[:: max(1, len(first.x) // 8)]
    # One circle in the legend comes first.
    own = circles[1 : 1 + len(shown)] if len(plot.legend) > 1 else circles[: len(shown)]
    places = np.array([panel.x.place(x) for x in shown])
    found = np.array([x for x, _ in own])
    if len(shown) > 1:
        slope, start = np.polyfit(places, found, 1)
        np.testing.assert_allclose(start + slope * places, found, atol=0.02)
        assert slope > 0.4 * COLUMN.width


def test_texts_stay_inside_the_column() -> None:
    for plot in figures(report()):
        for node in ElementTree.fromstring(svg_text(plot)).iter(f"{SVG}text"):
            if node.get("transform"):
                continue
            wide = 0.62 * COLUMN.font * len(node.text or "")
            x = float(node.get("x", "0"))
            shift = {"start": 0, "middle": wide / 2, "end": wide}[node.get("text-anchor", "start")]
            assert x - shift > -0.06 * COLUMN.width, node.text
            assert x - shift + wide < 1.06 * COLUMN.width, node.text


def test_matplotlib_draws_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from c2f_train.publication.matplotlib_file import draw

    for plot in figures(report()):
        for axes, panel in zip(draw(plot).axes, plot.panels, strict=True):
            kept = [tuple(line.get_xydata().ravel()) for line in axes.lines]
            for series in panel.series:
                points = np.column_stack([series.x, series.y]).ravel()
                assert any(len(one) == points.size and np.allclose(one, points) for one in kept), (
                    plot.name,
                    series.label,
                )
    small = replace(report(), runs=(), comparison=None)
    written = write_figures(small, tmp_path, ("png", "pdf"))
    assert [path.name for path in written] == ["accuracy.svg", "accuracy.png", "accuracy.pdf"]
    with Image.open(tmp_path / "accuracy.png") as image:
        assert image.width == pytest.approx(COLUMN_MM / 25.4 * 600, abs=1)
    pdf = (tmp_path / "accuracy.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # a TrueType font inside the file
    assert b"/Type3" not in pdf
    again = write_figures(small, tmp_path / "again", ("pdf",))[1]
    assert again.read_bytes() == pdf


def test_without_matplotlib_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="matplotlib is not installed") as caught:
        write_figures(report(), tmp_path, ("pdf",))
    assert "[figures]" in caught.value.hint
    assert not list(tmp_path.iterdir())
    assert len(write_figures(report(), tmp_path)) == 5


def linear(colour: str) -> NDArray[np.float64]:
    """Linear RGB of '#rrggbb' (IEC 61966-2-1)."""
    value = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


# Machado, Oliveira and Fernandes 2009, severity 1.0.
SEEN_AS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB of linear sRGB, D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", SEEN_AS)
def test_colours_of_up_to_three_levels_are_apart_for_every_eye(eye: str) -> None:
    seen = [lab(SEEN_AS[eye] @ linear(colour)) for colour in COLOURS[:3]]
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(one - other) > 20
    for colour in COLOURS:
        light = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))
        assert 1.05 / (light + 0.05) > 4.5  # contrast with white paper


def test_tables_have_the_reports_numbers_to_the_last_digit(tmp_path: Path) -> None:
    found = {table.name: table for table in tables(report())}
    assert set(found) == {
        "answers",
        "curve",
        "accuracy",
        "images",
        "hierarchy",
        "runs",
        "differences",
        "ablations",
        "training-a",
        "training-b",
    }
    calibration = report().calibration
    assert calibration is not None
    rows = list(csv.DictReader(io.StringIO(csv_text(found["curve"]))))
    genus = calibration.curve("genus")
    assert [float(r["genus"]) for r in rows] == [p.accuracy for p in genus.points]
    assert [float(r["genus_low"]) for r in rows] == [p.low for p in genus.points]
    assert [int(r["resolution"]) for r in rows] == [p.resolution for p in genus.points]
    comparison = report().comparison
    assert comparison is not None
    rows = list(csv.DictReader(io.StringIO(csv_text(found["differences"]))))
    for row, known in zip(rows, comparison.differences, strict=True):
        assert known.difference is not None
        assert float(row["difference"]) == known.difference.value
        assert row["p_holm"] == ("" if known.p_holm is None else repr(known.p_holm))
    rows = list(csv.DictReader(io.StringIO(csv_text(found["ablations"]))))
    assert float(rows[0]["paper_CUB-200-2011"]) == pytest.approx(0.002)
    written = write_tables(report(), tmp_path)
    assert len(written) == 2 * len(found)
    assert (tmp_path / "curve.csv").read_text(encoding="utf-8") == csv_text(found["curve"])


def test_latex_is_escaped_and_every_row_has_all_cells() -> None:
    hostile = "\\input{/etc/passwd} 50% of $x_1$ & #2 ~^ {\n\\end{table} ä \N{MINUS SIGN}1 <b>"
    table = Table(
        "a_b",
        hostile,
        (Column("name", hostile), Column("v", "value", "share", ranged=True)),
        ((hostile, Estimate(0.123456, 0.1, 0.2)), (None, 0.5), ("plain", None)),
    )
    text = latex_text(table)
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert all(len(re.findall(r"(?<!\\)&", row)) == 1 for row in rows)
    assert text.count("\\end{table}") == 1
    assert "\\input" not in text
    # No character is left that LaTeX would act on, but in what this module writes itself.
    assert not re.search(r"(?<!\\)[#%$_](?!\\usepackage)", escaped(hostile).replace("$-$", ""))
    assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")
    assert r"12.3 \footnotesize(10.0--20.0)" in text
    assert "\\label{tab:a-b}" in text


def test_file_names_can_not_lead_elsewhere() -> None:
    assert file_name("training-../../x y") == "training-..-..-x-y"
