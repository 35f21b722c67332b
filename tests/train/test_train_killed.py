"""Exact resume: SIGKILL at any step, and the run ends with the bits of one that nobody killed.

The killed process is a real one. The steps are drawn; the seed is in the name of the test that
failed. Both recipes, both stages, also with early stopping and accumulated batches.
"""

from __future__ import annotations

import json
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from train_child import Child, Children
from train_runs import CONFIG, kept
from train_samples import CPU

from c2f_train.progress import Silent
from c2f_train.train import train

MODERN: dict[str, Any] = {
    "recipe": "modern",
    "optimizer": "adamw",
    "schedule": "cosine",
    "warmup": 0.5,
    "label_smoothing": 0.1,
    "ema": 0.9,
    "augment": "randaugment",
    "stage1_lr": 3e-3,
    "stage2_lr": 1e-3,
    "stage1_batch_size": 4,
    "batch_size": 3,
    "accumulate": 2,
    "save_every": 4,
}
CASES: dict[str, dict[str, Any]] = {
    "paper": {"cache": False, "batch_size": 3, "save_every": 5, "stage1_epochs": 1},
    "modern": MODERN,
    "stopped early": MODERN | {"patience": 1, "validation": 0.5, "stage2_epochs": 3},
    "bfloat16": {"precision": "bfloat16", "save_every": 3, "stage2_epochs": 1},
}


def killed(children: Children, child: Child) -> None:
    assert children.run(child) == [(-signal.SIGKILL, "")]


@pytest.fixture(
    scope="module",
    params=[*list(CASES)[:-1], pytest.param("bfloat16", marks=pytest.mark.slow)],
)
def case(
    request: pytest.FixtureRequest, shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path, str]:
    """Changes to the settings, the folder of an undisturbed run, and a name."""
    changes = CASES[request.param]
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    train(shards, replace(CONFIG, **changes), folder, CPU, Silent())
    return changes, folder, request.param


def test_a_run_killed_in_both_stages_ends_with_the_same_bits(
    case: tuple[dict[str, Any], Path, str], shards: Path, tmp_path: Path, children: Children
) -> None:
    changes, undisturbed, name = case
    draw = random.Random(name)
    folder, places = tmp_path / "run", []
    for task in ("Stage 1", "Stage 2"):
        places.append((task, draw.randint(2, 5 if name == "bfloat16" else 8)))
        killed(children, Child(shards, folder, changes, places[-1]))
        assert not (folder / "run.json").exists(), places
    train(shards, replace(CONFIG, **changes), folder, CPU, Silent())
    assert kept(folder) == kept(undisturbed), places
    assert not (folder / "snapshot").exists()


def test_a_run_killed_at_every_snapshot_still_gets_on(
    shards: Path, tmp_path: Path, children: Children
) -> None:
    """Killed one step behind each snapshot: what is between two of them is done twice, no more."""
    changes = MODERN | {"stage1_epochs": 0, "stage2_epochs": 1, "save_every": 5}
    train(shards, replace(CONFIG, **changes), tmp_path / "whole", CPU, Silent())
    folder = tmp_path / "run"
    for step in (6, 16):
        killed(children, Child(shards, folder, changes, ("Stage 2", step)))
        position = json.loads((folder / "snapshot" / "position.json").read_text())
        assert (position["epoch"], position["inside"]["step"]) == (0, step - 1)
    train(shards, replace(CONFIG, **changes), folder, CPU, Silent())
    assert kept(folder) == kept(tmp_path / "whole")
