"""Write docs/schemas: what every command prints with --json, and what c2f serve answers.

Usage: python -m tools.schemas
"""

from __future__ import annotations

import json
from typing import Any, Literal

from c2f_data.calibration import LevelResolution, Protocol
from c2f_data.checkup import CheckUp
from c2f_data.checkup.findings import Finding
from c2f_data.confidence import Confidence
from c2f_data.curve import Crossing
from c2f_data.export.export import ExportSummary
from c2f_data.fetch.archive import Fetched
from c2f_data.fetch.copies import Copy
from c2f_data.hierarchy.diff import HierarchyDiff
from c2f_data.shards.estimate import Estimate
from c2f_data.shards.schema import LevelPlan
from c2f_data.shards.summary import ImageSummary, ShardSummary
from c2f_data.shards.verify import Problem
from c2f_train.evaluation import Comparison, EvaluationResult
from c2f_train.export_model import ModelExport
from c2f_train.predict import Failure, Guarantee, Node, Prediction
from c2f_train.reproduction.plan import Step
from c2f_train.reproduction.table import Table
from c2f_train.results import LevelAccuracy

from .json_types import Keys, Schema, Types
from .public_names import ROOT

FOLDER = ROOT / "docs/schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Beside ``levels``, for hierarchies of the usual levels; see docs/formats.md.
ALIASES: Keys = {
    "species?": int,
    "genera?": int,
    "families?": int,
    "r_med?": int | None,
    "r_low?": int | None,
}
COUNTS: Keys = {key: kind for key, kind in ALIASES.items() if not key.startswith("r_")}
TABLE = list[dict[str, str]]
ANSWER: Keys = {
    "dataset": str,
    "levels": list[LevelResolution],
    **ALIASES,
    "crossings": list[Crossing],
    "floor": Crossing | None,
    "distances": dict[str, float],
    "n": int,
    "accuracy": str,
    "search": str,
    "protocol": Protocol,
    "native_accuracy": dict[str, float],
    "temperatures": list[float],
    "confidences": list[Confidence],
    "images_evaluated": int,
    "training_images": int,
    "sweep_images": int,
    "sweep_training_images": int,
    "stopped_sweep_images": int,
    "fraction": float,
    "warnings": list[str],
    "predictions": str,
    "shards": str | None,
}
HIERARCHY: Keys = {
    "name": str,
    "origin": str,
    "fingerprint": str,
    **COUNTS,
    "levels": list[Any],
    "file": str | None,
    "table": TABLE,
    "warnings": list[str],
}
DRAFT: Keys = {
    "root": str,
    "layout": str,
    "levels": list[str],
    "classes": int,
    "guessed": int,
    "blanks": int,
    "file": str | None,
    "table": TABLE,
    "warnings": list[str],
}
EXPORT_PREVIEW: Keys = {
    "folder": str,
    "target": str,
    "dataset": str,
    "images": dict[str, int],
    "levels": list[str],
    "stored_bytes": int,
}
TESTED: Keys = {
    "level": str,
    "accuracy": float,
    "low": float,
    "high": float,
    "n": int,
    "resolution": int,
    "chance": float,
}
LIMITS: Keys = {"bytes": int, "pixels": int, "types": list[str]}

# Command (or address of c2f serve) to the objects that it may print. A class stands for all its
# fields, a pair adds further keys to them, a list of one stands for many of these.
OBJECTS: dict[str, list[Any]] = {
    "fetch": [
        (Fetched, {"dataset": Literal["cub"], "unpacked": str, "next": list[str]}),
        {
            "dataset": Literal["cars"],
            "why": str,
            "copies": [(Copy, {"address": str})],
            "check": list[str],
            "next": list[str],
        },
    ],
    "build-hierarchy": [
        HIERARCHY,
        (HierarchyDiff, {"name": str, "same": bool}),
        DRAFT,
    ],
    "calibrate": [ANSWER],
    "shard": [
        {
            "dataset": str,
            "levels": list[LevelPlan],
            **ALIASES,
            "layout": str,
            "encoding": str,
            "images": dict[str, int],
            "bytes": int,
            "shards": list[str],
            "folder": str,
        },
        (
            Estimate,
            {"dataset": str, "dry_run": Literal[True], "layout": str, "bytes": int, **ALIASES},
        ),
    ],
    "train": [
        {
            "dataset": str,
            "run": str,
            "crop": str | None,
            "levels": list[LevelResolution],
            **ALIASES,
            "test": [TESTED],
            "folder": str,
        }
    ],
    "evaluate": [
        {
            "dataset": str,
            "split": str,
            "runs": list[EvaluationResult],
            "comparisons": list[Comparison],
        }
    ],
    "predict": [
        {
            "model": str,
            "levels": list[LevelResolution],
            "confidence": float,
            "guarantees": list[Guarantee],
            "crop": str | None,
            "warnings": list[str],
            "sequence": bool,
            "images": list[Prediction],
            "count": int,
            "failed": list[Failure],
            "complete": bool,
        }
    ],
    "serve": [{"url": str, "model": str}],
    "serve-model": [
        {
            "name": str,
            "levels": list[LevelResolution],
            "confidence": float,
            "guarantees": list[Guarantee],
            "crop": str | None,
            "warnings": list[str],
            "limits": LIMITS,
        }
    ],
    "serve-predict": [(Prediction, {"answer": Node | None}), {"error": str, "hint": str}],
    "report": [
        {"dataset": str, "html": str, "json": str, "figures": list[str], "tables": list[str]}
    ],
    "reproduce": [Table, {"dataset": str, "dry_run": Literal[True], "steps": list[Step]}],
    "demo": [
        {
            **ANSWER,
            "test": list[LevelAccuracy],
            "report": str,
            "report_json": str,
            "seconds": float,
        }
    ],
    "verify": [
        {
            "dataset": str,
            "folder": str,
            "problems": list[Problem],
            "repaired": list[str],
            "left": list[Problem],
            "extra": list[str],
        }
    ],
    "inspect": [ShardSummary, (ImageSummary, {"saved": str | None})],
    "export": [
        {"folder": str, "summary": ExportSummary, "loading": list[str]},
        EXPORT_PREVIEW,
    ],
    "export-model": [{"path": str, "export": ModelExport}],
    "doctor": [
        {
            "versions": dict[str, str],
            "machine": {"system": str, "cores": int},
            "device": {"auto": str, "precision": str, "cuda": bool},
            "data": dict[str, str],
            "weights": dict[str, str],
            "workspace": {"folder": str, "current data set": str},
        },
        (CheckUp, {"opened": Literal[True], "sound": bool}),
        {
            "opened": Literal[False],
            "sound": Literal[False],
            "dataset": str,
            "root": str | None,
            "findings": list[Finding],
        },
    ],
}


def schema_of(name: str) -> Schema:
    """The schema of what a command prints."""
    known = Types()
    found = [known.of(each) for each in OBJECTS[name]]
    what = f"/api/{name.removeprefix('serve-')}" if name.startswith("serve-") else f"c2f {name}"
    return {
        "$schema": DIALECT,
        "title": f"{what} --json" if name == what.removeprefix("c2f ") else what,
        **(found[0] if len(found) == 1 else {"anyOf": found}),
        "$defs": dict(sorted(known.definitions.items())),
    }


def text_of(name: str) -> str:
    """The file's text."""
    return json.dumps(schema_of(name), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Rewrite the folder."""
    FOLDER.mkdir(exist_ok=True)
    for name in OBJECTS:
        (FOLDER / f"{name}.json").write_text(text_of(name), encoding="utf-8")
    for path in FOLDER.glob("*.json"):
        if path.stem not in OBJECTS:
            path.unlink()


if __name__ == "__main__":
    main()
