"""``c2f inspect``: what is in shards, and one image as PNG."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from birds import CommandLine, one_line_error
from PIL import Image

from c2f_data.shards.reader import ShardReader


@pytest.fixture
def shards(c2f: CommandLine, images: Path) -> Path:
    source = ("--dataset", "folder", "--root", images, "--taxonomy", images / "taxonomy.csv")
    assert c2f("shard", *source, "--med", 20, "--low", 10, "--jobs", 1).code == 0
    return c2f.workspace / "folder" / "shards"


def test_the_current_data_sets_shards(c2f: CommandLine, shards: Path) -> None:
    answer = c2f("inspect")
    assert answer.code == 0, answer.err
    for said in ("c2f-shard, version 2", "folder", "32 train", "16 test", "layout", "encoded"):
        assert said in answer.out
    (genus,) = [line.split() for line in answer.out.splitlines() if line.strip()[:5] == "genus"]
    assert genus[:5] == ["genus", "20", "px", "20", "webp-lossless"]
    assert genus[5] == "48"
    assert genus[-4:] == ["2", "0", "to", "1"]
    assert "against manifest.json" in answer.out


def test_json_of_one_shard_without_a_manifest(
    c2f: CommandLine, shards: Path, tmp_path: Path
) -> None:
    name = sorted(shards.glob("test-*.h5"))[0]
    copy = shutil.copy(name, tmp_path / "alone.h5")
    found = c2f("inspect", copy, "--json").json
    listed = c2f("inspect", name, "--json").json
    assert (found["listed"], listed["listed"]) == (False, True)
    same = found.keys() - {"path", "listed"}
    assert {key: found[key] for key in same} == {key: listed[key] for key in same}
    assert found["levels"][1]["resolution"] == 20
    assert "alone: no manifest lists it" in c2f("inspect", copy).out


@pytest.mark.parametrize("level", [None, "genus", "family"])
def test_an_image_is_saved_as_png(
    c2f: CommandLine, shards: Path, tmp_path: Path, level: str | None
) -> None:
    reader = ShardReader(shards)
    target = tmp_path / "out" / "bird.png"
    words = ("--level", level) if level else ()
    by_id = reader.image_ids("test")[2]
    for image in (by_id, 2 if reader.splits[0] == "test" else 34):
        answer = c2f(
            *("inspect", shards, "--image", image, *words, "--save", target, "--overwrite")
        )
        assert answer.code == 0, answer.err
        assert by_id in answer.out
        with Image.open(target) as saved:
            assert saved.format == "PNG"
            np.testing.assert_array_equal(
                np.asarray(saved), reader.pixels("test", 2, level or "species")
            )
        assert [path.name for path in target.parent.iterdir()] == ["bird.png"]


def test_a_file_is_not_overwritten(c2f: CommandLine, shards: Path, tmp_path: Path) -> None:
    target = tmp_path / "bird.png"
    target.write_text("mine")
    answer = c2f("inspect", shards, "--image", 0, "--save", target)
    assert answer.code == 1
    assert "bird.png: there already" in one_line_error(answer)
    assert target.read_text() == "mine"


def test_an_image_in_words_and_as_json(c2f: CommandLine, shards: Path) -> None:
    answer = c2f("inspect", shards, "--image", 0)
    assert answer.code == 0
    assert "species: " in answer.out
    found = c2f("inspect", shards, "--image", 0, "--json").json
    assert found["saved"] is None
    assert [picture["level"] for picture in found["pictures"]] == ["family", "genus", "species"]
    assert [picture["height"] for picture in found["pictures"]] == [10, 20, 48]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "99"), "no image '99'"),
        (("--image", "0", "--level", "order", "--save", "a.png"), "no level 'order'"),
        (("--image", "0", "--save", "a.jpg"), "not a .png file"),
        (("--save", "a.png"), "--save without --image"),
        (("--level", "genus"), "--level without --image"),
    ],
)
def test_what_can_not_be_shown(
    c2f: CommandLine, shards: Path, words: tuple[str, ...], said: str
) -> None:
    answer = c2f("inspect", shards, *words)
    assert answer.code == 1
    assert said in one_line_error(answer)
    assert not Path("a.png").exists()


def test_files_that_are_no_shards(c2f: CommandLine, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    for path in (tmp_path / "text.h5", tmp_path / "absent.h5", tmp_path, shards / "manifest.json"):
        answer = c2f("inspect", path)
        assert answer.code == 1, path
        assert path.name in one_line_error(answer)


def test_before_there_are_shards(c2f: CommandLine) -> None:
    assert "no data set" in one_line_error(c2f("inspect"))
