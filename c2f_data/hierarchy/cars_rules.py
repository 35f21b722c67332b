"""Which body types of Stanford Cars count as one family.

The paper (Huo et al., SIGIR 2019) takes the body type for the family and make + body type for the
genus (section 4.1), and does not list them: its Table 2 has 113 genera and 14 families, its text
13 families. Each rule is one way to read the names, with the counts that it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cars_names import CABS


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to make families of body types.

    Attributes:
        families: number of families of the 196 official classes.
        genera: number of their genera.
        merged: body type as written to the family it counts as; the others are families as they
            are.
    """

    name: str
    title: str
    families: int
    genera: int
    merged: Mapping[str, str]

    def family(self, body_type: str) -> str:
        """The family of a body type."""
        return self.merged.get(body_type, body_type)


_ALL = (
    Rule("a14", "cab kinds as written, Minivan apart from Van", 14, 113, {}),
    Rule("a13", "as a14, SuperCab is an Extended Cab", 13, 113, {"SuperCab": "Extended Cab"}),
    Rule(
        "c11",
        "three cab kinds: SuperCab, Club Cab and Quad Cab are Extended Cabs",
        11,
        112,
        dict.fromkeys(("SuperCab", "Club Cab", "Quad Cab"), "Extended Cab"),
    ),
    Rule("d9", "one Pickup for all cab kinds", 9, 107, dict.fromkeys(CABS, "Pickup")),
)
RULES: Mapping[str, Rule] = {rule.name: rule for rule in _ALL}
DEFAULT_RULE = "a14"


def rule(name: str) -> Rule:
    """The rule of that name. Raises TaxonomyError, listing all, for another one."""
    if name not in RULES:
        listed = "; ".join(
            f"{r.name} ({r.title}: {r.genera} genera, {r.families} families)" for r in _ALL
        )
        raise TaxonomyError(f"no rule {name!r} for the cars hierarchy", f"Choose one of {listed}.")
    return RULES[name]
