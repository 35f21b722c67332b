"""docs/tutorial.md from its first command to its last, on pictures instead of photographs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from photographs import SPECIES, take_photographs

from c2f_cli.main import run

PAGE = Path(__file__).parents[2] / "docs/tutorial.md"
# Words that make a command short without changing what it does.
SHORTER = {
    "calibrate": ("--points", "3", "--epochs", "1", "--images", "test"),
    "train": ("--stage1-epochs", "1", "--stage2-epochs", "1", "--dim", "16"),
}


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[tuple[str, ...]]:
    lines = "".join(blocks("sh")).replace("\\\n", "").splitlines()
    assert all(line.startswith("c2f ") for line in lines)
    return [tuple(shlex.split(line, comments=True)[1:]) for line in lines]


def walk(place: Path, photographs: int, shorter: dict[str, tuple[str, ...]]) -> list[int]:
    """Every command of the page in a folder; the exit codes."""
    take_photographs(place / "photos", photographs)
    take_photographs(place / "more", 1, first=1000)
    (place / "new").mkdir()
    for name in (SPECIES[0], SPECIES[-1]):
        (place / "more" / name / "IMG_1000.jpg").rename(place / "new" / f"{name}.jpg")
    codes = []
    for words in commands():
        codes.append(run([*words, *shorter.get(words[0], ())]))
        if "--from-folder" in words:
            draft = (place / "classes.csv").read_text(encoding="utf-8")
            assert all(name in draft for name in SPECIES)
            (place / "classes.csv").write_text(blocks("csv")[0], encoding="utf-8")
    return codes


def test_the_table_is_of_the_pictures() -> None:
    rows = blocks("csv")[0].splitlines()[1:]
    assert tuple(row.split(",")[-1] for row in rows) == SPECIES


def test_the_tutorial_in_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command as it is printed, and some further words; the calibration may find nothing."""
    monkeypatch.chdir(tmp_path)
    names = [words[0] for words in commands()]
    codes = walk(tmp_path, 4, SHORTER)
    assert codes.pop(names.index("calibrate")) in (0, 3)
    assert set(codes) == {0}, capsys.readouterr().err
    assert (tmp_path / "c2f_workspace/folder/report/report.html").is_file()
    found = capsys.readouterr().out
    told = json.loads(found[found.index('{\n  "model"') :])
    assert told["count"] == 2
    assert all(image["resolution"]["usable"] == 20 for image in told["images"])
    assert all(image["allowed"] == "genus" for image in told["images"])


@pytest.mark.slow
def test_the_tutorial_word_for_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The calibration finds the limits that the pictures were made with."""
    monkeypatch.chdir(tmp_path)
    codes = walk(tmp_path, 60, {})
    captured = capsys.readouterr()
    assert set(codes) == {0}, captured.err
    result = json.loads((tmp_path / "c2f_workspace/folder/calibration/result.json").read_text())
    levels = {level["name"]: level["resolution"] for level in result["levels"]}
    assert 20 <= levels["genus"] <= 60, captured.out
    assert 10 <= levels["family"] <= 30, captured.out
