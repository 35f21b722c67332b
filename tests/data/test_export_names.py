"""Names of classes and images as names of files."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2f_data.export.names import image_name, safe_name, safe_names, token

TEXT = st.text(max_size=120)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Black-footed Albatross", "Black-footed Albatross"),
        ("räven ✓", "räven ✓"),
        ("ra\u0308ven", "räven"),
        ("Audi 100/200", "Audi 100_200"),
        ("..", "_"),
        ("", "_"),
        ("aux", "_aux"),
        ("Com1.jpg", "_Com1.jpg"),
        ("end. ", "end"),
        ("a\nb", "a_b"),
        ("[x]*?", "_x___"),
    ],
)
def test_a_name_stays_as_near_as_it_can(text: str, name: str) -> None:
    assert safe_name(text) == name


@given(TEXT)
def test_a_name_is_one_part_of_a_path_on_every_system(text: str) -> None:
    name = safe_name(text)
    assert name not in ("", ".", "..")
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    assert not name.endswith((".", " "))
    assert len(name.encode()) <= 181
    name.encode()


@given(st.lists(TEXT, max_size=12))
def test_names_differ_where_case_and_unicode_forms_count_as_one(texts: list[str]) -> None:
    names = safe_names(texts)
    assert len(names) == len(texts)
    folded = {unicodedata.normalize("NFC", name).casefold() for name in names}
    assert len(folded) == len(texts)


def test_a_name_that_is_free_stays_as_it_is() -> None:
    assert safe_names(("Crow", "crow", "Gull", "crow (1)")) == (
        "Crow",
        "crow (1)",
        "Gull",
        "crow (1) (3)",
    )


@given(TEXT, st.integers(0, 10**8))
def test_an_image_is_known_by_its_number(image_id: str, position: int) -> None:
    name = image_name(image_id, position)
    assert int(name.partition("-")[0]) == position
    assert "/" not in name


def test_an_image_bears_the_name_of_its_file() -> None:
    assert image_name("001.Albatross/Albatross_0001.jpg", 12) == "0000012-Albatross_0001"
    assert image_name("..\\..\\evil.png", 0) == "0000000-evil"


@given(TEXT)
def test_a_token_has_no_dot_and_no_capital(text: str) -> None:
    assert not set(token(text)) & set("./ \n")
    assert token(text) == token(text).lower()
