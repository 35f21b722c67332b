"""A data set of a few dozen small images, and the command line run inside the test's process."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from c2f_cli.main import run
from c2f_data.calibration import read_result, write_result
from c2f_data.curve import Outcome

SPECIES = ("red_dot", "red_bar", "blue_dot", "blue_bar")
TABLE = "family,genus,species\n" + "".join(f"Birds{s[0].upper()},{s[:3]},{s}\n" for s in SPECIES)
# Quick settings: a trained tiny network on 32 px is enough to go through every step.
QUICK = ("--backbone", "tiny", "--input-size", "32", "--epochs", "2", "--points", "4")


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """``c2f`` in one workspace."""

    def __init__(self, workspace: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.workspace = workspace
        self._capture = capture

    def __call__(self, *words: object) -> Answer:
        self._capture.readouterr()
        # A download knows no workspace.
        place = () if words[:1] == ("fetch",) else ("--workspace", str(self.workspace))
        code = run([*map(str, words), *place])
        text = self._capture.readouterr()
        return Answer(code, text.out, text.err)


def draw(species: str, index: int) -> Image.Image:
    """A red or blue square with a dot or a bar on noise: easy at full size."""
    random = np.random.default_rng([SPECIES.index(species), index])
    pixels = random.integers(90, 140, (48, 56, 3), dtype=np.uint8)
    colour = 0 if species.startswith("red") else 2
    pixels[8:40, 8:40, colour] = 250
    if species.endswith("dot"):
        pixels[20:28, 20:28] = 0
    else:
        pixels[22:25, 8:40] = 0
    return Image.fromarray(pixels)


def make_folder(root: Path, train: int = 8, test: int = 4) -> Path:
    """Class folders under train/ and test/, and a taxonomy.csv beside them."""
    for species in SPECIES:
        for split, count in (("train", train), ("test", test)):
            folder = root / split / species
            folder.mkdir(parents=True)
            for i in range(count):
                draw(species, i + (1000 if split == "test" else 0)).save(folder / f"{i:03d}.png")
    (root / "taxonomy.csv").write_text(TABLE, encoding="utf-8")
    return root


def one_line_error(answer: Answer) -> str:
    """The error: one line that says what is wrong, one that says what to do, no traceback."""
    lines = answer.err.strip().splitlines()
    assert "Traceback" not in answer.err
    position = next(i for i, line in enumerate(lines) if line.startswith("Error: "))
    assert len(lines) == position + 2, answer.err
    assert lines[position + 1].startswith("  ")
    return lines[position]


def train_workspace(folder: Path, *runs: tuple[str, ...]) -> Path:
    """A workspace in a folder, with shards of its images and a finished training for each run.

    Args:
        runs: further words of each ``c2f train``, its ``--name`` among them.
    """
    images, workspace = make_folder(folder / "images", train=3, test=2), folder / "ws"
    tiny = ("--backbone", "tiny", "--weights", "none", "--input-size", "32", "--dim", "8")
    short = ("--stage1-epochs", "1", "--stage2-epochs", "0")
    lines = [
        ("shard", "--dataset", "folder", "--root", str(images), "--med", "24", "--low", "12"),
        *(("train", *tiny, *short, *words) for words in runs),
    ]
    for line in lines:
        assert run([*line, "--workspace", str(workspace)]) == 0
    return workspace


def finished_work(folder: Path) -> Path:
    """A folder with images/ and c2f_workspace/: calibrated, sharded, two runs, evaluated."""
    images, place = make_folder(folder / "images"), ("--workspace", str(folder / "c2f_workspace"))
    calibrate = ("calibrate", "--dataset", "folder", "--root", str(images), "--images", "test")
    small = ("--dim", "8", "--stage1-epochs", "1", "--stage2-epochs", "1")
    lines = [
        (*calibrate, *QUICK, "--full-curve", "--no-shards"),
        ("shard",),
        ("train", *small, "--name", "hbp", "--model", "hbp"),
        ("train", *small),
        ("evaluate", "--compare", "hbp"),
    ]
    for line in lines:
        assert run([*line, *place]) in (0, 3), line
        if line[0] == "calibrate":
            _answer(folder / "c2f_workspace/folder/calibration/result.json")
    return folder


def _answer(path: Path) -> None:
    """Give a calibration answers; on those of the small network nothing can be built."""
    resolutions = {"family": 12, "genus": 17}  # of the grid 37, 25, 17, 12
    result = read_result(path)
    levels = tuple(
        replace(level, resolution=resolutions.get(level.name, level.resolution))
        for level in result.levels
    )
    crossings = tuple(
        replace(
            crossing,
            outcome=Outcome.CROSSED,
            resolution=resolutions[crossing.next_level],
            upper={12: 17, 17: 25}[resolutions[crossing.next_level]],
            largest_threshold=None,
        )
        for crossing in result.crossings
    )
    write_result(path, replace(result, levels=levels, crossings=crossings))
