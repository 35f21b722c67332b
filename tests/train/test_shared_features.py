"""Features of several runs from one pass: equal to what each computes alone, and resumable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from train_runs import CONFIG, kept
from train_samples import CPU, Recorder

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.index import TEST, TRAIN
from c2f_train import shared_features
from c2f_train.backbones import build_backbone
from c2f_train.features import cached_features, feature_file
from c2f_train.inference import extract_features
from c2f_train.pooling import make_pooling
from c2f_train.progress import Silent
from c2f_train.run import Run
from c2f_train.shared_features import Heads, share_features
from c2f_train.tiny import TinyVGG
from c2f_train.train import open_run, train

STAGE1 = replace(CONFIG, stage2_epochs=0)
MODELS = ("hbp", "mlp", "mlph", "bcnn", "cbcnn", "kp", "average")
FINEST, GENUS = 2, 1


def runs_of(
    shards: Path, folder: Path, models: Sequence[str] = MODELS, seeds: Sequence[int] = (1, 2)
) -> list[Run]:
    """Runs that share one trunk, from a file: a random one would be another in every run."""
    weights = folder / "trunk.safetensors"
    if not weights.exists():
        folder.mkdir(parents=True)
        torch.manual_seed(3)
        save_file(TinyVGG().state_dict(), weights)
    trunk = build_backbone(STAGE1.backbone, str(weights))
    return [
        open_run(
            shards,
            replace(STAGE1, model=model, seed=seed, weights=str(weights)),
            folder / f"{model}-{seed}",
            CPU,
            Silent(),
            backbone=trunk,
        )
        for model in models
        for seed in seeds
    ]


@pytest.mark.parametrize("threads", [1, 2])
def test_they_are_those_that_each_run_computes_alone(
    threads: int, shards: Path, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        runs = runs_of(shards, tmp_path / "shared")
        share_features(runs, FINEST, Silent())
        share_features(runs, GENUS, Silent())
    finally:
        torch.set_num_threads(before)
    alone = [replace(run, folder=tmp_path / "alone" / run.folder.name) for run in runs]
    for run, other in zip(runs, alone, strict=True):
        other.folder.mkdir(parents=True)
        for level in (FINEST, GENUS):
            if level in run.levels:
                # On one thread bit for bit; side by side up to float32's last digits.
                ours = cached_features(run, level).numpy()
                theirs = cached_features(other, level).numpy()
                if threads == 1:
                    np.testing.assert_array_equal(ours, theirs)
                else:
                    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
                test = np.load(feature_file(run, level, TEST))
                pictures = run.pictures(TEST, level)
                expected = extract_features(
                    run.model, pictures, run.spec, CPU, "float32", workers=1
                )
                np.testing.assert_allclose(test, expected, rtol=1e-5, atol=1e-6)


def test_a_run_that_finds_them_ends_as_one_that_does_not(shards: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runs = runs_of(shards, tmp_path / "shared", ("mlph", "bcnn"), (1,))
        for level in (2, 1, 0):
            share_features(runs, level, Silent())
        for run in runs:
            watched = Recorder()
            train(shards, run.config, run.folder, CPU, watched)
            assert not [what for what in watched.steps if what.startswith("Features")]
            alone = tmp_path / "alone" / run.folder.name
            train(shards, run.config, alone, CPU, Silent())
            ours, theirs = kept(run.folder), kept(alone)
            assert ours == theirs
            assert not list(run.folder.glob("features-*"))
    finally:
        torch.set_num_threads(before)
