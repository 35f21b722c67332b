"""Which edition of the bird lists gives the genus and the family of a CUB-200-2011 class.

Bird lists change every year, so an edition always has a name and is never "the latest". The paper
(Huo et al., SIGIR 2019) has 113 genera and 36 families and names no list; ``taxonomies/README.md``
says what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from c2f_data.errors import TaxonomyError


@dataclass(frozen=True, slots=True)
class Edition:
    """One published state of the bird lists.

    Attributes:
        genus, family: columns of ``taxonomies/cub.csv``.
        genera, families: number of different names over the 200 classes.
        orders: the same for orders; None where they were not read.
        source: where the names were read, or how they were derived.
        order: column of the orders; None where the table has none.
    """

    name: str
    title: str
    genus: str
    family: str
    genera: int
    families: int
    orders: int | None
    source: str
    order: str | None = None


_ALL = (
    Edition(
        name="ebird2025",
        title="eBird/Clements v2025",
        genus="genus",
        family="family",
        genera=124,
        families=37,
        orders=13,
        source="CornellLabofOrnithology/auk, data-raw/ebird-taxonomy.csv at 7b628f3",
        order="order",
    ),
    Edition(
        name="ebird2018",
        title="eBird/Clements v2018",
        genus="genus_2018",
        family="family_2018",
        genera=123,
        families=37,
        orders=12,
        source="CornellLabofOrnithology/auk at 2f1e215",
    ),
    Edition(
        name="aou2016",
        title="AOU check-list to supplement 57, eBird/Clements v2016",
        genus="genus_2016",
        family="family_2016",
        genera=119,
        families=36,
        orders=12,
        source="CornellLabofOrnithology/auk at 351dd99; the 194 classes of the AOU list agree "
        "with atyre2/flgaCBC, data/NACC_list_species.csv",
    ),
    Edition(
        name="aou2011",
        title="AOU check-list to supplement 52",
        genus="genus_2011",
        family="family_2011",
        genera=118,
        families=36,
        orders=None,
        source="aou2016 stepped back by documented changes",
    ),
    Edition(
        name="aou2005",
        title="AOU check-list to supplements 43 to 46, 2002-2005",
        genus="genus_aou2005",
        family="family_aou2005",
        genera=113,
        families=36,
        orders=None,
        source="aou2016 stepped back by documented changes; genera agree with EltonTraits 1.0 "
        "but for Megaceryle",
    ),
    Edition(
        name="wikispecies",
        title="Wikispecies, collected by Barz and Denzler",
        genus="genus_wikispecies",
        family="family_wikispecies",
        genera=121,
        families=37,
        orders=13,
        source="cvjena/semantic-embeddings, CUB-Hierarchy at 0d41774",
    ),
)
EDITIONS: Mapping[str, Edition] = MappingProxyType({entry.name: entry for entry in _ALL})
DEFAULT_EDITION = "ebird2025"


def edition(name: str) -> Edition:
    """The edition of that name. Raises TaxonomyError, listing all, for another one."""
    if name not in EDITIONS:
        listed = "; ".join(
            f"{e.name} ({e.title}: {e.genera} genera, {e.families} families)" for e in _ALL
        )
        raise TaxonomyError(f"no edition {name!r} of the cub hierarchy", f"Choose one of {listed}.")
    return EDITIONS[name]
