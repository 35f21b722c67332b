"""The short training that several tests run whole, interrupted and killed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from c2f_train.checkpoint import read_meta
from c2f_train.config import TrainConfig
from c2f_train.results import read_run

CONFIG = TrainConfig(
    backbone="tiny",
    weights="none",
    input_size=32,
    dim=8,
    stage1_epochs=2,
    stage2_epochs=2,
    stage1_batch_size=8,
    lr_period=1,
    seed=1,
)
# 16 training images: 3 levels x 2 mirrors x 2 batches, then 3 levels x 2 batches.
STAGE1_STEPS, STAGE2_STEPS = 12, 6


def kept(folder: Path) -> dict[str, object]:
    """All that a run leaves behind, without times and provenance."""
    result = read_run(folder / "run.json")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {
        "epochs": [replace(epoch, seconds=0.0) for epoch in result.epochs],
        "metrics": [json.loads(line) | {"seconds": 0} for line in lines],
        "test": result.test,
        "model": (folder / "model" / "model.safetensors").read_bytes(),
        "meta": replace(read_meta(folder / "model"), provenance=None),
        "config": (folder / "config.json").read_bytes(),
        "predictions": {p.name: p.read_bytes() for p in folder.glob("test-*.csv")},
    }
