"""The committed hierarchies: CUB-200-2011 and Stanford Cars."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.table import Table, parse_table, taxonomy_from_table
from c2f_data.taxonomy import Taxonomy

# Which column holds which level; the paper (section 4.1) takes a car's body type for the family
# and make + body type for the genus.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "cub": {"species": "class_name", "genus": "genus", "family": "family"},
    "cars": {"species": "class_name", "genus": "genus", "family": "body_type"},
}


def builtin_table(name: str) -> Table:
    """The committed CSV of ``cub`` or ``cars``. Raises TaxonomyError for another name."""
    if name not in COLUMNS:
        raise TaxonomyError(
            f"no built-in hierarchy {name!r}",
            f"Choose one of {', '.join(COLUMNS)}, or give the path of a CSV file.",
        )
    text = (files("c2f_taxonomies") / f"{name}.csv").read_text(encoding="utf-8")
    return parse_table(text, f"taxonomies/{name}.csv")


def builtin_taxonomy(name: str) -> Taxonomy:
    """The three-level hierarchy of ``cub`` or ``cars``. Raises TaxonomyError for another name."""
    table = builtin_table(name)
    return taxonomy_from_table(table, name=name, columns=COLUMNS[name])
