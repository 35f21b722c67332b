"""Stanford Cars by rule: every cell, every count, every refusal, and what the README says."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.cars import (
    COLUMNS,
    canonical_name,
    cars_table,
    cars_taxonomy,
    csv_text,
    official_names,
    parse_name,
)
from c2f_data.hierarchy.cars_names import BODY_TYPES, MAKES, NOTES, UNTYPED
from c2f_data.hierarchy.cars_rules import DEFAULT_RULE, RULES, rule

TAXONOMIES = Path(__file__).resolve().parents[2] / "taxonomies"


def reference(shared: Path, name: str = "cars_hierarchy.csv") -> list[dict[str, str]]:
    with (shared / "reference" / name).open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def families_and_genera(name: str) -> tuple[int, int]:
    taxonomy = cars_taxonomy(name)
    return taxonomy.count("family"), taxonomy.count("genus")


def test_the_committed_table_is_the_output_for_the_default_rule() -> None:
    assert (TAXONOMIES / "cars.csv").read_bytes() == csv_text().encode()


def test_the_module_prints_the_table_and_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import runpy, sys\n"
        "runpy.run_module('c2f_data.hierarchy.cars', run_name='__main__')\n"
        "print({'torch', 'pandas', 'PIL', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == csv_text() + "set()\n"


def test_every_cell_equals_the_reference_facts(shared: Path) -> None:
    facts = [{column: row[column] for column in COLUMNS} for row in reference(shared)]
    assert [dict(row) for row in cars_table().rows] == facts


@pytest.mark.parametrize(("name", "suffix"), [("a13", "13"), ("d9", "9")])
def test_other_rules_equal_the_reference_facts(shared: Path, name: str, suffix: str) -> None:
    found = [(row["body_type"], row["genus"]) for row in cars_table(name).rows]
    facts = reference(shared)
    assert found == [(r[f"body_type_{suffix}"], r[f"genus_{suffix}"]) for r in facts]


@pytest.mark.parametrize("name", RULES)
def test_a_rules_counts_are_those_that_it_states(shared: Path, name: str) -> None:
    variants = {row["variant"].lower(): row for row in reference(shared, "cars_rule_variants.csv")}
    facts = int(variants[name]["families"]), int(variants[name]["genera"])
    assert families_and_genera(name) == (RULES[name].families, RULES[name].genera) == facts
    assert cars_taxonomy(name).count("species") == 196


def test_the_taxonomy_is_named_and_says_its_rule() -> None:
    taxonomy = cars_taxonomy("c11")
    assert (taxonomy.name, taxonomy.levels) == ("cars", ("family", "genus", "species"))
    assert "rule c11" in taxonomy.origin
    assert len({cars_taxonomy(name).fingerprint for name in RULES}) == len(RULES)
    assert taxonomy.names[-1] == official_names()
    assert cars_taxonomy() == cars_taxonomy(DEFAULT_RULE)


def test_an_unknown_rule_is_refused_with_the_list_of_all() -> None:
    with pytest.raises(TaxonomyError, match="no rule 'a15'") as caught:
        cars_table("a15")
    for known in RULES.values():
        assert f"{known.name} ({known.title}" in caught.value.hint
    assert rule("d9") is RULES["d9"]


def test_lines_are_those_of_the_csv() -> None:
    table, text = cars_table(), csv_text().splitlines()
    for row, line in zip(table.rows, table.lines, strict=True):
        assert text[line - 1].startswith(f"{row['class_id']},{row['class_name']},")


def test_the_official_names_are_the_devkits(shared: Path) -> None:
    from scipy.io import loadmat

    names = loadmat(shared / "data" / "cars_devkit" / "cars_meta.mat")["class_names"][0]
    assert official_names() == tuple(str(name[0]) for name in names)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("AM General Hummer SUV 2000", ("AM General", "Hummer", "SUV", "2000")),
        ("Ram C/V Cargo Van Minivan 2012", ("Ram", "C/V Cargo Van", "Minivan", "2012")),
        ("Ford E-Series Wagon Van 2012", ("Ford", "E-Series Wagon", "Van", "2012")),
        ("Infiniti G Coupe IPL 2012", ("Infiniti", "G IPL", "Coupe", "2012")),
        ("Land Rover Range Rover SUV 2012", ("Land Rover", "Range Rover", "SUV", "2012")),
        ("Ram 2500 Crew Cab 2020", ("Ram", "2500", "Crew Cab", "2020")),
    ],
)
def test_names_are_read_by_rule(name: str, parts: tuple[str, ...]) -> None:
    car = parse_name(name)
    assert (car.make, car.model, car.body_type, car.year) == parts
    assert car.body_type_source == "name"


def test_the_tables_of_the_parser_hold_nothing_that_is_not_used() -> None:
    cars = [parse_name(name) for name in official_names()]
    assert len(MAKES) == 49
    assert {car.make for car in cars} == set(MAKES)
    assert {car.body_type for car in cars} == set(BODY_TYPES)
    assert set(UNTYPED) == {name for name in official_names() if _untyped(name)}
    assert len(UNTYPED) == 14
    assert set(NOTES) <= set(official_names()) - set(UNTYPED)


def _untyped(name: str) -> bool:
    return not any(f" {kind} " in f" {name} " for kind in BODY_TYPES)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("Kia Soul Wagon 2012", "no known make"),
        ("Fordson Major Sedan 1950", "no known make"),
        ("Audi S4 Sedan", "no year"),
        ("Dodge Ram Crew Cab 3500", "no year"),
        ("Audi Sedan 2012", "no model"),
        ("Audi S4 2012", "no body type"),
        ("Audi S4 Sedanca 2012", "no body type"),
        ("Chevrolet HHR SS 2011", "no body type"),
        ("Kia 2012", "no known make and no body type"),
        ("", "no known make and no model and no body type and no year"),
    ],
)
def test_a_name_that_cant_be_read_is_named_with_what_is_missing(name: str, missing: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        cars_table(class_names=["Audi S4 Sedan 2012", name])
    assert caught.value.message == f"{name!r} has {missing}"
    assert "build-hierarchy TABLE.csv" in caught.value.hint


def test_all_unreadable_names_are_named_at_once() -> None:
    names = [f"Kia Model{i} Sedan 2012" for i in range(30)]
    with pytest.raises(TaxonomyError) as caught:
        cars_table(class_names=[*names, "Audi S4 Sedan 2012"])
    assert all(repr(name) in caught.value.message for name in names)
    assert "Audi" not in caught.value.message


def test_names_of_ones_own_are_read_and_folder_spellings_become_official() -> None:
    names = ["Ford Fiesta Hatchback 2013", "Ram C-V Cargo Van Minivan 2012", "jaguar_xk_xkr_2012"]
    rows = cars_table(class_names=names).rows
    assert [(row["class_id"], row["class_name"], row["genus"]) for row in rows] == [
        ("1", "Ford Fiesta Hatchback 2013", "Ford Hatchback"),
        ("2", "Ram C/V Cargo Van Minivan 2012", "Ram Minivan"),
        ("3", "Jaguar XK XKR 2012", "Jaguar Coupe"),
    ]


@pytest.mark.parametrize(
    "respell",
    [
        str,
        str.upper,
        lambda name: name.replace("/", "-"),
        lambda name: name.replace("/", "_").replace(" ", "_"),
        lambda name: re.sub(r"[^\w]+", "-", name).lower(),
        lambda name: f"  {name.replace(' ', '  ')}\t",
    ],
)
def test_a_spelling_variant_finds_its_official_name(respell) -> None:  # type: ignore[no-untyped-def]
    for name in official_names():
        assert canonical_name(respell(name)) == name


@pytest.mark.parametrize("name", ["", "Audi S4 Sedan", "Audi S4 Sedan 2011", "017.Gull", "///"])
def test_another_name_has_no_official_one(name: str) -> None:
    assert canonical_name(name) is None


@pytest.mark.parametrize("name", RULES)
def test_notes_say_what_the_rule_did(name: str) -> None:
    for row, plain in zip(cars_table(name).rows, cars_table("a14").rows, strict=True):
        assert not re.search(r"[{}]", row["note"])
        if row["body_type"] != plain["body_type"]:
            counted = f"{plain['body_type']} counted as {row['body_type']}"
            assert row["note"].endswith(counted)
            assert "as written" not in row["note"]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("class_name", "arguable"),
    [
        ("Acura Integra Type R 2001", "Hatchback"),
        ("Chevrolet HHR SS 2010", "SUV"),
        ("Mercedes-Benz SL-Class Coupe 2009", "Convertible"),
    ],
)
def test_the_counts_in_notes_are_true_under_every_rule(
    name: str, class_name: str, arguable: str
) -> None:
    (note,) = (row["note"] for row in cars_table(name).rows if row["class_name"] == class_name)
    assert f"{_genera_with(class_name, arguable, name)} genera" in note


def _genera_with(class_name: str, body_type: str, name: str = DEFAULT_RULE) -> int:
    """The number of genera were this one class of another body type."""
    rows = cars_table(name).rows
    return len(
        {
            f"{row['make']} {body_type}" if row["class_name"] == class_name else row["genus"]
            for row in rows
        }
    )


def readme_rows(first: str, columns: int) -> list[list[str]]:
    """Rows of the README's table for cars whose header starts with ``first``."""
    text = (TAXONOMIES / "README.md").read_text(encoding="utf-8")
    section = text.split("## cars.csv", 1)[1].split("\n## ", 1)[0]
    body = section.split(f"| {first} |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.split("\n")[2:]]
    assert all(len(row) == columns for row in rows)
    return rows


def test_the_readme_has_every_rule_with_its_counts() -> None:
    found = {row[0].split("`")[1]: tuple(map(int, row[1:4])) for row in readme_rows("rule", 5)}
    assert found == {name: (*families_and_genera(name), 196) for name in RULES}
    (default,) = (row for row in readme_rows("rule", 5) if "default" in row[0])
    assert DEFAULT_RULE in default[0]


def test_the_readme_has_every_name_without_a_type() -> None:
    found = {row[0]: row[1] for row in readme_rows("class | body type", 3)}
    assert found == {name: style for name, (style, _) in UNTYPED.items()}


def test_the_readmes_arguable_calls_change_the_count_as_it_says() -> None:
    types = {row["class_name"]: row["body_type"] for row in cars_table().rows}
    rows = readme_rows("class | here", 4)
    assert len(rows) == 9
    for name, here, arguable, genera in rows:
        assert types[name] == here
        assert _genera_with(name, arguable) == int(genera) != RULES[DEFAULT_RULE].genera


def test_the_readmes_harmless_calls_leave_the_count() -> None:
    text = (TAXONOMIES / "README.md").read_text(encoding="utf-8")
    listed = text.split("These would not, though arguable too: ", 1)[1].split(".\n", 1)[0]
    calls = re.findall(r"([^\s,][^,()]*) \((\w+)\)", listed.replace("\n", " "))
    assert len(calls) == 7
    for start, arguable in calls:
        (name,) = (name for name in official_names() if name.startswith(f"{start} "))
        assert _genera_with(name, arguable) == RULES[DEFAULT_RULE].genera
