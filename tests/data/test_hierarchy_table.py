"""Class tables as people write them, and the two that are committed."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy import table as table_module
from c2f_data.hierarchy.builtin import COLUMNS, builtin_table, builtin_taxonomy
from c2f_data.hierarchy.table import (
    parse_table,
    read_table,
    read_taxonomy,
    taxonomy_from_table,
    write_taxonomy,
)
from c2f_data.taxonomy import Taxonomy

GOOD = "family,genus,species\nLaridae,Larus,Herring gull\nCorvidae,Corvus,Raven\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "classes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        "# from the museum\n\n" + GOOD + "\n,,\n# end\n",
        '# a "comment, "with" quotes\n# and,"one that never ends\n' + GOOD,
        GOOD.replace("Larus", "  Larus "),
        'species,note,family,genus\n"Herring gull",x,Laridae,Larus\nRaven,,Corvidae,Corvus\n',
        GOOD.replace("species", "class_name"),
        GOOD.replace("species", "class"),
    ],
)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, text: str) -> None:
    read = taxonomy_from_table(read_table(written(tmp_path, text)), name="t")
    assert read.paths == (("Laridae", "Larus", "Herring gull"), ("Corvidae", "Corvus", "Raven"))


def test_names_are_composed_so_that_two_spellings_of_one_name_are_one() -> None:
    read = taxonomy_from_table(
        parse_table("a,b\nRa\u0308ven,x\nR\u00e4ven,y\n", "t"), name="t", levels=("a", "b")
    )
    assert read.names[0] == ("R\u00e4ven",)


def test_lines_count_comments_blank_lines_and_quoted_line_breaks(tmp_path: Path) -> None:
    text = '# one\nfamily,genus,species\n\nA,"B\n# no comment",C\n# six\nD,E,F\n'
    read = read_table(written(tmp_path, text))
    assert read.lines == (4, 7)
    assert read.rows[0]["genus"] == "B\n# no comment"
    with pytest.raises(TaxonomyError, match="line 7: blank genus"):
        taxonomy_from_table(parse_table(text.replace("E", ""), "t"), name="t")


def test_names_that_begin_with_a_hash_survive(tmp_path: Path) -> None:
    table = Taxonomy("t", ("#level", "b"), (("#1", "x"), ("y", "z")))
    write_taxonomy(tmp_path / "t.csv", table)
    assert read_taxonomy(tmp_path / "t.csv", "t").paths == table.paths


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no classes"),
        ("family,genus,species\n", "no classes"),
        ("family,genus\nA,B\n", "no column 'species'; its columns are family, genus"),
        (GOOD + "A,B\n", "line 4 has 2 cells, the header 3"),
        (GOOD + "A,B,C,D\n", "line 4 has 4 cells, the header 3"),
        (GOOD + 'A,B,"C\n', "line 4: unexpected end of data"),
        (GOOD + 'A,"B"x,C\n', "line 4: .*expected after"),
        (b"family,genus,species\nA,B,\xe9\n", "not UTF-8"),
        (GOOD.replace("family,", "genus,"), "two columns are named 'genus'|no column 'family'"),
        ("family,genus,genus,species\nA,B,B,C\n", "two columns are named 'genus'"),
        (GOOD + "Laridae,Corvus,Rook\n", "line 4: genus 'Corvus' has family 'Laridae' here"),
        (
            GOOD + "Corvidae,Pica,Raven\n",
            "line 4: species 'Raven' has genus 'Pica' here and 'Corvus'",
        ),
        (GOOD + "Corvidae,Corvus,Raven\n", "line 4: species 'Raven' again, first on line 3"),
        (GOOD + "Larus,Laridae,Emu\n", "line 4: a cycle"),
    ],
)
def test_a_bad_table_is_refused_by_file_and_line(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TaxonomyError, match=said) as caught:
        taxonomy_from_table(read_table(path), name="t")
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_many_faults_are_counted_not_listed() -> None:
    rows = "".join(f"A,B,{'' if i < 20 else i}\n" for i in range(21))
    with pytest.raises(TaxonomyError, match=r"line 9: blank species; and 12 more"):
        taxonomy_from_table(parse_table("family,genus,species\n" + rows, "t"), name="t")


def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TaxonomyError, match="no such file") as caught:
        read_table(tmp_path / "absent.csv")
    assert "cub, cars" in caught.value.hint
    with pytest.raises(TaxonomyError, match="directory"):
        read_table(tmp_path)
    monkeypatch.setattr(table_module, "MAX_BYTES", 10)
    with pytest.raises(TaxonomyError, match="larger than"):
        read_table(written(tmp_path, GOOD))


@pytest.mark.parametrize("depth", [2, 5])
def test_any_number_of_levels_works(depth: int) -> None:
    levels = [f"level{i}" for i in range(depth)]
    rows = [[f"{name}{i}" for i in range(depth)] for name in "pq"]
    text = "\n".join(",".join(row) for row in [levels, *rows])
    read = taxonomy_from_table(parse_table(text, "t"), name="t", levels=levels)
    assert read.levels == tuple(levels)
    assert read.codes.tolist() == [[0] * depth, [1] * depth]


@pytest.mark.parametrize(("name", "counts"), [("cub", (37, 124, 200)), ("cars", (14, 113, 196))])
def test_the_committed_hierarchies_have_the_papers_numbers_of_classes(
    name: str, counts: tuple[int, int, int]
) -> None:
    table = builtin_taxonomy(name)
    assert tuple(table.count(level) for level in ("family", "genus", "species")) == counts
    assert table.levels == ("family", "genus", "species")


@pytest.mark.parametrize(
    ("name", "file"), [("cub", "cub_taxonomy_editions.csv"), ("cars", "cars_hierarchy.csv")]
)
def test_the_committed_hierarchies_equal_the_reference_facts(
    shared: Path, name: str, file: str
) -> None:
    with (shared / "reference" / file).open(encoding="utf-8", newline="") as source:
        reference = list(csv.DictReader(source))
    columns = [COLUMNS[name][level] for level in ("family", "genus", "species")]
    assert builtin_taxonomy(name).paths == tuple(tuple(r[c] for c in columns) for r in reference)
    assert [row["class_id"] for row in builtin_table(name).rows] == [
        r["class_id"] for r in reference
    ]


def test_the_classes_of_cub_are_those_of_the_official_list(shared: Path) -> None:
    official = (shared / "reference" / "cub_classes.txt").read_text().split()[1::2]
    assert [name.split(".", 1)[1] for name in official] == list(builtin_taxonomy("cub").names[-1])


def test_another_built_in_name_is_refused() -> None:
    with pytest.raises(TaxonomyError, match="no built-in hierarchy 'dogs'") as caught:
        builtin_table("dogs")
    assert "cub, cars" in caught.value.hint


def test_building_a_hierarchy_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import sys\n"
        "from c2f_data.hierarchy.builtin import builtin_taxonomy\n"
        "print(len(builtin_taxonomy('cub').paths), {'torch', 'pandas', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "200 set()\n"
