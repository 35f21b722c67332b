"""``c2f export-model``: what it writes goes back into ``c2f calibrate``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from birds import CommandLine, one_line_error, train_workspace

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a finished run, to be copied; its images lie beside it."""
    return train_workspace(tmp_path_factory.mktemp("exported"), ("--name", "one"))


@pytest.fixture
def c2f(c2f: CommandLine, trained: Path) -> CommandLine:
    shutil.copytree(trained, c2f.workspace)
    return c2f


@pytest.mark.parametrize(
    ("target", "suffix", "trust"),
    [("onnx", ".onnx", ()), ("torch-export", ".pt2", ("--trust-classifier",))],
)
def test_a_run_is_exported_and_calibrated(
    target: str, suffix: str, trust: tuple[str, ...], c2f: CommandLine
) -> None:
    answer = c2f("export-model", "--to", target, "--json")
    assert answer.code == 0, answer.err
    path = Path(answer.json["path"])
    assert path == (c2f.workspace / "folder" / "export" / target / f"one{suffix}").resolve()
    export = answer.json["export"]
    assert [o["level"] for o in export["outputs"]] == ["species", "genus", "family"]
    assert (export["check"]["real"], export["batch"]) == (8, None)
    assert json.loads(path.with_name(f"{path.name}.json").read_text())["check"] == export["check"]
    labels = path.with_name(export["outputs"][0]["labels"])
    again = c2f(
        *("calibrate", "--classifier", path, "--labels", labels, *trust, "--images", "test"),
        *("--sweep", "24,12", "--no-shards", "--json"),
    )
    assert again.code in (0, 3), again.err  # hardly trained: a threshold may not be reached
    assert f"(one{suffix})" in again.err


def test_a_model_folder_is_exported_beside_itself(c2f: CommandLine, tmp_path: Path) -> None:
    shutil.copytree(c2f.workspace / "folder" / "runs" / "one" / "model", tmp_path / "passed_on")
    answer = c2f(
        *("export-model", "--model", tmp_path / "passed_on", "--to", "torch-export"),
        *("--level", "genus", "--batch", "2"),
    )
    assert answer.code == 0, answer.err
    assert answer.out.split() == [str((tmp_path / "passed_on.pt2").resolve())]
    assert (tmp_path / "passed_on.pt2.genus.txt").read_text().split() == ["red", "blu"]
    assert "0 real images" in answer.err
    assert "Next: " not in answer.err  # a calibration takes the finest classifier


def test_without_shards_it_says_what_it_was_checked_with(c2f: CommandLine) -> None:
    shutil.rmtree(c2f.workspace / "folder" / "shards")
    answer = c2f("export-model", "--to", "torch-export", "--run", "one")
    assert answer.code == 0, answer.err
    assert "Checked with random images alone" in answer.err


def test_what_it_refuses(c2f: CommandLine, tmp_path: Path) -> None:
    answer = c2f("export-model", "--to", "onnx", "--run", "../one")
    assert "run '../one'" in one_line_error(answer)
    answer = c2f("export-model", "--to", "onnx", "--run", "two")
    assert "no finished run 'two'" in one_line_error(answer)
    answer = c2f("export-model", "--to", "onnx", "--model", tmp_path)
    assert "no such file" in one_line_error(answer)
    answer = c2f("export-model", "--to", "onnx", "--level", "order")
    assert "--level order" in one_line_error(answer)
    assert c2f("export-model", "--to", "onnx", "--run", "a", "--model", "b").code == 2
    assert c2f("export-model", "--to", "onnx", "--batch", "0").code == 2
    assert c2f("export-model").code == 2
    assert not (c2f.workspace / "folder" / "export").exists()
