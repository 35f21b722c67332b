"""``c2f predict``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import ArtefactError, C2FError
from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_data.workspace import Workspace

from .console import Console
from .options import common_options, device_options, option, predictor_options
from .predict_text import Json, Lines, Rows, Writer

if TYPE_CHECKING:
    from c2f_train.predict import Failure, Prediction, Predictor


@click.command("predict")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER|-...")
@predictor_options
@option(
    "--resolution",
    type=click.IntRange(1),
    metavar="PX",
    help="Judge every image at this shorter side.  [default: what it has]",
)
@option("--top-k", type=click.IntRange(1), default=5, show_default=True, help="Nodes a level.")
@option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    help="Images that go through the network together.",
)
@option(
    "--sequence",
    is_flag=True,
    help="The images are frames of one object that comes nearer: after each, what all so far say.",
)
@option("--csv", "as_csv", is_flag=True, help="Print a CSV row an image.")
@device_options
@common_options
def predict(**o: Any) -> int:
    """Name what images show, as finely as their resolution allows and as the model is sure.

    A folder is searched at any depth. `-` reads an image, or a list of paths, one a line, from
    stdin. An image that can't be read is reported and skipped; the exit code is then 1.

    \b
    Example:
      c2f predict bird.jpg
      c2f predict holiday_photos --confidence 0.95 --csv > birds.csv
    """
    from c2f_train.predict import Predictor

    from .predict_images import named_images

    if o["as_csv"] and o["as_json"]:
        raise click.UsageError("--csv and --json: choose one of them.")
    if o["sequence"] and o["resolution"]:
        raise click.UsageError("--sequence and --resolution: frames have resolutions of their own.")
    console = Console(quiet=o["quiet"])
    folder = model_of(o, console)
    predictor = Predictor.load(
        folder, device=o["device"], precision=o["precision"], confidence=o["confidence"]
    )
    console.note(f"Model: {predictor.folder}")
    for warning in predictor.warnings:
        console.warn(warning)
    images = named_images(o["images"])
    if o["sequence"]:
        answers = predictor.sequence(images, top_k=o["top_k"], workers=o["workers"])
    else:
        answers = predictor.stream(
            images,
            resolution=o["resolution"],
            top_k=o["top_k"],
            batch_size=o["batch_size"],
            workers=o["workers"],
        )
    return _print(answers, _writer(o, predictor), console)


def model_of(o: dict[str, Any], console: Console) -> Path:
    """The folder of the run or model that was named; without a word, of the last finished run."""
    word = o["model"]
    if word and "/" in word:
        return Path(word).resolve()
    # Nothing is written, so nothing is made: an image can be judged from anywhere.
    workspace = Workspace(o["workspace"])
    runs = (place / word for place in workspace.folder.glob("*/runs") if word)
    if word and Path(word).is_dir() and not any(run.exists() for run in runs):
        raise ArtefactError(f"--model {word}: no run of that name", f"For the folder: ./{word}.")
    name = current_dataset(workspace, DatasetChoice(dataset=o["dataset"]))
    data = workspace.dataset(name)
    console.note(f"Data set: {name}")
    return data.finished_run(word)


def _writer(o: dict[str, Any], predictor: Predictor) -> Writer:
    levels = predictor.network.levels
    if o["as_csv"]:
        return Rows([level.name for level in levels])
    if not o["as_json"]:
        return Lines()
    return Json(
        {
            "model": str(predictor.folder),
            "levels": levels,
            "confidence": predictor.confidence,
            "guarantees": predictor.guarantees,
            "crop": predictor.network.meta.crop,
            "warnings": predictor.warnings,
            "sequence": o["sequence"],
        }
    )


def _print(answers: Iterable[Prediction | Failure], writer: Writer, console: Console) -> int:
    from c2f_train.predict import Failure

    failed: list[Failure] = []
    promised: set[str] = set()
    count, whole = 0, False
    try:
        for each in answers:
            count += 1
            if isinstance(each, Failure):
                failed.append(each)
                console.warn(f"skipped: {each.error}")
                continue
            if each.promise not in promised:
                promised.add(each.promise)
                console.note(f"Answers are {each.promise}." if each.guarantee else each.promise)
            writer.answer(each)
        whole = True
    finally:
        writer.finish(failed, whole=whole)
    if not count:
        raise C2FError("no images", "Give images, or folders with files such as .jpg or .png.")
    if failed:
        console.warn(f"{len(failed):,} of {count:,} images could not be read")
    return 1 if failed else 0
