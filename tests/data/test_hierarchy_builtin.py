"""The hierarchies that come with c2f, by the words that name them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.builtin import builtin_taxonomy, is_builtin
from c2f_data.open_dataset import load_hierarchy


@pytest.mark.parametrize(
    ("word", "counts"),
    [
        ("cub", (37, 124, 200)),
        ("cub:ebird2025", (37, 124, 200)),
        ("cub:aou2016", (36, 119, 200)),
        ("cars", (14, 113, 196)),
        ("cars:d9", (9, 107, 196)),
    ],
)
def test_a_word_names_a_hierarchy(word: str, counts: tuple[int, int, int]) -> None:
    table = load_hierarchy(word)
    assert table.levels == ("family", "genus", "species")
    assert tuple(table.count(level) for level in table.levels) == counts
    assert table.name == word.partition(":")[0]


@pytest.mark.parametrize(
    ("word", "levels", "counts"),
    [
        ("cub", ("order", "family", "genus", "species"), (13, 37, 124, 200)),
        ("cub:aou2005", ("family", "species"), (36, 200)),
        ("cars", ("make", "genus", "species"), (49, 113, 196)),
        ("cars:c11", ("family", "species"), (11, 196)),
    ],
)
def test_its_levels_can_be_chosen(
    word: str, levels: tuple[str, ...], counts: tuple[int, ...]
) -> None:
    table = load_hierarchy(word, levels)
    assert tuple(table.count(level) for level in levels) == counts


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cub:2050", "2050"),
        ("cars:z1", "no rule 'z1'"),
        ("dogs", "no built-in hierarchy 'dogs'"),
        ("dogs:x", "no built-in hierarchy 'dogs:x'"),
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(word: str, said: str) -> None:
    with pytest.raises(TaxonomyError, match=said) as caught:
        builtin_taxonomy(word)
    for known in {"cub": ("aou2016", "wikispecies"), "car": ("a14", "d9"), "dog": ("cub, cars",)}[
        word[:3]
    ]:
        assert known in caught.value.hint


def test_a_file_is_no_built_in_hierarchy(tmp_path: Path) -> None:
    assert not is_builtin(str(tmp_path / "cub"))
    assert not is_builtin("cub.csv")
    assert not is_builtin("C:/cub")


def test_the_classes_of_cub_are_those_of_the_official_list(shared: Path) -> None:
    official = (shared / "reference" / "cub_classes.txt").read_text().split()[1::2]
    assert [name.split(".", 1)[1] for name in official] == list(builtin_taxonomy("cub").names[-1])


def test_building_a_hierarchy_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import sys\n"
        "from c2f_data.hierarchy.builtin import builtin_taxonomy\n"
        "print(len(builtin_taxonomy('cub').paths), {'torch', 'pandas', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "200 set()\n"
