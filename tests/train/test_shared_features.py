"""Features of several runs from one pass: equal to what each computes alone, and resumable."""

from __future__ import annotations

import errno
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
from c2f_train.backbones import Backbone, build_backbone
from c2f_train.features import cached_features, feature_file, kept_test_features
from c2f_train.inference import extract_features
from c2f_train.pooling import make_pooling
from c2f_train.progress import Silent
from c2f_train.run import Run
from c2f_train.shared_features import Heads, missing_features, share_features
from c2f_train.tiny import TinyVGG
from c2f_train.train import open_run, train

STAGE1 = replace(CONFIG, stage2_epochs=0)
MODELS = ("hbp", "mlp", "mlph", "bcnn", "cbcnn", "kp", "average")
FINEST, GENUS = 2, 1


def runs_of(
    shards: Path,
    folder: Path,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (1, 2),
    trunk: Backbone | None = None,
) -> list[Run]:
    """Runs that share one trunk, from a file: a random one would be another in every run."""
    weights = folder / "trunk.safetensors"
    if not weights.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(3)
        save_file(TinyVGG().state_dict(), weights)
    trunk = trunk or build_backbone(STAGE1.backbone, str(weights))
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


@pytest.mark.parametrize(("threads", "models"), [(1, MODELS), (2, ("mlph", "bcnn"))])
def test_they_are_those_that_each_run_computes_alone(
    threads: int, models: tuple[str, ...], shards: Path, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        runs = runs_of(shards, tmp_path / "shared", models, (1,))
        # With another seed its projections are others, and the trunk is the same.
        runs += runs_of(shards, tmp_path / "shared", ("mlph",), (2,), runs[0].model.backbone)
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


def test_what_is_the_same_is_computed_once() -> None:
    channels = (6, 6, 6)
    torch.manual_seed(0)
    mlp = make_pooling("multilinear", channels, 8)
    same, hbp = make_pooling("multilinear", channels, 8), make_pooling("hbp", channels, 8)
    same.load_state_dict(mlp.state_dict())
    hbp.load_state_dict(mlp.state_dict())
    other = make_pooling("hbp", channels, 8)
    unit, root = make_pooling("unit", channels, 8), make_pooling("root", channels, 8)
    calls = []
    poolings = [hbp, mlp, same, other, unit, root]
    for pooling in poolings:
        pooling.register_forward_hook(lambda module, *_: calls.append(module))
    heads = Heads(poolings)
    maps = (torch.rand(2, 6, 3, 3), torch.rand(2, 6, 3, 3), torch.rand(2, 6, 3, 3))
    found = heads(maps)
    assert calls == [mlp, other, unit, root]
    for pooling, features in zip(poolings, found, strict=True):
        torch.testing.assert_close(features, pooling(*maps).detach(), rtol=0, atol=0)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_killed_pass_goes_on_where_it_was_flushed(
    stop: int, monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    """What was noted is kept, what was written after that is not trusted."""
    monkeypatch.setattr(shared_features, "FLUSH_EVERY", 0.0)
    monkeypatch.setattr(shared_features, "BATCH", 3)
    whole = runs_of(shards, tmp_path / "whole", ("bcnn", "mlp"))
    share_features(whole, FINEST, Silent())
    runs = runs_of(shards, tmp_path / "killed", ("bcnn", "mlp"))
    with pytest.raises(KeyboardInterrupt):
        share_features(runs, FINEST, Recorder(3 * stop, "Features"))
    part = feature_file(runs[0], FINEST).with_suffix(".part")
    with part.open("ab") as file:
        file.write(b"half a row")
    assert not feature_file(runs[0], FINEST).exists()
    watched = Recorder()
    share_features(runs, FINEST, watched)
    assert sum(watched.steps.values()) == 32 + 8  # what was done before counts at once
    for run, other in zip(runs, whole, strict=True):
        for split in (TRAIN, TEST):
            made, wanted = (feature_file(each, FINEST, split) for each in (run, other))
            np.testing.assert_allclose(np.load(made), np.load(wanted), rtol=1e-5, atol=1e-6)
        assert not [p for p in run.folder.iterdir() if p.suffix in (".part", ".rows")]


def test_runs_that_share_no_trunk_are_refused(shards: Path, tmp_path: Path) -> None:
    runs = runs_of(shards, tmp_path, ("hbp",)) + runs_of(shards, tmp_path, ("mlp",))
    with pytest.raises(ConfigError, match="do not share trunk and images"):
        share_features(runs, FINEST, Silent())


def test_a_full_disk_is_one_error(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("c2f_train.growing_file.os.fsync", full)
    with pytest.raises(ArtefactError, match=r"No space left.*\nFree some space"):
        share_features(runs_of(shards, tmp_path, ("hbp",)), FINEST, Silent())


def test_a_run_whose_trunk_is_trained_uses_no_test_features(shards: Path, tmp_path: Path) -> None:
    """They would be those of the trunk before stage 2."""
    (run,) = runs_of(shards, tmp_path, ("mlp",), (1,))
    both = replace(run, config=replace(run.config, stage2_epochs=1))
    assert missing_features([both], FINEST) == {TRAIN: [both], TEST: []}
    share_features([run], FINEST, Silent())
    assert kept_test_features(run, FINEST) is not None
    assert kept_test_features(both, FINEST) is None
