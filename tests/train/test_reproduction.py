"""The reproduction of Table 3: every step once, wherever it was killed, and the table's figures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from train_samples import CPU, PATHS, Recorder, make_striped

from c2f_data.errors import ArtefactError, C2FError, ConfigError, DataSetError
from c2f_data.open_dataset import DatasetChoice
from c2f_data.predictions import read_predictions
from c2f_data.shards.manifest import read_manifest
from c2f_data.workspace import Workspace
from c2f_train.calibration_config import CalibrateConfig
from c2f_train.config import TrainConfig
from c2f_train.progress import Progress, Silent
from c2f_train.recipes import recipe_values
from c2f_train.reproduction.carry_out import NeverCrossedError, carry_out
from c2f_train.reproduction.place import Place
from c2f_train.reproduction.plan import plan
from c2f_train.reproduction.settings import ReproduceConfig
from c2f_train.reproduction.table import FILE, Table, read_table
from c2f_train.results import read_run
from c2f_train.tiny import TinyVGG

LEVELS = ("family", "genus", "species")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reproduction") / "images"
    make_striped(root, train=2, test=2)
    rows = ["family,genus,species", *(",".join(path) for path in PATHS)]
    (root / "taxonomy.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    save_file(TinyVGG().state_dict(), root / "trunk.safetensors")
    return root


@pytest.fixture(scope="module")
def config(images: Path) -> ReproduceConfig:
    train = TrainConfig(
        backbone="tiny",
        weights=str(images / "trunk.safetensors"),
        input_size=32,
        stage1_epochs=2,
        stage2_epochs=0,
        stage1_batch_size=8,
    )
    calibrate = CalibrateConfig(
        (), backbone="tiny", weights=train.weights, input_size=32, points=4, precision="float32"
    )
    return ReproduceConfig(
        calibrate,
        train,
        resolutions=(24, 12),
        models=("average", "bcnn", "hbp", "mlp", "mlph"),
        seeds=2,
        dim=8,
    )


def place(images: Path, workspace: Path, progress: Progress | None = None) -> Place:
    choice = DatasetChoice(dataset="folder", root=images)
    return Place(Workspace(workspace), choice, CPU, progress or Silent())


@pytest.fixture(scope="module")
def done(
    images: Path, config: ReproduceConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Table]:
    workspace = tmp_path_factory.mktemp("done")
    return workspace, carry_out(config, place(images, workspace))


def without_time(table: Table) -> tuple[object, ...]:
    return table.rows, table.differences


def test_a_row_for_every_level_of_every_system(done: tuple[Path, Table]) -> None:
    _, table = done
    rows = [(row.model, row.level, row.resolution, len(row.runs)) for row in table.rows]
    native = table.rows[0].resolution
    assert rows == [
        ("average", "species", native, 1),
        ("bcnn", "species", native, 1),
        ("hbp", "species", native, 2),
        ("mlp", "species", native, 2),
        ("mlph", "species", native, 2),
        ("mlph", "genus", 24, 2),
        ("mlph", "family", 12, 2),
    ]
    for row in table.rows:
        assert row.mean == pytest.approx(np.mean(row.accuracies))
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.mean <= row.high
        assert row.paper is None  # it has no such data set
        assert (row.deviation is None) == (len(row.runs) == 1)


def test_the_table_is_kept_beside_the_runs(done: tuple[Path, Table]) -> None:
    workspace, table = done
    assert read_table(workspace / "folder" / FILE) == table


def test_the_tests_are_those_of_the_predictions(done: tuple[Path, Table]) -> None:
    workspace, table = done
    assert len(table.differences) == 5 * 4 / 2
    runs = workspace / "folder" / "runs"
    for difference in table.differences:
        one, other = (
            read_predictions(runs / name / "test-species.h5")
            for name in (difference.first, difference.second)
        )
        assert one.image_ids == other.image_ids
        right, wrong = one.true == one.predicted, other.true != other.predicted
        assert difference.test.only_first == int((right & wrong).sum())
        assert difference.difference.value == pytest.approx(right.mean() - (~wrong).mean())
        assert difference.p_holm >= difference.test.p


def test_in_stage_1_the_species_of_mlph_are_those_of_mlp(done: tuple[Path, Table]) -> None:
    """They share a frozen trunk, projections and the order of images: only stage 2 can differ."""
    workspace, _ = done
    runs = workspace / "folder" / "runs"
    for seed in (0, 1):
        mlp, mlph = (
            read_predictions(runs / f"{model}-32px-stage1-seed{seed}" / "test-species.h5")
            for model in ("mlp", "mlph")
        )
        np.testing.assert_array_equal(mlp.predicted, mlph.predicted)
        np.testing.assert_array_equal(mlp.confidence, mlph.confidence)


def test_what_is_finished_is_not_done_again(
    images: Path, config: ReproduceConfig, done: tuple[Path, Table]
) -> None:
    workspace, table = done
    watched = Recorder()
    again = carry_out(config, place(images, workspace, watched))
    assert set(watched.steps) <= {"Writing shards"}
    assert without_time(again) == without_time(table)


@pytest.fixture(scope="module")
def short(
    images: Path, config: ReproduceConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ReproduceConfig, Recorder, Table]:
    """The paper's model alone: its settings, its steps and its table."""
    alone = replace(config, models=("mlph",))
    watched = Recorder()
    return (
        alone,
        watched,
        carry_out(alone, place(images, tmp_path_factory.mktemp("short"), watched)),
    )


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 0.75, 0.95])
def test_interrupted_anywhere_the_same_call_goes_on(
    part: float, images: Path, short: tuple[ReproduceConfig, Recorder, Table], tmp_path: Path
) -> None:
    config, watched, whole = short
    steps = max(1, round(part * sum(watched.steps.values())))
    with pytest.raises(KeyboardInterrupt):
        carry_out(config, place(images, tmp_path, Recorder(steps)))
    table = carry_out(config, place(images, tmp_path))
    assert without_time(table) == without_time(whole)


def test_a_run_of_other_settings_is_not_taken_for_this_one(
    images: Path, config: ReproduceConfig, done: tuple[Path, Table]
) -> None:
    other = replace(config, train=replace(config.train, stage1_epochs=3))
    with pytest.raises(ArtefactError, match=r"average-32px-stage1-seed0.*other settings") as caught:
        carry_out(other, place(images, done[0]))
    assert "--overwrite" in caught.value.hint


@pytest.fixture
def copied(done: tuple[Path, Table], tmp_path: Path) -> Path:
    """The finished workspace, to be changed."""
    return Path(shutil.copytree(done[0], tmp_path / "copied"))


def test_overwriting_trains_these_runs_anew_and_says_what_it_deletes(
    images: Path, config: ReproduceConfig, done: tuple[Path, Table], copied: Path
) -> None:
    one = replace(config, models=("average",))
    runs = copied / "folder" / "runs"
    run, table = runs / "average-32px-stage1-seed0", copied / "folder" / FILE
    others = sorted(path.name for path in runs.iterdir() if path != run)
    for path in (run / "run.json", run / "test-species.h5", table):
        path.write_bytes(b"damaged")
    planned = plan(one, place(images, copied), overwrite=True)
    assert (planned[0].name, planned[0].what) == ("overwrite", f"delete {run}, {table}")
    assert [step.name for step in planned if step.state == "to do"] == [
        "overwrite", "features", "run average-32px-stage1-seed0",
    ]  # fmt: skip
    assert (run / "run.json").read_bytes() == table.read_bytes() == b"damaged"

    watched = Recorder()
    again = carry_out(one, place(images, copied, watched), overwrite=True)
    assert [n for n in watched.notes if "Deleted" in n] == [f"Deleted: {run}", f"Deleted: {table}"]
    assert again.rows[0] == done[1].rows[0]
    assert read_table(table) == again
    assert sorted(path.name for path in runs.iterdir() if path != run) == others
    assert plan(one, place(images, copied))[0].name == "hierarchy"


def test_overwriting_replaces_other_shards(
    images: Path, config: ReproduceConfig, copied: Path
) -> None:
    finer = replace(config, models=("average",), resolutions=(20, 10))
    with pytest.raises(ArtefactError, match="holds other shards"):
        carry_out(finer, place(images, copied))
    carry_out(finer, place(images, copied), overwrite=True)
    levels = read_manifest(copied / "folder" / "shards").levels
    assert [level.resolution for level in levels] == [10, 20, None]


@pytest.mark.parametrize(
    "wrong", [{"weights": "nowhere.safetensors"}, {"backbone": "resnet"}, {"input_size": 4}]
)
def test_nothing_is_deleted_for_what_can_not_be_carried_out(
    wrong: dict[str, object],
    images: Path,
    config: ReproduceConfig,
    copied: Path,
) -> None:
    before = sorted(copied.rglob("*"))
    other = replace(config, train=replace(config.train, **wrong))  # type: ignore[arg-type]
    with pytest.raises(C2FError):
        carry_out(other, place(images, copied), overwrite=True)
    with pytest.raises(ConfigError, match="1 resolutions for genus, family"):
        carry_out(replace(config, resolutions=(9,)), place(images, copied), overwrite=True)
    assert sorted(copied.rglob("*")) == before


def test_another_recipe_has_runs_of_its_own(
    images: Path, config: ReproduceConfig, done: tuple[Path, Table], copied: Path
) -> None:
    modern = replace(
        config, train=replace(config.train, **recipe_values("modern")), models=("average",)
    )
    table = carry_out(modern, place(images, copied))
    assert (table.recipe, done[1].recipe) == ("modern", "paper")
    (name,) = table.rows[0].runs
    assert name == "average-32px-stage1-modern-seed0"
    folder = copied / "folder" / "runs"
    assert read_run(folder / name / "run.json").config.optimizer == "adamw"
    paper = read_run(folder / "average-32px-stage1-seed0" / "run.json").config
    assert (paper.recipe, paper.optimizer) == ("paper", "sgd")


def test_a_plan_says_what_is_left(
    images: Path, config: ReproduceConfig, done: tuple[Path, Table], tmp_path: Path
) -> None:
    before = plan(config, place(images, tmp_path))
    assert [step.name for step in before[:4]] == ["hierarchy", "calibration", "shards", "features"]
    assert len(before) == 4 + 8
    assert {step.name for step in before if step.state == "done"} == {"calibration"}
    assert "chosen by hand: genus 24 px, family 12 px" in before[1].why
    assert all(step.seconds is not None for step in before)
    # 8 runs' rows of 32 training and 16 test images.
    widths = 64 + 64 * 64 + 2 * 24 + 2 * 32 + 3 * 2 * 32
    assert before[3].bytes == (32 + 16) * 4 * widths
    assert not list(tmp_path.iterdir())
    after = plan(config, place(images, done[0]))
    assert {step.state for step in after} == {"done"}
    assert all(step.why for step in after)


def test_a_threshold_that_is_never_crossed_has_an_exit_code(
    images: Path, config: ReproduceConfig, tmp_path: Path
) -> None:
    never = replace(config, resolutions=(), thresholds=(0.01,))
    with pytest.raises(NeverCrossedError) as caught:
        carry_out(never, place(images, tmp_path))
    assert caught.value.exit_code == 3
    (step,) = [s for s in plan(never, place(images, tmp_path)) if s.name == "shards"]
    assert (step.state, step.seconds) == ("to do", None)


@pytest.mark.parametrize("given", [(24,), (24, 12, 6)])
def test_resolutions_by_hand_are_one_for_each_coarser_level(
    given: tuple[int, ...], images: Path, config: ReproduceConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"{len(given)} resolutions for genus, family"):
        carry_out(replace(config, resolutions=given), place(images, tmp_path))


def test_a_crop_needs_boxes(images: Path, config: ReproduceConfig, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no bounding boxes, which --crop bbox needs"):
        plan(replace(config, crop="bbox"), place(images, tmp_path))
