"""What commands print with --json is what docs/schemas says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from birds import CommandLine
from jsonschema import Draft202012Validator
from option_cases import CASES

from c2f_cli.main import c2f as group
from tools.schemas import FOLDER, OBJECTS, text_of

IMAGE = "images/test/red_dot/000.png"
RESULTS = ("--from-predictions", "--t-med", "0.9", "--floor")
SMALL = ("--name", "new", "--dim", "8", "--stage1-epochs", "1", "--stage2-epochs", "0")
# Commands that take long, or need what is not here, with what stands in for the library's work.
INSTEAD = ("fetch", "demo", "export-model", "serve", "reproduce")
LINES = [
    ("fetch", "cub"),
    ("fetch", "cars"),
    ("build-hierarchy", "cub"),
    ("build-hierarchy", "cub", "--edition", "aou2016", "--diff", "aou2005"),
    ("build-hierarchy", "--from-folder", "images/train"),
    ("calibrate", *RESULTS),
    ("calibrate", *RESULTS, "--camera", "1000", "--object", "0.2"),
    ("shard",),
    ("shard", "--dry-run", "--layout", "raw"),
    ("train", *SMALL),
    ("evaluate", "--compare", "hbp"),
    ("predict", IMAGE, "images/taxonomy.csv"),
    ("serve",),
    ("report", "--tables", "tables"),
    ("reproduce", "folder"),
    ("reproduce", "folder", "--dry-run"),
    ("demo",),
    ("verify",),
    ("inspect",),
    ("inspect", "--image", "0"),
    ("export", "--to", "folder"),
    ("export", "--to", "folder", "--dry-run"),
    ("export-model", "--to", "onnx"),
    ("doctor",),
    ("doctor", "--dataset", "folder"),
    ("doctor", "--dataset", "folder", "--root", "nowhere"),
]


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of finished work."""
    return Path(shutil.copytree(finished, tmp_path / "work"))


def schema(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_an_output_fits_its_schema(
    work: Path,
    line: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    if line[0] in INSTEAD:
        for target, give in CASES[line[0]].calls.items():
            found = give(work)
            monkeypatch.setattr(target, lambda *_, found=found, **__: found)
    answer = CommandLine(work / "c2f_workspace", capsys)(*line, "--json")
    assert answer.code in (0, 1, 3), answer.err
    assert answer.out, answer.err
    Draft202012Validator(schema(line[0])).validate(answer.json)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_schema_is_valid_and_that_of_the_code(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == text_of(name), "run make pages"
    Draft202012Validator.check_schema(schema(name))


def test_every_command_has_a_schema_and_a_line() -> None:
    assert set(group.commands) <= set(OBJECTS)
    assert {line[0] for line in LINES} == set(group.commands)
    assert {path.stem for path in FOLDER.glob("*.json")} == set(OBJECTS)


def test_the_schemas_refuse_what_is_wrong() -> None:
    """They are closed: a key that nobody described is found."""
    check = Draft202012Validator(schema("report"))
    fine = {"dataset": "cub", "html": "a", "json": "b", "figures": [], "tables": []}
    check.validate(fine)
    for wrong in ({**fine, "more": 1}, {**fine, "html": None}, {"dataset": "cub"}):
        assert not check.is_valid(wrong)
