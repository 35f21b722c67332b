"""CUB-200-2011: the committed table, read in one edition of the bird lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cub_editions import DEFAULT_EDITION, EDITIONS, Edition, edition
from c2f_data.hierarchy.cub_editions import edition as named_edition
from c2f_data.hierarchy.table import Table, parse_table, taxonomy_from_table
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

__all__ = [
    "DEFAULT_EDITION",
    "EDITIONS",
    "RANKS",
    "Edition",
    "cub_table",
    "cub_taxonomy",
    "edition",
]

RANKS = ("order", "family", "genus", "species")


def cub_table() -> Table:
    """``taxonomies/cub.csv``: every edition, the scientific names and the notes."""
    text = (files("c2f_taxonomies") / "cub.csv").read_text(encoding="utf-8")
    return parse_table(text, "taxonomies/cub.csv")


def cub_taxonomy(
    edition: str = DEFAULT_EDITION, levels: Sequence[str] = DEFAULT_LEVELS
) -> Taxonomy:
    """The hierarchy ``cub``: 200 classes in the order of their ids.

    Args:
        edition: a name in EDITIONS.
        levels: two or more of RANKS, coarse to fine, the last one always species. The species is
            the official class name without its number, as the image folders have it.

    Raises:
        TaxonomyError: an unknown edition, other levels, or orders in an edition without them.
    """
    chosen = named_edition(edition)
    ranks = tuple(rank for rank in RANKS if rank in levels)
    if tuple(levels) != ranks or len(ranks) < 2 or ranks[-1] != RANKS[-1]:
        raise TaxonomyError(
            f"the cub hierarchy has no levels {','.join(levels)}",
            f"Choose two or more of {', '.join(RANKS)}, in this order and with {RANKS[-1]}.",
        )
    if "order" in ranks and chosen.order is None:
        having = ", ".join(entry.name for entry in EDITIONS.values() if entry.order)
        raise TaxonomyError(
            f"the cub hierarchy has no orders in edition {chosen.name}",
            f"Leave the level order out, or take an edition with orders: {having}.",
        )
    columns = {
        "order": chosen.order or "",
        "family": chosen.family,
        "genus": chosen.genus,
        "species": "class_name",
    }
    table = cub_table()
    table = replace(table, origin=f"{table.origin}, edition {chosen.name}")
    return taxonomy_from_table(table, name="cub", levels=ranks, columns=columns)
