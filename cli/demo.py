"""``c2f demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.open_dataset import DatasetChoice, open_dataset
from c2f_data.splits import VALIDATION_FRACTION
from c2f_data.workspace import DEMO, DatasetFolder
from c2f_train.demo_data import ensure_demo

from .calibrate import NO_ANSWER
from .calibrate_text import describe as describe_crossing
from .calibrate_text import summary
from .console import Console, print_json
from .options import common_options, compute_options, workspace_of
from .report import write as write_report
from .steps import shards_after_calibration
from .train import describe as describe_level

if TYPE_CHECKING:
    from c2f_train.results import RunResult

# The demo's network is small, so its projections are, too.
# Enough for a curve to look at; every one is measured.
POINTS = 21
DIM = 512
RUN = "mlph"


@click.command("demo")
@compute_options
@common_options
def demo(**o: Any) -> int:
    """The whole job on the embedded data set: calibrate, shards, MLPH, report.

    \b
    Example:
      c2f demo
    """
    from c2f_train.calibrate import CalibrateConfig, calibrate
    from c2f_train.device import pick_device

    started = time.monotonic()
    console = Console(quiet=o["quiet"])
    workspace = workspace_of(o["workspace"])
    device = pick_device(o["device"])
    choice = ensure_demo(DEMO, DatasetChoice(dataset=DEMO), console)
    index, folder, source = open_dataset(workspace, choice)
    folder.write_source(source)
    write_taxonomy(folder.hierarchy, index.taxonomy)
    counts = ", ".join(f"{index.taxonomy.count(level)} {level}" for level in index.taxonomy.levels)
    console.note(f"1 of 4  Calibrate ({len(index.records)} images; {counts})")
    config = CalibrateConfig(
        thresholds=tuple((level, 0.8) for level in index.taxonomy.levels[:0:-1]),
        backbone="tiny",
        full_curve=True,
        points=POINTS,
        precision=o["precision"],
        seed=o["seed"],
        workers=o["workers"],
    )
    result = calibrate(index, config, folder.calibration, device, console)
    for crossing in result.crossings:
        console.note("  " + describe_crossing(crossing, result.protocol.n))
    run: RunResult | None = None
    if result.answered:
        console.note("2 of 4  Write the three-resolution data set")
        shards_after_calibration(index, folder, result, jobs=None, overwrite=True, console=console)
        console.note("3 of 4  Train MLPH")
        run = _train(o, folder, result.predictions, device, console)
        for entry in run.test:
            console.note("  " + describe_level(entry))
    console.note("4 of 4  Report")
    workspace.set_current(DEMO)
    html, json_file = write_report(workspace, folder, DEMO, None, None, console)
    if o["as_json"]:
        print_json(
            {
                **summary(result, str(folder.shards) if result.answered else None),
                "test": run.test if run else (),
                "report": str(html),
                "report_json": str(json_file),
                "seconds": round(time.monotonic() - started, 1),
            }
        )
    else:
        click.echo(str(html.resolve()))
    console.note(f"Done in {time.monotonic() - started:.0f} s. Next: open {html} in a browser")
    return 0 if result.answered else NO_ANSWER


def _train(
    o: dict[str, Any],
    folder: DatasetFolder,
    predictions: str,
    device: Any,
    console: Console,
) -> RunResult:
    """MLPH on the tiny backbone, starting from what the calibration's classifier has learnt."""
    from c2f_data.shards.manifest import read_manifest
    from c2f_train.config import TrainConfig
    from c2f_train.device import pick_precision
    from c2f_train.results import read_run
    from c2f_train.train import train

    config = TrainConfig(
        backbone="tiny",
        weights=str((folder.calibration / Path(predictions).parent / "classifier").resolve()),
        input_size=128,
        dim=DIM,
        stage1_epochs=10,
        stage2_epochs=4,
        stage2_lr=3e-3,
        lr_period=2,
        batch_size=16,
        # The images that the calibration was measured on: enough to promise something on.
        held_out=VALIDATION_FRACTION,
        precision=pick_precision(o["precision"], device),
        seed=o["seed"],
        workers=o["workers"],
    )
    place = folder.run(RUN)
    finished = (place / "run.json").exists()
    if finished:
        before = read_run(place / "run.json")
        plan = read_manifest(folder.shards).plan_fingerprint
        if (before.config, before.plan_fingerprint) == (config, plan):
            console.note("  already trained")
            return before
    return train(folder.shards, config, place, device, console, overwrite=finished)
