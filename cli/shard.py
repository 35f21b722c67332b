"""``c2f shard``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import ConfigError
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.open_dataset import current_dataset, open_dataset
from c2f_data.resample_spec import Reduction
from c2f_data.taxonomy import Taxonomy
from c2f_data.workspace import DatasetFolder

from .console import Console, level_aliases, print_json
from .demo_data import ensure_demo
from .options import (
    assignments,
    choice_of,
    common_options,
    dataset_options,
    option,
    reduction_of,
    reduction_options,
    workspace_of,
)
from .steps import build_shards, read_calibration

if TYPE_CHECKING:
    from c2f_data.shards.schema import LevelPlan

PIXELS = click.IntRange(2, 4096)


@click.command("shard")
@dataset_options
@option("--med", type=PIXELS, help="Resolution of the middle level in px.  [default: calibrated]")
@option("--low", type=PIXELS, help="Resolution of the coarsest level in px.  [default: calibrated]")
@option("--resolution", multiple=True, metavar="LEVEL=R", help="The same for any level.")
@option("--jobs", type=click.IntRange(1, 256), help="Processes.  [default: cores]")
@option("--overwrite", is_flag=True, help="Replace shards of other resolutions.")
@option("--dry-run", is_flag=True, help="Say what would be written.")
@reduction_options
@common_options
def shard(**o: Any) -> None:
    """Write the HDF5 data set: native images, and copies at the coarser levels' resolutions.

    \b
    Example:
      c2f shard                      (the calibrated resolutions)
      c2f shard --med 112 --low 40
    """
    console = Console(quiet=o["quiet"])
    workspace = workspace_of(o["workspace"])
    choice = choice_of(o)
    name = current_dataset(workspace, choice)
    index, folder, source = open_dataset(workspace, ensure_demo(name, choice, console))
    console.note(f"Data set: {name} ({index.root}), {len(index.records)} images.")
    plans = _plans(o, index.taxonomy, folder)
    if o["dry_run"]:
        source_bytes = sum(record.bytes for record in index.records)
        for plan in plans:
            click.echo(f"{plan.name}: {plan.count} classes, {plan.resolution or 'native'} px")
        click.echo(f"{len(index.records)} images, {source_bytes / 1e6:.0f} MB of source files")
        return
    folder.write_source(source)
    write_taxonomy(folder.hierarchy, index.taxonomy)
    manifest = build_shards(
        index,
        folder,
        plans,
        _reduction(o, folder),
        jobs=o["jobs"],
        overwrite=o["overwrite"],
        console=console,
    )
    workspace.set_current(name)
    if o["as_json"]:
        print_json(
            {
                "dataset": name,
                "levels": manifest.levels,
                **level_aliases(manifest.levels),
                "images": manifest.images,
                "bytes": manifest.bytes,
                "shards": [entry.file for entry in manifest.shards],
                "folder": str(folder.shards),
            }
        )
    else:
        click.echo(str(folder.shards))
    console.note("Next: c2f train")


def _reduction(o: dict[str, Any], folder: DatasetFolder) -> Reduction:
    """As told; else as the calibration reduced its images, so that I_med is what it saw."""
    told = reduction_of(o)
    if told is not None:
        return told
    result = read_calibration(folder)
    return Reduction() if result is None else Reduction.of(result.protocol.spec)


def _plans(o: dict[str, Any], taxonomy: Taxonomy, folder: DatasetFolder) -> tuple[LevelPlan, ...]:
    """Resolutions by hand where given, else the calibrated ones."""
    from c2f_data.shards.schema import plan_levels

    coarser = taxonomy.levels[-2::-1]
    chosen: dict[str, int | None] = dict.fromkeys(coarser)
    result = read_calibration(folder)
    if result is not None:
        chosen |= {level.name: level.resolution for level in result.levels if not level.native}
    by_hand = dict(zip(coarser, (o["med"], o["low"]), strict=False))
    chosen |= {level: value for level, value in by_hand.items() if value is not None}
    for level, text in assignments(o["resolution"], "--resolution").items():
        if level not in chosen or not text.isdigit():
            raise ConfigError(
                f"--resolution {level}={text}: not a coarser level and whole pixels",
                f"Levels with a resolution: {', '.join(coarser)}.",
            )
        chosen[level] = int(text)
    missing = [level for level, value in chosen.items() if value is None]
    if missing:
        raise ConfigError(
            f"no resolution for {', '.join(missing)}: nothing calibrated, nothing given",
            "Run c2f calibrate first, or choose by hand: c2f shard --med 112 --low 40.",
        )
    return plan_levels(taxonomy, {k: v for k, v in chosen.items() if v is not None})
