"""A hierarchy as text: a drawn tree, CSV, nested JSON, Newick. Every one keeps the table's order.

The tree is for reading. The other three hold the whole hierarchy: names, parents, order of the
classes (Newick: order within each parent; it has no place for class ids and level names).
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c2f_data.errors import TaxonomyError
from c2f_data.taxonomy import Taxonomy

JSON_SCHEMA, JSON_VERSION = "c2f-hierarchy", 1
PLURALS = {
    "species": "species",
    "genus": "genera",
    "family": "families",
    "order": "orders",
    "class": "classes",
    "make": "makes",
    "model": "models",
    "manufacturer": "manufacturers",
    "variant": "variants",
    "subspecies": "subspecies",
}
# What would break a line or turn its direction; marks and joiners that scripts need are none.
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


@dataclass(frozen=True, slots=True)
class Node:
    """A name with what is below it.

    Attributes:
        counts: number of nodes below, one entry for each finer level, coarse to fine; empty for
            a class.
        class_id: position in the table, for a class; None above.
    """

    name: str
    children: tuple[Node, ...]
    counts: tuple[int, ...]
    class_id: int | None


def root_node(taxonomy: Taxonomy) -> Node:
    """The hierarchy under one root that bears its name. Equal names in two branches are two."""
    return _grow(taxonomy.name, list(enumerate(taxonomy.paths)), 0, len(taxonomy.levels))


def _grow(name: str, rows: list[tuple[int, tuple[str, ...]]], depth: int, levels: int) -> Node:
    if depth == levels:
        return Node(name, (), (), rows[0][0])
    groups: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for row in rows:
        groups.setdefault(row[1][depth], []).append(row)
    children = tuple(_grow(child, below, depth + 1, levels) for child, below in groups.items())
    finer = [sum(column) for column in zip(*(child.counts for child in children), strict=True)]
    return Node(name, children, (len(children), *finer), None)


def counted(level: str, count: int) -> str:
    """'1 genus', '113 genera'; '3 kind classes' for a level whose plural isn't known."""
    many = PLURALS.get(level.casefold(), f"{level} classes")
    return f"{count:,} {level if count == 1 else many}"


def visible(text: str) -> str:
    """The text on one line, left as it is but for what breaks a line or turns the direction."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _BREAKING
        or unicodedata.bidirectional(character) in _TURNING
        else character
        for character in text
    )


def tree_text(taxonomy: Taxonomy, depth: int | None = None) -> str:
    """A drawing for people: one line a node, with the number of nodes below it.

    Args:
        depth: how many levels to draw, from the coarsest; None: all of them.
    """
    root = root_node(taxonomy)
    lines = _draw(root, taxonomy.levels, "", len(taxonomy.levels) if depth is None else depth)
    return "\n".join([_label(root, taxonomy.levels), *lines]) + "\n"


def _draw(node: Node, levels: Sequence[str], indent: str, depth: int) -> Iterator[str]:
    if depth < 1:
        return
    for child in node.children:
        last = child is node.children[-1]
        yield f"{indent}{'└── ' if last else '├── '}{_label(child, levels[1:])}"
        yield from _draw(child, levels[1:], indent + ("    " if last else "│   "), depth - 1)


def _label(node: Node, finer: Sequence[str]) -> str:
    """A name and what is below it; ``finer``: the levels below the node's own."""
    below = ", ".join(counted(level, n) for level, n in zip(finer, node.counts, strict=True))
    return visible(f"{node.name}  ({below})" if below else node.name)


def newick_text(taxonomy: Taxonomy) -> str:
    """One rooted tree in Newick form; every name is quoted, a quote in a name is doubled.

    Raises:
        TaxonomyError: a name holds a control character (a line break), for which there is no way
            to write it in Newick.
    """
    for row, path in enumerate(taxonomy.paths):
        for name in (taxonomy.name, *path):
            if any(unicodedata.category(character) in _BREAKING for character in name):
                line = f"line {taxonomy.lines[row]}" if taxonomy.lines else f"row {row + 1}"
                raise TaxonomyError(
                    f"{taxonomy.origin or taxonomy.name}: {line}: a Newick tree can't hold the "
                    f"line break or control character in {name!r}",
                    "Rename it, or choose another --format.",
                )
    return _newick(root_node(taxonomy)) + ";\n"


def _newick(node: Node) -> str:
    below = f"({','.join(_newick(child) for child in node.children)})" if node.children else ""
    quoted = node.name.replace("'", "''")
    return f"{below}'{quoted}'"


def json_text(taxonomy: Taxonomy) -> str:
    """Nested JSON: ``{"name", "children": [...]}``, as drawing libraries read it.

    The top also has ``schema``, ``schema_version``, ``levels`` (coarse to fine) and
    ``fingerprint``; a class has ``class_id``, its position in the table, instead of children.
    """
    top = {
        "schema": JSON_SCHEMA,
        "schema_version": JSON_VERSION,
        "levels": taxonomy.levels,
        "fingerprint": taxonomy.fingerprint,
        **_nested(root_node(taxonomy)),
    }
    return json.dumps(top, indent=1, ensure_ascii=False) + "\n"


def _nested(node: Node) -> dict[str, Any]:
    if not node.children:
        return {"name": node.name, "class_id": node.class_id}
    return {"name": node.name, "children": [_nested(child) for child in node.children]}


def csv_text(taxonomy: Taxonomy) -> str:
    """``hierarchy.csv``: one column a level, coarse to fine; one row a class."""
    return rows_as_csv(taxonomy.levels, taxonomy.paths)


def rows_as_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV text that :func:`c2f_data.hierarchy.table.parse_table` reads back."""
    table = [header, *rows]
    # Quoted, a name that starts with # is no comment. The csv module leaves a lone carriage return
    # unquoted, and takes it for the end of a line when it reads.
    unsafe = any(row[0].startswith("#") or any("\r" in cell for cell in row) for row in table)
    buffer = io.StringIO()
    writer = csv.writer(
        buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if unsafe else csv.QUOTE_MINIMAL
    )
    writer.writerows(table)
    return buffer.getvalue()


FORMATS: Mapping[str, Callable[[Taxonomy], str]] = {
    "csv": csv_text,
    "tree": tree_text,
    "json": json_text,
    "newick": newick_text,
}
