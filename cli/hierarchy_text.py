"""What ``c2f build-hierarchy`` says: tables of counts, tables of changes, JSON objects."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import ArtefactError
from c2f_data.hierarchy.formats import counted
from c2f_data.sources import DATASETS
from c2f_data.sources.classes import some
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

if TYPE_CHECKING:
    from c2f_data.hierarchy.diff import HierarchyDiff
    from c2f_data.hierarchy.draft import Draft

# Table 2 of the paper (Huo et al., SIGIR 2019); c2f_train.report.paper, which has it too, is not
# imported because it brings torch.
PAPER: Mapping[str, Mapping[str, int]] = {
    "cub": {"species": 200, "genus": 113, "family": 36},
    "cars": {"species": 196, "genus": 113, "family": 14},
}
COUNT_KEYS = {"species": "species", "genus": "genera", "family": "families"}


def base_name(name: str) -> str:
    """``cub`` of ``cub:aou2016``."""
    return name.partition(":")[0]


def print_text(text: str) -> None:
    """Text on stdout. Raises ArtefactError where the terminal's encoding lacks a character."""
    try:
        click.echo(text, nl=False)
    except UnicodeEncodeError as error:
        missing = error.object[error.start : error.start + 1]
        raise ArtefactError(
            f"stdout can't show {missing!r} in the encoding {error.encoding}",
            "Write to a file with --out FILE, or set PYTHONUTF8=1.",
        ) from error


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of equal width, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def summary(taxonomy: Taxonomy, paper: Mapping[str, int]) -> str:
    """The counts, fine to coarse; for the paper's data sets beside its own."""
    counts = {level: taxonomy.count(level) for level in reversed(taxonomy.levels)}
    if not paper:
        return ", ".join(counted(level, count) for level, count in counts.items()) + "\n"
    rows = [
        (level, str(count), str(paper.get(level, "not given"))) for level, count in counts.items()
    ]
    title = f"{taxonomy.origin or taxonomy.name}\n"
    return title + _aligned([("level", "c2f", "paper's Table 2"), *rows])


def answer(taxonomy: Taxonomy, file: Path | None, warnings: Sequence[str]) -> dict[str, Any]:
    """The object that --json prints."""
    counts = {level: taxonomy.count(level) for level in taxonomy.levels}
    return {
        "name": taxonomy.name,
        "origin": taxonomy.origin,
        "fingerprint": taxonomy.fingerprint,
        **{COUNT_KEYS[level]: n for level, n in counts.items() if level in COUNT_KEYS},
        "levels": [{"name": k, "count": n, "resolution": None} for k, n in counts.items()],
        "file": str(file) if file else None,
        "table": [
            {"class_name": path[-1], **dict(zip(taxonomy.levels, path, strict=True))}
            for path in taxonomy.paths
        ],
        "warnings": list(warnings),
    }


def next_command(name: str, taxonomy: Taxonomy) -> str:
    """The command that measures with this hierarchy."""
    dataset = base_name(name) if base_name(name) in DATASETS else "folder"
    words = ["c2f", "calibrate", "--dataset", dataset, "--root", "FOLDER"]
    if name != dataset:
        words += ["--taxonomy", name]
    if taxonomy.levels != DEFAULT_LEVELS:
        words += ["--levels", ",".join(taxonomy.levels)]
    return shlex.join(words)


def diff_text(diff: HierarchyDiff) -> str:
    """Counts before and after, the groups and the classes that changed."""
    from c2f_data.hierarchy.diff import class_rows, count_rows, group_rows

    parts = [f"before: {diff.before}\nafter:  {diff.after}\n", _aligned(count_rows(diff))]
    if diff.same:
        parts.append("No class has another parent.\n")
    if diff.groups:
        parts.append(_aligned(group_rows(diff)))
    if diff.classes:
        parts.append(_aligned(class_rows(diff)))
    for title, only in (("only before", diff.removed), ("only after", diff.added)):
        if only:
            parts.append(f"{len(only)} classes {title}: {some(only, 10)}\n")
    return "\n".join(parts)


def draft_answer(draft: Draft, out: Path | None) -> dict[str, Any]:
    """The object that --from-folder --json prints."""
    return {
        "root": str(draft.root),
        "layout": draft.layout,
        "levels": list(draft.levels),
        "classes": len(draft.rows),
        "guessed": draft.guessed,
        "blanks": draft.blanks,
        "file": str(out) if out else None,
        "table": [
            {"class_name": row[-1], **dict(zip(draft.levels, row, strict=True))}
            for row in draft.rows
        ],
        "warnings": list(draft.warnings),
    }
