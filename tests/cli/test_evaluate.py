"""``c2f evaluate`` on a folder of images: tables, JSON, and what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from birds import CommandLine, one_line_error, train_workspace


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with shards and two finished runs, to be copied."""
    runs = (("--name", "one"), ("--name", "flat", "--model", "hbp"))
    return train_workspace(tmp_path_factory.mktemp("trained"), *runs)


@pytest.fixture
def c2f(c2f: CommandLine, trained: Path) -> CommandLine:
    """The command line in a copy of that workspace."""
    shutil.copytree(trained, c2f.workspace)
    return c2f


def test_json_has_every_cell_and_nothing_is_measured_twice(c2f: CommandLine) -> None:
    answer = c2f("evaluate", "--run", "one", "--run", "flat", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["dataset"], answer.json["split"]) == ("folder", "test")
    one, flat = answer.json["runs"]
    assert (one["run"], one["n"]) == ("one", 8)
    cells = {(s["level"], s["images"], s["answers"]): s["top1"] for s in one["scores"]}
    assert len(cells) == 15
    assert all(0 <= c["low"] <= c["value"] <= c["high"] <= 1 for c in cells.values())
    assert flat["trained"] == ["species"]
    assert answer.json["comparisons"] == []
    again = c2f("evaluate", "--run", "one", "--json")
    assert again.json["runs"][0]["scores"] == one["scores"]
    assert "Evaluating" not in again.err


def test_tables_and_comparison_are_on_stdout(c2f: CommandLine) -> None:
    answer = c2f("evaluate", "--compare", "flat")
    assert answer.code == 0, answer.err
    lines = [line.split() for line in answer.out.splitlines()]
    assert lines[0][:2] == ["Run", "one:"]
    starts = [line[0] for line in lines if line]
    assert starts.count("species") == 3  # matrix, details, comparison
    assert "one - flat (rolled-up)" in answer.out
    assert "exact binomial" in answer.out
    assert "Evaluating" not in answer.out
    quiet = c2f("evaluate", "--compare", "flat", "--quiet")
    assert (quiet.out, quiet.err) == (answer.out, "")


def test_a_run_of_another_workspace_is_compared_by_its_folder(
    c2f: CommandLine, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    c2f("evaluate", "--run", "flat")
    (c2f.workspace / "folder" / "runs" / "flat").rename(other)
    answer = c2f("evaluate", "--run", "one", "--compare", other, "--json")
    assert answer.code == 0, answer.err
    assert [row["second"] for row in answer.json["comparisons"]] == ["flat"] * 3
    on_train = c2f("evaluate", "--run", "one", "--compare", other, "--split", "train")
    assert on_train.code == 1
    assert "evaluation-train.json" in one_line_error(on_train)


def test_what_can_not_be_evaluated_is_said(c2f: CommandLine) -> None:
    assert "is the run itself" in one_line_error(
        c2f("evaluate", "--run", "one", "--compare", "one")
    )
    for words in (("--run", "absent"), ("--run", "one", "--compare", "absent")):
        answer = c2f("evaluate", *words)
        assert "no finished run 'absent'" in one_line_error(answer)
        assert "Finished: " in answer.err
        assert "Evaluating" not in answer.err
    unfinished = c2f.workspace / "folder" / "runs" / "half"
    unfinished.mkdir()
    assert "--resume" in c2f("evaluate", "--run", "half").err
    assert "folder's name" in one_line_error(c2f("evaluate", "--run", "../one"))
    assert c2f("evaluate", "--split", "val").code == 2
    shutil.rmtree(c2f.workspace / "folder" / "runs")
    assert "no finished run" in one_line_error(c2f("evaluate"))
    shutil.rmtree(c2f.workspace / "folder" / "shards")
    one_line_error(c2f("evaluate", "--run", "one"))


def test_runs_that_saw_other_parts_of_the_images_say_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from c2f_cli.evaluate_text import print_comparisons
    from c2f_train.evaluation.compare import Comparison
    from c2f_train.evaluation.matrix import Estimate
    from c2f_train.evaluation.paired import mcnemar

    test = mcnemar(np.array([True, True]), np.array([True, False]))
    runs = ("species", "one", "flat", "own", "rolled-up", 48, 48, 2)
    whole = Comparison(*runs, Estimate(0.5, -0.5, 1.0), test, 1.0, "none", "none")
    print_comparisons([whole])
    plain = capsys.readouterr().out
    assert "one - flat (rolled-up)" in plain
    print_comparisons([replace(whole, second_resolution=24)])
    assert "one, 48 px - flat, 24 px (rolled-up)" in capsys.readouterr().out
    assert "a part of each" not in plain
    print_comparisons([whole, replace(whole, second_crop="parts")])
    said = capsys.readouterr().out
    assert "one - flat, with part locations (rolled-up)" in said
    assert said.splitlines()[-1].endswith("a run saw a part of each of these images.")


def test_names_can_not_command_a_terminal() -> None:
    from c2f_cli.evaluate_text import shown

    assert shown("genus\x1b[2J\n") == "genus?[2J?"
    assert shown("Gruidae [bold]") == "Gruidae [bold]"


def test_the_page_shows_the_matrix(c2f: CommandLine) -> None:
    c2f("evaluate", "--run", "one")
    page = c2f("report", "--run", "one", "--json")
    assert page.code == 0, page.err
    html = Path(page.json["html"]).read_text(encoding="utf-8")
    assert "Every classifier at every resolution" in html
    assert html.count("genus, from species") == 4  # one row, and one a resolution
    assert "Inconsistent" in html
