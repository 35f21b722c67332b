"""The classes of a data set find their rows, however they are spelt; what can't is named."""

from __future__ import annotations

import pytest

from c2f_data.errors import DataSetError, TaxonomyError
from c2f_data.sources.classes import match_classes
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

BIRDS = (
    ("Laridae", "Larus", "Herring gull"),
    ("Laridae", "Larus", "Common gull"),
    ("Motacillidae", "Motacilla", "alba"),
    ("Tytonidae", "Tyto", "alba"),
    ("Corvidae", "Corvus", "Raven"),
)
SOME = ("Herring gull", "Common gull", "Motacilla alba", "Raven")


def birds(lines: tuple[int, ...] = (2, 3, 4, 5, 9)) -> Taxonomy:
    return Taxonomy("birds", DEFAULT_LEVELS, BIRDS, "birds.csv", lines)


def test_ids_follow_the_tables_order_and_count_the_classes_there_are() -> None:
    names = ("Raven", "Tyto alba", "Common gull")
    restricted, ids = match_classes(names, birds(), allow_partial=True, owner="x")
    assert restricted.paths == (BIRDS[1], BIRDS[3], BIRDS[4])
    assert restricted.lines == (3, 5, 9)
    assert ids == {"Raven": 2, "Tyto alba": 1, "Common gull": 0}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("Raven", 4),
        ("raven", 4),
        ("108.Raven", 4),
        ("108_raven", 4),
        ("Corvus_Raven", 4),
        ("Herring_Gull", 0),
        ("001.herring  gull", 0),
        ("Tyto_alba", 3),
        ("Tyto/alba", 3),
        ("tyto alba", 3),
    ],
)
def test_a_class_is_found_by_any_of_its_spellings(name: str, row: int) -> None:
    restricted, ids = match_classes([name], birds(), allow_partial=True, owner="x")
    assert restricted.paths == (BIRDS[row],)
    assert ids == {name: 0}


def test_the_exact_name_wins_over_a_looser_one() -> None:
    table = Taxonomy("t", ("a", "b"), (("p", "x_1"), ("p", "X 1"), ("p", "1.x")))
    for row, name in enumerate(("x_1", "X 1", "1.x")):
        restricted, _ = match_classes([name], table, allow_partial=True, owner="x")
        assert restricted.paths == (table.paths[row],)


def test_a_name_of_two_branches_alone_is_not_enough() -> None:
    with pytest.raises(TaxonomyError, match="'alba' may be any of") as caught:
        match_classes(["alba"], birds(), allow_partial=True, owner="x")
    assert "alba (Motacilla) (line 4), alba (Tyto) (line 5)" in caught.value.message
    assert "'Motacilla_alba'" in caught.value.hint


def test_classes_with_images_that_the_table_lacks_are_named() -> None:
    with pytest.raises(TaxonomyError, match=r"photos: 2 classes \(Emu, Kiwi\) not in birds.csv"):
        match_classes(["Emu", "Raven", "Kiwi"], birds(), allow_partial=True, owner="photos")


@pytest.mark.parametrize("names", [("Raven", "Raven"), ("Raven", "108.Raven"), ("raven", "Raven")])
def test_two_classes_on_one_row_are_named(names: tuple[str, str]) -> None:
    with pytest.raises(DataSetError, match=f"{names[0]!r} and {names[1]!r} are one row"):
        match_classes(names, birds(), allow_partial=True, owner="x")


@pytest.mark.parametrize(
    ("lines", "said"), [((2, 3, 4, 5, 9), r"alba \(Tyto\) \(line 5\)"), ((), r"alba \(Tyto\)")]
)
def test_rows_without_images_are_named_with_their_lines_or_accepted(
    lines: tuple[int, ...], said: str
) -> None:
    with pytest.raises(TaxonomyError, match=rf"birds.csv: 1 class \({said}\) without images in x"):
        match_classes(SOME, birds(lines), allow_partial=False, owner="x")
    restricted, _ = match_classes(SOME, birds(lines), allow_partial=True, owner="x")
    assert restricted.paths == (*BIRDS[:3], BIRDS[4])
