"""A hierarchy is valid or refused with every fault named; valid ones encode, roll up, shrink."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.table import parse_table, read_taxonomy, taxonomy_from_table, write_taxonomy
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

Rows = tuple[tuple[str, ...], ...]

BIRDS: Rows = (
    ("Laridae", "Larus", "Herring gull"),
    ("Laridae", "Larus", "Common gull"),
    ("Laridae", "Rissa", "Kittiwake"),
    ("Corvidae", "Corvus", "Raven"),
)


def birds(lines: tuple[int, ...] = ()) -> Taxonomy:
    return Taxonomy("birds", DEFAULT_LEVELS, BIRDS, "birds.csv", lines)


def test_ids_are_dense_and_in_the_tables_order() -> None:
    table = birds()
    assert table.names == (
        ("Laridae", "Corvidae"),
        ("Larus", "Rissa", "Corvus"),
        ("Herring gull", "Common gull", "Kittiwake", "Raven"),
    )
    assert [table.count(level) for level in table.levels] == [2, 3, 4]
    assert table.finest == "species"
    np.testing.assert_array_equal(table.codes, [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]])


def test_species_roll_up_to_their_ancestors() -> None:
    table, fine = birds(), np.array([3, 2, 2, 0])
    np.testing.assert_array_equal(table.roll_up(fine, "species"), fine)
    np.testing.assert_array_equal(table.roll_up(fine, "genus"), [2, 1, 1, 0])
    np.testing.assert_array_equal(table.roll_up(fine, "family"), [1, 0, 0, 0])


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TaxonomyError, match=r"no level 'order' in birds\.csv") as caught:
        birds().level_index("order")
    assert "family, genus, species" in caught.value.hint


def test_a_subset_keeps_the_order_and_the_lines_and_renumbers() -> None:
    part = birds((2, 3, 4, 5)).subset([3, 1])
    assert part.paths == (BIRDS[1], BIRDS[3])
    assert part.lines == (3, 5)
    np.testing.assert_array_equal(part.codes, [[0, 0, 0], [1, 1, 1]])


def test_one_name_in_two_branches_is_two_nodes() -> None:
    rows = (
        ("Prunellidae", "Prunella", "Dunnock"),
        ("Lamiaceae", "Prunella", "Selfheal"),
        ("Lamiaceae", "Ajuga", "Bugle"),
        ("Prunellidae", "Prunella", "Alpine accentor"),
    )
    table = Taxonomy("t", DEFAULT_LEVELS, rows, "t.csv", (2, 3, 4, 5))
    assert table.names[1] == ("Prunella (Prunellidae)", "Prunella (Lamiaceae)", "Ajuga")
    assert table.codes[:, 1].tolist() == [0, 1, 2, 0]
    assert table.count("genus") == 3
    assert str(table.homonyms[0]) == (
        "genus 'Prunella' is in 2 branches: Prunellidae (line 2), Lamiaceae (line 3); "
        "taken as 2 that share a name"
    )
    assert table.subset([1, 2]).names[1] == ("Prunella", "Ajuga")
    assert not table.subset([1, 2]).homonyms


def test_homonyms_of_homonyms_still_have_a_name_each() -> None:
    rows = (("a", "x", "y"), ("b", "x", "y"), ("c", "y (x)", "z"), ("d", "w", "y (x)"))
    names = Taxonomy("t", DEFAULT_LEVELS, rows).names
    assert names[1] == ("x (a)", "x (b)", "y (x)", "w")
    assert len(set(names[2])) == 4


def test_the_fingerprint_is_of_levels_and_rows_alone() -> None:
    assert (
        birds().fingerprint == Taxonomy("b", DEFAULT_LEVELS, BIRDS, "x", (2, 3, 4, 5)).fingerprint
    )
    assert birds().fingerprint != birds().subset([3]).fingerprint
    assert birds().fingerprint != Taxonomy("b", ("a", "b", "c"), BIRDS).fingerprint


@pytest.mark.parametrize(
    ("levels", "paths", "said"),
    [
        (("species",), (("a",),), "two or more"),
        (("a", "a"), (("x", "y"),), "a level is named twice"),
        (("a", "b"), (), "no classes"),
        (("a", "b"), (("x", "y"), ("x",)), "row 2: 1 names for 2 levels"),
    ],
)
def test_a_shape_that_is_no_hierarchy_is_refused(
    levels: tuple[str, ...], paths: Rows, said: str
) -> None:
    with pytest.raises(TaxonomyError, match=said):
        Taxonomy("t", levels, paths)


def test_every_fault_is_named_at_once() -> None:
    rows = (*BIRDS, ("Laridae", "Rissa", "Common gull"), ("Corvidae", "Corvus", " "), BIRDS[0])
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy("t", DEFAULT_LEVELS, rows, "t.csv", (2, 3, 4, 5, 6, 7, 8))
    for said in (
        "line 6: species 'Common gull' has genus 'Rissa' here and 'Larus' on line 3",
        "line 7: blank species",
        "line 8: species 'Herring gull' again, first on line 2",
    ):
        assert said in caught.value.message


def test_a_cycle_through_three_names_is_found_and_padding_is_none() -> None:
    with pytest.raises(TaxonomyError, match=r"row [123]: a cycle, '[abc]' is above and below"):
        Taxonomy("t", ("up", "down"), (("a", "b"), ("b", "c"), ("c", "a")))
    padded = (("Emu", "Emu", "Emu"), ("Kiwis", "Kiwi", "Kiwi"))
    assert Taxonomy("t", DEFAULT_LEVELS, padded).names[0] == ("Emu", "Kiwis")


# Any character that a name may have: no control characters and no halves of characters. Names are
# stripped and composed on reading, so those that stay the same are drawn.
NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=8
).filter(lambda name: name == unicodedata.normalize("NFC", name).strip())


@st.composite
def hierarchies(draw: st.DrawFn) -> tuple[tuple[str, ...], Rows]:
    """Levels and rows of a valid table: 2 to 5 levels; every child gets an earlier-drawn parent."""
    depth = draw(st.integers(2, 5))
    widths = sorted(draw(st.lists(st.integers(1, 7), min_size=depth, max_size=depth)))
    names = iter(draw(st.lists(NAMES, min_size=sum(widths), max_size=sum(widths), unique=True)))
    paths: list[tuple[str, ...]] = [()]
    for width in widths:
        # Every parent gets a child, the others go where they are drawn.
        parents = [*paths, *(draw(st.sampled_from(paths)) for _ in range(width - len(paths)))]
        paths = [(*parent, next(names)) for parent in parents]
    return tuple(f"level {i}" for i in range(depth)), tuple(draw(st.permutations(paths)))


def as_csv(levels: tuple[str, ...], rows: Rows) -> str:
    quoted = (
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (levels, *rows)
    )
    return "\n".join(quoted) + "\n"


@settings(max_examples=60)
@given(hierarchies())
def test_any_valid_table_comes_back_from_csv_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[tuple[str, ...], Rows]
) -> None:
    levels, rows = drawn
    table = Taxonomy("t", levels, rows)
    path = tmp_path_factory.getbasetemp() / "hierarchy.csv"
    write_taxonomy(path, table)
    again = read_taxonomy(path, "t")
    assert (again.levels, again.paths) == (levels, rows)
    assert again.fingerprint == table.fingerprint
    assert again.lines == tuple(range(2, len(rows) + 2))
    for level, j in zip(levels, range(len(levels)), strict=True):
        names = again.names[j]
        ids = again.roll_up(np.arange(len(rows)), level)
        assert [names[i] for i in ids] == [row[j] for row in rows]
        assert sorted(set(ids)) == list(range(again.count(level)))


@settings(max_examples=40)
@given(hierarchies())
def test_any_two_branches_may_share_all_their_names(
    drawn: tuple[tuple[str, ...], Rows],
) -> None:
    levels, rows = drawn
    both = (*(("left", *row) for row in rows), *(("right", *row) for row in rows))
    text = as_csv(("top", *levels), both)
    table = taxonomy_from_table(parse_table(text, "t"), name="t", levels=("top", *levels))
    one = Taxonomy("t", levels, rows)
    assert table.count("top") == 2
    for level in levels:
        assert table.count(level) == 2 * one.count(level)
        assert len(set(table.names[table.level_index(level)])) == table.count(level)
    assert {h.name for h in table.homonyms} == {name for names in one.names for name in names}


@settings(max_examples=120)
@given(hierarchies(), st.data())
def test_any_single_fault_is_found_with_its_line(
    drawn: tuple[tuple[str, ...], Rows], data: st.DataObject
) -> None:
    levels, rows = drawn
    row = data.draw(st.integers(0, len(rows) - 1), "row")
    column = data.draw(st.integers(0, len(levels) - 1), "column")
    other = data.draw(st.integers(0, len(rows) - 1), "other row")
    fault = data.draw(st.sampled_from(["blank", "repeat", "two parents", "cycle", "length"]))
    path = list(rows[row])
    if fault == "blank":
        path[column] = data.draw(st.sampled_from(["", "  "]))
        rows, guilty, said = replace(rows, row, path), {row}, f"blank {levels[column]}"
    elif fault == "repeat":
        rows, guilty, said = (*rows, rows[row]), {len(rows)}, "again, first on"
    elif fault == "length":
        rows, guilty, said = replace(rows, row, [*path, "more"]), {row}, "cells, the header"
    elif fault == "two parents":
        # The name of this row under a parent that is new in its branch.
        assume(len(levels) > 2)
        j = max(column, 2)
        extra = (*path[: j - 1], "new parent", *path[j:])
        rows, guilty, said = (*rows, extra), {len(rows)}, f"has {levels[j - 1]} 'new parent'"
    else:
        # A new class whose parent is a class of the finest level, above its own ancestor.
        extra = [f"new {i}" for i in range(len(levels))]
        extra[-2:] = [rows[other][-1], rows[other][-2]]
        rows, said = (*rows, tuple(extra)), "a cycle"
        guilty = {i for i, r in enumerate(rows) if set(itertools.pairwise(r)) & cycle(extra)}
    with pytest.raises(TaxonomyError, match=said) as caught:
        taxonomy_from_table(parse_table(as_csv(levels, rows), "t.csv"), name="t", levels=levels)
    assert caught.value.message.startswith("t.csv: ")
    assert any(f"line {i + 2}" in caught.value.message for i in guilty)


def replace(rows: Rows, row: int, path: list[str]) -> Rows:
    return (*rows[:row], tuple(path), *rows[row + 1 :])


def cycle(extra: list[str]) -> set[tuple[str, str]]:
    return {(extra[-2], extra[-1]), (extra[-1], extra[-2])}
