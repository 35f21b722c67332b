"""Every format holds the hierarchy that it was made from, whatever the names are."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.hierarchy.formats import (
    FORMATS,
    counted,
    csv_text,
    json_text,
    newick_text,
    root_node,
    tree_text,
)
from c2f_data.hierarchy.table import parse_table, taxonomy_from_table
from c2f_data.taxonomy import Taxonomy

BIRDS = Taxonomy(
    "birds",
    ("family", "genus", "species"),
    (
        ("Laridae", "Larus", "Herring gull"),
        ("Corvidae", "Corvus", "Raven"),
        ("Laridae", "Rissa", "Kittiwake"),
        ("Laridae", "Larus", "Ring-billed gull"),
    ),
)

# Marks of CSV and Newick, line breaks, combining and right-to-left characters, and all others.
CHARACTERS = st.sampled_from("ab,;:'\"()[]{}#\\ _\n\r\t\u0301\u05d0\u0627\u200d\u202e│└─") | (
    st.characters(exclude_categories=["Cs"])
)
NAMES = (
    st.text(CHARACTERS, min_size=1, max_size=6)
    .map(lambda text: unicodedata.normalize("NFC", text).strip())
    .filter(bool)
)


@st.composite
def taxonomies(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> Taxonomy:
    """Any tree of two to four levels, its classes in any order."""
    depth = draw(st.integers(2, 4))
    levels = draw(st.lists(names, min_size=depth, max_size=depth, unique=True))
    # The depth behind each name: no two levels share one, so there can be no cycle.
    pool = iter(draw(st.lists(names, min_size=40, max_size=40, unique=True)))
    paths: list[tuple[str, ...]] = [()]
    for level in range(depth):
        paths = [
            (*path, f"{next(pool)}{level}")
            for path in paths
            for _ in range(draw(st.integers(1, 2)))
        ]
    return Taxonomy("t", tuple(levels), tuple(draw(st.permutations(paths))))


def without_breaks(taxonomy: Taxonomy) -> bool:
    text = "".join("".join(path) for path in taxonomy.paths)
    return not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text)


def read_newick(text: str) -> list[tuple[str, ...]]:
    """Paths of the leaves of one rooted tree, by the rules of the format; no code of ours."""
    position = 0

    def label() -> str:
        nonlocal position
        assert text[position] == "'"
        end = position + 1
        while text[end] != "'" or text[end + 1] == "'":
            end += 2 if text[end] == "'" else 1
        name, position = text[position + 1 : end].replace("''", "'"), end + 1
        return name

    def subtree() -> list[tuple[str, ...]]:
        nonlocal position
        below: list[tuple[str, ...]] = []
        if text[position] == "(":
            while text[position] in "(,":
                position += 1
                below += subtree()
            assert text[position] == ")"
            position += 1
            name = label()
            return [(name, *path) for path in below]
        return [(label(),)]

    found = subtree()
    assert text[position:] == ";\n"
    return found


def read_json(node: dict[str, Any]) -> dict[int, tuple[str, ...]]:
    if "class_id" in node:
        return {node["class_id"]: (node["name"],)}
    return {
        key: (node["name"], *path)
        for child in node["children"]
        for key, path in read_json(child).items()
    }


@given(taxonomies())
def test_csv_comes_back_as_it_was(taxonomy: Taxonomy) -> None:
    table = parse_table(csv_text(taxonomy), "t")
    read = taxonomy_from_table(table, name="t", levels=table.columns)
    assert (read.levels, read.paths) == (taxonomy.levels, taxonomy.paths)
    assert read.fingerprint == taxonomy.fingerprint


@given(taxonomies())
def test_json_comes_back_as_it_was(taxonomy: Taxonomy) -> None:
    read = json.loads(json_text(taxonomy))
    assert (read["schema"], read["schema_version"]) == ("c2f-hierarchy", 1)
    assert tuple(read["levels"]) == taxonomy.levels
    assert read["fingerprint"] == taxonomy.fingerprint
    by_id = read_json(read)
    assert sorted(by_id) == list(range(len(taxonomy.paths)))
    assert [by_id[i][1:] for i in sorted(by_id)] == list(taxonomy.paths)


@given(taxonomies())
def test_newick_is_one_tree_with_the_same_branches_or_is_refused(taxonomy: Taxonomy) -> None:
    if not without_breaks(taxonomy):
        with pytest.raises(TaxonomyError, match=r"row .*Newick"):
            newick_text(taxonomy)
        return
    leaves = read_newick(newick_text(taxonomy))
    assert {path[0] for path in leaves} == {"t"}
    assert sorted(path[1:] for path in leaves) == sorted(taxonomy.paths)


@given(taxonomies())
def test_the_drawing_has_one_line_for_each_node(taxonomy: Taxonomy) -> None:
    lines = tree_text(taxonomy).removesuffix("\n").split("\n")
    nodes = {path[:depth] for path in taxonomy.paths for depth in range(len(taxonomy.levels) + 1)}
    assert len(lines) == len(nodes)
    assert not any(unicodedata.category(c) == "Cc" or c in "\u202e" for c in "".join(lines))


@given(taxonomies(st.text("abc,('", min_size=1, max_size=4)))
def test_the_drawing_shows_who_is_below_whom(taxonomy: Taxonomy) -> None:
    trail: list[str] = []
    leaves = []
    for line in tree_text(taxonomy).splitlines()[1:]:
        indent, name = line[: line.index("── ") + 3], line[line.index("── ") + 3 :]
        depth = len(indent) // 4
        trail = [*trail[: depth - 1], name.rsplit("  (", 1)[0]]
        if depth == len(taxonomy.levels):
            leaves.append(tuple(trail))
    assert sorted(leaves) == sorted(taxonomy.paths)


def test_the_drawing_for_people() -> None:
    assert tree_text(BIRDS) == (
        "birds  (2 families, 3 genera, 4 species)\n"
        "├── Laridae  (2 genera, 3 species)\n"
        "│   ├── Larus  (2 species)\n"
        "│   │   ├── Herring gull\n"
        "│   │   └── Ring-billed gull\n"
        "│   └── Rissa  (1 species)\n"
        "│       └── Kittiwake\n"
        "└── Corvidae  (1 genus, 1 species)\n"
        "    └── Corvus  (1 species)\n"
        "        └── Raven\n"
    )
    assert tree_text(BIRDS, depth=1) == (
        "birds  (2 families, 3 genera, 4 species)\n"
        "├── Laridae  (2 genera, 3 species)\n"
        "└── Corvidae  (1 genus, 1 species)\n"
    )
    assert tree_text(BIRDS, depth=9) == tree_text(BIRDS)


def test_newick_quotes_every_name() -> None:
    table = Taxonomy("t", ("a", "b"), (("Brewer's", "x y"), ("Brewer's", "(z)"), ("C", "ä_1")))
    assert newick_text(table) == "(('x y','(z)')'Brewer''s',('ä_1')'C')'t';\n"


def test_newick_names_the_line_that_it_cannot_hold() -> None:
    read = taxonomy_from_table(
        parse_table('# one\na,b\nX,y\nX,"z\nz"\n', "t.csv"), name="t", levels=("a", "b")
    )
    with pytest.raises(TaxonomyError, match=r"t\.csv: line 4: .*'z\\nz'") as caught:
        newick_text(read)
    assert "--format" in caught.value.hint


def test_a_name_in_two_branches_stays_two_nodes() -> None:
    plants = (("Prunellidae", "Prunella", "Dunnock"), ("Lamiaceae", "Prunella", "Self-heal"))
    taxonomy = Taxonomy("t", ("family", "genus", "species"), plants)
    assert tree_text(taxonomy).count("Prunella  (1 species)") == 2
    assert sorted(path[1:] for path in read_newick(newick_text(taxonomy))) == sorted(plants)
    assert root_node(taxonomy).counts == (2, 2, 2)


@pytest.mark.parametrize("name", ["cub", "cars"])
def test_the_committed_hierarchies_in_every_format(name: str) -> None:
    taxonomy = builtin_taxonomy(name)
    assert [path[1:] for path in sorted(read_newick(newick_text(taxonomy)))] == sorted(
        taxonomy.paths
    )
    nodes = sum(taxonomy.count(level) for level in taxonomy.levels)
    assert len(tree_text(taxonomy).splitlines()) == 1 + nodes
    assert all(form(taxonomy) == form(builtin_taxonomy(name)) for form in FORMATS.values())


def test_counts_in_words() -> None:
    assert [counted("Genus", 1), counted("Genus", 2)] == ["1 Genus", "2 genera"]
    assert [counted("kind", 1), counted("kind", 1200)] == ["1 kind", "1,200 kind classes"]
