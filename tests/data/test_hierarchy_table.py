"""Class tables as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy import table as table_module
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


def test_all_faults_are_listed_one_a_line_up_to_a_page() -> None:
    rows = "".join(f"A,B,{'' if i < 120 else i}\n" for i in range(121))
    with pytest.raises(TaxonomyError) as caught:
        taxonomy_from_table(parse_table("family,genus,species\n" + rows, "t"), name="t")
    lines = caught.value.message.splitlines()
    assert lines[0] == "t: 120 faults"
    assert lines[1:101] == [f"  line {i}: blank species" for i in range(2, 102)]
    assert lines[101:] == ["  and 20 more"]


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
