"""The hierarchies that come with c2f: ``cub`` in several editions, ``cars`` by several rules.

One word names a hierarchy wherever one is asked for: ``cub``, ``cub:aou2016``, ``cars``,
``cars:d9``.
"""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cars import cars_taxonomy
from c2f_data.hierarchy.cars_rules import DEFAULT_RULE
from c2f_data.hierarchy.cub import cub_taxonomy
from c2f_data.hierarchy.cub_editions import DEFAULT_EDITION
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

BUILTIN = ("cub", "cars")


def is_builtin(word: str) -> bool:
    """Whether the word names a built-in hierarchy (of a known variant or not), and no file."""
    return word.partition(":")[0] in BUILTIN


def builtin_taxonomy(word: str, levels: Sequence[str] = DEFAULT_LEVELS) -> Taxonomy:
    """A built-in hierarchy by its name, with the edition or rule after a colon.

    Raises:
        TaxonomyError: no such name, edition or rule, or levels that it does not have.
    """
    name, _, variant = word.partition(":")
    if name == "cub":
        return cub_taxonomy(variant or DEFAULT_EDITION, levels)
    if name == "cars":
        return cars_taxonomy(variant or DEFAULT_RULE, levels)
    raise TaxonomyError(
        f"no built-in hierarchy {word!r}",
        f"Choose one of {', '.join(BUILTIN)}, or give the path of a CSV file.",
    )
