"""``c2f shard``: encodings, layouts, some classes, and what a dry run says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from birds import SPECIES, Answer, CommandLine, one_line_error

from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.reader import ShardReader

RESOLUTIONS = ("--med", 20, "--low", 10)


@pytest.fixture
def source(images: Path) -> tuple[object, ...]:
    taxonomy = images / "taxonomy.csv"
    return ("--dataset", "folder", "--root", images, "--taxonomy", taxonomy)


def shards(c2f: CommandLine) -> Path:
    return c2f.workspace / "folder" / "shards"


def fine(answer: Answer) -> Answer:
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.parametrize("encoding", ["webp", "raw", "png"])
def test_encodings_hold_the_same_pixels(
    c2f: CommandLine, source: tuple[object, ...], encoding: str
) -> None:
    plain = fine(c2f("shard", *source, *RESOLUTIONS, "--json"))
    assert (plain.json["layout"], plain.json["encoding"]) == ("encoded", "webp-lossless")
    before = ShardReader(shards(c2f))
    pixels = [before.pixels("test", i, "genus") for i in range(4)]
    found = fine(
        c2f("shard", *source, *RESOLUTIONS, "--encoding", encoding, "--overwrite", "--json")
    )
    assert found.json["encoding"].startswith(encoding)
    after = ShardReader(shards(c2f))
    for i in range(4):
        np.testing.assert_array_equal(after.pixels("test", i, "genus"), pixels[i])


def test_a_raw_layout_trains_to_the_same_model(
    c2f: CommandLine, source: tuple[object, ...]
) -> None:
    words = ("--backbone", "tiny", "--input-size", 32, "--dim", 16)
    words = (*words, "--stage1-epochs", 1, "--stage2-epochs", 1, "--batch-size", 16)
    models, tests = [], []
    for layout in ((), ("--layout", "raw", "--input-size", 32)):
        fine(c2f("shard", *source, *RESOLUTIONS, *layout, "--overwrite"))
        name = "raw" if layout else "encoded"
        tests.append(fine(c2f("train", *words, "--name", name, "--json")).json["test"])
        run = c2f.workspace / "folder" / "runs" / name
        models.append((run / "model" / "model.safetensors").read_bytes())
    assert read_manifest(shards(c2f)).plan.layout == "raw"
    assert tests[0] == tests[1]
    assert models[0] == models[1]

    other = c2f("train", *words, "--input-size", 48, "--name", "other")
    assert other.code == 1
    assert "shorter side 37 px" in one_line_error(other)
    assert "shorter side 55 px" in one_line_error(other)
    assert "c2f train --input-size 32 --fit shorter" in other.err
    assert "c2f shard --layout raw --input-size 48 --fit shorter --overwrite" in other.err
    assert not (c2f.workspace / "folder" / "runs" / "other").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--encoding", "png", "--layout", "raw"), "the raw layout with the encoding png"),
        (("--input-size", 32), "--input-size without --layout raw"),
        (("--fit", "squash"), "--fit without --layout raw"),
        (("--classes", "blau"), "'blau': no such class"),
        (("--classes", ","), "no class names"),
        (("--classes", "red_bar", "--resolution", "order=3"), "--resolution order=3"),
    ],
)
def test_words_that_do_not_go_together(
    c2f: CommandLine, source: tuple[object, ...], words: tuple[object, ...], said: str
) -> None:
    answer = c2f("shard", *source, *RESOLUTIONS, *words)
    assert answer.code == 1
    assert said in one_line_error(answer)
    assert not shards(c2f).exists()


def test_some_classes(c2f: CommandLine, source: tuple[object, ...], tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("# one genus and one species\nred\nBlue dot\n", encoding="utf-8")
    found = fine(c2f("shard", *source, *RESOLUTIONS, "--classes", file, "--json"))
    assert (found.json["species"], found.json["genera"], found.json["families"]) == (3, 2, 2)
    assert found.json["images"] == {"train": 24, "test": 12}
    kept = {path[-1] for path in read_manifest(shards(c2f)).classes}
    assert kept == {*SPECIES} - {"blue_bar"}
    # The data set's own hierarchy stays whole.
    table = (c2f.workspace / "folder" / "hierarchy.csv").read_text(encoding="utf-8")
    assert "blue_bar" in table
    trained = c2f(
        *("train", "--backbone", "tiny", "--input-size", 32, "--dim", 16),
        *("--stage1-epochs", 1, "--stage2-epochs", 0, "--json"),
    )
    assert [t["n"] for t in fine(trained).json["test"]] == [12, 12, 12]
    again = c2f("shard", *source, *RESOLUTIONS)
    assert again.code == 1
    assert "holds other shards" in one_line_error(again)


def test_near_matches_are_offered(c2f: CommandLine, source: tuple[object, ...]) -> None:
    answer = c2f("shard", *source, *RESOLUTIONS, "--classes", "bleu,red_dott")
    assert answer.code == 1
    assert "'bleu', 'red_dott'" in one_line_error(answer)
    near = answer.err.splitlines()[-1]
    assert "blu," in near
    assert "red_dot" in near


def test_a_dry_run_writes_nothing_and_tells_what_would_come(
    c2f: CommandLine, source: tuple[object, ...]
) -> None:
    found = fine(c2f("shard", *source, *RESOLUTIONS, "--dry-run", "--jobs", 2, "--json")).json
    assert not (c2f.workspace / "folder").exists()
    assert found["dry_run"] is True
    assert (found["r_med"], found["r_low"], found["species"]) == (20, 10, 4)
    assert [level["encoding"] for level in found["levels"]] == [
        *("webp-lossless", "webp-lossless", "source")
    ]
    built = fine(c2f("shard", *source, *RESOLUTIONS, "--jobs", 1, "--json")).json
    assert found["images"] == built["images"] == {"train": 32, "test": 16}
    assert sum(found["shards"].values()) == len(built["shards"])
    stored = sum(
        place.bytes for entry in read_manifest(shards(c2f)).shards for place in entry.payloads
    )
    assert found["bytes"] == sum(level["bytes"] for level in found["levels"])
    assert abs(found["bytes"] - stored) < 0.1 * stored
    assert found["source_bytes"] == found["levels"][-1]["bytes"]
    assert (found["sample"], found["jobs"]) == (16, 2)
    assert 0 < found["seconds"] < 60


def test_a_dry_run_in_words(c2f: CommandLine, source: tuple[object, ...]) -> None:
    raw = ("--layout", "raw", "--input-size", 32, "--classes", "red")
    answer = fine(c2f("shard", *source, *RESOLUTIONS, *raw, "--dry-run"))
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["family", "genus", "species"]
    # 37 x 43 pixels of 3 bytes, 24 images: by the layout, not by the source's size.
    assert lines[1].split() == ["genus", "1", "classes", "20", "px", "raw", "about", "115", "kB"]
    assert any(line.startswith("train: 16 images in ") for line in lines)
    assert "estimated from 16 images" in lines[-1]
