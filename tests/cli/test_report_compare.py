"""``c2f report``: where it is written, and runs beside each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from birds import CommandLine, one_line_error, train_workspace

from c2f_data.workspace import Workspace
from c2f_train.evaluation import result_path
from c2f_train.report import gather_report, read_report, write_report


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with shards and three finished runs, to be copied."""
    runs = (
        ("--name", "bi", "--model", "hbp"),
        ("--name", "tri", "--model", "mlp"),
        ("--name", "one"),
    )
    return train_workspace(tmp_path_factory.mktemp("trained"), *runs)


@pytest.fixture
def c2f(c2f: CommandLine, trained: Path) -> CommandLine:
    """The command line in a copy of that workspace."""
    shutil.copytree(trained, c2f.workspace)
    return c2f


def test_out_is_a_page_or_a_folder(c2f: CommandLine, tmp_path: Path) -> None:
    page = c2f("report", "--out", tmp_path / "a" / "birds.html", "--json")
    assert page.code == 0, page.err
    assert page.json["json"] == str(tmp_path / "a" / "birds.json")
    text = (tmp_path / "a" / "birds.html").read_text(encoding="utf-8")
    assert "Everything on this page is in birds.json beside it." in text
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["birds.html", "birds.json"]
    folder = c2f("report", "--out", tmp_path / "b")
    assert folder.out.strip() == str(tmp_path / "b" / "report.html")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert "does not end in .html" in one_line_error(c2f("report", "--out", tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_python_gathers_what_the_command_writes(c2f: CommandLine, tmp_path: Path) -> None:
    answer = c2f("report", "--run", "one", "--compare", "bi", "--out", tmp_path / "by command")
    assert answer.code == 0, answer.err
    written = read_report(tmp_path / "by command" / "report.json")
    workspace, warned = Workspace(c2f.workspace), list[str]()
    found = gather_report(workspace, run="one", compare=["bi"], warn=warned.append)
    assert replace(found.report, provenance=written.provenance) == written
    assert warned == []
    html, _ = write_report(tmp_path, found.report, found.strips)
    pages = (html, tmp_path / "by command" / "report.html")
    images = [text.count('src="data:image') for text in (p.read_text("utf-8") for p in pages)]
    assert images[0] == images[1] > 0

    folder = workspace.dataset("folder")
    result_path(folder.run("one")).write_text("{", encoding="utf-8")
    shutil.move(folder.source, tmp_path / "kept.json")
    less = gather_report(workspace, run="one", warn=warned.append)
    assert less.strips == ()
    assert [line.partition(":")[0] for line in warned] == [
        "no sample images",
        "no section on run one's evaluation",
    ]
    command = c2f("report", "--run", "one", "--out", tmp_path / "less")
    assert [line for line in command.err.splitlines() if "Warning" in line] == [
        f"Warning: {line}" for line in warned
    ]
    assert less.report.comparison is None


def test_runs_of_one_data_set_are_paired(c2f: CommandLine, tmp_path: Path) -> None:
    answer = c2f("report", "--run", "one", "--compare", "bi", "--compare", "tri", "--out", tmp_path)
    assert answer.code == 0, answer.err
    compared = read_report(tmp_path / "report.json").comparison
    assert compared is not None
    assert [run.label for run in compared.runs] == ["one", "bi", "tri"]
    # Without an evaluation, runs of the finest level alone have no answers at the others.
    assert [(row.level, row.second) for row in compared.differences] == [
        ("species", "bi"),
        ("species", "tri"),
    ]
    assert compared.tests == 2
    evaluated = c2f("evaluate", "--run", "one", "--compare", "bi", "--compare", "tri", "--json")
    expected = {(row["level"], row["second"]): row for row in evaluated.json["comparisons"]}
    c2f("report", "--run", "one", "--compare", "bi", "--compare", "tri", "--out", tmp_path)
    compared = read_report(tmp_path / "report.json").comparison
    assert compared is not None
    assert compared.tests == len(expected) == 6
    for row in compared.differences:
        other = expected[row.level, row.second]
        assert row.test is not None
        assert row.p_holm == pytest.approx(other["p_holm"])
        assert row.difference is not None
        assert row.difference.value == pytest.approx(other["difference"]["value"])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Runs compared" in html
    assert "What the parts are worth" in html


def test_a_run_on_other_images_is_shown_without_a_test(c2f: CommandLine, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "one"
    shutil.copytree(c2f.workspace / "folder" / "runs" / "one", other)
    answer = c2f("report", "--run", "one", "--compare", other, "--json")
    assert answer.code == 0, answer.err
    compared = json.loads(Path(answer.json["json"]).read_text(encoding="utf-8"))["comparison"]
    assert [run["label"] for run in compared["runs"]] == ["one", f"one ({other})"]
    assert compared["tests"] == 3
    lose_an_image(other / "test-species.h5")
    page = c2f("report", "--run", "one", "--compare", other)
    html = Path(page.out.strip()).read_text(encoding="utf-8")
    assert "other test images: 8 and 7, of which 7 are the same" in html
    assert "Newcombe" in html


def lose_an_image(path: Path) -> None:
    import numpy as np

    from c2f_data.predictions import read_predictions, write_predictions

    kept = read_predictions(path)
    write_predictions(path, kept.rows(np.arange(1, len(kept.image_ids))))


def test_figures_and_tables_are_files(c2f: CommandLine, tmp_path: Path) -> None:
    answer = c2f(
        "report", "--run", "one", "--compare", "tri", "--figures", tmp_path / "f", "--json",
        "--tables", tmp_path / "t", "--out", tmp_path,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    names = [Path(name).name for name in answer.json["figures"]]
    assert names[0] == "training-one.svg"
    assert "differences.svg" in names
    assert {path.name for path in (tmp_path / "f").iterdir()} == set(names)
    assert "accuracy.csv" in {Path(name).name for name in answer.json["tables"]}
    assert all(Path(name).stat().st_size for name in answer.json["tables"])
    assert "Training of the runs together" in (tmp_path / "report.html").read_text("utf-8")
    assert "Say where" in c2f("report", "--figure-format", "pdf").err


def test_what_can_not_be_compared_is_said(c2f: CommandLine, tmp_path: Path) -> None:
    assert "is the main run itself" in one_line_error(
        c2f("report", "--run", "one", "--compare", "one")
    )
    assert "run.json" in one_line_error(c2f("report", "--compare", "absent"))
    assert "run.json" in one_line_error(c2f("report", "--compare", tmp_path / "nowhere"))
    assert "folder's name" in one_line_error(c2f("report", "--compare", ".."))


def test_a_check_up_warns_in_the_report_and_an_exclude_list_is_remembered(
    c2f: CommandLine, trained: Path, tmp_path: Path
) -> None:
    images = trained.parent / "images"
    copy = shutil.copytree(images, tmp_path / "images")
    shutil.copy(copy / "train" / "red_dot" / "000.png", copy / "test" / "red_dot" / "000.png")
    c2f.workspace = tmp_path / "own"
    source = ("--dataset", "folder", "--root", copy)
    assert c2f("shard", *source, "--med", "24", "--low", "12").code == 0
    assert c2f("doctor", *source).code == 1
    run = c2f.workspace / "folder" / "runs" / "one"
    shutil.copytree(trained / "folder" / "runs" / "one", run)
    page = c2f("report", "--json")
    html = Path(page.json["html"]).read_text(encoding="utf-8")
    assert "1 test image (12.5%) with the picture of a training image" in html
    names = tmp_path / "seen.txt"
    names.write_text("test/red_dot/000.png\n", encoding="utf-8")
    again = c2f("shard", *source, "--med", "24", "--low", "12", "--exclude-list", names)
    assert "--overwrite" in again.err
    done = ("--med", "24", "--low", "12", "--exclude-list", names, "--overwrite")
    assert c2f("shard", *source, *done).code == 0
    recorded = json.loads((c2f.workspace / "folder" / "dataset.json").read_text("utf-8"))
    assert recorded["excluded"] == ["test/red_dot/000.png"]
    html = Path(c2f("report", "--json").json["html"]).read_text(encoding="utf-8")
    assert "1 image was left out by an exclude list" in html
    assert "with the picture of a training image" not in html
