"""Each foreseen failure: one clear line, its exit code, and earlier results intact."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from birds import QUICK, CommandLine, make_folder, one_line_error

TEST_IMAGES = ("--images", "test", *QUICK)


def calibrate(c2f: CommandLine, root: Path, *more: object):  # type: ignore[no-untyped-def]
    words = ("--dataset", "folder", "--root", root, "--taxonomy", root / "taxonomy.csv")
    return c2f("calibrate", *words, *TEST_IMAGES, "--no-shards", *more)


def test_no_such_data_set(c2f: CommandLine) -> None:
    answer = c2f("calibrate", "--dataset", "dogs", "--root", ".", "--taxonomy", "cub")
    assert answer.code == 1
    assert "dogs" in one_line_error(answer)


def test_no_root_names_the_places_that_were_tried(c2f: CommandLine) -> None:
    answer = c2f("calibrate", "--dataset", "cub")
    assert answer.code == 1
    assert "CUB_200_2011" in one_line_error(answer)


def test_root_that_is_not_there(c2f: CommandLine, tmp_path: Path) -> None:
    answer = c2f("calibrate", "--dataset", "cub", "--root", tmp_path / "nowhere")
    assert answer.code == 1
    assert "nowhere: no such folder" in one_line_error(answer)


def test_root_without_images_txt(c2f: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = c2f("calibrate", "--dataset", "cub", "--root", tmp_path / "empty")
    assert answer.code == 1
    assert "no layout of CUB-200-2011" in one_line_error(answer)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "zero bytes"), (b"this is a text", "not an image"), (None, "damaged image")],
)
def test_a_bad_image_is_named(
    c2f: CommandLine, tmp_path: Path, content: bytes | None, why: str
) -> None:
    root = make_folder(tmp_path / "images")
    path = root / "test" / "red_dot" / "000.png"
    path.write_bytes(path.read_bytes()[:600] if content is None else content)
    answer = calibrate(c2f, root)
    assert answer.code == 1
    line = one_line_error(answer)
    assert "red_dot/000.png" in line
    assert why in line


def test_a_taxonomy_with_two_parents_or_a_cycle(c2f: CommandLine, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("family,genus,species\nF,G,a\nF,H,a\n", encoding="utf-8")
    answer = c2f("build-hierarchy", table)
    assert answer.code == 1
    assert "line 3: species 'a' has genus 'H' here and 'G' on line 2" in one_line_error(answer)
    table.write_text("family,genus,species\nX,Y,a\nY,X,b\n", encoding="utf-8")
    answer = c2f("build-hierarchy", table)
    assert answer.code == 1
    assert "cycle" in one_line_error(answer)


@pytest.mark.parametrize("value", ["0", "1", "1.5", "-0.2", "much"])
def test_thresholds_outside_the_open_interval_are_usage_errors(
    c2f: CommandLine, images: Path, value: str
) -> None:
    answer = calibrate(c2f, images, "--t-med", value)
    assert answer.code == 2
    assert "--t-med" in answer.err
    answer = calibrate(c2f, images, "--threshold", f"genus={value}")
    assert answer.code == 1


@pytest.mark.parametrize(
    ("sweep", "why"),
    [
        ("20,30", "not descending"),
        ("30,30", "not descending"),
        ("400,20", "the sweep starts at 400 px"),
        ("20,x", "not whole numbers"),
    ],
)
def test_sweeps_that_make_no_sense(c2f: CommandLine, images: Path, sweep: str, why: str) -> None:
    answer = calibrate(c2f, images, "--sweep", sweep)
    assert answer.code == 1
    assert why in one_line_error(answer)


def test_nothing_calibrated_nothing_trained_nothing_to_report(c2f: CommandLine) -> None:
    for words in (("train",), ("report",), ("shard",), ("verify",)):
        answer = c2f(*words)
        assert answer.code == 1
        assert "c2f calibrate" in answer.err
    answer = c2f("report", "--dataset", "folder")
    assert answer.code == 1
    assert "neither a calibration nor a finished run" in one_line_error(answer)


def test_a_workspace_of_another_data_set(c2f: CommandLine, images: Path, tmp_path: Path) -> None:
    assert calibrate(c2f, images).code in (0, 3)
    other = make_folder(tmp_path / "other", train=2, test=1)
    answer = calibrate(c2f, other)
    assert answer.code == 1
    assert "written for the images in" in one_line_error(answer)


def test_results_of_another_schema_version(c2f: CommandLine, images: Path) -> None:
    calibrate(c2f, images)
    path = c2f.workspace / "folder" / "calibration" / "result.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"schema_version": 99}), encoding="utf-8")
    answer = c2f("report")
    assert answer.code == 1
    assert "schema version 99" in one_line_error(answer)


def test_shards_of_another_schema_version(c2f: CommandLine, images: Path) -> None:
    calibrate(c2f, images)
    assert c2f("shard", "--med", "20", "--low", "10").code == 0
    path = c2f.workspace / "folder" / "shards" / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"schema_version": 99}), encoding="utf-8")
    answer = c2f("train", "--dim", "8")
    assert answer.code == 1
    assert "schema version 99" in one_line_error(answer)


def test_a_checkpoint_of_another_schema_version(c2f: CommandLine, images: Path) -> None:
    calibrate(c2f, images)
    meta = next((c2f.workspace / "folder" / "calibration").glob("*/classifier/model.json"))
    kept = shutil.copytree(meta.parent, c2f.workspace / "kept")
    data = json.loads(meta.read_text(encoding="utf-8"))
    (kept / "model.json").write_text(json.dumps(data | {"schema_version": 99}), encoding="utf-8")
    answer = calibrate(c2f, images, "--classifier", kept)
    assert answer.code == 1
    assert "schema version 99" in one_line_error(answer)


def test_a_full_disk_leaves_the_earlier_result(
    c2f: CommandLine, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(c2f, images)
    path = c2f.workspace / "folder" / "calibration" / "result.json"
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("c2f_data.artefacts.os.fsync", full)
    answer = calibrate(c2f, images, "--t-med", "0.5")
    assert answer.code == 1
    assert "No space left on device" in one_line_error(answer)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not list(c2f.workspace.rglob(".tmp-*"))


@pytest.mark.parametrize(
    "where",
    [
        "c2f_train.finetune.finetune",
        "c2f_train.measurement.Measurement._evaluate",
        "c2f_data.shards.writer.run_tasks",
        "c2f_train.stages.train_epoch",
    ],
)
def test_ctrl_c_in_each_long_step(
    c2f: CommandLine, images: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    target = "c2f_train.classifier.finetune" if where.endswith("finetune") else where
    steps = (
        lambda: calibrate(c2f, images),
        lambda: c2f("shard", "--med", "20", "--low", "10"),
        lambda: c2f("train", "--dim", "8", "--stage1-epochs", "1", "--stage2-epochs", "1"),
    )
    broken = 1 if "shards" in where else 2 if "train_epoch" in where else 0
    for step in steps[:broken]:
        assert step().code in (0, 3)
    with monkeypatch.context() as patch:
        patch.setattr(target, interrupt)
        answer = steps[broken]()
    assert answer.code == 130
    assert "Interrupted" in answer.err
    assert "Traceback" not in answer.err
    assert steps[broken]().code in (0, 3)  # and the same command goes on
    assert not list(c2f.workspace.rglob(".tmp-*"))


def test_a_threshold_that_is_never_met_names_the_way_out(c2f: CommandLine, images: Path) -> None:
    answer = calibrate(c2f, images, "--t-med", "0.999", "--full-curve")
    if answer.code == 0:
        pytest.skip("the quick classifier happened to be perfect")
    assert answer.code == 3
    assert "--relative" in answer.err
    assert (c2f.workspace / "folder" / "calibration" / "result.json").exists()
    assert c2f("report").code == 0
    assert c2f("shard", "--med", "20", "--low", "10").code == 0


def test_a_config_file_with_an_unknown_key(c2f: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "c2f.toml"
    path.write_text("t_medd = 0.5\n", encoding="utf-8")
    answer = c2f("calibrate", "--config", path)
    assert answer.code == 1
    assert "t_medd" in one_line_error(answer)


def test_missing_weights_are_one_error(
    c2f: CommandLine, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.error import URLError

    def offline(*_: object, **__: object) -> None:
        raise URLError("offline")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    words = ("--dataset", "folder", "--root", images, "--images", "test")
    answer = c2f("calibrate", *words, "--backbone", "vgg16")
    assert answer.code == 1
    assert "vgg16" in one_line_error(answer)
    assert "--weights" in answer.err
    assert "vgg16-397923af.pth" in answer.err


def test_a_run_is_only_replaced_by_one_that_can_start(c2f: CommandLine, images: Path) -> None:
    calibrate(c2f, images)
    assert c2f("shard", "--med", "20", "--low", "10").code == 0
    small = ("--dim", "8", "--stage1-epochs", "1", "--stage2-epochs", "0")
    assert c2f("train", *small).code == 0
    before = (c2f.workspace / "folder" / "runs" / "mlph" / "run.json").read_bytes()
    answer = c2f("train", *small, "--overwrite", "--weights", "no-such-file.pth")
    assert answer.code == 1
    assert "no-such-file.pth" in one_line_error(answer)
    after = (c2f.workspace / "folder" / "runs" / "mlph" / "run.json").read_bytes()
    assert after == before
    assert c2f("train", *small, "--overwrite").code == 0
