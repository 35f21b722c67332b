"""report.json has every figure of the page: each number in its text is found in the JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from test_report_beside import condition
from test_report_comparison import answers

import c2f_train.report
from c2f_data.artefacts import to_plain
from c2f_train.config import TrainConfig
from c2f_train.evaluation import EvaluationResult
from c2f_train.evaluation.matrix import ClassifierScore, Estimate, PathScore
from c2f_train.evaluation.paired import McNemar, RollUp
from c2f_train.report import (
    RunReport,
    class_map,
    find_failures,
    read_report,
    render,
    write_report,
)
from c2f_train.report.ablations import ablations
from c2f_train.report.comparison import compare_runs
from c2f_train.report.stopping import RunStopping, _curve
from c2f_train.results import RunResult

NUMBER = re.compile(r"(?<![\w.#-])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w])")
ROOT = Path(__file__).parents[2]


class Words(HTMLParser):
    """The text of a page without styles, scripts and the labels of charts' axes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words.append(" ")
        if tag not in samples.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.words.append(" ")
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        drawn = "svg" in self.stack and self.stack[-1] != "title"
        if not drawn and not {"style", "script"} & set(self.stack):
            self.words.append(data)


def numbers_of(html: str) -> set[str]:
    """Every number that a reader sees, as it is printed."""
    text = "".join(Words(html).words).replace("\N{NO-BREAK SPACE}", " ")
    return {found.rstrip(",") for found in NUMBER.findall(text)}


def values_of(plain: Any) -> Iterator[float | str]:
    """Every number and text of the JSON, and the stated derivations: lengths and shares."""
    if isinstance(plain, dict):
        yield len(plain)
        if "correct" in plain and plain.get("n"):
            yield plain["correct"] / plain["n"]
        if plain.get("errors") and isinstance(plain["errors"], int):
            yield plain["inside"] / plain["errors"]
        for value in plain.values():
            yield from values_of(value)
    elif isinstance(plain, list | tuple):
        yield len(plain)
        for value in plain:
            yield from values_of(value)
    elif isinstance(plain, str | int | float) and not isinstance(plain, bool):
        yield plain


def forms(value: float | str) -> set[str]:
    """How the page may print a value: as it is, rounded, or as a share in percent."""
    if isinstance(value, str):
        found = NUMBER.findall(value.replace("\N{NO-BREAK SPACE}", " "))
        return {value, *(each.rstrip(",") for each in found)}
    size = abs(value)
    printed = {f"{size:g}", f"{size:.2g}", f"{size:.3g}"}
    printed |= {f"{size:,.{digits}f}" for digits in range(5)}
    printed |= {f"{100 * size:,.{digits}f}" for digits in range(4)}
    return printed


def stated(report: RunReport) -> set[str]:
    """All that may be printed: the JSON's values, their derivations, and the page's own words."""
    plain = to_plain(report)
    allowed = {form for value in values_of(plain) for form in forms(value)}
    calibration = report.calibration
    if calibration is not None:
        # Derived: the cost's shares, and a fit's midpoint and upper end.
        for value in (
            calibration.fraction,
            calibration.images_evaluated / calibration.stopped_sweep_images,
            *(2**fit.log2_midpoint for fit in report.fits if fit),
            *(1 - fit.lapse for fit in report.fits if fit),
        ):
            allowed |= forms(value)
    if report.train is not None and report.test is not None:
        allowed |= forms(report.train + report.test)
    for level in report.failures.levels if report.failures else ():
        for group in (level.classes, level.at_native, level.on_the_way, level.never):
            allowed |= forms(len(group))
    for one in report.stopping:
        for curve in one.curves:
            for point in curve.points:
                allowed |= forms(point.answered / curve.n)
    return allowed | words_of_the_page()


def words_of_the_page() -> set[str]:
    """Numbers in the fixed wording: templates and the literals of the modules beside them."""
    folder = Path(c2f_train.report.__file__).parent
    sources = [*folder.glob("*.j2"), *folder.glob("*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    text = text.replace(r"\N{NO-BREAK SPACE}", " ").replace("&nbsp;", " ")
    return {found.rstrip(",") for found in NUMBER.findall(text)}


def score(level: str, images: str, value: float) -> ClassifierScore:
    estimate = Estimate(value, value - 0.0123, value + 0.0234)
    return ClassifierScore(
        level, "own", images, 77, images == "species", estimate, None, estimate, 0.0417, 1.27,
        0.333, None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def full() -> RunReport:
    """A page with every section."""
    return report(n=731, wrong=113)


def evaluation(run: RunResult) -> EvaluationResult:
    """Of a run, with figures that occur nowhere else."""
    names = [level.name for level in run.levels]
    scores = [
        score(level, images, 0.3 + 0.0731 * i + 0.0317 * j)
        for i, level in enumerate(names)
        for j, images in enumerate(names)
    ]
    three = [Estimate(v, v - 0.0111, v + 0.0222) for v in (0.5123, 0.4567, 0.0789)]
    path = PathScore(None, "own", *three, 0.6123, 0.6234, 0.6345, 0.6456)
    return EvaluationResult(
        run.name, "cub", "test", 731, run.levels, tuple(names), tuple(scores), (path,), "0" * 12,
        "float32", "ab", "cd", "ef", (), samples.provenance("evaluate"),
        (RollUp("genus", "family", 61, False, Estimate(0.0417, 0.0123, 0.0711),
                McNemar(47, 19, "chi-square", 0.0009), 0.0018),),
    )  # fmt: skip


@cache
def report(n: int, wrong: int) -> RunReport:
    table = samples.taxonomy(counts=(7, 12, 20))
    measured = samples.calibration(table, n=n, floor=0.75)
    kept = samples.predictions(table, n=n)
    config = TrainConfig(stage1_epochs=3, stage2_epochs=2)
    run = samples.run(measured.levels, correct=(n - 61, n - 83, n - wrong), n=n, config=config)
    other = replace(run, name="second")
    compared = [answers("main"), answers("less", wrong=wrong, n=357), answers("m", model="mlp")]
    stopping = RunStopping("first", "val images", ("genus", "species"), (_curve(condition()),))
    made = samples.build(
        measured, [run, other], table=table, failures=find_failures(measured, kept, table)
    )
    return replace(
        made,
        comparison=compare_runs(compared[0], compared[1:]),
        ablations=ablations([compared[0], compared[2]], ["cub"]),
        stopping=(stopping,),
        classes=class_map(kept, table),
        evaluations=(evaluation(run),),
    )


def test_every_number_on_the_page_is_in_the_json(full: RunReport) -> None:
    printed = numbers_of(render(full))
    known = stated(full)
    assert not printed - known, sorted(printed - known)
    assert len(printed) > 300
    # The check can fail: figures of other images are not among these.
    other = numbers_of(render(report(n=877, wrong=207)))
    assert len(other - known) > 20


def test_the_json_comes_back_as_it_was(full: RunReport, tmp_path: Path) -> None:
    page, kept = write_report(tmp_path, full)
    assert read_report(kept) == full
    assert render(read_report(kept)) == page.read_text(encoding="utf-8")


def test_the_keys_of_the_json_are_those_that_are_explained() -> None:
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    part = text.partition("## report.json, schema version 3")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    explained = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert explained == {field.name for field in fields(RunReport)}
