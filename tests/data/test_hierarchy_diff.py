"""What changes between two hierarchies: facts of the bird lists, and small made tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cars import cars_taxonomy
from c2f_data.hierarchy.cub import EDITIONS, cub_taxonomy
from c2f_data.hierarchy.diff import (
    ClassChange,
    GroupChange,
    HierarchyDiff,
    LevelCount,
    class_rows,
    compare,
    count_rows,
    group_rows,
)
from c2f_data.taxonomy import Taxonomy


def table(*rows: str, levels: str = "group class") -> Taxonomy:
    """``table("A x", "A y")``: one row a class, coarse to fine."""
    return Taxonomy("t", tuple(levels.split()), tuple(tuple(row.split()) for row in rows))


def kinds(diff: HierarchyDiff) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(change.kind, change.before, change.after) for change in diff.groups]


def test_between_aou_2016_and_ebird_2018() -> None:
    diff = compare(cub_taxonomy("aou2016"), cub_taxonomy("ebird2018"))
    assert diff.counts == (
        LevelCount("family", 36, 37),
        LevelCount("genus", 119, 123),
        LevelCount("species", 200, 200),
    )
    changed = {change.name: change for change in diff.classes}
    assert changed["Yellow_breasted_Chat"] == ClassChange(
        "Yellow_breasted_Chat", ("Parulidae", "Icteria"), ("Icteriidae", "Icteria")
    )
    assert changed["Gadwall"].after == ("Anatidae", "Mareca")
    assert "Mallard" not in changed
    assert diff.groups == (
        GroupChange("family", "split", ("Parulidae",), ("Icteriidae", "Parulidae")),
        GroupChange("family", "renamed", ("Emberizidae",), ("Passerellidae",)),
        GroupChange("genus", "split", ("Anas",), ("Anas", "Mareca")),
        GroupChange("genus", "split", ("Ammodramus",), ("Ammodramus", "Ammospiza", "Centronyx")),
        GroupChange("genus", "split", ("Picoides",), ("Dryobates", "Picoides")),
    )
    assert (diff.removed, diff.added) == ((), ())
    assert "aou2016" in diff.before
    assert "ebird2018" in diff.after


def test_the_goldfinch_of_the_papers_figure() -> None:
    diff = compare(cub_taxonomy("aou2005"), cub_taxonomy("ebird2025"))
    assert GroupChange("genus", "split", ("Carduelis",), ("Carduelis", "Spinus")) in diff.groups
    assert ("American_Goldfinch", "Fringillidae", "Carduelis -> Spinus") in class_rows(diff)


@pytest.mark.parametrize("before", EDITIONS)
@pytest.mark.parametrize("after", EDITIONS)
def test_the_changed_classes_of_two_editions_are_exactly_those_that_differ(
    before: str, after: str
) -> None:
    a, b = cub_taxonomy(before), cub_taxonomy(after)
    diff = compare(a, b)
    differ = [x[-1] for x, y in zip(a.paths, b.paths, strict=True) if x != y]
    assert [change.name for change in diff.classes] == differ
    assert diff.same == (before == after)
    assert bool(diff.groups) == (not diff.same)


def test_two_rules_for_cars() -> None:
    diff = compare(cars_taxonomy("a14"), cars_taxonomy("a13"))
    families = [change for change in diff.groups if change.level == "family"]
    assert families == [
        GroupChange("family", "merged", ("Extended Cab", "SuperCab"), ("Extended Cab",))
    ]
    assert diff.counts[0] == LevelCount("family", 14, 13)
    assert diff.classes
    assert all(change.before[0] == "SuperCab" for change in diff.classes)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["A x", "A y"], ["A x", "A y"], []),
        (["A x", "A y"], ["B x", "B y"], [("renamed", ("A",), ("B",))]),
        (["A x", "A y"], ["A x", "B y"], [("split", ("A",), ("A", "B"))]),
        (["A x", "A y"], ["C x", "B y"], [("split", ("A",), ("B", "C"))]),
        (["A x", "B y"], ["A x", "A y"], [("merged", ("A", "B"), ("A",))]),
        (["A x", "A y", "B z"], ["A x", "B y", "B z"], [("regrouped", ("A", "B"), ("A", "B"))]),
        # Names exchanged: each group keeps its classes.
        (
            ["A x", "A y", "B z"],
            ["B x", "B y", "A z"],
            [("renamed", ("A",), ("B",)), ("renamed", ("B",), ("A",))],
        ),
        # A chain that only its last pair joins.
        (
            ["A v", "A w", "B x", "B y", "C z"],
            ["D v", "E w", "E x", "F y", "F z"],
            [("regrouped", ("A", "B", "C"), ("D", "E", "F"))],
        ),
        # The class that left says nothing about a split.
        (["A x", "A y"], ["A x", "B z"], []),
    ],
)
def test_what_happens_to_groups(
    before: list[str], after: list[str], expected: list[tuple[str, object, object]]
) -> None:
    assert kinds(compare(table(*before), table(*after))) == expected


def test_classes_of_one_side() -> None:
    diff = compare(table("A x", "A y", "B w"), table("A y", "C z", "C v"))
    assert (diff.removed, diff.added) == (("x", "w"), ("z", "v"))
    assert diff.classes == ()
    assert not diff.same
    assert compare(table("A x", "B y"), table("B y", "A x")).same


def test_a_group_that_moves_as_a_whole_changes_its_classes_and_is_not_renamed() -> None:
    levels = "top group class"
    before = table("P A x", "P A y", "P B z", levels=levels)
    diff = compare(before, table("Q A x", "Q A y", "P B z", levels=levels))
    assert [change.name for change in diff.classes] == ["x", "y"]
    assert diff.groups == (GroupChange("top", "split", ("P",), ("P", "Q")),)


def test_homonyms_are_told_apart_by_their_place() -> None:
    levels = "family genus class"
    before = table("A V x", "B V y", "B W x", "B W q", levels=levels)
    diff = compare(before, table("A V x", "A V y", "B U x", "B U q", levels=levels))
    assert [(c.before, c.after) for c in diff.classes] == [
        (("B", "V"), ("A", "V")),
        (("B", "W"), ("B", "U")),
        (("B", "W"), ("B", "U")),
    ]
    assert diff.classes[1].name == before.names[-1][2] != "x"
    assert (diff.removed, diff.added) == ((), ())
    merged = next(change for change in diff.groups if change.kind == "merged")
    assert len(set(merged.before)) == 2
    assert merged.after == ("V",)
    # Two that left and one that came: nobody knows which it is.
    diff = compare(before, table("A V y", "B V q", "C V x", levels=levels))
    assert (len(diff.removed), len(diff.added)) == (2, 1)


@pytest.mark.parametrize("depth", [2, 4])
def test_any_number_of_levels(depth: int) -> None:
    levels = " ".join(f"level{i}" for i in range(depth))
    upper = [f"n{i}" for i in range(depth - 2)]
    a = table(" ".join([*upper, "A", "x"]), " ".join([*upper, "A", "y"]), levels=levels)
    b = table(" ".join([*upper, "A", "x"]), " ".join([*upper, "B", "y"]), levels=levels)
    assert class_rows(compare(a, b)) == (
        (f"level{depth - 1}", *(f"level{i}" for i in range(depth - 1))),
        ("y", *upper, "A -> B"),
    )


def test_rows_for_a_plain_table() -> None:
    diff = compare(table("A x", "B y"), table("A x", "A y"))
    assert count_rows(diff) == (
        ("level", "before", "after"),
        ("group", "2", "1"),
        ("class", "2", "2"),
    )
    assert class_rows(diff) == (("class", "group"), ("y", "B -> A"))
    assert group_rows(diff) == (
        ("level", "change", "before", "after"),
        ("group", "merged", "A, B", "A"),
    )


def test_other_levels_are_refused() -> None:
    with pytest.raises(TaxonomyError, match="the levels family, genus, species") as caught:
        compare(cub_taxonomy(), cub_taxonomy(levels=("order", "family", "genus", "species")))
    assert "--levels" in caught.value.hint


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_every_changed_class_lies_in_a_changed_group(moves: list[tuple[int, int]]) -> None:
    a = table(*(f"g{old} c{i}" for i, (old, _) in enumerate(moves)))
    b = table(*(f"g{new} c{i}" for i, (_, new) in enumerate(moves)))
    forth, back = compare(a, b), compare(b, a)
    before = [name for change in forth.groups for name in change.before]
    assert len(before) == len(set(before))
    assert {f"g{old}" for old, new in moves if old != new} <= set(before)
    # Seen from the other side, splits are mergers.
    turned = {"split": "merged", "merged": "split"}
    assert {(turned.get(c.kind, c.kind), c.after, c.before) for c in forth.groups} == {
        (c.kind, c.before, c.after) for c in back.groups
    }
