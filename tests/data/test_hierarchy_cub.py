"""CUB in six editions: counts, every cell against the reference, and what the README prints."""

from __future__ import annotations

import csv
import re
from importlib.resources import files
from pathlib import Path

import pytest

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cub import (
    DEFAULT_EDITION,
    EDITIONS,
    RANKS,
    cub_table,
    cub_taxonomy,
    edition,
)

COUNTS = {  # genera, families
    "ebird2025": (124, 37),
    "ebird2018": (123, 37),
    "aou2016": (119, 36),
    "aou2011": (118, 36),
    "aou2005": (113, 36),
    "wikispecies": (121, 37),
}
GENUS_LEVEL = {44, 92, 103, 110}


def reference(shared: Path, file: str) -> list[dict[str, str]]:
    with (shared / "reference" / file).open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def readme() -> str:
    return (files("c2f_taxonomies") / "README.md").read_text(encoding="utf-8")


def markdown_rows(text: str, title: str) -> list[list[str]]:
    """The cells of all tables of one section, headers and rules left out."""
    section = re.split(r"^#+ ", text.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    rows = []
    for block in section.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        rows += [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    return rows


@pytest.mark.parametrize("name", COUNTS)
def test_each_edition_has_its_counts(name: str) -> None:
    taxonomy, facts = cub_taxonomy(name), edition(name)
    assert taxonomy.levels == ("family", "genus", "species")
    assert (taxonomy.count("genus"), taxonomy.count("family")) == COUNTS[name]
    assert (facts.genera, facts.families) == COUNTS[name]
    assert taxonomy.count("species") == 200
    assert taxonomy.name == "cub"
    assert taxonomy.origin == f"taxonomies/cub.csv, edition {name}"


def test_the_editions_are_six_different_hierarchies_of_the_same_classes() -> None:
    tables = [cub_taxonomy(name) for name in EDITIONS]
    assert set(EDITIONS) == set(COUNTS)
    assert len({table.fingerprint for table in tables}) == 6
    assert len({table.names[-1] for table in tables}) == 1
    assert cub_taxonomy().paths == cub_taxonomy("ebird2025").paths
    assert DEFAULT_EDITION == "ebird2025"


def test_orders_are_there_in_the_primary_edition_alone() -> None:
    with_orders = cub_taxonomy(levels=RANKS)
    assert with_orders.count("order") == EDITIONS[DEFAULT_EDITION].orders == 13
    assert cub_taxonomy(levels=("order", "species")).count("species") == 200
    for name in set(EDITIONS) - {DEFAULT_EDITION}:
        with pytest.raises(TaxonomyError, match=f"no orders in edition {name}") as caught:
            cub_taxonomy(name, RANKS)
        assert DEFAULT_EDITION in caught.value.hint


@pytest.mark.parametrize(
    "levels",
    [
        ("genus", "family", "species"),
        ("family", "genus"),
        ("species",),
        (),
        ("family", "family", "species"),
        ("family", "genus_2016", "species"),
        ("kingdom", "species"),
    ],
)
def test_other_levels_are_refused(levels: tuple[str, ...]) -> None:
    with pytest.raises(TaxonomyError, match="has no levels") as caught:
        cub_taxonomy(levels=levels)
    assert "order, family, genus, species" in caught.value.hint


@pytest.mark.parametrize("name", ["v2018", "2018", "", "eBird2018", "latest"])
def test_an_unknown_edition_is_refused_with_a_list_of_all(name: str) -> None:
    for ask in (edition, cub_taxonomy):
        with pytest.raises(TaxonomyError, match=f"no edition '{name}'") as caught:
            ask(name)
        for known in EDITIONS.values():
            assert f"{known.name} ({known.title}" in caught.value.hint


def test_every_cell_equals_the_reference(shared: Path) -> None:
    facts = reference(shared, "cub_taxonomy_editions.csv")
    table = cub_table()
    assert table.columns == tuple(facts[0])
    assert [dict(row) for row in table.rows] == facts
    assert table.columns[-1] == "note"


def test_the_counts_and_sources_equal_the_reference(shared: Path) -> None:
    facts = {
        tuple(row["columns in cub.csv"].split()): row
        for row in reference(shared, "cub_edition_counts.csv")
    }
    for known in EDITIONS.values():
        columns = (known.genus, known.family, *((known.order,) if known.order else ()))
        row = facts[columns]
        orders = "" if known.orders is None else str(known.orders)
        assert (row["genera"], row["families"], row["orders"]) == (
            str(known.genera),
            str(known.families),
            orders,
        )
        # The commit, or the edition that it was derived from.
        said = re.findall(r"\b[0-9a-f]{7}\b|stepped back by documented changes", row["source"])
        assert said
        assert all(part in known.source for part in said)


def test_the_readme_prints_the_counts_of_the_table() -> None:
    rows = {row[0].strip("`"): row for row in markdown_rows(readme(), "Editions") if row[0]}
    assert list(rows) == list(EDITIONS)
    for name, (_, _, genera, families, orders, columns, _) in rows.items():
        taxonomy, facts = cub_taxonomy(name), edition(name)
        assert (int(genera), int(families)) == (taxonomy.count("genus"), taxonomy.count("family"))
        assert orders == ("" if facts.orders is None else str(facts.orders))
        assert columns.replace("`", "").split(", ")[:2] == [facts.genus, facts.family]
    head = {row[0]: row for row in markdown_rows(readme(), "Hierarchies")}
    assert head["`cub.csv`"][-1] == "37 / 124 / 200"


def test_the_readme_prints_the_counts_of_all_lists_with_their_sources(shared: Path) -> None:
    printed = markdown_rows(readme(), "Editions")
    facts = reference(shared, "cub_edition_counts.csv")
    assert [row[2:5] for row in printed] == [
        [row["genera"], row["families"], row["orders"]] for row in facts
    ]
    for row, fact in zip(printed, facts, strict=True):
        for commit in re.findall(r"\b[0-9a-f]{7}\b", fact["source"]):
            assert commit in row[-1]


def test_the_readme_is_right_about_the_paper() -> None:
    said = " ".join(readme().split())
    genus = {name: dict(_genera(name)) for name in EDITIONS}
    assert "only AOU 2002-2005 gives 113 / 36" in said
    assert [name for name, counts in COUNTS.items() if counts == (113, 36)] == ["aou2005"]
    assert "has the American Goldfinch in Carduelis" in said
    assert genus["aou2005"]["American_Goldfinch"] == "Carduelis"
    assert "AOU 2011 (118 genera" in said
    assert "AOU 2016 (119 genera" in said
    assert {
        name: COUNTS[name][0]
        for name in EDITIONS
        if genus[name]["American_Goldfinch"] == "Spinus" and COUNTS[name][1] == 36
    } == {"aou2016": 119, "aou2011": 118}
    assert "we claim no edition as the authors'" in said


def _genera(name: str) -> list[tuple[str, str]]:
    return [(species, genus) for _, genus, species in cub_taxonomy(name).paths]


def test_the_readme_repeats_the_notes_of_the_table() -> None:
    notes = {row["class_id"]: [row["class_name"], row["note"]] for row in cub_table().rows}
    printed = markdown_rows(readme(), "Quirks")
    assert {int(row[0]) for row in printed} >= {130, 91, *GENUS_LEVEL}
    for number, name, note in printed:
        assert [name.strip("`"), note] == notes[number]
        assert note


def test_the_known_quirks_have_a_note() -> None:
    notes = {int(row["class_id"]): row for row in cub_table().rows}
    assert "two species in two families" in notes[130]["note"]
    assert "mapped to Mimus" in notes[91]["note"]
    assert notes[91]["genus"] == "Mimus"
    in_genus = {number for number, row in notes.items() if "genus-level" in row["note"]}
    assert in_genus == GENUS_LEVEL
    assert in_genus == {n for n, row in notes.items() if row["scientific_name"].endswith(" sp.")}
