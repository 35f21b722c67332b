"""``c2f predict``: files, folders, stdin; lines, CSV and JSON; what can't be read is skipped."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from birds import CommandLine, one_line_error, train_workspace

from c2f_cli.predict_images import is_image, named_images
from c2f_data.artefacts import to_plain
from c2f_train.predict import Prediction, Predictor


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a finished run, and its images beside it."""
    return train_workspace(tmp_path_factory.mktemp("trained"), ("--name", "one"))


@pytest.fixture
def c2f(c2f: CommandLine, trained: Path) -> CommandLine:
    """The command line in a copy of that workspace."""
    shutil.copytree(trained, c2f.workspace)
    return c2f


@pytest.fixture
def photos(trained: Path, tmp_path: Path) -> Path:
    """Seven images in folders, a text file and a hidden image."""
    photos = tmp_path / "photos"
    shutil.copytree(trained.parent / "images" / "test", photos)
    (photos / "red_dot" / "notes.txt").write_text("no image", encoding="utf-8")
    shutil.copy(photos / "red_dot" / "000.png", photos / "._hidden.png")
    return photos


@dataclass
class Stdin:
    """Stands in for sys.stdin."""

    buffer: io.BufferedReader


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(io.BufferedReader(io.BytesIO(data))))


def predictor(c2f: CommandLine) -> Predictor:
    return Predictor.load(c2f.workspace / "folder" / "runs" / "one")


def answers_of(c2f: CommandLine, images: list[Path]) -> list[Prediction]:
    return list(predictor(c2f).predict(images))


def test_json_is_what_the_python_interface_says(c2f: CommandLine, photos: Path) -> None:
    answer = c2f("predict", photos, "--json")
    assert answer.code == 0, answer.err
    files = sorted(photos.rglob("0*.png"))
    assert (answer.json["count"], answer.json["complete"]) == (len(files), True)
    assert answer.json["failed"] == []
    assert [image["image"] for image in answer.json["images"]] == [str(f) for f in files]
    plain = json.loads(json.dumps(to_plain(answers_of(c2f, files))))
    assert answer.json["images"] == plain
    assert [level["name"] for level in answer.json["levels"]] == ["family", "genus", "species"]


def test_csv_has_columns_for_every_level(c2f: CommandLine, photos: Path) -> None:
    answer = c2f("predict", photos, "--csv", "--confidence", "0.2", "--top-k", "2")
    assert answer.code == 0, answer.err
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    files = sorted(photos.rglob("0*.png"))
    own = Predictor.load(c2f.workspace / "folder" / "runs" / "one", confidence=0.2)
    for row, prediction in zip(rows, own.predict(files, top_k=2), strict=True):
        assert row["image"] == prediction.image
        for node in prediction.path:
            assert row[node.level] == node.name
            assert float(row[f"{node.level}_confidence"]) == pytest.approx(
                node.confidence, abs=1e-6
            )
        for level in prediction.levels:
            assert row[f"{level.level}_top"].count(";") == len(level.top) - 1
        named = prediction.answer
        assert named is not None
        assert (row["level"], row["answer"]) == (named.level, named.name)
        assert (row["stop"], row["why"]) == (prediction.stop, prediction.why)


def test_lines_for_people_are_on_stdout_and_the_rest_is_not(c2f: CommandLine, photos: Path) -> None:
    image = photos / "red_dot" / "000.png"
    answer = c2f("predict", image, "--confidence", "0.01")
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"{image} (48 px): Birds")
    assert answer.out.count(" > ") == 2
    assert "Model: " in answer.err
    assert "no promise" in answer.err
    low = c2f("predict", image, "--resolution", "12", "--confidence", "0.01", "--quiet")
    assert low.err == ""
    assert "12 px of 48" in low.out
    assert "no species: that takes 24 px, and 12 px are usable" in low.out


def test_a_model_of_cut_images_says_so_once(c2f: CommandLine, photos: Path) -> None:
    plain = c2f("predict", photos, "--json", "--quiet")
    assert (plain.err, plain.json["crop"], plain.json["warnings"]) == ("", "none", [])
    path = c2f.workspace / "folder" / "runs" / "one" / "model" / "model.json"
    meta = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(meta | {"crop": "bbox"}), encoding="utf-8")
    cut = c2f("predict", photos, "--json", "--quiet")
    (warning,) = predictor(c2f).warnings
    assert cut.err == f"Warning: {warning}\n"
    assert "images cut to their bounding boxes; whole images are out of" in warning
    assert (cut.json["crop"], cut.json["warnings"]) == ("bbox", [warning])
    assert cut.json["images"] == plain.json["images"]


def test_what_can_not_be_read_is_skipped_and_the_code_is_1(
    c2f: CommandLine, photos: Path, tmp_path: Path
) -> None:
    (photos / "red_bar" / "000.png").write_bytes(b"damaged")
    answer = c2f("predict", photos, tmp_path / "absent.jpg", "--json")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    failed = [each["image"] for each in answer.json["failed"]]
    assert failed == [str(photos / "red_bar" / "000.png"), str(tmp_path / "absent.jpg")]
    assert answer.json["count"] == 7
    assert answer.json["complete"] is True
    assert "2 of 9 images could not be read" in answer.err


def test_stdin_is_an_image_or_a_list(
    c2f: CommandLine, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photos / "red_dot" / "000.png"
    pipe(monkeypatch, image.read_bytes())
    one = c2f("predict", "-", "--json")
    assert one.code == 0, one.err
    (named,) = c2f("predict", image, "--json").json["images"]
    (piped,) = one.json["images"]
    assert piped == {**named, "image": "image 1"}
    files = sorted(photos.rglob("0*.png"))
    pipe(monkeypatch, "\n".join(map(str, files)).encode() + b"\r\n\n")
    several = c2f("predict", "-", "--json")
    assert [each["image"] for each in several.json["images"]] == [str(f) for f in files]
    pipe(monkeypatch, b"")
    assert "zero bytes" in one_line_error(c2f("predict", "-"))


def test_images_are_told_from_lists_by_their_first_bytes(photos: Path) -> None:
    from PIL import Image

    picture = Image.open(photos / "red_dot" / "000.png")
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        assert is_image(buffer.getvalue()[:4096]), kind
    text = "Vögel/Zaunkönig.jpg\n".encode() * 400
    for cut in range(4090, 4099):
        assert not is_image(text[:cut])
    assert is_image("Vögel".encode("latin-1"))


def test_folders_are_walked_in_order_and_links_are_not_followed(photos: Path) -> None:
    (photos / "loop").symlink_to(photos)
    found = [path for path in named_images([str(photos)]) if isinstance(path, Path)]
    assert found == sorted(photos.rglob("0*.png"))


def test_the_model_is_named_by_run_or_folder(
    c2f: CommandLine, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photos / "red_dot" / "000.png"
    run = c2f.workspace / "folder" / "runs" / "one"
    first = c2f("predict", image, "--model", "one", "--csv")
    assert first.code == 0, first.err
    for word in ("--model", "--run"):
        for folder in (run, run / "model"):
            assert c2f("predict", image, word, folder, "--csv").out == first.out
    absent = c2f("predict", image, "--model", "absent")
    assert "no finished run 'absent'" in one_line_error(absent)
    assert "Finished: one." in absent.err
    shutil.copytree(run / "model", tmp_path / "passed_on")
    monkeypatch.chdir(tmp_path)
    here = c2f("predict", image, "--model", "passed_on")
    assert "no run of that name" in one_line_error(here)
    assert "./passed_on" in here.err
    shutil.rmtree(run)
    assert "no finished run" in one_line_error(c2f("predict", image))


def test_what_has_no_meaning_is_refused(c2f: CommandLine, photos: Path, tmp_path: Path) -> None:
    image = photos / "red_dot" / "000.png"
    assert c2f("predict").code == 2
    for words in (
        ("--confidence", "1"),
        ("--confidence", "0"),
        ("--resolution", "0"),
        ("--top-k", "0"),
        ("--batch-size", "0"),
        ("--csv", "--json"),
    ):
        assert c2f("predict", image, *words).code == 2, words
    (tmp_path / "empty").mkdir()
    assert "no images" in one_line_error(c2f("predict", tmp_path / "empty"))


def test_ctrl_c_ends_with_130_and_json_that_is_whole(
    c2f: CommandLine, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Predictor._answers
    calls = 0

    def interrupted(self: Predictor, *rest: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise KeyboardInterrupt
        return once(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Predictor, "_answers", interrupted)
    answer = c2f("predict", photos, "--batch-size", "2", "--json")
    assert answer.code == 130
    assert (answer.json["count"], answer.json["complete"]) == (4, False)


def test_a_prediction_writes_nothing(c2f: CommandLine, photos: Path, tmp_path: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in c2f.workspace.rglob("*"))
    c2f("predict", photos)
    assert before == sorted((p, p.stat().st_mtime_ns) for p in c2f.workspace.rglob("*"))


def test_frames_of_a_folder_are_fused_in_the_order_of_names(
    c2f: CommandLine, photos: Path, tmp_path: Path
) -> None:
    from PIL import Image

    picture = Image.open(photos / "red_dot" / "000.png")
    for number, side in enumerate((8, 16, 40)):
        (tmp_path / "near").mkdir(exist_ok=True)
        frame = picture.resize((side, side))
        frame.save(tmp_path / "near" / f"{number}.png")
    (tmp_path / "near" / "3.png").write_bytes(b"damaged")
    answer = c2f("predict", "--sequence", tmp_path / "near", "--json", "--confidence", "0.01")
    assert answer.code == 1
    assert answer.json["sequence"] is True
    own = Predictor.load(c2f.workspace / "folder" / "runs" / "one", confidence=0.01)
    files = [tmp_path / "near" / f"{number}.png" for number in range(3)]
    wanted = json.loads(json.dumps([to_plain(step) for step in own.sequence(files)]))
    assert answer.json["images"] == wanted
    assert [len(step["path"]) for step in wanted] == [1, 2, 3]
    both = c2f("predict", "--sequence", tmp_path / "near", "--resolution", "9")
    assert both.code == 2
