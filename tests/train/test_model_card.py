"""The card of a model: what it says, and that its code works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_checkpoint import META

from c2f_train.checkpoint import read_meta
from c2f_train.model_card import LOADING, card
from c2f_train.results import read_run

yaml = pytest.importorskip("yaml")


def test_the_card_of_a_run(whole: Path) -> None:
    text = (whole / "model" / "README.md").read_text()
    run = read_run(whole / "run.json")
    head = yaml.safe_load(text.split("---\n")[1])
    assert "license" not in head
    (result,) = head["model-index"][0]["results"]
    assert [m["value"] for m in result["metrics"]] == [round(t.accuracy, 4) for t in run.test]
    for level in run.test:
        assert f"| {level.accuracy:.1%} | {level.low:.1%} to {level.high:.1%} |" in text
    assert "Trained on 16 images of striped" in text
    assert "Below 24 px of the shorter side the species" in text
    assert "Below 8 px of the shorter side the genus" in text
    assert f"| dim | {run.config.dim} |" in text


def test_nothing_of_the_machine_is_passed_on(whole: Path) -> None:
    for name in ("README.md", "model.json"):
        assert str(whole.parent) not in (whole / "model" / name).read_text()


def test_a_model_json_without_the_later_fields_has_a_card() -> None:
    text = card(replace(META, resolutions=()))
    assert "None is stored with this model." in text
    assert "model-index" not in text


def test_what_an_image_has_to_be_cut_to_is_said(whole: Path) -> None:
    assert "It was trained on whole images." in (whole / "model" / "README.md").read_text()
    assert "was not recorded" in card(META)
    boxes, parts = (card(replace(META, crop=crop)) for crop in ("bbox", "parts"))
    assert "trained on images cut to their bounding boxes.** Cut an image to its object" in boxes
    assert "is that of images cut to their bounding boxes." in boxes.split("## Limits")[1]
    assert "trained on images cut to boxes around their visible parts" in parts


def test_its_lines_load_the_model(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    assert LOADING in (whole / "model" / "README.md").read_text()
    exec(LOADING.replace("MODEL_FOLDER", str(whole / "model")), {})
    family, genus, species = eval(capsys.readouterr().out)
    names = read_meta(whole / "model").hierarchy().names
    assert (family in names[0], genus in names[1], species in names[2]) == (True, True, True)


def test_names_stay_text() -> None:
    sly = replace(META, dataset="<script>*x*\n---\nlicense: mit", trained=("species",))
    text = card(replace(sly, train_images=3))
    assert "<script>" not in text.split("---\n", 2)[2]
    assert "license" not in yaml.safe_load(text.split("---\n")[1])
    assert "The classifiers of family, genus were not trained." in text
