"""The page: a report and its image strips, drawn by one template; it makes no request."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from c2f_data.artefacts import write_json, write_text
from c2f_data.provenance import Provenance
from c2f_data.sources.request import annotated
from c2f_train.pooling import MODELS
from c2f_train.report import method, paper, wording
from c2f_train.report.charts import (
    compared_training,
    stopping_charts,
    trained_levels,
    training_chart,
)
from c2f_train.report.class_rows import class_rows, columns
from c2f_train.report.figures import accuracy_figure, asked, fit_legend, legend, threshold_legend
from c2f_train.report.images import Strip
from c2f_train.report.page_data import page_data
from c2f_train.report.run_report import SCHEMA, SCHEMA_VERSION, RunReport
from c2f_train.report.tables import curve_rows, matrix_rows
from c2f_train.results import RunResult

HTML_NAME = "report.html"
JSON_NAME = "report.json"
TEMPLATE = "report.html.j2"
SCRIPT = "page.js.j2"


def render(report: RunReport, strips: Sequence[Strip] = (), *, json_name: str = JSON_NAME) -> str:
    """The whole page as one HTML text; everything that came from data is escaped.

    Args:
        json_name: of the file beside it that has the same figures.
    """
    names = [level.name for level in report.levels]
    environment = _environment()
    script = environment.get_template(SCRIPT).render()
    return environment.get_template(TEMPLATE).render(
        report=report,
        strips=strips,
        fine_first=list(reversed(report.levels)),
        columns=list(range(len(names)))[::-1],
        chart=accuracy_figure(report.calibration, report.fits) if report.calibration else "",
        curve_rows=curve_rows(report.calibration.curves) if report.calibration else [],
        bands=method.bands(report.calibration) if report.calibration else "",
        evaluations=[(each, matrix_rows(each)) for each in report.evaluations],
        method=method,
        chart_levels=legend([c.level for c in report.calibration.curves])
        if report.calibration
        else [],
        chart_key=fit_legend(report.fits) + threshold_legend(asked(report.calibration))
        if report.calibration
        else [],
        **_class_table(report),
        data=page_data(report),
        script=Markup(script),
        script_source=_source(script),
        runs=[(run, training_chart(run), _run_legend(run)) for run in report.runs],
        compared_training=compared_training(report),
        stopping=stopping_charts(report),
        steps=_steps(report),
        made=_made(report),
        paper=paper,
        model_names=wording.MODEL_NAMES,
        models=MODELS,
        json_name=json_name,
        symbol=lambda letter, level: _symbol(letter, wording.suffix(names, level)),
    )


def write_report(
    folder: Path, report: RunReport, strips: Sequence[Strip] = (), *, name: str = HTML_NAME
) -> tuple[Path, Path]:
    """Write report.json, then report.html, each atomically.

    Args:
        name: of the page; the JSON has the same stem.

    Returns:
        (path of the page, path of the JSON).

    Raises:
        ArtefactError: the disk refused.
    """
    html_path = folder / name
    json_path = html_path.with_suffix(".json")
    page = render(report, strips, json_name=json_path.name)
    write_json(json_path, report, schema=SCHEMA, version=SCHEMA_VERSION)
    write_text(html_path, page)
    return html_path, json_path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("c2f_train", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "annotated": annotated,
        "breakable": _breakable,
        "counted": wording.counted,
        "span": lambda point: wording.span(point.low, point.high),
        "metres": wording.metres,
        "percent": wording.percent,
        "percent_short": wording.percent_short,
        "pixels": wording.pixels,
        "plural": wording.plural,
        "points": wording.points,
        "sentence": wording.sentence,
        "settings": _settings,
        "whole_brackets": _whole_brackets,
        "thousands": lambda value: f"{value:,}",
    }
    return environment


def _symbol(letter: str, suffix: str) -> Markup:
    """I_high as it is printed in the paper."""
    return Markup('<span class="sym"><i>{}</i><sub>{}</sub></span>').format(letter, suffix)


def _breakable(name: str) -> Markup:
    """A class name, escaped, that a narrow column may break where its words end."""
    parts = re.split(r"(?<=[_./-])", name)
    return Markup("<wbr>").join(parts)


def _whole_brackets(text: str) -> Markup:
    """The same, escaped; '(104–121)' stays in one line."""
    parts = re.split(r"(\([^() ]+\))", text)
    return Markup("").join(
        Markup('<span class="whole">{}</span>').format(part) if i % 2 else part
        for i, part in enumerate(parts)
    )


def _class_table(report: RunReport) -> dict[str, Any]:
    """Columns and rows of the table of all classes."""
    if report.calibration is None or report.classes is None:
        return {"class_columns": (), "class_rows": []}
    shown = columns(report.calibration, report.classes)
    return {"class_columns": shown, "class_rows": class_rows(report.classes, shown)}


def _source(script: str) -> Markup:
    """The one script that the page's content security policy lets run, by its hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return Markup("'sha256-{}'").format(digest)


def _run_legend(run: RunResult) -> list[tuple[Markup, str]]:
    """Samples of the levels that were trained, with the colours they have in every chart."""
    trained = trained_levels(run)
    return [
        (swatch, name)
        for swatch, name in legend([level.name for level in run.levels])
        if name in trained
    ]


def _settings(frozen: object) -> list[tuple[str, str]]:
    """A settings object as (name, value) in words, in its own order."""
    words = {True: "yes", False: "no", None: "not set", (): "not set"}
    rows = []
    for name, value in asdict(frozen).items():  # type: ignore[call-overload]
        if isinstance(value, bool) or value is None or value == ():
            shown = words[value]
        elif isinstance(value, tuple | list):
            shown = ", ".join(str(part) for part in value)
        else:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
        rows.append((name.replace("_", " "), shown))
    return rows


def _made(report: RunReport) -> list[tuple[str, Provenance]]:
    """(what, its provenance), in the order in which things were made."""
    found = [("Calibration", report.calibration.provenance)] if report.calibration else []
    found += [(f"Run “{run.name}”", run.provenance) for run in report.runs]
    return [*found, ("Report", report.provenance)]


def _steps(report: RunReport) -> Markup:
    """The command lines that made this report, quoted for a shell, each once."""
    lines = dict.fromkeys(shlex.join(made.command) for _, made in _made(report))
    return escape("\n".join(lines))
