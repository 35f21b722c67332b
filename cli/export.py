"""``c2f export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_train.progress import counting

from .console import Console, print_json
from .options import common_options, names, option, workspace_of
from .steps import read_calibration

if TYPE_CHECKING:
    from c2f_data.export.plan import ExportPlan

MB = 1_000_000
INTERRUPTED = 130


@click.command("export")
@option(
    "--to",
    "target",
    type=click.Choice(["webdataset", "parquet", "folder"]),
    required=True,
    help="Tar files, parquet files (Hugging Face datasets), or folders of classes.",
)
@option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write.  [default: export/TO in the data set's folder]",
)
@option("--dataset", help="Default: the workspace's current data set.")
@option("--levels", default="", help="Levels whose images are wanted: genus,species.  [all]")
@option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="all",
    show_default=True,
    help="Which images.",
)
@option("--license", "licence", help="Licence of the images, for the card: CC-BY-4.0, or a URL.")
@option("--creator", multiple=True, help="Who made the data set; can be given more than once.")
@option("--url", help="Page of the data set.")
@option("--overwrite", is_flag=True, help="Replace an earlier export.")
@option("--dry-run", is_flag=True, help="Say what would be written.")
@common_options
def export(**o: Any) -> int:
    """Write finished shards in a form that other loaders read, with all labels and a card.

    The files are described in croissant.json and README.md. Nothing is uploaded.

    \b
    Example:
      c2f export --to parquet
      c2f export --to folder --levels genus --split test --out genus_images
    """
    from c2f_data.export.export import check_export
    from c2f_data.export.export import export as write
    from c2f_data.export.plan import Statement, make_plan
    from c2f_data.shards.reader import ShardReader

    console = Console(quiet=o["quiet"])
    workspace = workspace_of(o["workspace"])
    name = current_dataset(workspace, DatasetChoice(dataset=o["dataset"]))
    folder = workspace.dataset(name)
    statement = Statement(o["licence"], tuple(o["creator"]), o["url"])
    reader = ShardReader(folder.shards)
    plan = make_plan(reader.manifest, o["target"], split=o["split"], levels=names(o["levels"]))
    out = (o["out"] or folder.folder / "export" / o["target"]).resolve()
    check_export(plan, out, overwrite=o["overwrite"])
    console.note(f"Data set: {name} ({folder.shards})")
    if o["dry_run"]:
        _preview(plan, out, as_json=o["as_json"])
        return 0
    try:
        with console.task(f"Exporting to {o['target']}", plan.total) as task:
            done = write(
                reader,
                plan,
                out,
                overwrite=o["overwrite"],
                statement=statement,
                calibration=read_calibration(folder),
                progress=counting(task),
            )
    except KeyboardInterrupt:
        # Not left to the caller, whose words are that what was finished is kept.
        click.echo(f"Interrupted. Nothing of it is in {out}.", err=True)
        return INTERRUPTED
    if o["as_json"]:
        print_json({"folder": str(out), "summary": done.summary, "loading": done.loading})
    else:
        click.echo(str(out))
    console.note(f"{plan.total:,} images, {done.summary.bytes / MB:,.0f} MB")
    if statement.licence is None:
        console.note("The card leaves the licence open: state it before you pass the images on.")
    console.note("Next, in Python:\n  " + "\n  ".join(done.loading))
    return 0


def _preview(plan: ExportPlan, out: Path, *, as_json: bool) -> None:
    """What would be written; the size is that in the shards."""
    images = {split: plan.images(split) for split in plan.splits}
    if as_json:
        print_json(
            {
                "folder": str(out),
                "target": plan.target,
                "dataset": plan.manifest.dataset,
                "images": images,
                "levels": plan.levels,
                "stored_bytes": plan.stored_bytes,
            }
        )
        return
    for split, number in images.items():
        click.echo(f"{split}: {number:,} images")
    for level in plan.levels:
        resolution = plan.resolution(level)
        size = "native" if resolution is None else f"{resolution} px"
        click.echo(f"pictures of {level}: {size}")
    click.echo(f"about {plan.stored_bytes / MB:,.1f} MB to {out}")
