"""``c2f train``: recipes and their options, and several processes that speak with one voice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from birds import CommandLine, one_line_error, train_workspace

from c2f_cli.recipe_options import recipe_of, recipe_options
from c2f_cli.several import one_voice
from c2f_data.errors import ArtefactError, ConfigError
from c2f_train.config import TrainConfig
from c2f_train.distributed import PeerError, World

SHORT = ("--backbone", "tiny", "--input-size", "32", "--weights", "none", "--dim", "8")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_workspace(tmp_path_factory.mktemp("recipes"))


def test_a_recipe_and_an_option_against_it(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    c2f = CommandLine(workspace, capsys)
    words = ("--stage1-epochs", "1", "--stage2-epochs", "1", "--batch-size", "6", "--json")
    answer = c2f(
        "train", *SHORT, *words, "--recipe", "modern", "--ema", "0", "--patience", "1",
        "--accumulate", "2", "--no-channels-last", "--name", "modern",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    config = json.loads((Path(answer.json["folder"]) / "config.json").read_text("utf-8"))
    expected = {"recipe": "modern", "optimizer": "adamw", "schedule": "cosine", "ema": 0.0,
                "label_smoothing": 0.1, "batch_size": 6, "patience": 1, "accumulate": 2,
                "channels_last": False, "compile": False, "stage2_lr": 1e-4}  # fmt: skip
    assert {name: config[name] for name in expected} == expected
    assert (Path(answer.json["folder"]) / "metrics.csv").exists()


def test_every_value_of_a_recipe_has_an_option() -> None:
    """Nothing is given: the paper's recipe is TrainConfig's own."""
    parameters = recipe_options(lambda **_: None).__click_params__  # type: ignore[attr-defined]
    given = {parameter.name: None for parameter in parameters} | {"recipe": "paper"}
    assert TrainConfig(**recipe_of(given)) == TrainConfig()
    from c2f_train.recipes import recipe_values

    assert recipe_values("modern").keys() <= given.keys()


def test_what_contradicts_itself_is_one_error(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    c2f = CommandLine(workspace, capsys)
    answer = c2f("train", *SHORT, "--accumulate", "9", "--name", "odd")
    assert answer.code == 1
    assert "accumulate = 9 with batches of 8 images" in one_line_error(answer)


def test_two_processes_speak_with_one_voice(workspace: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = ("--stage1-epochs", "1", "--stage2-epochs", "0", "--name", "two", "--device", "cpu")
    done = subprocess.run(
        [*command, "-m", "c2f_cli", "train", *SHORT, *words, "--workspace", workspace, "--json"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [test["level"] for test in json.loads(done.stdout)["test"]] == [
        "family",
        "genus",
        "species",
    ]
    assert done.stderr.count("Training mlph on tiny") == 1
    assert "2 processes" in done.stderr


def test_a_batch_that_the_processes_can_not_share_is_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they are connected; the second one says nothing."""
    c2f = CommandLine(workspace, capsys)
    words = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    line = ("train", *SHORT, "--batch-size", "5", "--name", "five", "--device", "cpu")
    answer = c2f(*line)
    assert answer.code == 1
    assert "--batch-size 5 on 2 processes" in one_line_error(answer)
    assert "give --batch-size 6" in answer.err
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as caught:
        c2f(*line)
    assert caught.value.code == 1
    assert capsys.readouterr().err == ""


def test_who_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    for error, said in (
        (ArtefactError("a shard is damaged", "Mend it."), "Error in process 1 of 2: a shard"),
        (ConfigError("wrong for all", "Correct it."), ""),
        (PeerError("another one ended", "Look there."), ""),
    ):
        with pytest.raises(SystemExit) as caught, one_voice(World(1, 2)):
            raise error
        assert caught.value.code == 1
        found = capsys.readouterr().err
        assert found.startswith(said)
        assert bool(found) == bool(said)
        with pytest.raises(type(error)), one_voice(World(0, 2)):
            raise error
