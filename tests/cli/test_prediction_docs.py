"""The worked example of docs/prediction.md runs, and its table says what the rules give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_docs import snippet, table

from c2f_data.calibration import LevelResolution
from c2f_data.demo import demo_birds
from c2f_data.resample import ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_train.backbones import build_backbone
from c2f_train.checkpoint import ModelMeta, save_models
from c2f_train.model import build_model
from c2f_train.prediction.guarantee import fewest_answers

PAGE = "docs/prediction.md"
BIRDS = demo_birds()
DEMO = Taxonomy(
    "demo", ("family", "genus", "species"), tuple((b.family, b.genus, b.name) for b in BIRDS)
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """An untrained model of the demo, with the resolutions of the demo's calibration."""
    counts = [len(names) for names in DEMO.names]
    model = build_model(build_backbone("tiny", "none"), "multilinear", 8, counts, 0)
    sides = zip(DEMO.levels, counts, (25, 69, 256), strict=True)
    meta = ModelMeta(
        backbone="tiny",
        taps=model.backbone.taps,
        pooling="multilinear",
        dim=8,
        weights="from scratch",
        taxonomy="demo",
        levels=DEMO.levels,
        paths=DEMO.paths,
        trained=DEMO.levels,
        spec=ResampleSpec.for_input(32),
        resolutions=tuple(LevelResolution(*side, native=side[0] == "species") for side in sides),
        train_fingerprint="",
        folds=1,
        seed=0,
    )
    save_models(tmp_path / "model", [model], meta)
    return tmp_path


def test_the_sequence_that_is_printed(run: Path) -> None:
    """Which level a frame may name does not depend on the training; the answers do."""
    names: dict[str, Any] = {"run": run}
    exec(snippet("a-bird-comes-nearer", PAGE), names)
    steps, rows = names["steps"], table(PAGE, "| px |")
    assert [(str(s.resolution.native), s.allowed) for s in steps] == [row[:2] for row in rows]
    bird = next(b for b in BIRDS if b.class_id == 4)
    truth = (bird.family, bird.genus, bird.name)
    depths = []
    for row in rows:
        named = tuple(word.rsplit(" ", 1)[0] for word in row[2].split(" > "))
        assert named == truth[: len(named)]
        assert len(named) <= DEMO.levels.index(row[1]) + 1
        depths.append(len(named))
    assert depths == sorted(depths)
    assert (depths[0], depths[-1]) == (1, 3)


def test_the_numbers_of_answers_that_a_promise_needs() -> None:
    text = " ".join((Path(__file__).parents[2] / PAGE).read_text(encoding="utf-8").split())
    assert f"for 10 % at least {fewest_answers(0.1)} answers are needed" in text
    assert f"for 5 % {fewest_answers(0.05)}, all of them right" in text
