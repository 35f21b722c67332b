"""An interrupted or killed training goes on to the bits of one that nobody interrupted."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_child import Child, Children
from train_runs import CONFIG, STAGE1_STEPS, STAGE2_STEPS, kept
from train_samples import CPU, Recorder

from c2f_data.errors import ArtefactError, C2FError
from c2f_train.progress import Silent
from c2f_train.run import Run
from c2f_train.step import Batch, TrainingStep
from c2f_train.train import train


@pytest.mark.parametrize(
    ("task", "step", "finished"),
    [
        ("Features", 20, None),
        ("Stage 1", 1, None),
        ("Stage 1", STAGE1_STEPS, None),
        ("Stage 1", STAGE1_STEPS + 1, (1, 1)),
        ("Stage 1", 2 * STAGE1_STEPS, (1, 1)),
        ("Stage 2", 0, (1, 2)),
        ("Stage 2", STAGE2_STEPS - 1, (1, 2)),
        ("Stage 2", STAGE2_STEPS + 1, (2, 1)),
        ("Testing", 1, (2, 2)),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(
    shards: Path,
    whole: Path,
    tmp_path: Path,
    task: str,
    step: int,
    finished: tuple[int, int] | None,
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(shards, CONFIG, folder, CPU, Recorder(stop_after=step, only=task))
    assert not (folder / "run.json").exists()
    again = Recorder()
    train(shards, CONFIG, folder, CPU, again)
    going_on = [note for note in again.notes if note.startswith("Going on")]
    assert going_on == (
        [f"Going on after stage {finished[0]}, epoch {finished[1]}."] if finished else []
    )
    assert kept(folder) == kept(whole)
    leftovers = [p for p in folder.rglob("*") if p.name.startswith((".tmp-", "features-"))]
    assert not leftovers


def test_metrics_are_whole_where_a_kill_came_before_their_last_line(
    shards: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(shards, CONFIG, folder, CPU, Recorder(1, "Testing"))
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:-1]))
    train(shards, CONFIG, folder, CPU, Silent())
    assert kept(folder) == kept(whole)


def test_the_number_of_processes_is_no_other_setting(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    from c2f_train import train as module

    keys: list[str] = []

    def stop(run: Run, _: object) -> None:
        keys.append(run.key)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_stages", stop)
    for number, changes in enumerate(({}, {"workers": 3}, {"momentum": 0.8})):
        with pytest.raises(KeyboardInterrupt):
            train(shards, replace(CONFIG, **changes), tmp_path / str(number), CPU, Silent())
    assert keys[0] == keys[1] != keys[2]


def test_a_run_killed_between_the_files_of_a_snapshot_goes_on(
    shards: Path, whole: Path, tmp_path: Path, children: Children
) -> None:
    """SIGKILL: nothing is cleaned up. Of a snapshot that was being replaced the old one counts."""
    folder = tmp_path / "run"
    ((code, _),) = children.run(Child(shards, folder, torn=(2, 1)))
    assert code == -signal.SIGKILL
    again = Recorder()
    train(shards, CONFIG, folder, CPU, again)
    assert "Going on after stage 1, epoch 2." in again.notes
    assert kept(folder) == kept(whole)
    assert not (folder / "snapshot").exists()  # a finished run needs none


def test_other_settings_do_not_go_on(shards: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(shards, CONFIG, folder, CPU, Recorder(STAGE1_STEPS + 1, "Stage 1"))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for changes in ({"stage2_lr": 2e-3}, {"seed": 2}, {"dim": 9}, {"stage2_epochs": 3}):
        with pytest.raises(ArtefactError, match="unfinished training with other settings"):
            train(shards, replace(CONFIG, **changes), folder, CPU, Silent())
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_snapshot(
    monkeypatch: pytest.MonkeyPatch, shards: Path, whole: Path, tmp_path: Path
) -> None:
    folder, steps = tmp_path / "run", []

    def poisoned(step: TrainingStep, part: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        steps.append(1)
        loss, right = real(step, part)
        return loss * float("nan") if len(steps) > STAGE1_STEPS + 3 else loss, right

    real = TrainingStep._part
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "_part", poisoned)
        with pytest.raises(C2FError, match="no longer a number\nLower the learning rate"):
            train(shards, CONFIG, folder, CPU, Silent())
    assert len(steps) == STAGE1_STEPS + 4
    assert len(list((folder / "snapshot").iterdir())) == 3  # of the last finished epoch alone
    train(shards, CONFIG, folder, CPU, (again := Recorder()))
    assert "Going on after stage 1, epoch 1." in again.notes
    assert kept(folder) == kept(whole)


def test_a_damaged_snapshot_is_named(shards: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(shards, CONFIG, folder, CPU, Recorder(STAGE1_STEPS + 1, "Stage 1"))
    (model,) = (folder / "snapshot").glob("model-*.safetensors")
    model.write_bytes(model.read_bytes()[:-7])
    with pytest.raises(ArtefactError, match=model.name):
        train(shards, CONFIG, folder, CPU, Silent())
