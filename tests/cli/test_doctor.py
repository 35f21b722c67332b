"""``c2f doctor``: the environment, and the check-up of a data set."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from birds import TABLE, CommandLine, make_folder
from PIL import Image

from c2f_data.checkup import CheckUp
from c2f_data.decode import Decoded, decode_bytes


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """48 different pictures with enough detail, in class folders."""
    root = make_folder(tmp_path / "images", train=10, test=10)
    random = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        pixels = random.integers(0, 256, (20, 26, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((104, 80), Image.Resampling.BICUBIC).save(path)
    return root


def examine(c2f: CommandLine, root: Path, *more: object):  # type: ignore[no-untyped-def]
    return c2f("doctor", "--dataset", "folder", "--root", root, *more)


def plain(text: str) -> str:
    """Without the line breaks."""
    return " ".join(text.split())


def test_without_a_data_set_the_environment(c2f: CommandLine) -> None:
    answer = c2f("doctor", "--json")
    assert answer.code == 0
    assert set(answer.json) >= {"versions", "machine", "device", "data", "weights", "workspace"}
    answer = c2f("doctor")
    assert "versions:\n  python: " in answer.out
    assert not c2f.workspace.exists()


@pytest.mark.parametrize("words", [("--root", "."), ("--jobs", "2"), ("--crop", "bbox")])
def test_a_root_without_a_data_set_is_a_usage_error(c2f: CommandLine, words: tuple[str]) -> None:
    answer = c2f("doctor", *words)
    assert answer.code == 2
    assert f"{words[0]} is about a data set" in answer.err


def test_a_sound_data_set(c2f: CommandLine, birds: Path) -> None:
    answer = examine(c2f, birds)
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"folder: class folders, {birds}\n80 images: 40 train, 40 test")
    assert "Problems" not in answer.out
    assert "shorter side: 80 to 80 px" in answer.out
    assert "27 resolutions from 7" in answer.out
    assert answer.err.endswith(f"Next: c2f calibrate --dataset folder --root {birds}\n")
    assert not c2f.workspace.exists()


def test_json_is_the_whole_check_up(c2f: CommandLine, birds: Path) -> None:
    (birds / "train" / "red_dot" / "000.png").write_bytes(b"broken")
    answer = examine(c2f, birds, "--json", "--jobs", 1)
    assert answer.code == 1
    found = answer.json
    assert (found["opened"], found["sound"]) == (True, False)
    assert set(CheckUp.__slots__) <= set(found)
    assert found["findings"][0]["topic"] == "unreadable"
    assert found["findings"][0]["severity"] == "problem"
    assert found["unreadable"] == [{"image_id": "train/red_dot/000.png", "reason": "not an image"}]
    assert len(found["counts"]["per_class"]) == 4


def test_problems_come_first_with_what_to_do(c2f: CommandLine, birds: Path) -> None:
    for i in range(5):
        (birds / "test" / "blue_bar" / f"00{i}.png").write_bytes(b"")
    source = birds / "train" / "red_dot" / "003.png"
    (birds / "test" / "blue_dot" / "004.png").write_bytes(source.read_bytes())
    answer = examine(c2f, birds)
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[3] == "Problems"
    assert lines[4] == "- 5 images of 80 can't be read"
    assert "    and 2 more (--json lists all)" in lines
    assert "1 test image (2.5%) with the picture of a training image" in plain(answer.out)
    assert "train/red_dot/003.png (train) = test/blue_dot/004.png (test)" in plain(answer.out)
    assert answer.out.index("Problems") < answer.out.index("Facts")
    assert "correct the problems" in answer.err


@pytest.mark.parametrize("width", [60, 80])
def test_the_text_fits_the_terminal(
    c2f: CommandLine, birds: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    (birds / "train" / "red_dot" / "000.png").write_bytes(b"broken")
    lines = examine(c2f, birds).out.splitlines()
    # Paths are not broken: the first line names the folder.
    assert all(len(line) <= width for line in lines[1:]), max(lines[1:], key=len)


def test_a_warning_leaves_the_exit_code_at_0(c2f: CommandLine, birds: Path) -> None:
    source = birds / "train" / "red_dot" / "003.png"
    (birds / "train" / "red_dot" / "004.png").write_bytes(source.read_bytes())
    answer = examine(c2f, birds)
    assert answer.code == 0
    assert "Warnings\n- 1 image too many: repeated within a split" in answer.out


def test_a_data_set_that_can_not_be_opened_is_the_finding(
    c2f: CommandLine, birds: Path, tmp_path: Path
) -> None:
    answer = c2f("doctor", "--dataset", "cub", "--root", tmp_path / "nowhere")
    assert answer.code == 1
    assert "nowhere: no such folder" in plain(answer.out)
    assert "Traceback" not in answer.err
    (birds / "taxonomy.csv").write_text(TABLE.replace("red_dot", "red_dog"), encoding="utf-8")
    answer = examine(c2f, birds, "--json")
    assert answer.code == 1
    assert (answer.json["opened"], answer.json["sound"]) == (False, False)
    (finding,) = answer.json["findings"]
    assert finding["topic"] == "open"
    assert "red_dot" in finding["message"]
    assert finding["hint"]


def test_the_next_command_repeats_what_was_said(c2f: CommandLine, birds: Path) -> None:
    table = birds / "my table.csv"
    (birds / "taxonomy.csv").rename(table)
    with table.open("a", encoding="utf-8") as file:
        file.write("BirdsG,gre,green_dot\n")
    answer = examine(c2f, birds, "--taxonomy", table, "--allow-partial")
    assert answer.code == 0, answer.out
    assert f"--root {birds} --taxonomy '{table}' --allow-partial\n" in answer.err


def test_real_photographs(c2f: CommandLine, shared: Path) -> None:
    root = shared / "data" / "cub20" / "CUB_200_2011"
    answer = c2f("doctor", "--dataset", "cub", "--root", root, "--json")
    assert answer.code == 0
    found = answer.json
    assert found["counts"]["official"] == {"classes": 200, "train": 5994, "test": 5794}
    assert (found["counts"]["train"], found["counts"]["test"]) == (600, 530)
    pairs = [group["images"] for group in found["duplicates"]["groups"]]
    assert [[name.split("/")[1] for name in pair] for pair in pairs] == [
        ["Bronzed_Cowbird_0025_796213.jpg", "Bronzed_Cowbird_0074_24045.jpg"],
        ["Laysan_Albatross_0065_809.jpg", "Laysan_Albatross_0096_673.jpg"],
    ]
    assert found["duplicates"]["leaked"] == 1
    assert "imagenet" in {finding["topic"] for finding in found["findings"]}
    assert found["colours"][0]["verdict"] == "as photographed"
    assert found["sweep"]["cap"] == 352


def test_an_interrupt_is_one_line(
    c2f: CommandLine, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def decode(data: bytes, name: str, box: object) -> Decoded:
        decoded.append(name)
        if len(decoded) == 5:
            _thread.interrupt_main()
        time.sleep(0.05)
        return decode_bytes(data, name)

    monkeypatch.setattr("c2f_data.checkup.scan.decode_bytes", decode)
    before = threading.active_count()
    # A shell's background jobs, and so their tests, ignore Ctrl-C unless told otherwise.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = examine(c2f, birds, "--jobs", 2)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert answer.code == 130
    assert answer.out == ""
    assert answer.err.splitlines()[-1].startswith("Interrupted.")
    assert "Traceback" not in answer.err
    assert len(decoded) < 20  # the threads have not read on
    assert threading.active_count() == before
