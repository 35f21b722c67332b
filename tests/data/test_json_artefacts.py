"""JSON artefacts come back as they were written, or are refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from c2f_data.artefacts import fingerprint, read_json, write_json
from c2f_data.errors import ArtefactError


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    colour: Colour
    share: float


@dataclass(frozen=True)
class Thing:
    name: str
    count: int
    sure: bool
    maybe: int | None
    inner: tuple[Inner, ...]
    more: dict[str, str]


THING = Thing("räven ✓", 3, True, None, (Inner(Colour.RED, 0.25),), {"a": "b"})


def write_thing(path: Path, thing: Thing = THING) -> None:
    write_json(path, thing, schema="thing", version=2)


def read_thing(path: Path) -> Thing:
    return read_json(path, Thing, schema="thing", version=2, maker="c2f make-thing")


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    write_thing(tmp_path / "t.json")
    assert read_thing(tmp_path / "t.json") == THING
    assert "räven ✓" in (tmp_path / "t.json").read_text(encoding="utf-8")


def test_a_whole_number_is_a_legal_float(tmp_path: Path) -> None:
    thing = asdict(THING) | {"inner": [{"colour": "red", "share": 1}]}
    text = json.dumps({"schema": "thing", "schema_version": 2, **thing})
    (tmp_path / "t.json").write_text(text)
    assert read_thing(tmp_path / "t.json").inner[0].share == 1.0


def change(**values: object) -> Callable[[dict[str, object]], object]:
    return lambda data: data | values


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (change(schema="other"), "not a thing file"),
        (change(schema_version=3), "schema version 3, this c2f reads version 2"),
        (change(schema_version=None), "schema version None"),
        (change(surprise=1), "surprise"),
        (lambda data: {k: v for k, v in data.items() if k != "count"}, "count"),
        (lambda data: [data], "not a thing file"),
        (change(count="3"), r"int @ \$\.count"),
        (change(count=3.5), r"int @ \$\.count"),
        (change(count=True), r"int @ \$\.count"),
        (change(name=None), r"str @ \$\.name"),
        (change(sure="false"), r"bool @ \$\.sure"),
        (change(maybe="x"), "maybe"),
        (change(inner=[{"colour": "blue", "share": 0.5}]), "Colour"),
        (change(inner=[{"colour": "red", "share": "0.5"}]), "float"),
        (change(inner=7), "inner"),
        (change(more={"a": 1}), "more"),
    ],
)
def test_json_with_another_meaning_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, object]], object], said: str
) -> None:
    path = tmp_path / "t.json"
    write_thing(path)
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(ArtefactError, match=said) as caught:
        read_thing(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"count": 1' + b"0" * 5000 + b"}"]
)
def test_bytes_that_are_not_json_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.json").write_bytes(data)
    with pytest.raises(ArtefactError, match="not valid JSON") as caught:
        read_thing(tmp_path / "t.json")
    assert "c2f make-thing" in caught.value.hint


def test_an_absent_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such file") as caught:
        read_thing(tmp_path / "t.json")
    assert caught.value.hint == "Run `c2f make-thing` first."
    with pytest.raises(ArtefactError, match="directory"):
        read_thing(tmp_path)


def test_a_fingerprint_depends_on_content_alone() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(THING) == fingerprint(asdict(THING))
    assert fingerprint(["ab", "c"]) != fingerprint(["a", "bc"])
