"""A draft says what the folders' names say, and no more."""

from __future__ import annotations

import csv
import errno
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pytest

from c2f_data.errors import ConfigError, DataSetError, TaxonomyError
from c2f_data.hierarchy import draft as draft_module
from c2f_data.hierarchy.draft import draft_table, guess_genus
from c2f_data.hierarchy.table import parse_table, taxonomy_from_table


def make(root: Path, places: Iterable[str]) -> Path:
    """A folder with one empty file that is named as an image for each of ``places``."""
    for place in places:
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / "0.jpg").touch()
    return root


@pytest.mark.parametrize(
    ("name", "genus"),
    [
        ("Picus_viridis", "Picus"),
        ("Picus viridis", "Picus"),
        ("001.Picus viridis", "Picus"),
        ("17_Picus_viridis", "Picus"),
        ("3 - Picus_viridis", "Picus"),
        ("Anser_anser", "Anser"),
        ("Black_footed_Albatross", ""),
        ("001.Black_footed_Albatross", ""),
        ("Herring_gull", ""),
        ("Golden_retriever", ""),
        ("Canada goose", ""),
        ("Sea lion", ""),
        ("Giant panda", ""),
        ("African_elephant", ""),
        ("Corvus_corone_cornix", ""),
        ("picus_viridis", ""),
        ("Picus_Viridis", ""),
        ("PICUS viridis", ""),
        ("Picus", ""),
        ("Audi S4 Sedan 2012", ""),
        ("2012", ""),
        ("Vulpes_vulpes2", ""),
        ("Æshna_viridis", ""),
    ],
)
def test_a_genus_is_guessed_from_a_binomial_only(name: str, genus: str) -> None:
    assert guess_genus(name) == genus


def test_how_often_a_guess_is_made_and_how_often_it_is_wrong() -> None:
    """The figures in the module's docstring, on the names of 200 birds."""
    text = (files("c2f_taxonomies") / "cub.csv").read_text(encoding="utf-8")
    rows = parse_table(text, "cub").rows
    common = [row["common_name"].capitalize() for row in rows]
    common = [name for name in common if len(name.split()) == 2]
    latin = [row["scientific_name"] for row in rows]
    latin = [name for name in latin if len(name.split()) == 2 and not name.endswith(".")]
    assert [name for name in common if guess_genus(name)] == []
    known = [name for name in latin if guess_genus(name) == name.split()[0]]
    assert [guess_genus(name) for name in latin if name not in known] == [""] * 21
    assert (len(common), len(latin), len(known)) == (182, 195, 174)
    told = " ".join((draft_module.__doc__ or "").split())
    assert "the 182 two-word" in told
    assert "their 195 full binomials it knows 174" in told


def test_one_row_for_each_class_folder(tmp_path: Path) -> None:
    root = make(tmp_path, ["Picus_viridis", "Herring_gull", ".git", "b/"])
    (root / "empty").mkdir()
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").touch()
    draft = draft_table(root)
    assert draft.rows == (("", "", "Herring_gull"), ("", "Picus", "Picus_viridis"), ("", "", "b"))
    assert (draft.guessed, draft.blanks, draft.layout) == (1, 5, "ROOT/CLASS")
    assert draft.warnings == ("no images in 2 folders, left out: empty, notes",)


def test_the_splits_of_a_class_are_one_row(tmp_path: Path) -> None:
    root = make(tmp_path, ["train/a", "train/b", "test/a", "test/c", "validation/d"])
    draft = draft_table(root)
    assert [row[-1] for row in draft.rows] == ["a", "b", "c", "d"]
    assert draft.layout == "ROOT/train/CLASS"


@pytest.mark.parametrize("split", ["", "train/"])
def test_folders_of_genera_fill_the_genus(tmp_path: Path, split: str) -> None:
    places = ["Picus/Picus_viridis", "Picus/Picus_canus", "Larus/Larus_fuscus"]
    draft = draft_table(make(tmp_path, [split + place for place in places]))
    assert draft.rows == (
        ("", "Larus", "Larus_fuscus"),
        ("", "Picus", "Picus_canus"),
        ("", "Picus", "Picus_viridis"),
    )
    assert draft.guessed == 0
    assert "move" in draft.warnings[0]


def test_one_folder_for_every_level_fills_them_all(tmp_path: Path) -> None:
    root = make(tmp_path, ["F/G/a", "F/G/b", "F/H/c", "E/I/d"])
    draft = draft_table(root)
    assert draft.rows == (("E", "I", "d"), ("F", "G", "a"), ("F", "G", "b"), ("F", "H", "c"))
    assert draft.blanks == 0
    assert draft.layout == "ROOT/family/genus/species"
    read = taxonomy_from_table(parse_table(draft.text(), "t"), name="t")
    assert read.paths == draft.rows


@pytest.mark.parametrize(
    "places",
    [
        ["a/day1", "a/day2", "b/day1"],  # a name twice
        ["a/x", "a/y", "b/z"],  # no genus in the names
        ["a", "a/x", "b/y"],  # images at two depths
        ["a/1", "b/2"],  # one folder in each
        ["a/s/p", "b/s/p", "b/s/q"],
    ],
)
def test_other_folders_inside_a_class_folder_are_no_levels(
    tmp_path: Path, places: list[str]
) -> None:
    draft = draft_table(make(tmp_path, places))
    assert draft.rows == (("", "", "a"), ("", "", "b"))


def test_any_levels(tmp_path: Path) -> None:
    root = make(tmp_path, ["Picus_viridis", "Bubo_bubo"])
    assert draft_table(root, ("colour", "kind")).rows == (("", "Bubo_bubo"), ("", "Picus_viridis"))
    four = draft_table(root, ("genus", "subgenus", "species", "form"))
    assert four.rows[1] == ("Picus", "", "", "Picus_viridis")
    # The genus level is the folder itself, so there is nothing to guess.
    assert draft_table(root, ("family", "genus")).rows[1] == ("", "Picus_viridis")


def test_the_draft_names_the_lines_to_fill_and_is_a_table_when_filled(tmp_path: Path) -> None:
    draft = draft_table(make(tmp_path / 'my "birds", 2024\n', ["Picus_viridis", "b, c", "#d"]))
    text = draft.text("birds.csv")
    assert "# 1 genus guessed" in text
    assert "# Then run: c2f build-hierarchy birds.csv\n" in text
    with pytest.raises(TaxonomyError) as caught:
        taxonomy_from_table(parse_table(text, "birds.csv"), name="t")
    first = text.splitlines().index("family,genus,species") + 2
    for line in range(first, first + 3):
        assert f"line {line}: blank family" in caught.value.message
    assert f"line {first}: blank genus" in caught.value.message
    assert f"line {first + 1}: blank genus" not in caught.value.message
    filled = text.replace("\n,Picus", "\nPicidae,Picus").replace("\n,,", "\nF,G,")
    read = taxonomy_from_table(parse_table(filled, "birds.csv"), name="t")
    assert read.names[-1] == ("#d", "Picus_viridis", "b, c")


def test_the_comments_stay_comments_when_a_spreadsheet_saves_them(tmp_path: Path) -> None:
    draft = draft_table(make(tmp_path / 'my "birds", 2024', ["a", "b"]))
    lines = draft.text("my table.csv").splitlines()
    cells = list(csv.reader(lines))
    for number, line in enumerate(lines):
        if line.startswith("#"):
            saved = ",".join(cells[number] + [""] * 3)
            assert saved.startswith("#")
            assert '"' not in saved
    assert parse_table("\n".join(lines), "t").columns == ("family", "genus", "species")


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no images in class folders"):
        draft_table(tmp_path)
    with pytest.raises(DataSetError, match="nowhere: No such file"):
        draft_table(tmp_path / "nowhere")
    with pytest.raises(DataSetError, match="only one class folder has images: a") as caught:
        draft_table(make(tmp_path / "lone", ["a"]))
    assert "two or more classes" in caught.value.hint


@pytest.mark.parametrize("above", [".", "..", "../.."])
def test_a_folder_too_far_up_is_told_where_the_class_folders_are(
    tmp_path: Path, above: str
) -> None:
    classes = make(tmp_path / "up" / "CUB" / "images", ["a", "b"])
    (classes.parent / "parts").mkdir()
    root = (classes.parent / above).resolve()
    assert root.is_relative_to(tmp_path)
    with pytest.raises(DataSetError, match="only one class folder has images") as caught:
        draft_table(root)
    assert caught.value.hint.endswith(f"--from-folder {classes}")
    assert len(draft_table(classes).rows) == 2


def test_images_beside_the_class_folders_are_mentioned(tmp_path: Path) -> None:
    root = make(tmp_path, ["", "a", "b"])
    assert draft_table(root).warnings == ("images outside of the class folders are left out",)


@pytest.mark.parametrize("levels", [(), ("species",), ("genus", "genus")])
def test_levels_that_make_no_hierarchy(tmp_path: Path, levels: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="levels"):
        draft_table(make(tmp_path, ["a", "b"]), levels)


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path, ["a", "b"])
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataSetError, match="b: Permission denied"):
        draft_table(root)


def test_linked_class_folders_count(tmp_path: Path) -> None:
    make(tmp_path / "store", ["x"])
    root = make(tmp_path / "root", ["a"])
    (root / "b").symlink_to(tmp_path / "store" / "x")
    assert [row[-1] for row in draft_table(root).rows] == ["a", "b"]
