"""From a folder of images to a report, through the commands of the README."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from birds import QUICK, CommandLine, make_folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("chain") / "images", train=8, test=4)


def test_calibrate_shard_train_report(c2f: CommandLine, chain: Path) -> None:
    source = ("--dataset", "folder", "--root", chain)
    found = c2f("calibrate", *source, "--images", "test", *QUICK, "--no-shards", "--json")
    assert found.code in (0, 3), found.err
    levels = found.json["levels"]
    assert [(level["name"], level["count"]) for level in levels] == [
        ("family", 2),
        ("genus", 2),
        ("species", 4),
    ]
    assert found.json["n"] == 16
    assert found.json["species"] == 4

    sharded = c2f("shard", "--med", "24", "--low", "12", "--json")
    assert sharded.code == 0, sharded.err
    assert (sharded.json["r_med"], sharded.json["r_low"]) == (24, 12)
    assert c2f("verify", "--images").code == 0

    small = ("--dim", "32", "--stage1-epochs", "2", "--stage2-epochs", "1", "--json")
    trained = c2f("train", *small)
    assert trained.code == 0, trained.err
    assert [t["level"] for t in trained.json["test"]] == ["family", "genus", "species"]
    assert [t["resolution"] for t in trained.json["test"]] == [12, 24, 48]

    page = c2f("report", "--json")
    assert page.code == 0, page.err
    html = Path(page.json["html"]).read_text(encoding="utf-8")
    assert "data:image/" in html
    report = json.loads(Path(page.json["json"]).read_text(encoding="utf-8"))
    assert report["dataset"] == "folder"

    assert c2f("train", *small).code == 1  # the run is there: nothing is replaced unasked
    again = c2f("train", *small, "--overwrite")
    assert again.code == 0
    assert again.json["test"] == trained.json["test"]  # same seed, same result


def test_another_threshold_needs_no_network(
    c2f: CommandLine, chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("calibrate", "--dataset", "folder", "--root", chain, "--images", "test", *QUICK)
    words = (*words, "--no-shards", "--full-curve", "--json")
    first = c2f(*words)
    monkeypatch.setattr("c2f_train.measurement.Measurement._evaluate", lambda *_, **__: 1 / 0)
    second = c2f(*words, "--relative", "--t-med", "0.5")
    assert second.code in (0, 3), second.err
    assert second.json["native_accuracy"] == first.json["native_accuracy"]
    assert second.json["crossings"][0]["factor"] == 0.5


def test_values_come_from_flags_then_file_then_environment(
    c2f: CommandLine, chain: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "c2f.toml"
    settings.write_text("[calibrate]\nt_med = 0.6\nt-low = 0.7\n", encoding="utf-8")
    monkeypatch.setenv("C2F_CALIBRATE_T_MED", "0.1")
    monkeypatch.setenv("C2F_CALIBRATE_SEED", "7")
    words = ("--dataset", "folder", "--root", chain, "--images", "test", *QUICK)
    answer = c2f(
        "calibrate", *words, "--no-shards", "--json", "--config", settings, "--t-low", "0.9"
    )
    crossings = answer.json["crossings"]
    assert [crossing["factor"] for crossing in crossings] == [0.6, 0.9]
    assert answer.json["protocol"]["seed"] == 7


def test_help_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from c2f_cli.main import run; run(['--help']); run(['train', '-h']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'h5py')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ)
    assert done.returncode == 0, done.stdout


def test_doctor_says_what_is_here(c2f: CommandLine) -> None:
    answer = c2f("doctor", "--json")
    assert answer.code == 0
    assert {"versions", "device", "data", "workspace"} <= set(answer.json)
    assert answer.json["versions"]["torch"]


def test_build_hierarchy_prints_the_table(c2f: CommandLine) -> None:
    answer = c2f("build-hierarchy", "cub", "--json")
    counts = (answer.json["species"], answer.json["genera"], answer.json["families"])
    assert counts == (200, 124, 37)
    row = answer.json["table"][0]
    assert row["class_name"] == "Black_footed_Albatross"
    assert (row["genus"], row["family"]) == ("Phoebastria", "Diomedeidae")
    cars = c2f("build-hierarchy", "cars", "--json").json
    assert (cars["species"], cars["genera"], cars["families"]) == (196, 113, 14)
    assert Path(cars["file"]).is_file()


def test_one_environment_variable_for_every_command(
    c2f: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from c2f_cli.main import run

    monkeypatch.setenv("C2F_WORKSPACE", str(tmp_path / "elsewhere"))
    assert run(["build-hierarchy", "cub", "--quiet"]) == 0
    assert (tmp_path / "elsewhere" / "cub" / "hierarchy.csv").is_file()
    monkeypatch.setenv("C2F_BUILD_HIERARCHY_WORKSPACE", str(tmp_path / "nearer"))
    assert run(["build-hierarchy", "cub", "--quiet"]) == 0
    assert (tmp_path / "nearer" / "cub" / "hierarchy.csv").is_file()


def test_long_work_names_the_cheaper_command_first(
    c2f: CommandLine, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c2f_train.calibrate.LONG_SECONDS", 0)
    source = ("--dataset", "folder", "--root", images, "--images", "test")
    answer = c2f("calibrate", *source, *QUICK, "--no-shards")
    lines = answer.err.splitlines()
    cheaper = next(i for i, line in enumerate(lines) if line.startswith("Cheaper"))
    assert "--input-size 64 --points 8" in lines[cheaper]
    assert lines[cheaper - 1].startswith("About")
    assert cheaper < next(i for i, line in enumerate(lines) if line.startswith("Training"))
