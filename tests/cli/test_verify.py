"""`c2f verify`: what it prints, its exit codes, and the repair as a user meets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from birds import CommandLine, make_folder, one_line_error

from c2f_data.shards.manifest import read_manifest


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "images", train=4, test=2)


@pytest.fixture
def shards(c2f: CommandLine, images: Path) -> Path:
    source = ("--dataset", "folder", "--root", images)
    answer = c2f("shard", *source, "--med", "24", "--low", "12", "--jobs", "1", "--json")
    assert answer.code == 0, answer.err
    return Path(answer.json["folder"])


def damage(shards: Path) -> tuple[str, str]:
    """Names of a shard with a flipped byte and of one that is gone."""
    first, second = read_manifest(shards).shards[:2]
    data = bytearray((shards / first.file).read_bytes())
    data[first.payloads[0].offset] ^= 1
    (shards / first.file).write_bytes(data)
    (shards / second.file).unlink()
    return first.file, second.file


def test_all_is_well(c2f: CommandLine, shards: Path) -> None:
    answer = c2f("verify", "--images", "--sources", "--jobs", "1")
    assert (answer.code, answer.out) == (0, "no problems\n")
    found = c2f("verify", "--json").json
    assert (found["problems"], found["left"], found["extra"]) == ([], [], [])


def test_damage_is_named_and_repaired(c2f: CommandLine, shards: Path) -> None:
    flipped, gone = damage(shards)
    times = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.h5")}
    answer = c2f("verify")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{flipped}: its SHA-256 differs; 1 image (")
    assert lines[1] == f"{gone}: no such file"
    assert "c2f verify --repair" in answer.err

    mended = c2f("verify", "--repair", "--jobs", "1", "--json")
    assert mended.code == 0, mended.err
    assert [problem["file"] for problem in mended.json["problems"]] == [flipped, gone]
    assert mended.json["repaired"] == [flipped, gone]
    assert mended.json["left"] == []
    assert c2f("verify", "--images", "--sources", "--repair", "--jobs", "1").code == 0
    kept = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.h5")}
    assert {name for name in times if times[name] != kept[name]} == {flipped}


def test_a_changed_data_set_is_told_and_nothing_touched(
    c2f: CommandLine, shards: Path, images: Path
) -> None:
    flipped, _ = damage(shards)
    before = (shards / flipped).read_bytes()
    next((images / "train").rglob("*.png")).unlink()
    answer = c2f("verify")
    assert answer.code == 1
    assert "manifest.json: the data set in" in answer.out
    refused = c2f("verify", "--repair")
    assert refused.code == 1
    assert "nothing repaired" in one_line_error(refused)
    assert (shards / flipped).read_bytes() == before


def test_shards_without_their_images(c2f: CommandLine, shards: Path, images: Path) -> None:
    shutil.rmtree(images)
    answer = c2f("verify", "--images", "--jobs", "1")
    assert (answer.code, answer.out) == (0, "no problems\n")
    assert "not looked at" in answer.err
    one_line_error(c2f("verify", "--sources"))
    one_line_error(c2f("verify", "--repair"))


def test_what_an_interrupted_build_left_is_a_note(c2f: CommandLine, shards: Path) -> None:
    (shards / ".tmp-00000000-x.h5").write_bytes(b"half")
    answer = c2f("verify")
    assert (answer.code, answer.out) == (0, "no problems\n")
    assert ".tmp-00000000-x.h5" in answer.err
    assert c2f("verify", "--json").json["extra"] == [".tmp-00000000-x.h5"]


def test_nothing_to_verify(c2f: CommandLine, shards: Path) -> None:
    (shards / "manifest.json").unlink()
    assert "manifest.json: no such file" in one_line_error(c2f("verify"))
