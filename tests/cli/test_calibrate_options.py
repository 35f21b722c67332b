"""What calibrate can be told besides the thresholds, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from birds import QUICK, SPECIES, Answer, CommandLine, one_line_error

WORDS = ("--images", "test", *QUICK, "--no-shards")

ENTRY = """
import torch

def red_or_blue(images):
    '''Two of four classes: knows colours, never shapes.'''
    mean = images.float().mean(dim=(2, 3))
    red = (mean[:, 0] > mean[:, 2]).float()
    return torch.stack([red, red * 0.5, 1 - red, (1 - red) * 0.5], dim=1) * 10
"""


@pytest.fixture
def source(images: Path) -> tuple[object, ...]:
    return ("calibrate", "--dataset", "folder", "--root", images)


@pytest.fixture
def own(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "own.py").write_text(ENTRY, encoding="utf-8")
    (tmp_path / "labels.txt").write_text("\n".join(SPECIES) + "\n", encoding="utf-8")
    labels = ("--labels", tmp_path / "labels.txt")
    return ("--classifier", f"{tmp_path / 'own.py'}:red_or_blue", "--input-size", 32, *labels)


def crossing(answer: Answer, level: str) -> dict[str, object]:
    assert answer.code in (0, 3), answer.err
    return next(c for c in answer.json["crossings"] if c["level"] == level)


def test_json_has_the_answer_its_interval_and_its_cost(
    c2f: CommandLine, source: tuple[object, ...]
) -> None:
    found = c2f(*source, *WORDS, "--t-med", 0.3, "--t-low", 0.3, "--floor", "--json")
    assert found.code in (0, 3), found.err
    for key in ("r_med", "r_low", "crossings", "images_evaluated", "sweep_images", "fraction",
                "stopped_sweep_images", "protocol", "floor", "search"):  # fmt: skip
        assert key in found.json
    species = crossing(found, "species")
    for key in ("resolution", "upper", "interval_low", "interval_high", "outcome", "confidence"):
        assert key in species
    assert found.json["fraction"] == found.json["images_evaluated"] / found.json["sweep_images"]
    assert found.json["search"] == "bisection"
    plain = c2f(*source, *WORDS, "--t-med", 0.3, "--t-low", 0.3, "--floor")
    assert "of the full sweep" in plain.err


def test_stored_predictions_answer_another_threshold_without_the_images(
    c2f: CommandLine, source: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    c2f(*source, *WORDS, "--full-curve")
    for place in ("open_dataset", "ensure_demo"):
        monkeypatch.setattr(f"c2f_cli.calibrate.{place}", lambda *_: 1 / 0)
    again = c2f("calibrate", "--from-predictions", "--t-med", 0.35, "--json")
    assert again.code in (0, 3), again.err
    assert crossing(again, "species")["threshold"] == 0.35
    assert again.json["images_evaluated"] == 0
    assert again.json["search"] == "stored predictions"
    assert again.json["floor"] is None
    floored = c2f("calibrate", "--from-predictions", "--t-med", 0.35, "--floor", "--json")
    assert floored.json["floor"]["level"] == "family"
    assert c2f("calibrate", "--from-predictions", "--threshold", "tribe=0.5").code == 1
    for words in (("--refine", 2), ("--images", "val"), ("--protocol", "retrained")):
        ignored = c2f("calibrate", "--from-predictions", *words)
        assert ignored.code == 2
        assert f"{words[0]} has no meaning with --from-predictions" in ignored.err


def test_nothing_stored_is_one_clear_line(c2f: CommandLine) -> None:
    answer = c2f("calibrate", "--dataset", "folder", "--from-predictions")
    assert answer.code == 1
    assert "result.json: no such file" in one_line_error(answer)


def test_a_degraded_reduction_reaches_the_shards(
    c2f: CommandLine, source: tuple[object, ...]
) -> None:
    degraded = ("--filter", "box", "--noise", 4, "--jpeg", 60)
    found = c2f(*source, *WORDS, *degraded, "--json")
    spec = found.json["protocol"]["spec"]
    assert (spec["filter"], spec["engine"], spec["noise"], spec["jpeg"]) == ("box", "pillow", 4, 60)
    assert c2f("shard", "--med", 20, "--low", 10).code == 0
    manifest = (c2f.workspace / "folder" / "shards" / "manifest.json").read_text(encoding="utf-8")
    assert '"filter": "box"' in manifest
    assert '"jpeg": 60' in manifest
    refused = c2f(*source, *WORDS, "--noise", 0.1)
    assert refused.code == 1
    assert "noise of 0.1 grey levels" in one_line_error(refused)


def test_a_camera_makes_distances_of_resolutions(
    c2f: CommandLine, source: tuple[object, ...]
) -> None:
    camera = ("--camera", 1000, "--object", 0.2)
    words = (*source, *WORDS, "--t-med", 0.3, "--t-low", 0.3, *camera)
    found = c2f(*words, "--json")
    for level, distance in found.json["distances"].items():
        told_at = crossing(found, level)["upper"] or crossing(found, level)["resolution"]
        assert distance == pytest.approx(1000 * 0.2 / float(str(told_at)))
    assert c2f(*source, *WORDS, "--camera", 1000).code == 2


def test_a_classifier_of_ones_own_is_measured_without_training(
    c2f: CommandLine, source: tuple[object, ...], own: tuple[object, ...]
) -> None:
    found = c2f(*source, "--images", "test", "--no-shards", "--points", 6, *own, "--json")
    assert found.json["native_accuracy"] == {"family": 1.0, "genus": 1.0, "species": 0.5}
    assert found.json["protocol"]["genus_accuracy"] == "rolled-up"
    assert "Training" not in found.err
    assert not list((c2f.workspace / "folder" / "calibration").glob("*/classifier*"))
    relative = c2f(
        *source, "--images", "test", "--no-shards", "--points", 6, *own, "--relative", "--json"
    )
    assert crossing(relative, "species")["outcome"] == "never below"
    # On training images it may only repeat what it has learnt; nothing says that it has not.
    val = c2f(*source, "--no-shards", "--points", 6, *own)
    assert "may have been trained on the measured images" in val.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--classifier", "own.py:absent"), 1, "own.py"),
        (
            ("--classifier", "finetune", "--closed-set"),
            1,
            "--closed-set with --classifier finetune",
        ),
        (("--classifier", "absent.onnx"), 1, "absent.onnx"),
        (("--protocol", "retrained", "--genus-train", "med"), 1, "trained on I_med anyway"),
        (("--confidence", "1.5"), 2, "--confidence"),
    ],
)
def test_options_that_make_no_sense(
    c2f: CommandLine,
    source: tuple[object, ...],
    own: tuple[object, ...],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    answer = c2f(*source, *WORDS, *words)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
