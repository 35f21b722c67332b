"""For each command: words that make it run, and the library's functions that it calls.

A function is replaced by one that writes down what it was given and gives back a finished result,
so a command goes its whole way in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from c2f_data.calibration import read_result
from c2f_data.checkup import check_up
from c2f_data.export.export import Exported, ExportSummary
from c2f_data.fetch.archive import Fetched
from c2f_data.open_dataset import DatasetChoice, open_dataset
from c2f_data.provenance import collect
from c2f_data.resample import ResampleSpec
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.repair import Repair
from c2f_data.shards.verify import Problem
from c2f_data.workspace import Workspace
from c2f_train.evaluation import read_evaluation
from c2f_train.export_check import Check
from c2f_train.export_model import ModelExport, Output
from c2f_train.predict import Failure
from c2f_train.reproduction.table import Table
from c2f_train.results import read_run

Given = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """One command.

    Attributes:
        words: what it needs to run.
        calls: dotted name of a function to what it gives back, made from the finished work.
        with_: option to further words that it makes sense with.
        instead: option to the words that take the place of ``words``.
        values: option to a value, where one that its type allows is not enough.
    """

    words: tuple[str, ...] = ()
    calls: Mapping[str, Given] = field(default_factory=dict)
    with_: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


def data(work: Path) -> Any:
    return Workspace(work / "c2f_workspace").dataset("folder")


def opened(work: Path) -> Any:
    return open_dataset(Workspace(work / "c2f_workspace"), DatasetChoice("folder"))


def manifest(work: Path) -> Any:
    return read_manifest(data(work).shards)


def result(work: Path) -> Any:
    return read_result(data(work).result)


def run_result(work: Path) -> Any:
    return read_run(data(work).run("mlph") / "run.json")


def model_export(_: Path) -> ModelExport:
    check = Check(1, 1, 0.0, 1.0, 1e-5, 0, "a runtime")
    outputs = (Output("species", 4, "x.species.txt"),)
    made = collect(device="cpu", seed=0)
    return ModelExport(
        "onnx", "x.onnx", "0" * 64, 1, 32, None, outputs, ResampleSpec(), "0", "0", check, made
    )


class Told:
    """A predictor that answers with what it was asked, and a socket."""

    folder = Path("a model")
    network = SimpleNamespace(levels=(), meta=SimpleNamespace(crop="none"))
    warnings = ()
    confidence = 0.9
    guarantees = ()

    def stream(self, images: Iterable[Path], **asked: object) -> Iterator[Failure]:
        return (Failure(str(image), f"{image}: {asked}", "") for image in images)

    def sequence(self, images: Iterable[Path], **asked: object) -> Iterator[Failure]:
        return self.stream(images, **asked)

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 1


def exported(_: Path) -> Exported:
    summary = ExportSummary("folder", "folder", "1", {"test": 1}, (), 1, {}, "0", "0", "0")
    return Exported(summary, ("import this",))


OPEN_TOO = {"root": "other_images", "taxonomy": "other.csv", "listing": "other_list.csv"}
USUAL = {"fit": "squash", "filter": "box", "jobs": "3", "jpeg": "71"}
OPEN_TOO |= {"levels": "order,genus,species", "dataset": "cars"}
DEVICE: dict[str, Given] = {
    "c2f_train.device.pick_device": lambda _: __import__("torch").device("cpu"),
    "c2f_train.device.pick_precision": lambda _: "float32",
}
TABLE = Table("folder", 2, 32, "float32", (), (), collect(device="cpu", seed=0))
TWO = "other"  # a second data set of the workspace

CASES: Mapping[str, Case] = {
    "fetch": Case(
        ("cub",),
        {
            "c2f_data.fetch.archive.fetch": lambda _: Fetched("a.tgz", 1, "0" * 64, 1),
            "c2f_data.sources.archive.unpack_archive": lambda _: Path("unpacked"),
        },
    ),
    "build-hierarchy": Case(
        ("cub",),
        with_={"depth": ("--format", "tree"), "overwrite": ("--out", "there.csv")},
        instead={"rule": ("cars",), "levels": ("own.csv",), "from-folder": ()},
        values={
            "format": "tree",
            "edition": "aou2016",
            "rule": "d9",
            "diff": "aou2016",
            "levels": "genus,species",
            "from-folder": "images/train",
        },
    ),
    "calibrate": Case(
        ("--dataset", "folder"),
        {
            "c2f_cli.calibrate.open_dataset": opened,
            "c2f_train.calibrate.calibrate": result,
            "c2f_data.shards.writer.write_shards": manifest,
            "c2f_data.stored.ask_again": result,
            **DEVICE,
        },
        with_={
            "object": ("--camera", "1000"),
            "camera": ("--object", "0.5"),
            "share": ("--camera", "1000", "--object", "0.5"),
        },
        values={
            **OPEN_TOO,
            "threshold": "genus=0.71",
            "sweep": "32,16",
            "taps": "a,b,c",
        },
    ),
    "shard": Case(
        ("--dataset", "folder"),
        {
            "c2f_cli.shard.open_dataset": opened,
            "c2f_data.shards.writer.write_shards": manifest,
            "c2f_data.subset.subset": lambda work: opened(work)[0],
        },
        with_={
            "address": ("--engine", "ray"),
            "input-size": ("--layout", "raw"),
            "fit": ("--layout", "raw"),
        },
        values={
            **OPEN_TOO,
            "resolution": "genus=19",
            "classes": "red",
            "encoding": "png",
        },
    ),
    "train": Case(
        ("--name", "new"),
        {"c2f_train.train.train": run_result, **DEVICE},
        values={
            "dataset": TWO,
            "taps": "a,b,c",
            "name": "newer",
            "backbone": "resnet18",
            "optimizer": "adamw",
            "schedule": "cosine",
            "augment": "randaugment",
            "channels-last": "false",
        },
        with_={"dim": ("--model", "hbp")},
    ),
    "evaluate": Case(
        (),
        {
            "c2f_train.evaluation.evaluate_run.evaluate_run": lambda work: read_evaluation(
                data(work).run("mlph")
            ),
            "c2f_train.evaluation.read_evaluated": lambda _: "evaluated",
            "c2f_train.evaluation.compare": lambda _: (),
            **DEVICE,
        },
        values={"dataset": TWO, "run": "hbp", "compare": "hbp"},
    ),
    "predict": Case(
        ("images/test/red_dot/000.png",),
        {"c2f_train.predict.Predictor.load": lambda _: Told()},
        values={"dataset": TWO, "model": "hbp"},
    ),
    "serve": Case(
        (),
        {
            "c2f_train.predict.Predictor.load": lambda _: Told(),
            "c2f_train.serve.app.make_app": lambda _: "app",
            "c2f_cli.serve._warm_up": lambda _: None,
            "c2f_cli.serve._listen": lambda _: Told(),
            "c2f_cli.serve._run": lambda _: None,
        },
        values={"dataset": TWO, "model": "hbp"},
    ),
    "report": Case(
        (),
        {
            "c2f_train.report.write_report": lambda _: (Path("r.html"), Path("r.json")),
            "c2f_train.report.read_report": lambda _: "the report",
            "c2f_train.publication.write_figures": lambda _: [],
            "c2f_train.publication.write_tables": lambda _: [],
        },
        with_={"figure-format": ("--figures", "figures")},
        values={"dataset": TWO, "run": "hbp", "compare": "hbp", "figure-format": "png"},
    ),
    "reproduce": Case(
        ("folder",),
        {
            "c2f_train.reproduction.plan.plan": lambda _: (),
            "c2f_train.reproduction.carry_out.carry_out": lambda _: TABLE,
            **DEVICE,
        },
        values={"root": "other_images", "taxonomy": "other.csv", "models": "hbp,mlp"}
        | {"taps": "a,b,c", "backbone": "resnet18"},
    ),
    "demo": Case(
        (),
        {
            "c2f_cli.demo.ensure_demo": lambda _: DatasetChoice("demo"),
            "c2f_cli.demo.open_dataset": opened,
            "c2f_train.calibrate.calibrate": result,
            "c2f_cli.demo.shards_after_calibration": lambda _: "shards",
            "c2f_train.train.train": run_result,
            "c2f_cli.demo.write_report": lambda _: (Path("r.html"), Path("r.json")),
            **DEVICE,
        },
    ),
    "verify": Case(
        (),
        {
            "c2f_data.shards.verify.verify": lambda _: [Problem("x.h5", "damaged")],
            "c2f_data.shards.repair.repair": lambda _: Repair(("x.h5",), ()),
            "c2f_cli.verify.open_dataset": opened,
        },
        values={"dataset": TWO, "root": "other_images", "shards": "c2f_workspace/other/shards"},
    ),
    "inspect": Case(
        (),
        with_={
            "level": ("--image", "0", "--save", "new.png"),
            "save": ("--image", "0"),
            "overwrite": ("--image", "0", "--save", "there.png"),
            "quiet": ("--image", "0", "--save", "new.png"),
        },
        values={"image": "1", "level": "genus", "save": "new.png"},
    ),
    "export": Case(
        ("--to", "folder"),
        {"c2f_data.export.export.export": exported},
        values={"dataset": TWO, "levels": "genus", "to": "webdataset"},
    ),
    "export-model": Case(
        ("--to", "onnx"),
        {"c2f_train.export_model.export_model": model_export},
        values={
            "dataset": TWO,
            "run": "hbp",
            "model": "c2f_workspace/folder/runs/hbp/model",
            "level": "genus",
            "batch": "7",
        },
    ),
    "doctor": Case(
        ("--dataset", "folder"),
        {
            "c2f_cli.doctor.open_dataset": opened,
            "c2f_data.checkup.check_up": lambda work: check_up(opened(work)[0], workers=1),
        },
        values=OPEN_TOO,
    ),
}
