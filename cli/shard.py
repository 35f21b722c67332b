"""``c2f shard``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from c2f_data.artefacts import to_plain
from c2f_data.errors import ConfigError
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.open_dataset import current_dataset, open_dataset
from c2f_data.resample_spec import Reduction, ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_data.workspace import DatasetFolder
from c2f_train.demo_data import ensure_demo

from .console import Console, level_aliases, print_json
from .engine import engine_of, engine_options
from .options import (
    assignments,
    choice_of,
    common_options,
    dataset_options,
    option,
    reduction_of,
    reduction_options,
    shard_by_hand,
    workspace_of,
)
from .shard_text import estimate_lines
from .steps import build_shards, cores, read_calibration

if TYPE_CHECKING:
    from c2f_data.index import DatasetIndex
    from c2f_data.shards.encodings import EncodingName
    from c2f_data.shards.input_side import InputSide
    from c2f_data.shards.schema import LevelPlan, ShardPlan

PIXELS = click.IntRange(2, 4096)
ENCODINGS: dict[str, EncodingName] = {
    "webp": "webp-lossless",
    "raw": "raw",
    "jxl": "jxl-lossless",
    "png": "png",
}


@click.command("shard")
@dataset_options
@option("--med", type=PIXELS, help="Resolution of the middle level in px.  [default: calibrated]")
@option("--low", type=PIXELS, help="Resolution of the coarsest level in px.  [default: calibrated]")
@option("--resolution", multiple=True, metavar="LEVEL=R", help="The same for any level.")
@option(
    "--classes",
    multiple=True,
    metavar="NAMES|FILE",
    help="Only these, of any level: A,B or a text file with one name a line.",
)
@option(
    "--encoding",
    type=click.Choice(list(ENCODINGS)),
    help="How reduced images are stored, without loss.  [default: webp]",
)
@option(
    "--layout",
    type=click.Choice(["encoded", "raw"]),
    default="encoded",
    show_default=True,
    help="raw: every image decoded, at the network's input side: fast to read, large.",
)
@option(
    "--input-size",
    type=click.IntRange(8, 2048),
    help="Of the raw layout.  [default: the calibration's, else 448]",
)
@option(
    "--fit",
    type=click.Choice(["shorter", "squash"]),
    help="Of the raw layout.  [default: the calibration's, else shorter]",
)
@option("--jobs", type=click.IntRange(1, 256), help="Processes.  [default: cores]")
@engine_options
@option("--overwrite", is_flag=True, help="Replace other shards.")
@option("--dry-run", is_flag=True, help="Say what would be written, estimated from 16 images.")
@reduction_options
@common_options
def shard(**o: Any) -> None:
    """Write the HDF5 data set: native images, and copies at the coarser levels' resolutions.

    \b
    Example:
      c2f shard                      (the calibrated resolutions)
      c2f shard --med 112 --low 40
      c2f shard --layout raw --dry-run
      c2f shard --classes Larus,Sterna
    """
    from c2f_data.shards.schema import make_plan

    console = Console(quiet=o["quiet"])
    workspace = workspace_of(o["workspace"])
    choice = choice_of(o)
    name = current_dataset(workspace, choice)
    index, folder, source = open_dataset(workspace, ensure_demo(name, choice, console))
    console.note(f"Data set: {name} ({index.root}), {len(index.records)} images.")
    whole, index = index.taxonomy, _chosen_classes(o, index, console)
    plans = _plans(o, index.taxonomy, folder)
    reduction, enlarged = _reduction(o, folder), _enlarged(o, folder)
    encoding: EncodingName = "raw" if enlarged else "webp-lossless"
    encoding = ENCODINGS[o["encoding"]] if o["encoding"] else encoding
    if o["dry_run"]:
        plan = make_plan(index, plans, reduction, encoding=encoding, enlarged=enlarged)
        _say_estimate(name, index, plan, folder, o["jobs"] or cores(), as_json=o["as_json"])
        return
    folder.write_source(source)
    write_taxonomy(folder.hierarchy, whole)
    manifest = build_shards(
        index,
        folder,
        plans,
        reduction,
        encoding=encoding,
        enlarged=enlarged,
        jobs=o["jobs"],
        engine=engine_of(o),
        out=o["out"],
        overwrite=o["overwrite"],
        console=console,
    )
    shards = str(o["out"] or folder.shards)
    workspace.set_current(name)
    if o["as_json"]:
        print_json(
            {
                "dataset": name,
                "levels": manifest.levels,
                **level_aliases(manifest.levels),
                "layout": manifest.plan.layout,
                "encoding": manifest.encoding,
                "images": manifest.images,
                "bytes": manifest.bytes,
                "shards": [entry.file for entry in manifest.shards],
                "folder": shards,
            }
        )
    else:
        click.echo(shards)
    console.note(f"Next: c2f verify --shards {shards}" if o["out"] else "Next: c2f train")


def _chosen_classes(o: dict[str, Any], index: DatasetIndex, console: Console) -> DatasetIndex:
    """The images of --classes; without it, all."""
    if not o["classes"]:
        return index
    from c2f_data.subset import read_names, subset

    part = subset(index, read_names(o["classes"]))
    taxonomy = part.taxonomy
    counts = ", ".join(f"{taxonomy.count(v)} x {v}" for v in reversed(taxonomy.levels))
    console.note(f"Of these {len(part.records)} images: {counts}.")
    return part


def _enlarged(o: dict[str, Any], folder: DatasetFolder) -> InputSide | None:
    """The side of a raw layout: as told, else the calibration's, so that train needs no words."""
    from c2f_data.shards.input_side import InputSide

    size, fit = o["input_size"], o["fit"]
    if o["layout"] != "raw":
        if size or fit:
            raise ConfigError(
                f"--{'input-size' if size else 'fit'} without --layout raw",
                "Other layouts leave the input's size to c2f train: leave it out.",
            )
        return None
    result = read_calibration(folder)
    spec = ResampleSpec() if result is None else result.protocol.spec
    if size:
        spec = ResampleSpec.for_input(size, fit or spec.fit)
    return InputSide(fit or spec.fit, spec.enlarge_to)


def _say_estimate(
    name: str,
    index: DatasetIndex,
    plan: ShardPlan,
    folder: DatasetFolder,
    jobs: int,
    *,
    as_json: bool,
) -> None:
    from c2f_data.allocator import keep_freed_memory
    from c2f_data.resample import limit_threads
    from c2f_data.shards.estimate import estimate
    from c2f_data.shards.tasks import plan_shards

    # As in the processes that would build.
    limit_threads()
    keep_freed_memory()
    found = estimate(index, plan, plan_shards(index, plan, folder.shards), jobs)
    if as_json:
        words = {"dataset": name, "dry_run": True, "layout": plan.layout, "bytes": found.bytes}
        print_json({**words, **level_aliases(found.levels), **to_plain(found)})
        return
    for line in estimate_lines(found):
        click.echo(line)


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
        chosen |= result.coarser
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
            "Run c2f calibrate first, or choose R, in pixels, by hand: "
            f"{shard_by_hand(taxonomy.levels)}.",
        )
    return plan_levels(taxonomy, {k: v for k, v in chosen.items() if v is not None})
