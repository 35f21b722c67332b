"""A small set of shards and a training on it, for the tests of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from train_child import Children
from train_runs import CONFIG
from train_samples import CPU, make_shards, make_striped, stripe_backbone

from c2f_train.progress import Silent
from c2f_train.train import train


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    return make_shards(make_striped(folder / "images", train=2, test=1), folder / "shards")


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(shards, CONFIG, folder, CPU, Silent())
    return folder


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Starts trainings in processes of their own."""
    started = Children()
    yield started
    started.close()


@pytest.fixture(scope="module")
def stripes() -> Iterator[None]:
    """Calibrations build the backbone whose filters are fixed to the samples' stripes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("calibration_plan", "checkpoint"):
            patch.setattr(f"c2f_train.{module}.build_backbone", stripe_backbone)
        yield
