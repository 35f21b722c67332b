"""Images that a training never sees, and what is fitted on them when it ends or is evaluated."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_runs import CONFIG
from train_samples import CPU, Recorder, make_shards, make_striped, stripe_backbone

from c2f_data.artefacts import write_json
from c2f_data.errors import ArtefactError
from c2f_data.index import TRAIN
from c2f_data.shards.reader import ShardReader
from c2f_data.splits import (
    SPLIT,
    SPLIT_SCHEMA,
    SPLIT_VERSION,
    VALIDATION_FRACTION,
    SplitRecord,
    stratified,
)
from c2f_train import train as training
from c2f_train.evaluation.measure import Compute
from c2f_train.predict import Predictor
from c2f_train.prediction.held_out import KINDS, fit_held_out, held_out
from c2f_train.prediction.stored import read_fit
from c2f_train.progress import Silent
from c2f_train.supply import make_supply
from c2f_train.train import train
from c2f_train.validation import RECORD, UNSEEN, Held

SHORT = replace(CONFIG, stage2_epochs=1, held_out=0.5, patience=1, validation=0.25)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    return make_shards(make_striped(folder / "images", train=8, test=1), folder / "shards")


@pytest.fixture(scope="module")
def run(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with images for early stopping and others that nothing sees."""
    folder = tmp_path_factory.mktemp("held") / "run"
    train(many, SHORT, folder, CPU, Silent())
    return folder


def ids(folder: Path, name: str) -> set[str]:
    return set(json.loads((folder / name).read_text(encoding="utf-8"))["image_ids"])


def test_three_parts_have_nothing_in_common(many: Path, run: Path) -> None:
    reader = ShardReader(many)
    validation, unseen = ids(run, RECORD), ids(run, UNSEEN)
    assert len(validation) == 8
    assert len(unseen) == 32
    assert not validation & unseen
    found = held_out(run, reader)
    assert found is not None
    assert {reader.image_ids(TRAIN)[i] for i in found.positions} == unseen
    labels = found.labels[:, -1]
    assert np.bincount(labels).tolist() == [4] * 8


def test_a_training_asks_for_none_of_them(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supplied: list[Held | None] = []

    def spy(run: object, stage: int, held: Held | None) -> object:
        supplied.append(held)
        return make_supply(run, stage, held)  # type: ignore[arg-type]

    monkeypatch.setattr("c2f_train.stages.make_supply", spy)
    config = replace(SHORT, patience=0, stage1_epochs=1, stage2_epochs=0)
    train(many, config, tmp_path / "run", CPU, Silent())
    (held,) = supplied
    assert held is not None
    assert held.validation == ()
    assert sorted((*held.train, *held.unseen)) == list(range(64))
    assert not (tmp_path / "run" / RECORD).exists()


def test_a_training_ends_with_a_fit_that_is_kept(many: Path, run: Path) -> None:
    fit = read_fit(run / "model")
    assert fit is not None
    assert (fit.n, fit.images) == (32, KINDS[UNSEEN])
    assert [c.resolution for c in fit.conditions][1:] == [24, 8]
    before = (run / "model" / "prediction.json").read_bytes()
    progress = Recorder()
    again = fit_held_out(run, ShardReader(many), Compute(CPU, "float32", 1), progress)
    assert again == fit
    assert progress.steps == {}
    assert (run / "model" / "prediction.json").read_bytes() == before
    predictor = Predictor.load(run, device="cpu")
    assert "too few" in predictor.guarantees[0].statement
    assert KINDS[UNSEEN] in predictor.guarantees[0].statement


def test_a_damaged_fit_is_made_again(many: Path, run: Path) -> None:
    path = run / "model" / "prediction.json"
    before = path.read_bytes()
    path.write_text("{}", encoding="utf-8")
    progress = Recorder()
    fit_held_out(run, ShardReader(many), Compute(CPU, "float32", 1), progress)
    assert "Fitted again" in progress.notes[0]
    first, second = (json.loads(text) for text in (before, path.read_bytes()))
    assert first["conditions"] == second["conditions"]


def test_other_shards_are_refused(run: Path, tmp_path: Path) -> None:
    other = make_shards(make_striped(tmp_path / "images", train=2, test=1), tmp_path / "shards")
    with pytest.raises(ArtefactError, match="is not in"):
        held_out(run, ShardReader(other))


def test_the_draw_is_that_of_a_calibration(many: Path, tmp_path: Path) -> None:
    """So its classifier, from which training may start, has not seen the held-out images either."""
    reader = ShardReader(many)
    calibrated = stratified(reader.labels(TRAIN)[:, -1], VALIDATION_FRACTION, SHORT.seed)
    config = replace(SHORT, held_out=0.125, patience=0, stage1_epochs=1, stage2_epochs=0)
    train(many, config, tmp_path / "run", CPU, Silent())
    found = held_out(tmp_path / "run", reader)
    assert found is not None
    assert calibrated[found.positions].all()


@pytest.mark.parametrize(
    ("scheme", "measured", "seen"),
    [
        ("held-out validation", slice(None), False),
        ("held-out validation", slice(1, None), True),
        ("cross-validation", slice(None), True),
        (None, slice(None), True),
    ],
)
def test_what_the_first_weights_have_seen(
    many: Path, run: Path, tmp_path: Path, scheme: str | None, measured: slice, seen: bool
) -> None:
    """Nothing where they are a calibration's that measured the images that are held out here."""
    unseen = sorted(ids(run, UNSEEN))
    if scheme is not None:
        record = SplitRecord(scheme, 0, tuple(unseen[measured]), (0,) * len(unseen[measured]))
        write_json(tmp_path / SPLIT, record, schema=SPLIT_SCHEMA, version=SPLIT_VERSION)
    other = tmp_path / "run"
    shutil.copytree(run, other)
    settings = other / "config.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    content["weights"] = str(tmp_path / "classifier")
    settings.write_text(json.dumps(content), encoding="utf-8")
    found = held_out(other, ShardReader(many))
    assert found is not None
    assert ("may have seen" in found.kind) == seen


def test_without_held_out_images_nothing_is_fitted(whole: Path, shards: Path) -> None:
    assert held_out(whole, ShardReader(shards)) is None
    assert fit_held_out(whole, ShardReader(shards), Compute(CPU, "float32", 1), Silent()) is None
    assert (
        "--held-out"
        in Predictor.load(whole, device="cpu").predict(np.zeros((9, 9, 3), np.uint8))[0].promise
    )


def test_a_model_that_sees_the_stripes_is_promised_to_be_right(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From training to promise with a network that can do it: fixed filters for the stripes."""
    monkeypatch.setattr(training, "build_backbone", stripe_backbone)
    monkeypatch.setattr("c2f_train.checkpoint.build_backbone", stripe_backbone)
    folder = tmp_path / "images"
    shards = make_shards(make_striped(folder, train=16, test=1), tmp_path / "shards")
    config = replace(
        CONFIG, model="mlph", held_out=0.5, stage1_epochs=40, stage2_epochs=0, input_size=72, dim=16
    )
    train(shards, config, tmp_path / "run", CPU, Silent())
    fit = read_fit(tmp_path / "run" / "model")
    assert fit is not None
    native = fit.conditions[0]
    assert native.loss_fitted < native.loss_equal
    predictor = Predictor.load(tmp_path / "run", device="cpu", confidence=0.75)
    assert predictor.guarantees[0].holds, predictor.guarantees[0].statement
