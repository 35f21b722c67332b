"""``c2f reproduce``: the table, the plan, and the annotated rows on a small CUB."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from birds import CommandLine, one_line_error
from safetensors.torch import save_file

from c2f_train.tiny import TinyVGG

BIRDS = {3: "003.Sooty_Albatross", 29: "029.American_Crow", 30: "030.Fish_Crow"}
SMALL = ("--backbone", "tiny", "--input-size", "32", "--dim", "8", "--stages", "1", "--seeds", "2")
SHORT = (*SMALL, "--stage1-epochs", "1", "--med", "16", "--low", "8", "--precision", "float32")


@pytest.fixture
def words(make_cub: Callable[..., Path], tmp_path: Path) -> tuple[object, ...]:
    root = make_cub(BIRDS)
    boxes = (f"{i} 2 3 20.5 15" for i in range(1, 10))
    (root / "bounding_boxes.txt").write_text("\n".join(boxes) + "\n", encoding="utf-8")
    weights = tmp_path / "trunk.safetensors"
    torch.manual_seed(0)
    save_file(TinyVGG().state_dict(), weights)
    return ("reproduce", "cub", "--root", root, "--weights", weights, *SHORT)


def test_from_images_to_the_table_beside_the_papers(
    c2f: CommandLine, words: tuple[object, ...]
) -> None:
    answer = c2f(*words, "--crop", "bbox")
    assert answer.code == 0, answer.err
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in answer.out.splitlines()
        if line.startswith("| ")
    ]
    table = {(row[0], row[1]): row for row in rows if len(row) == 8}
    assert table["MLPH", "genus"][2:4] == ["16 px", "2"]
    papers = {name: row[-1] for name, row in table.items() if row[-1]}
    assert papers == {
        ("system", "level"): "paper",
        ("Part-based R-CNN", "quoted"): "73.9",
        ("Part-based R-CNN, with annotations", "quoted"): "76.4",
        ("B-CNN", "species"): "84.1",
        ("KP", "species"): "86.2",
        ("HBP", "species"): "86.8",
        ("MLP", "species"): "87.0",
        ("MLPH", "species"): "87.3",
        ("MLPH", "genus"): "91.7",
        ("MLPH", "family"): "94.5",
        ("B-CNN, with bounding boxes", "species"): "85.1",
        ("CB-CNN, with bounding boxes", "species"): "84.6",
    }
    assert "within chance" in answer.out  # three test images can't tell systems apart
    assert "more than chance" not in answer.out
    pairs = [row[:2] for row in rows if len(row) == 7][1:]
    assert ["mlph-32px-stage1-seed0", "bcnn-32px-stage1-seed0, with bounding boxes"] in pairs
    assert answer.out.splitlines()[-1].startswith(
        "With bounding boxes or part locations, a run saw"
    )

    # The same file by another name is the same file.
    near = [os.path.relpath(word) if str(word).endswith(".safetensors") else word for word in words]
    again = c2f(*near, "--crop", "bbox", "--json")
    assert again.code == 0, again.err
    assert "Training" not in again.err
    assert again.json["dataset"] == "cub"
    assert len(again.json["rows"]) == 2 + 7 + 2 + 2
    assert again.json["provenance"]["command"]
    for folder, crop in (("cub", "none"), ("crop-bbox/cub", "bbox")):
        run = c2f.workspace / folder / "runs/bcnn-32px-stage1-seed0"
        for file in ("run.json", "model/model.json"):
            assert json.loads((run / file).read_text(encoding="utf-8"))["crop"] == crop


def test_a_dry_run_lists_the_steps_and_does_nothing(
    c2f: CommandLine, words: tuple[object, ...]
) -> None:
    answer = c2f(*words, "--dry-run")
    assert answer.code == 0, answer.err
    assert "chosen by hand: genus 16 px, family 8 px" in answer.out
    assert "To do: 13 of 14 steps" in answer.out
    plain = c2f(*words, "--dry-run", "--json")
    assert plain.json["dry_run"] is True
    assert [step["state"] for step in plain.json["steps"]].count("done") == 1
    assert not (c2f.workspace / "cub").exists()


def test_a_recipe_and_its_batch_size(c2f: CommandLine, words: tuple[object, ...]) -> None:
    short = (*words, "--models", "average", "--recipe", "modern", "--stage1-epochs", "1")
    planned = c2f(*short, "--dry-run", "--overwrite")
    assert planned.code == 0, planned.err
    assert "run average-32px-stage1-modern-seed0" in planned.out
    assert "overwrite" not in planned.out  # there is nothing to delete yet
    answer = c2f(*short)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("cub, stage 1, 32 px input, float32, recipe modern; ")
    stored = c2f.workspace / "cub/runs/average-32px-stage1-modern-seed0/config.json"
    config = json.loads(stored.read_text(encoding="utf-8"))
    assert (config["recipe"], config["batch_size"]) == ("modern", 32)
    again = c2f(*short, "--batch-size", "6", "--overwrite")
    assert again.code == 0, again.err
    assert f"Deleted: {stored.parent}" in again.err
    assert json.loads(stored.read_text(encoding="utf-8"))["batch_size"] == 6


def test_a_model_that_is_not_there(c2f: CommandLine, words: tuple[object, ...]) -> None:
    answer = c2f(*words, "--models", "hbp,resnet")
    assert answer.code == 1
    assert "no model 'resnet'" in one_line_error(answer)
