"""``c2f build-hierarchy``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from c2f_data.artefacts import to_plain, write_text
from c2f_data.errors import ArtefactError
from c2f_data.hierarchy.builtin import is_builtin
from c2f_data.hierarchy.formats import FORMATS, counted, csv_text, tree_text
from c2f_data.open_dataset import load_hierarchy
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy
from c2f_data.workspace import DatasetFolder, Workspace

from .console import Console, print_json
from .hierarchy_text import (
    PAPER,
    answer,
    base_name,
    diff_text,
    draft_answer,
    next_command,
    print_text,
    summary,
)
from .options import common_options, names, option, workspace_of

FORMAT_OF = {".json": "json", ".nwk": "newick", ".newick": "newick"}


@click.command("build-hierarchy")
@click.argument("table", metavar="[cub|cars|TABLE.csv]", required=False)
@option("--edition", help="Edition of cub's bird list; an unknown one lists them all.")
@option("--rule", help="Rule for the body types of cars; an unknown one lists them all.")
@option(
    "--diff",
    "other",
    metavar="OTHER",
    help="Print what changes from this hierarchy to OTHER: an edition, a rule or a CSV.",
)
@option(
    "--levels",
    default=",".join(DEFAULT_LEVELS),
    show_default=True,
    help="Level columns, coarse to fine.",
)
@option(
    "--from-folder",
    metavar="ROOT",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Write a draft table for a folder of class folders, with blanks to fill.",
)
@option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="Printed, unless there is --out.  [default: by the suffix of --out, else csv]",
)
@option("--depth", type=click.IntRange(1), help="Levels that a tree shows, from the coarsest.")
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; default: hierarchy.csv in the workspace.",
)
@option("--overwrite", is_flag=True, help="Replace the file of --out.")
@common_options
def build_hierarchy(
    table: str | None,
    edition: str | None,
    rule: str | None,
    other: str | None,
    levels: str,
    from_folder: Path | None,
    form: str | None,
    depth: int | None,
    out: Path | None,
    overwrite: bool,
    workspace: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check a class hierarchy and write it: cub, cars, or any CSV.

    \b
    Example:
      c2f build-hierarchy cub
      c2f build-hierarchy cub --edition aou2016 --diff ebird2025
      c2f build-hierarchy my_classes.csv --levels family,genus,species
      c2f build-hierarchy --from-folder my_images --out my_classes.csv
    """
    console = Console(quiet=quiet)
    chosen: dict[str, object] = {"--edition": edition, "--rule": rule, "--diff": other}
    chosen |= {"--format": form, "--depth": depth, "--out": out}
    if from_folder is not None:
        _refuse("--from-folder", chosen, ("--edition", "--rule", "--diff", "--format", "--depth"))
        if table is not None:
            raise click.UsageError("Give a table or --from-folder, not both.")
        _make_draft(from_folder, names(levels), out, overwrite, as_json, console)
        return
    if table is None:
        raise click.UsageError("Give cub, cars or a TABLE.csv (or --from-folder ROOT).")
    name = _full_name(table, edition, rule)
    if other is not None:
        _refuse("--diff", chosen, ("--format", "--depth", "--out"))
        _show_diff(name, _other_name(name, other), names(levels), as_json)
        return
    form = form or (FORMAT_OF.get(out.suffix.lower()) if out else None)
    if depth is not None and form != "tree":
        raise click.UsageError("--depth is for --format tree.")
    if as_json and form and out is None:
        raise click.UsageError("--json and --format both print: give --out FILE, or one of them.")
    taxonomy = load_hierarchy(name, names(levels))
    warnings = [str(homonym) for homonym in taxonomy.homonyms]
    text = tree_text(taxonomy, depth) if form == "tree" else FORMATS[form or "csv"](taxonomy)
    file = out
    if out:
        _write(out, text, overwrite)
    elif form is None:
        file = _keep(name, taxonomy, workspace_of(workspace), warnings)
    for warning in warnings:
        console.warn(warning)
    if as_json:
        print_json(answer(taxonomy, file, warnings))
        return
    if form and not out:
        print_text(text)
        return
    paper = PAPER.get(base_name(name), {})
    print_text(summary(taxonomy, paper))
    if paper:
        console.note("What is known about the paper's counts: taxonomies/README.md")
    if file:
        console.note(f"Written to {file}")
    console.note(f"Next: {next_command(name, taxonomy)}")


def _refuse(option_name: str, chosen: Mapping[str, object], others: Sequence[str]) -> None:
    for other in others:
        if chosen[other] is not None:
            raise click.UsageError(f"{other} has no meaning together with {option_name}.")


def _full_name(table: str, edition: str | None, rule: str | None) -> str:
    """``cub`` and an edition to ``cub:EDITION``, as --taxonomy takes it. Raises UsageError."""
    for flag, value, owner in (("--edition", edition, "cub"), ("--rule", rule, "cars")):
        if value is None:
            continue
        if base_name(table) != owner:
            raise click.UsageError(f"{flag} is for {owner}, not for {table}.")
        if table != owner:
            raise click.UsageError(f"{table} names one already: leave out {flag} {value}.")
        table = f"{owner}:{value}"
    return table


def _other_name(name: str, other: str) -> str:
    """What --diff means: an edition or rule of the same built-in table, or a CSV file."""
    if not is_builtin(name) or is_builtin(other) or other.lower().endswith(".csv"):
        return other
    return f"{base_name(name)}:{other}"


def _keep(name: str, taxonomy: Taxonomy, workspace: Workspace, warnings: list[str]) -> Path | None:
    """Write hierarchy.csv into the workspace, for the commands that follow.

    Returns:
        The file; None, with a warning, where there are results that were made with another one.
    """
    # A table may have any file name, a folder of the workspace may not.
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", taxonomy.name)[:64].lstrip("._-")
    folder = workspace.dataset(safe or "table")
    text = csv_text(taxonomy)
    if _has_results(folder) and not _holds(folder.hierarchy, text):
        warnings.append(
            f"{folder.hierarchy} stays as it is, because the results beside it were made with it; "
            "--out FILE writes another"
        )
        return None
    if is_builtin(name):
        folder.choose_hierarchy(taxonomy.name, name, taxonomy.levels)
    write_text(folder.hierarchy, text)
    return folder.hierarchy


def _has_results(folder: DatasetFolder) -> bool:
    return folder.result.exists() or folder.manifest.exists() or bool(folder.finished_runs())


def _write(path: Path, text: str, overwrite: bool) -> None:
    """Write a file that the user named; only --overwrite replaces one with other content."""
    if path.exists() and not overwrite and not _holds(path, text):
        raise ArtefactError(
            f"{path}: there is a file already, with other content",
            "Choose another --out, or replace it with --overwrite.",
        )
    write_text(path, text)


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() == text.encode(errors="replace")


def _show_diff(name: str, other: str, levels: tuple[str, ...], as_json: bool) -> None:
    from c2f_data.hierarchy.diff import compare

    before = load_hierarchy(name, levels)
    diff = compare(before, load_hierarchy(other, levels))
    if as_json:
        print_json({"name": before.name, "same": diff.same, **to_plain(diff)})
    else:
        print_text(diff_text(diff))


def _make_draft(
    root: Path,
    levels: tuple[str, ...],
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    console: Console,
) -> None:
    from c2f_data.hierarchy.draft import draft_table

    draft = draft_table(root, levels)
    text = draft.text(str(out or "TABLE.csv"))
    if out:
        _write(out, text, overwrite)
    for warning in draft.warnings:
        console.warn(warning)
    if as_json:
        print_json(draft_answer(draft, out))
    elif out:
        print_text(f"{len(draft.rows)} classes, {counted('genus', draft.guessed)} guessed\n")
    else:
        print_text(text)
    console.note(f"Found {draft.layout}; {draft.blanks} blanks to fill")
    if out:
        console.note(f"Written to {out}")
        first = "fill the blanks, then " if draft.blanks else ""
        console.note(f"Next: {first}{draft.build_command(str(out))}")
