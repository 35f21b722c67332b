"""``c2f build-hierarchy``."""

from __future__ import annotations

from pathlib import Path

import click

from c2f_data.hierarchy.builtin import COLUMNS
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.open_dataset import load_hierarchy

from .console import Console, print_json
from .options import common_options, names, option, workspace_of


@click.command("build-hierarchy")
@click.argument("table", metavar="cub|cars|TABLE.csv")
@option(
    "--levels",
    default="family,genus,species",
    show_default=True,
    help="Level columns of a CSV, coarse to fine.",
)
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; default: hierarchy.csv in the workspace.",
)
@common_options
def build_hierarchy(
    table: str, levels: str, out: Path | None, workspace: Path, as_json: bool, quiet: bool
) -> None:
    """Check a class hierarchy and write it: cub, cars, or any CSV.

    \b
    Example:
      c2f build-hierarchy cub
      c2f build-hierarchy my_classes.csv --levels family,genus,species
    """
    console = Console(quiet=quiet)
    taxonomy = load_hierarchy(table, names(levels))
    if out is None:
        out = workspace_of(workspace).dataset(taxonomy.name).hierarchy
    write_taxonomy(out, taxonomy)
    counts = {level: taxonomy.count(level) for level in taxonomy.levels}
    if as_json:
        plural = {"species": "species", "genus": "genera", "family": "families"}
        print_json(
            {
                "name": taxonomy.name,
                "fingerprint": taxonomy.fingerprint,
                "levels": [{"name": k, "count": v, "resolution": None} for k, v in counts.items()],
                **{plural[k]: v for k, v in counts.items() if k in plural},
                "file": str(out),
                "table": [
                    {"class_name": path[-1], **dict(zip(taxonomy.levels, path, strict=True))}
                    for path in taxonomy.paths
                ],
            }
        )
        return
    click.echo(", ".join(f"{count} {level}" for level, count in reversed(counts.items())))
    paper = {"cub": "200, 113, 36", "cars": "196, 113, 14"}
    if taxonomy.name in paper and table in COLUMNS:
        console.note(f"The paper's Table 2 has {paper[taxonomy.name]}; see taxonomies/README.md.")
    console.note(f"Written to {out}")
    console.note(
        f"Next: c2f calibrate --dataset folder --root FOLDER --taxonomy {table}"
        if table not in ("cub",)
        else "Next: c2f calibrate --dataset cub --root FOLDER"
    )
