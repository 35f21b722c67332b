"""README.md: true, complete, and text from the data set stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from export_cases import make_reader, write
from hypothesis import given
from hypothesis import strategies as st

from c2f_data.export.card import UNSTATED, card, intervals
from c2f_data.export.markdown import plain, table, yaml_block
from c2f_data.export.plan import Statement, make_plan
from c2f_data.export.tally import Tally
from c2f_data.resample_spec import ResampleSpec
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.reader import ShardReader

yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("card"))


@pytest.fixture(scope="module")
def text(reader: ShardReader, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("card_out") / "out"
    write(reader, "folder", out)
    return (out / "README.md").read_text(encoding="utf-8")


def made(reader: ShardReader, statement: Statement | None = None, **changed: Any) -> str:
    plan = make_plan(replace(reader.manifest, **changed), "parquet")
    return card(plan, Tally(plan), statement or Statement(), None)


def head(text: str) -> dict[str, Any]:
    start, block, _ = text.split("---\n", 2)
    assert start == ""
    read: dict[str, Any] = yaml.safe_load(block)
    return read


def test_counts_are_those_of_the_shards(reader: ShardReader, text: str) -> None:
    for split in reader.splits:
        labels = reader.labels(split)
        classes = " | ".join(str(len(set(labels[:, j]))) for j in range(labels.shape[1]))
        assert f"| {split} | {reader.length(split)} | {classes} |" in text
    assert "| family | 2 | 12 px |" in text
    assert "| species | 4 | native |" in text
    assert "| gulls | 2 | 3 |" in text
    assert "bicubic (torch uint8)" in text
    assert "5 of 18 in the shards are lossless copies" in text


def test_the_hub_reads_the_head(reader: ShardReader, text: str) -> None:
    read = head(text)
    assert read["task_categories"] == ["image-classification"]
    assert read["size_categories"] == ["n<1K"]
    assert {config["config_name"] for config in read["configs"]} == set(reader.levels)
    assert "license" not in read


def test_the_hub_loads_each_level_of_folders(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    write(reader, "folder", tmp_path / "out")
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(str(tmp_path / "out"), "genus", cache_dir=cache, split="test")
    assert len(loaded) == reader.length("test")
    assert set(loaded.features["label"].names) == set(reader.manifest.taxonomy.names[1])


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        (
            "https://example.org/terms",
            {
                "license": "other",
                "license_name": "https://example.org/terms",
                "license_link": "https://example.org/terms",
            },
        ),
        ("ask us: # | \"x\"", {"license": "other", "license_name": "ask us: # | \"x\""}),
    ],
)  # fmt: skip
def test_a_licence_is_what_the_user_states(
    reader: ShardReader, licence: str, said: dict[str, str]
) -> None:
    text = made(reader, Statement(licence))
    read = head(text)
    assert {key: value for key, value in read.items() if key.startswith("license")} == said
    assert UNSTATED not in text
    assert UNSTATED in made(reader)


@pytest.mark.parametrize("name", ["no", "~", "a: b", "- x", "'", "1e3", "{x", "#", "&a *b", "\x85"])
def test_names_that_mean_something_to_yaml_stay_names(reader: ShardReader, name: str) -> None:
    assert head(made(reader, dataset=name))["pretty_name"] == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_yaml(text: str) -> None:
    assert yaml.safe_load(yaml_block({"key": text})) == {"key": text}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_stays_in_its_cell(text: str) -> None:
    line = table(["a", "b"], [[text, "x"]]).split("\n")
    assert len(line) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line[2])) == 3
    assert "<" not in plain(text)


def test_hostile_classes_do_not_break_the_table(reader: ShardReader) -> None:
    classes = tuple((f"a|b<script>{path[0]}", *path[1:]) for path in reader.manifest.classes)
    text = made(reader, classes=classes)
    assert "<script>" not in text
    assert "a\\|b&lt;script&gt;gulls" in text


def result(reader: ShardReader, **changed: Any) -> Any:
    """What a calibration of these images has that the card asks for."""
    crossings = [
        SimpleNamespace(next_level="genus", resolution=24, interval=(20, 28)),
        SimpleNamespace(next_level="family", resolution=12, interval=(10, None)),
    ]
    told = {
        "index_fingerprint": reader.manifest.index_fingerprint,
        "taxonomy_fingerprint": reader.manifest.taxonomy_fingerprint,
        "protocol": SimpleNamespace(spec=ResampleSpec()),
        "crossings": crossings,
    }
    return SimpleNamespace(**(told | changed))


def test_a_calibration_of_these_images_gives_the_intervals(reader: ShardReader) -> None:
    plan = make_plan(reader.manifest, "parquet")
    assert intervals(plan, result(reader)) == {"genus": (20, 28), "family": (10, None)}
    text = card(plan, Tally(plan), Statement(), result(reader))
    assert "| genus | 3 | 24 px | 20 to 28 px |" in text
    assert "| family | 2 | 12 px | 10 px or more |" in text


@pytest.mark.parametrize(
    "changed",
    [
        {"index_fingerprint": "other"},
        {"taxonomy_fingerprint": "other"},
        {"protocol": SimpleNamespace(spec=ResampleSpec(filter="bilinear"))},
        {"crossings": [SimpleNamespace(next_level="genus", resolution=30, interval=(1, 40))]},
    ],
    ids=["images", "hierarchy", "reduction", "by-hand"],
)
def test_another_calibration_gives_none(reader: ShardReader, changed: dict[str, Any]) -> None:
    plan = make_plan(reader.manifest, "parquet")
    assert intervals(plan, result(reader, **changed)) == {}
    text = card(plan, Tally(plan), Statement(), result(reader, **changed))
    assert "| genus | 3 | 24 px | not calibrated on these images |" in text


def test_nothing_of_this_machine_is_in_it(reader: ShardReader, tmp_path: Path) -> None:
    write(reader, "webdataset", tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


def test_enlarged_pictures_are_called_so(tmp_path: Path) -> None:
    side = InputSide.of(ResampleSpec.for_input(28))
    reader = make_reader(tmp_path, encoding="raw", enlarged=side)
    assert made(reader).count("then enlarged to shorter side 32 px") == 3
