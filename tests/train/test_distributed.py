"""Several processes are one training: the same losses and weights as one process on the batch."""

from __future__ import annotations

import json
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from train_child import Child, Children
from train_runs import CONFIG
from train_samples import CPU

from c2f_data.errors import ConfigError
from c2f_train.alternation import alternating_features
from c2f_train.config import TrainConfig
from c2f_train.distributed import World, check_divides, joined, world_here
from c2f_train.progress import Silent
from c2f_train.results import RunResult, read_run
from c2f_train.step import NOBODY
from c2f_train.train import train

# 16 images in batches of 6: the last batch of a level has 4 images.
CHANGES: dict[str, Any] = {
    "batch_size": 6,
    "accumulate": 2,
    "stage1_batch_size": 6,
    "stage1_epochs": 1,
    "stage2_epochs": 1,
    "ema": 0.5,
}


def two(child: Child, kill: tuple[str, int] | None = None) -> tuple[Child, Child]:
    """Two processes of one training, the second one killed, as torchrun would start them.

    torchrun itself is in tests/cli/test_train_recipes.py.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    said = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    first, second = (
        replace(child, environment=said | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"
    )
    return first, replace(second, kill=kill)


def compare(ours: RunResult, theirs: RunResult, folders: tuple[Path, Path]) -> None:
    """Losses and weights are equal to the last digits of a float, in other orders of addition."""
    assert [(e.stage, e.epoch) for e in ours.epochs] == [(e.stage, e.epoch) for e in theirs.epochs]
    for mine, other in zip(ours.epochs, theirs.epochs, strict=True):
        assert mine.loss == pytest.approx(other.loss, rel=1e-5, abs=1e-5)
        assert mine.accuracy == other.accuracy
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=1e-5, abs=1e-5)
    states = [load_file(folder / "model" / "model.safetensors") for folder in folders]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=1e-5)


def test_two_processes_are_one_also_after_one_was_killed(
    shards: Path, tmp_path: Path, children: Children
) -> None:
    """Process 1 is killed in stage 2; process 0 ends with an error; the same command goes on."""
    changes = CHANGES | {"patience": 5, "validation": 0.25, "save_every": 2}
    child = Child(shards, tmp_path / "two", changes)
    (code, said), killed = children.run(*two(child, kill=("Stage 2", 3)))
    assert killed[0] == -signal.SIGKILL
    assert code == 1
    assert "process 0 of 2: another process of this training has ended" in said
    assert not (tmp_path / "two" / "run.json").exists()
    position = json.loads((tmp_path / "two" / "snapshot" / "position.json").read_text())
    assert (position["stage"], position["inside"]["step"]) == (2, 2)
    again = children.run(*two(child))
    assert [code for code, _ in again] == [0, 0], again
    assert not any("Warning" in text for _, text in again), again
    one = train(shards, replace(CONFIG, **changes), tmp_path / "one", CPU, Silent())
    both = read_run(tmp_path / "two" / "run.json")
    compare(both, one, (tmp_path / "two", tmp_path / "one"))
    assert [t.correct for t in both.test] == [t.correct for t in one.test]


def test_a_share_of_every_batch() -> None:
    rows = {level: torch.arange(7.0)[:, None] for level in (1, 0)}
    labels = {level: torch.arange(7) for level in rows}
    config = TrainConfig(stage1_batch_size=3)
    whole = list(alternating_features(rows, labels, config, 1))
    parts = [
        list(alternating_features(rows, labels, config, 1, world=World(rank, 3)))
        for rank in range(3)
    ]
    for batch, *own in zip(whole, *parts, strict=True):
        assert {part.level for part in own} == {batch.level}
        assert {part.images for part in own} == {len(batch.labels)}
        together = torch.cat([part.labels for part in own])
        assert together[together != NOBODY].tolist() == batch.labels.tolist()
        # A process without an image of its own gets one that does not count.
        assert all(len(part.inputs) == len(part.labels) == 1 for part in own)


def test_a_batch_that_can_not_be_dealt_out_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--batch-size 8 on 3 processes\n.*--batch-size 9"):
        check_divides(TrainConfig(), World(size=3))
    with pytest.raises(ConfigError, match="--stage1-batch-size 64 on 3 processes"):
        check_divides(TrainConfig(batch_size=9), World(size=3))
    check_divides(TrainConfig(), World(size=4))


def test_who_this_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert world_here() == World()
    words = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    assert world_here() == World(3, 4, 1)
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(ConfigError, match="RANK 4 of 4"):
        world_here()
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ConfigError, match="no numbers"):
        world_here()


def test_shares_are_the_whole_in_order() -> None:
    for count in range(9):
        parts = [World(rank, 4).share(range(count)) for rank in range(4)]
        assert [i for part in parts for i in part] == list(range(count))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_that_waits_to_be_joined_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the others inside a library runs no handler of Python's."""
    handlers = []

    def wait(*_: object, **__: object) -> None:
        handlers.append(signal.getsignal(signal.SIGTERM))

    monkeypatch.setattr(dist, "init_process_group", wait)
    monkeypatch.setattr(dist, "new_group", wait)
    before = signal.getsignal(signal.SIGTERM)
    with joined(World(1, 2, 1), torch.device("cpu")):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert [*handlers, signal.getsignal(signal.SIGTERM)] == [before] * 3
