"""The frozen features of stage 1: what is kept, in which format, and when they do not fit."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from train_runs import CONFIG
from train_samples import CPU, Recorder

from c2f_data.errors import ArtefactError
from c2f_train import features
from c2f_train.progress import Silent
from c2f_train.train import train

STAGE1 = replace(CONFIG, model="bcnn", stage2_epochs=0)
WIDTH = 64 * 64  # of B-CNN on the tiny network


def interrupted(shards: Path, folder: Path) -> Path:
    """The features that a run leaves behind when it is stopped in its first epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(shards, STAGE1, folder, CPU, Recorder(1, "Stage 1"))
    (path,) = folder.glob("features-species-*.npy")
    return path


def test_one_row_an_image_and_one_a_mirror_image(shards: Path, tmp_path: Path) -> None:
    stored = np.load(interrupted(shards, tmp_path / "run"))
    assert stored.shape == (2 * 16, WIDTH)
    assert stored.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, rtol=1e-5)


def test_features_that_take_much_room_are_kept_in_half_of_it(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    exact = np.load(interrupted(shards, tmp_path / "exact"))
    whole = train(shards, STAGE1, tmp_path / "exact", CPU, Silent())
    monkeypatch.setattr(features, "FLOAT32_BYTES", exact.nbytes - 1)
    path = interrupted(shards, tmp_path / "run")
    stored = np.load(path)
    assert stored.dtype == np.float16
    assert path.stat().st_size < 0.51 * exact.nbytes
    np.testing.assert_allclose(stored.astype(np.float32), exact, rtol=6e-4, atol=1e-6)
    halved = train(shards, STAGE1, tmp_path / "run", CPU, Silent())
    losses = [[epoch.loss["species"] for epoch in result.epochs] for result in (whole, halved)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert not path.exists()  # a finished run needs it no more


def test_a_resumed_run_computes_them_no_second_time(shards: Path, tmp_path: Path) -> None:
    interrupted(shards, tmp_path / "run")
    again = Recorder()
    train(shards, STAGE1, tmp_path / "run", CPU, again)
    assert not [what for what in again.steps if what.startswith("Features")]


def test_a_disk_without_room_is_said_before_the_work(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    usage = SimpleNamespace(free=32 * WIDTH * 4 - 1)
    monkeypatch.setattr("c2f_train.features.shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr(features, "feature_batches", lambda *_, **__: 1 / 0)
    with pytest.raises(ArtefactError, match=r"need 0\.0 GB of 0\.0 free\n.*--no-cache"):
        train(shards, STAGE1, tmp_path / "run", CPU, Silent())
    assert not list((tmp_path / "run").glob("*features*"))


def test_a_disk_that_fills_up_is_one_error_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(features, "write_array_header_2_0", full)
    with pytest.raises(ArtefactError, match=r"No space left.*\nFree some space"):
        train(shards, STAGE1, tmp_path / "run", CPU, Silent())
    assert not list((tmp_path / "run").glob("*features*"))


@pytest.mark.parametrize("damage", ["cut", "other bytes", "a pickle"])
def test_a_damaged_file_is_named(damage: str, shards: Path, tmp_path: Path) -> None:
    path = interrupted(shards, tmp_path / "run")
    if damage == "cut":
        os.truncate(path, 1000)
    elif damage == "other bytes":
        path.write_bytes(b"nothing of the kind" * 10)
    else:
        np.save(path, np.array([{"a": torch.zeros(1)}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtefactError, match=r"features-species.*\nDelete this file"):
        train(shards, STAGE1, tmp_path / "run", CPU, Silent())
