"""``c2f build-hierarchy`` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from birds import CommandLine, make_folder, one_line_error

from c2f_cli.hierarchy_text import PAPER
from c2f_data.hierarchy.cars_rules import RULES
from c2f_data.hierarchy.cub_editions import EDITIONS
from c2f_data.hierarchy.table import read_taxonomy
from c2f_data.workspace import Workspace

TABLE = "family,genus,species\nLaridae,Larus,Herring gull\nCorvidae,Corvus,Raven\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "my birds.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def build(c2f: CommandLine, *words: object):  # type: ignore[no-untyped-def]
    answer = c2f("build-hierarchy", *words)
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (("cub",), (200, 124, 37)),
        (("cub", "--edition", "aou2005"), (200, 113, 36)),
        (("cub:aou2016",), (200, 119, 36)),
        (("cars",), (196, 113, 14)),
        (("cars", "--rule", "d9"), (196, 107, 9)),
    ],
)
def test_the_counts_stand_beside_the_papers(
    c2f: CommandLine, words: tuple[str, ...], counts: tuple[int, int, int]
) -> None:
    lines = build(c2f, *words).out.splitlines()
    assert words[-1].split(":")[-1] in lines[0] or words == ("cub",) or words == ("cars",)
    assert lines[1].split(maxsplit=2) == ["level", "c2f", "paper's Table 2"]
    printed = PAPER[words[0].split(":")[0]]
    assert [line.split() for line in lines[2:]] == [
        [level, str(count), str(printed[level])]
        for level, count in zip(("species", "genus", "family"), counts, strict=True)
    ]


def test_the_papers_counts_are_those_of_the_report() -> None:
    from c2f_train.report import paper

    for name, counts in PAPER.items():
        assert (counts["family"], counts["genus"], counts["species"]) == paper.DATASETS[name].counts


def test_json_has_the_counts_the_table_and_the_file(c2f: CommandLine) -> None:
    cub = build(c2f, "cub", "--edition", "ebird2018", "--json").json
    assert (cub["species"], cub["genera"], cub["families"]) == (200, 123, 37)
    assert cub["levels"][0] == {"name": "family", "count": 37, "resolution": None}
    assert len(cub["table"]) == 200
    row = cub["table"][0]
    assert row["class_name"] == row["species"] == "Black_footed_Albatross"
    assert (row["genus"], row["family"]) == ("Phoebastria", "Diomedeidae")
    assert (cub["name"], cub["warnings"]) == ("cub", [])
    written = read_taxonomy(Path(cub["file"]), "cub")
    assert written.fingerprint == cub["fingerprint"]
    assert [list(path) for path in written.paths] == [
        [row["family"], row["genus"], row["species"]] for row in cub["table"]
    ]


def test_a_table_with_other_levels(c2f: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "planes.csv"
    path.write_text("variant,family,maker,hub\nA320-200,A320,Airbus,X\n737-700,737,Boeing,Y\n")
    answer = build(c2f, path, "--levels", "hub,maker,family,variant", "--json")
    assert [level["name"] for level in answer.json["levels"]] == [
        "hub",
        "maker",
        "family",
        "variant",
    ]
    assert "genera" not in answer.json
    assert answer.json["table"][1] == {
        "class_name": "737-700",
        "hub": "Y",
        "maker": "Boeing",
        "family": "737",
        "variant": "737-700",
    }
    told = build(c2f, path, "--levels", "hub,maker,family,variant")
    assert "--levels hub,maker,family,variant" in told.err
    assert told.out == "2 variants, 2 families, 2 maker classes, 2 hub classes\n"


def test_orders_of_the_default_edition(c2f: CommandLine) -> None:
    answer = build(c2f, "cub", "--levels", "order,family,genus,species")
    assert ["order", "13", "not", "given"] in [line.split() for line in answer.out.splitlines()]


def test_an_unknown_edition_or_rule_lists_them_all(c2f: CommandLine) -> None:
    for words, known in (
        (("cub", "--edition", "nonsense"), EDITIONS),
        (("cub", "--diff", "nonsense"), EDITIONS),
        (("cars", "--rule", "nonsense"), RULES),
        (("cars", "--diff", "nonsense"), RULES),
    ):
        answer = c2f("build-hierarchy", *words)
        assert answer.code == 1
        assert "nonsense" in one_line_error(answer)
        assert all(name in answer.err for name in known)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give cub, cars or a TABLE.csv"),
        (("cars", "--edition", "aou2016"), "--edition is for cub, not for cars"),
        (("cub", "--rule", "d9"), "--rule is for cars, not for cub"),
        (("TABLE", "--edition", "aou2016"), "--edition is for cub, not for"),
        (("cub:aou2016", "--edition", "aou2005"), "leave out --edition aou2005"),
        (("cub", "--depth", "1"), "--depth is for --format tree"),
        (("cub", "--format", "json", "--json"), "--json and --format both print"),
        (("cub", "--diff", "aou2016", "--out", "x.csv"), "--out has no meaning together with"),
        (("cub", "--diff", "aou2016", "--format", "csv"), "--format has no meaning together with"),
        (("cub", "--from-folder", "."), "not both"),
        (("--from-folder", ".", "--edition", "aou2016"), "--edition has no meaning together with"),
        (("--from-folder", ".", "--format", "tree"), "--format has no meaning together with"),
        (("--from-folder", "nowhere"), "does not exist"),
        (("cub", "--format", "xml"), "xml"),
    ],
)
def test_options_that_do_not_belong_together_are_usage_errors(
    c2f: CommandLine, table: Path, words: tuple[str, ...], said: str
) -> None:
    answer = c2f("build-hierarchy", *(table if word == "TABLE" else word for word in words))
    assert answer.code == 2
    assert said in answer.err
    assert answer.out == ""


def test_what_changes_between_two_editions(c2f: CommandLine) -> None:
    words = ("cub", "--edition", "aou2016", "--diff", "ebird2018")
    answer = build(c2f, *words)
    rows = [line.split() for line in answer.out.splitlines()]
    assert ["genus", "119", "123"] in rows
    assert ["Yellow_breasted_Chat", "Parulidae", "->", "Icteriidae", "Icteria"] in rows
    assert ["family", "renamed", "Emberizidae", "Passerellidae"] in rows
    assert not (c2f.workspace / "cub").exists()
    read = build(c2f, *words, "--json").json
    assert read["same"] is False
    assert {"level": "family", "before": 36, "after": 37} in read["counts"]
    assert {
        "name": "Yellow_breasted_Chat",
        "before": ["Parulidae", "Icteria"],
        "after": ["Icteriidae", "Icteria"],
    } in read["classes"]


def test_what_changes_between_two_rules_and_two_files(
    c2f: CommandLine, table: Path, tmp_path: Path
) -> None:
    assert "SuperCab -> Extended Cab" in build(c2f, "cars", "--diff", "a13").out
    assert "No class has another parent" in build(c2f, "cars", "--diff", "cars:a14").out
    other = tmp_path / "other.csv"
    other.write_text(TABLE.replace("Corvus", "Corone") + "Laridae,Rissa,Kittiwake\n")
    answer = build(c2f, table, "--diff", other)
    assert "Corvus -> Corone" in answer.out
    assert "1 classes only after: Kittiwake" in answer.out
    assert (
        "200 classes only before: Black_footed_Albatross" in build(c2f, "cub", "--diff", table).out
    )
    assert build(c2f, "cub", "--diff", table, "--json").json["added"] == ["Herring gull", "Raven"]


def test_formats_are_printed_or_written(c2f: CommandLine, table: Path, tmp_path: Path) -> None:
    tree = build(c2f, table, "--format", "tree")
    assert tree.out.splitlines()[1] == "├── Laridae  (1 genus, 1 species)"
    assert len(build(c2f, table, "--format", "tree", "--depth", "1").out.splitlines()) == 3
    assert build(c2f, table, "--format", "csv").out == TABLE
    assert build(c2f, table, "--format", "newick").out.endswith("'my birds';\n")
    assert build(c2f, table, "--format", "json").json["name"] == "my birds"
    assert not c2f.workspace.exists()


@pytest.mark.parametrize(
    ("name", "starts"), [("a.csv", "family,"), ("a.json", "{"), ("a.nwk", "(("), ("a", "family,")]
)
def test_the_suffix_of_out_names_the_format(
    c2f: CommandLine, table: Path, tmp_path: Path, name: str, starts: str
) -> None:
    answer = build(c2f, table, "--out", tmp_path / name, "--json")
    assert answer.json["file"] == str(tmp_path / name)
    assert (tmp_path / name).read_text().startswith(starts)
    assert not c2f.workspace.exists()
    build(c2f, table, "--out", tmp_path / "b", "--format", "tree")
    assert "└── Raven" in (tmp_path / "b").read_text(encoding="utf-8")


def test_a_file_of_the_user_is_replaced_only_when_told(
    c2f: CommandLine, table: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("precious")
    answer = c2f("build-hierarchy", table, "--out", mine)
    assert answer.code == 1
    assert "mine.csv: there is a file already" in one_line_error(answer)
    assert mine.read_text() == "precious"
    build(c2f, table, "--out", mine, "--overwrite")
    assert mine.read_text() == TABLE
    build(c2f, table, "--out", mine)  # the same content again is no loss


@pytest.mark.parametrize("stem", ["Vögel (2024)", "鸟", "..a", "x" * 90])
def test_a_table_may_have_any_file_name(c2f: CommandLine, tmp_path: Path, stem: str) -> None:
    path = tmp_path / f"{stem}.csv"
    path.write_text(TABLE, encoding="utf-8")
    file = Path(build(c2f, path, "--json").json["file"])
    assert file.parent.parent == c2f.workspace
    assert file.read_text(encoding="utf-8") == TABLE


def test_later_commands_take_the_hierarchy_that_was_built(c2f: CommandLine) -> None:
    build(c2f, "cub")
    build(c2f, "cub", "--edition", "aou2005")
    build(c2f, "cub", "--edition", "wikispecies", "--format", "tree")
    folder = Workspace(c2f.workspace).dataset("cub")
    recorded = folder.read_source()
    assert recorded is not None
    assert (recorded.taxonomy, recorded.root) == ("cub:aou2005", None)
    assert len(read_taxonomy(folder.hierarchy, "cub").names[1]) == 113


def test_the_hierarchy_of_finished_work_stays(c2f: CommandLine) -> None:
    first = Path(build(c2f, "cub", "--json").json["file"])
    folder = Workspace(c2f.workspace).dataset("cub")
    folder.shards.mkdir()
    folder.manifest.touch()
    before = first.read_bytes(), folder.source.read_bytes()
    answer = build(c2f, "cub", "--edition", "aou2005", "--json")
    assert (first.read_bytes(), folder.source.read_bytes()) == before
    assert answer.json["file"] is None
    assert "stays as it is" in answer.json["warnings"][0]
    assert "stays as it is" in answer.err
    assert build(c2f, "cub", "--json").json["file"] == str(first)


def test_homonyms_are_a_warning(c2f: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(
        "family,genus,species\nPrunellidae,Prunella,Dunnock\nLamiaceae,Prunella,Self-heal\n"
    )
    answer = build(c2f, path, "--json", "--quiet")
    assert answer.json["genera"] == 2
    assert len(answer.json["warnings"]) == 1
    assert "Prunella" in answer.json["warnings"][0]
    assert "Warning: genus 'Prunella'" in answer.err
    assert "line 3" in answer.err
    assert [row["genus"] for row in answer.json["table"]] == ["Prunella", "Prunella"]


def test_from_images_to_a_finished_table(c2f: CommandLine, tmp_path: Path) -> None:
    root = make_folder(tmp_path / "images", train=1, test=1)
    (root / "train" / "red_dot").rename(root / "train" / "Picus_viridis")
    (root / "test" / "red_dot").rename(root / "test" / "Picus_viridis")
    out = tmp_path / "draft.csv"
    answer = build(c2f, "--from-folder", root, "--out", out)
    assert answer.out == "4 classes, 1 genus guessed\n"
    assert "7 blanks to fill" in answer.err
    text = out.read_text(encoding="utf-8")
    refused = c2f("build-hierarchy", out)
    assert refused.code == 1
    assert refused.err.count("blank family") == 4
    assert refused.err.count("blank genus") == 3

    edited = text.replace("\n,,", "\nBirds,B,").replace("\n,Picus,", "\nPicidae,Picus,")
    out.write_text(edited, encoding="utf-8")
    kept = c2f("build-hierarchy", "--from-folder", root, "--out", out)
    assert kept.code == 1
    assert "--overwrite" in kept.err
    assert out.read_text(encoding="utf-8") == edited
    assert build(c2f, out).out == "4 species, 2 genera, 2 families\n"


def test_a_draft_as_json_and_on_stdout(c2f: CommandLine, images: Path) -> None:
    read = build(c2f, "--from-folder", images, "--levels", "colour,kind", "--json").json
    assert (read["classes"], read["guessed"], read["blanks"], read["file"]) == (4, 0, 4, None)
    assert read["table"][0] == {"class_name": "blue_bar", "colour": "", "kind": "blue_bar"}
    printed = build(c2f, "--from-folder", images, "--levels", "colour,kind")
    assert "colour,kind\n,blue_bar\n" in printed.out
    assert not c2f.workspace.exists()


def test_a_terminal_without_these_characters_is_told_so(tmp_path: Path, table: Path) -> None:
    words = ("build-hierarchy", str(table), "--format", "tree", "--workspace", str(tmp_path / "w"))
    done = subprocess.run(
        [sys.executable, "-m", "c2f_cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONIOENCODING": "latin-1", "PATH": ""},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "in the encoding latin-1" in done.stderr


def test_newick_of_a_name_with_a_line_break_is_refused(c2f: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('family,genus,species\nF,G,"a\nb"\nF,G,c\n')
    answer = c2f("build-hierarchy", path, "--format", "newick")
    assert answer.code == 1
    assert "t.csv: line 2" in one_line_error(answer)
    assert "a\\nb" in build(c2f, path, "--format", "tree").out
    nested = json.loads(build(c2f, path, "--format", "json").out)
    assert nested["children"][0]["children"][0]["children"][0]["name"] == "a\nb"


def test_the_benchmark_times_this_command_beside_named_baselines() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hierarchy", "--json", "--runs", "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert [timing["name"] for timing in read["timings"]] == [
        "c2f build-hierarchy cub --json",
        *read["ratios"],
    ]
    for timing in read["timings"]:
        assert 0 < timing["min_s"] <= timing["median_s"] <= timing["max_s"]
    own, other = read["timings"][0], read["timings"][-1]
    assert read["ratios"][other["name"]] == pytest.approx(own["median_s"] / other["median_s"])
