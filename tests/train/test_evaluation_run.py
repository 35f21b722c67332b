"""A run, evaluated: what the network says, what is kept, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import h5py
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score
from train_runs import CONFIG
from train_samples import CPU, RESOLUTIONS, TWO_LEVELS, Recorder, make_striped

from c2f_data.artefacts import fingerprint
from c2f_data.confidence import expected_calibration_error
from c2f_data.errors import ArtefactError, C2FError, ConfigError
from c2f_data.index import TEST, TRAIN
from c2f_data.predictions import read_predictions
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_train.checkpoint import load_models, read_tensors, write_tensors
from c2f_train.data import CenterImages
from c2f_train.evaluation import compare, evaluate_run, read_evaluated, read_evaluation
from c2f_train.evaluation.compare import Evaluated
from c2f_train.evaluation.evaluate_run import evaluate_run as evaluate
from c2f_train.evaluation.hierarchy_metrics import ancestor_heights
from c2f_train.evaluation.measure import Compute
from c2f_train.progress import Silent
from c2f_train.results import read_run
from c2f_train.run import ShardPictures
from c2f_train.train import train

COMPUTE = Compute(CPU, "float32", 1)
LEVELS = ("family", "genus", "species")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A finished run of its own, not evaluated yet."""
    return Path(copytree(whole, tmp_path / "run"))


@pytest.fixture(scope="module")
def flat(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of I_high alone."""
    folder = tmp_path_factory.mktemp("flat") / "flat"
    train(shards, replace(CONFIG, model="hbp", stage2_epochs=0), folder, CPU, Silent())
    return folder


def logits(folder: Path, shards: Path, images: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """True class ids (n, levels), and every level's scores, without the code under test."""
    (model,), meta = load_models(folder / "model")
    reader = ShardReader(shards)
    centres = CenterImages(ShardPictures(reader, TEST, images), meta.spec)
    model.eval()
    rows = torch.stack([torch.from_numpy(centres[i][0]).permute(2, 0, 1) for i in range(8)])
    with torch.inference_mode():
        found = model.all_logits(rows.contiguous(memory_format=torch.channels_last))
    return reader.labels(TEST), [each.double().numpy() for each in found]


def test_the_matrix_is_what_the_model_says(run: Path, shards: Path) -> None:
    result = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    assert len(result.scores) == 3 * 3 + 2 * 3
    for images in LEVELS:
        true, scores = logits(run, shards, images)
        species = np.exp(scores[2]) / np.exp(scores[2]).sum(axis=1, keepdims=True)
        codes = ShardReader(shards).manifest.taxonomy.codes
        for level, name in enumerate(LEVELS):
            sums = np.zeros((8, scores[level].shape[1]))
            np.add.at(sums.T, codes[:, level], species.T)
            for answers, each in (("own", scores[level]), ("rolled-up", sums)):
                cell = result.score(name, images, answers)
                if answers == "rolled-up" and name == "species":
                    assert cell is None
                    continue
                assert cell is not None
                best = each.argmax(axis=1)
                assert cell.top1.value == accuracy_score(true[:, level], best)
                assert cell.top1.low <= cell.top1.value <= cell.top1.high
                assert cell.balanced.value == pytest.approx(
                    balanced_accuracy_score(true[:, level], best)
                )
                shares = np.exp(each) if answers == "own" else each
                shares = shares / shares.sum(axis=1, keepdims=True)
                right = best == true[:, level]
                ece = expected_calibration_error(shares.max(axis=1), right)
                assert cell.ece == pytest.approx(ece, abs=1e-5)
                taxonomy = ShardReader(shards).manifest.taxonomy
                heights = ancestor_heights(taxonomy, level, true[:, level], best)
                assert cell.distance1 == heights.mean()
                assert cell.severity == (heights[~right].mean() if not right.all() else None)
                if name == "species":
                    assert cell.top5 is not None
                    labels = np.arange(8)
                    wanted = top_k_accuracy_score(true[:, 2], each, k=5, labels=labels)
                    assert cell.top5.value == wanted
                    five = np.argsort(-each, axis=1)[:, :5]
                    further = ancestor_heights(taxonomy, 2, true[:, 2], five)
                    assert cell.distance5 == further.mean()
                else:
                    assert cell.top5 is None


def test_own_classifiers_are_tested_against_the_roll_up(
    run: Path, flat: Path, shards: Path
) -> None:
    result = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    codes = ShardReader(shards).manifest.taxonomy.codes
    assert [(row.level, row.images) for row in result.roll_ups] == [
        (level, images) for level in ("genus", "family") for images in reversed(LEVELS)
    ]
    for row in result.roll_ups:
        true, scores = logits(run, shards, row.images)
        level = LEVELS.index(row.level)
        species = np.exp(scores[2]) / np.exp(scores[2]).sum(axis=1, keepdims=True)
        sums = np.zeros((8, scores[level].shape[1]))
        np.add.at(sums.T, codes[:, level], species.T)
        own = scores[level].argmax(axis=1) == true[:, level]
        rolled = sums.argmax(axis=1) == true[:, level]
        assert row.difference.value == own.mean() - rolled.mean()
        assert (row.test.only_first, row.test.only_second) == (
            (own & ~rolled).sum(),
            (rolled & ~own).sum(),
        )
        assert row.test.p <= row.p_holm <= 1
    assert read_evaluation(run).roll_ups == result.roll_ups
    # A run of the finest level alone has no classifiers of its own to test.
    assert evaluate(flat, ShardReader(shards), COMPUTE, Silent()).roll_ups == ()


def test_own_resolutions_are_those_of_the_trainings_test(run: Path, shards: Path) -> None:
    result = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    for tested in read_run(run / "run.json").test:
        cell = result.score(tested.level, tested.level)
        assert cell is not None
        assert (cell.resolution, cell.native) == (tested.resolution, tested.native)
        assert cell.top1.value == tested.accuracy
        before = read_predictions(run / f"test-{tested.level}.h5")
        name = "native.h5" if tested.native else f"r{tested.resolution:05d}.h5"
        kept = read_predictions(run / "evaluation" / f"test-{result.key}" / name)
        column = kept.levels.index(tested.level)
        assert kept.predicted[:, column].tolist() == before.predicted[:, 0].tolist()
        assert kept.confidence[:, column] == pytest.approx(before.confidence[:, 0], abs=1e-6)
        assert kept.reduced.tolist() == before.reduced.tolist()


def test_each_levels_path_takes_every_level_at_its_own_resolution(run: Path, shards: Path) -> None:
    result = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    mixed = np.stack([logits(run, shards, name)[1][i].argmax(1) for i, name in enumerate(LEVELS)])
    true = ShardReader(shards).labels(TEST)
    assert [row.images for row in result.paths] == [None, *LEVELS[::-1], *LEVELS[::-1]]
    assert result.paths[0].full_path.value == float((true == mixed.T).all(axis=1).mean())
    known = {tuple(row) for row in ShardReader(shards).manifest.taxonomy.codes.tolist()}
    odd = [tuple(row) not in known for row in mixed.T.tolist()]
    assert result.paths[0].inconsistent.value == float(np.mean(odd))


def test_a_second_call_runs_no_network(
    run: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    monkeypatch.delattr(evaluate_run, "load_models")
    again = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    assert replace(again, provenance=first.provenance) == first
    assert again.provenance.device == first.provenance.device
    read = read_evaluation(run)
    assert read == again


def test_an_interrupted_evaluation_goes_on(run: Path, shards: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        # 8 images at native resolution, then some at the next one.
        evaluate(run, ShardReader(shards), COMPUTE, Recorder(stop_after=9))
    (folder,) = (run / "evaluation").iterdir()
    assert [path.name for path in folder.iterdir()] == ["native.h5"]
    assert not (run / "evaluation.json").exists()
    rest = Recorder()
    evaluate(run, ShardReader(shards), COMPUTE, rest)
    assert rest.steps == {f"Evaluating on images at {r} px": 8 for r in RESOLUTIONS.values()}


@pytest.mark.parametrize("damage", ["cut", "classes", "images", "version"])
def test_damaged_answers_are_measured_again(run: Path, shards: Path, damage: str) -> None:
    first = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    path = run / "evaluation" / f"test-{first.key}" / "r00024.h5"
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        with h5py.File(path, "r+") as file:
            if damage == "classes":
                file["top"][0, 0, 1] = 99
            elif damage == "images":
                file["image_id"][0] = b"another"
            else:
                file.attrs["answers_version"] = 9
    again = Recorder()
    second = evaluate(run, ShardReader(shards), COMPUTE, again)
    assert list(again.steps) == ["Evaluating on images at 24 px"]
    assert any("Measured again" in note for note in again.notes)
    assert path.read_bytes() == whole
    assert second.scores == first.scores


def test_another_model_or_split_has_answers_of_its_own(run: Path, shards: Path) -> None:
    first = evaluate(run, ShardReader(shards), COMPUTE, Silent())
    on_train = evaluate(run, ShardReader(shards), COMPUTE, Silent(), split=TRAIN)
    assert (on_train.n, first.n) == (16, 8)
    assert any("train images" in warning for warning in on_train.warnings)
    assert read_evaluation(run) == first
    assert read_evaluation(run, TRAIN) == on_train
    tensors = read_tensors(run / "model" / "model.safetensors")
    write_tensors(run / "model" / "model.safetensors", {k: v * 1.5 for k, v in tensors.items()})
    assert evaluate(run, ShardReader(shards), COMPUTE, Silent()).key != first.key


def test_a_run_of_native_images_alone_is_rolled_up(flat: Path, shards: Path) -> None:
    result = evaluate(flat, ShardReader(shards), COMPUTE, Silent())
    assert result.trained == ("species",)
    assert {s.level for s in result.scores if s.answers == "own"} == {"species"}
    assert {s.level for s in result.scores if s.answers == "rolled-up"} == {"genus", "family"}
    assert {row.answers for row in result.paths} == {"rolled-up"}


def test_runs_are_compared_image_by_image(run: Path, flat: Path, shards: Path) -> None:
    for folder in (run, flat):
        evaluate(folder, ShardReader(shards), COMPUTE, Silent())
    one, other = read_evaluated(run), read_evaluated(flat)
    rows = compare([(one, other)])
    assert [row.level for row in rows] == ["species", "genus", "family"]
    assert [row.second_answers for row in rows] == ["own", "rolled-up", "rolled-up"]
    assert all(row.n == 8 and row.p_holm >= row.test.p for row in rows)
    cell, theirs = one.result.score("species", "species"), other.result.score("species", "species")
    assert cell is not None
    assert theirs is not None
    assert rows[0].difference.value == pytest.approx(cell.top1.value - theirs.top1.value)
    assert rows[0].test.only_first - rows[0].test.only_second == 8 * rows[0].difference.value
    # The order of images is not what makes them the same.
    assert compare([(one, _reversed(other))]) == rows
    assert (one.result.crop, rows[0].first_crop, rows[0].second_crop) == ("none", "none", "none")


def test_runs_on_other_images_are_refused(run: Path, shards: Path) -> None:
    evaluate(run, ShardReader(shards), COMPUTE, Silent())
    evaluate(run, ShardReader(shards), COMPUTE, Silent(), split=TRAIN)
    one, other = read_evaluated(run), read_evaluated(run, TRAIN)
    with pytest.raises(ArtefactError, match=r"other images \(8 and 16, of which 0 are the same\)"):
        compare([(one, other)])
    strange = replace(one, result=replace(one.result, taxonomy_fingerprint="0"))
    with pytest.raises(ArtefactError, match="other classes"):
        compare([(one, strange)])


def _reversed(evaluated: Evaluated) -> Evaluated:
    backwards = np.arange(evaluated.result.n)[::-1]
    answers = tuple(
        replace(
            each,
            predictions=each.predictions.rows(backwards),
            labels=each.labels[backwards],
            top=each.top[backwards],
            rolled_top=each.rolled_top[backwards],
            rolled_confidence=each.rolled_confidence[backwards],
        )
        for each in evaluated.answers
    )
    return replace(evaluated, answers=answers)


def test_answers_that_are_not_those_of_the_result_are_refused(run: Path, shards: Path) -> None:
    evaluate(run, ShardReader(shards), COMPUTE, Silent())
    path = run / "evaluation.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"images_fingerprint": fingerprint([])}))
    with pytest.raises(ArtefactError, match="not the answers"):
        read_evaluated(run)
    path.write_text(json.dumps(data | {"key": "../../../else"}))
    with pytest.raises(ArtefactError, match="key"):
        read_evaluated(run)


def test_another_hierarchy_is_refused(run: Path, tmp_path: Path) -> None:
    index = make_striped(tmp_path / "images", train=1, test=1, taxonomy=TWO_LEVELS)
    write_shards(
        index, plan_levels(index.taxonomy, {"genus": 24}), ResampleSpec(), tmp_path / "shards"
    )
    with pytest.raises(ArtefactError, match="another hierarchy"):
        evaluate(run, ShardReader(tmp_path / "shards"), COMPUTE, Silent())


def test_other_shards_of_the_same_images_are_said(run: Path, tmp_path: Path) -> None:
    index = make_striped(tmp_path / "images", train=2, test=1)
    plans = plan_levels(index.taxonomy, {"family": 8, "genus": 8})
    write_shards(index, plans, ResampleSpec(), tmp_path / "shards")
    seen = Recorder()
    result = evaluate(run, ShardReader(tmp_path / "shards"), COMPUTE, seen)
    assert "not the shards" in result.warnings[0]
    # One resolution for two levels: measured once.
    assert seen.steps == {"Evaluating on native images": 8, "Evaluating on images at 8 px": 8}
    assert result.score("genus", "genus").top1 == result.score("genus", "family").top1  # type: ignore[union-attr]


def test_images_of_another_crop_are_said(run: Path, shards: Path) -> None:
    path = run / "run.json"
    for crop, said in (("bbox", True), ("none", False), (None, False)):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"crop": crop}))
        warnings = evaluate(run, ShardReader(shards), COMPUTE, Silent()).warnings
        assert warnings == (
            ("the run was trained on images that were cut to their bounding boxes, and these are "
             "whole",) if said else ()
        )  # fmt: skip


def test_scores_that_are_no_numbers_and_unknown_splits_are_refused(run: Path, shards: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'val'"):
        evaluate(run, ShardReader(shards), COMPUTE, Silent(), split="val")
    tensors = read_tensors(run / "model" / "model.safetensors")
    tensors["classifiers.1.bias"][0] = float("nan")
    write_tensors(run / "model" / "model.safetensors", tensors)
    with pytest.raises(C2FError, match="not finite"):
        evaluate(run, ShardReader(shards), COMPUTE, Silent())
    (run / "model" / "model.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        evaluate(run, ShardReader(shards), COMPUTE, Silent())
