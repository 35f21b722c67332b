"""``c2f train --model``: every model of the registry, from shards to a tested network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from birds import CommandLine

from c2f_train.pooling import MODELS

SMALL = ("--backbone", "tiny", "--input-size", "32", "--weights", "none")
SHORT = (*SMALL, "--stage1-epochs", "1", "--stage2-epochs", "0", "--json")


@pytest.fixture
def sharded(c2f: CommandLine, images: Path) -> CommandLine:
    words = ("--dataset", "folder", "--root", images, "--med", "24", "--low", "12")
    answer = c2f("shard", *words, "--json")
    assert answer.code == 0, answer.err
    return c2f


def test_one_command_a_model(sharded: CommandLine) -> None:
    for model in MODELS:
        dim = () if MODELS[model].dim is None else ("--dim", "16")
        answer = sharded("train", "--model", model, *dim, *SHORT)
        assert answer.code == 0, answer.err
        levels = [test["level"] for test in answer.json["test"]]
        assert levels == (["family", "genus", "species"] if model == "mlph" else ["species"])
        config = json.loads((Path(answer.json["folder"]) / "config.json").read_text("utf-8"))
        assert config["model"] == model


def test_the_usual_d_is_that_of_the_paper(sharded: CommandLine) -> None:
    for model, features in (("kp", 1 + 64 + 3 * 4096), ("cbcnn", 8192), ("bcnn", 64 * 64)):
        answer = sharded("train", "--model", model, *SHORT)
        assert answer.code == 0, answer.err
        assert f"{features:,} features" in answer.err


def test_a_model_without_d_refuses_one(sharded: CommandLine) -> None:
    answer = sharded("train", "--model", "bcnn", "--dim", "16", *SHORT)
    assert answer.code == 1
    assert "--dim with --model bcnn" in answer.err
    assert "leave --dim out" in answer.err


def test_a_model_that_is_not_there_is_a_usage_error(c2f: CommandLine) -> None:
    answer = c2f("train", "--model", "vgg")
    assert answer.code == 2
    assert all(name in answer.err for name in MODELS)
