"""Stanford Cars: make, model, body type and year, read off the official class names by rule.

``python -m c2f_data.hierarchy.cars > taxonomies/cars.csv`` writes the committed table again.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cars_names import BODY_TYPES, MAKES, NOTES, UNTYPED
from c2f_data.hierarchy.cars_rules import DEFAULT_RULE, Rule
from c2f_data.hierarchy.cars_rules import rule as named_rule
from c2f_data.hierarchy.table import Table, taxonomy_from_table
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

COLUMNS = (
    "class_id", "class_name", "make", "model", "body_type", "year", "genus", "body_type_source",
    "note",
)  # fmt: skip
LEVEL_COLUMNS: Mapping[str, str] = {
    "species": "class_name",
    "genus": "genus",
    "family": "body_type",
}

_TYPE = re.compile(rf"(?<!\S)(?:{'|'.join(BODY_TYPES)})(?!\S)")
_YEAR = re.compile(r"(?<!\S)(?:19|20)\d\d\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class CarName:
    """A class name in its parts.

    Attributes:
        body_type: one of BODY_TYPES.
        body_type_source: ``name``, or ``vehicle`` where the name has no type.
    """

    make: str
    model: str
    body_type: str
    year: str
    body_type_source: str


def parse_name(name: str) -> CarName:
    """Read a class name: make first, year last, and the last type phrase in between.

    Raises:
        TaxonomyError: an unknown make, no year, no model, or no body type and no entry in the
            table of real body styles; everything that is wrong with the name is said.
    """
    make = next((make for make in MAKES if name.startswith(f"{make} ")), "")
    year = match[0] if (match := _YEAR.search(name)) else ""
    model = name.removeprefix(make).removesuffix(year)
    source, body_type = "vehicle", UNTYPED.get(name, ("", ""))[0]
    if found := list(_TYPE.finditer(model)):
        source, body_type = "name", found[-1][0]
        model = model[: found[-1].start()] + model[found[-1].end() :]
    model = " ".join(model.split())
    parts = {"known make": make, "model": model, "body type": body_type, "year": year}
    if missing := [f"no {part}" for part, value in parts.items() if not value]:
        raise TaxonomyError(
            f"{name!r} has {' and '.join(missing)}",
            "Write it as the official names are (Audi S4 Sedan 2012), or give a table of your "
            "own: c2f build-hierarchy TABLE.csv. Makes, body types and names without a type are "
            "listed in c2f_data/hierarchy/cars_names.py.",
        )
    return CarName(make, model, body_type, year, source)


@cache
def official_names() -> tuple[str, ...]:
    """The 196 class names in class-id order, as ``cars_meta.mat`` spells them."""
    text = (files("c2f_taxonomies") / "cars_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def canonical_name(name: str) -> str | None:
    """The official name that ``name`` is a spelling of, or None.

    Case, spaces, dashes, slashes, underscores and dots are no difference: image folders write
    ``Ram C-V Cargo Van Minivan 2012`` for C/V.
    """
    return _by_key().get(_key(name))


def _key(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


@cache
def _by_key() -> Mapping[str, str]:
    return {_key(name): name for name in official_names()}


def cars_table(rule: str = DEFAULT_RULE, class_names: Sequence[str] | None = None) -> Table:
    """The table of the data set's classes under a rule (see :mod:`.cars_rules`).

    Args:
        class_names: other names than the 196 official ones; spelling variants of official names
            are replaced by these. ``class_id`` is the position, from 1.

    Raises:
        TaxonomyError: an unknown rule, or names that can't be read; all of them are named.
    """
    chosen = named_rule(rule)
    given = official_names() if class_names is None else class_names
    names = [canonical_name(name) or " ".join(name.split()) for name in given]
    rows, wrong = [], []
    for class_id, name in enumerate(names, start=1):
        try:
            rows.append(_row(class_id, name, parse_name(name), chosen))
        except TaxonomyError as error:
            wrong.append(error)
    if wrong:
        raise TaxonomyError("; ".join(error.message for error in wrong), wrong[0].hint)
    # The lines that the rows have in csv_text.
    lines = tuple(range(2, len(rows) + 2))
    return Table(f"Stanford Cars by rule {rule}", COLUMNS, tuple(rows), lines)


def _row(class_id: int, name: str, car: CarName, rule: Rule) -> Mapping[str, str]:
    family = rule.family(car.body_type)
    values = (
        str(class_id), name, car.make, car.model, family, car.year, f"{car.make} {family}",
        car.body_type_source, _note(name, car, rule),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _note(name: str, car: CarName, rule: Rule) -> str:
    note = NOTES.get(name, "")
    if car.body_type_source == "vehicle":
        note = f"no type in name; {UNTYPED[name][1]}"
    if car.body_type in rule.merged:
        # What is said about cabs ends in "as written", which this rule makes untrue.
        about = note.partition("; ")[0]
        counted = f"{car.body_type} counted as {rule.family(car.body_type)}"
        note = f"{about}; {counted}" if about else counted
    return note.format(fewer=rule.genera - 1)


def cars_taxonomy(rule: str = DEFAULT_RULE, levels: Sequence[str] = DEFAULT_LEVELS) -> Taxonomy:
    """The hierarchy ``cars``: family (body type), genus (make + body type), species (class).

    Args:
        levels: two or more of these, or of the table's columns (``make,genus,species``), coarse
            to fine.

    Raises:
        TaxonomyError: an unknown rule, or levels that the table does not have or contradicts.
    """
    columns = {level: column for level, column in LEVEL_COLUMNS.items() if level in levels}
    return taxonomy_from_table(cars_table(rule), name="cars", levels=levels, columns=columns)


def csv_text(rule: str = DEFAULT_RULE) -> str:
    """The table as CSV; for the default rule this is ``taxonomies/cars.csv``.

    Raises:
        TaxonomyError: an unknown rule.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cars_table(rule).rows)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.stdout.write(csv_text())
