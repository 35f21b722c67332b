"""Shards looked at from outside: with a manifest, without one, and files that are none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fsspec
import h5py
import numpy as np
import pytest
from shards_cases import CANONICAL, SPEC, TAXONOMY, levels, make_index

from c2f_data.errors import ArtefactError, C2FError, ConfigError
from c2f_data.shards import alone
from c2f_data.shards.alone import find_heads, find_image, pixels_of, probed
from c2f_data.shards.estimate import estimate
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import make_plan
from c2f_data.shards.summary import describe_image, summarise
from c2f_data.shards.tasks import plan_shards
from c2f_data.shards.writer import write_shards
from c2f_data.storage import Url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    # Two shards of training images, one of test images.
    write_shards(make_index(root), levels(), SPEC, root / "shards", target_bytes=12_000)
    return root / "shards"


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Path:
    """The first shard of training images, away from its manifest and sidecar."""
    name = read_manifest(folder).entries("train")[0].file
    return Path(shutil.copy(folder / name, tmp_path / "somewhere.h5"))


def test_a_folder_is_summed_up(folder: Path) -> None:
    summary = summarise(find_heads(folder))
    manifest = read_manifest(folder)
    assert summary.listed
    assert summary.images == manifest.images == {"train": 12, "test": 6}
    assert summary.bytes == manifest.bytes
    assert summary.canonical == manifest.canonical == len(CANONICAL)
    assert summary.plan_fingerprint == manifest.plan_fingerprint
    assert [level.encoding for level in summary.levels] == [
        *("webp-lossless", "webp-lossless", "source")
    ]
    assert [(level.count, level.resolution) for level in summary.levels] == [
        *((2, 12), (3, 24), (4, None))
    ]
    for level in summary.levels:
        places = [p for entry in manifest.shards for p in entry.payloads if p.level == level.name]
        assert level.bytes == sum(place.bytes for place in places)
        assert (level.lowest_label, level.highest_label) == (0, level.count - 1)
        assert level.classes_present == level.count
    # small.png has 16 px, tall.webp 31 px; all others 40 px.
    assert [(level.lowest_side, level.highest_side) for level in summary.levels] == [
        *((12, 12), (16, 24), (16, 40))
    ]


def test_a_listed_shard_is_checked_against_its_manifest(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "shards"))
    entry = read_manifest(copy).shards[0]
    path = copy / entry.file
    assert summarise(find_heads(path)).listed
    with h5py.File(path, "r+") as file:
        file["labels"][0] = file["labels"][0]
        file.attrs["dataset"] = "another"
    with pytest.raises(ArtefactError):
        summarise(find_heads(path))


def test_a_shard_speaks_for_itself(folder: Path, bare: Path) -> None:
    summary = summarise(find_heads(bare))
    assert not summary.listed
    assert summary.images == {"train": 5}
    assert summary.plan_fingerprint == read_manifest(folder).plan_fingerprint
    assert probed(bare).about.plan == read_manifest(folder).plan
    head = probed(bare)
    assert head.classes == TAXONOMY.names
    reader = ShardReader(folder)
    for row in range(5):
        for level in reader.levels:
            np.testing.assert_array_equal(
                pixels_of(head, row, level), reader.pixels("train", row, level)
            )


def test_a_raw_shard_speaks_for_itself(tmp_path: Path) -> None:
    side = InputSide("squash", 40)
    index = make_index(tmp_path)
    manifest = write_shards(
        index, levels(), SPEC, tmp_path / "shards", encoding="raw", enlarged=side
    )
    bare = Path(shutil.copy(tmp_path / "shards" / manifest.shards[0].file, tmp_path / "a.h5"))
    summary = summarise(find_heads(bare))
    assert (summary.layout, summary.enlarged) == ("raw", side)
    assert {level.encoding for level in summary.levels} == {"raw"}
    assert {level.highest_side for level in summary.levels} == {40}
    assert pixels_of(probed(bare), 0, "genus").shape == (40, 40, 3)


def test_shards_at_a_url(folder: Path) -> None:
    store = fsspec.filesystem("memory")
    for path in folder.iterdir():
        if path.suffix in (".h5", ".json"):
            store.pipe_file(f"/alone/{path.name}", path.read_bytes())
    try:
        here, there = find_heads(folder), find_heads(Url("memory://alone"))
        assert replace(summarise(there), path="") == replace(summarise(here), path="")
        head, row = find_image(there, "13")
        np.testing.assert_array_equal(
            pixels_of(head, row, "genus"), pixels_of(*find_image(here, "13"), "genus")
        )
    finally:
        store.rm("/alone", recursive=True)
    with pytest.raises(C2FError, match="memory://alone"):
        find_heads(Url("memory://alone"))


def test_a_damaged_manifest_does_not_hide_a_shard(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "shards"))
    (copy / "manifest.json").write_text("{")
    path = next(copy.glob("*.h5"))
    assert not summarise(find_heads(path)).listed
    with pytest.raises(ArtefactError, match=r"manifest\.json"):
        find_heads(copy)


def test_images_are_found_by_id_and_by_position(folder: Path) -> None:
    heads = find_heads(folder)
    reader = ShardReader(folder)
    ids = [name for split in reader.splits for name in reader.image_ids(split)]
    for position in (0, 5, 17):
        by_position = find_image(heads, str(position))
        by_id = find_image(heads, ids[position])
        assert by_position[0].path == by_id[0].path
        assert by_position[1] == by_id[1]
        found = describe_image(*by_id)
        assert found.image_id == ids[position]
        assert [picture.level for picture in found.pictures] == list(TAXONOMY.levels)
        for j, picture in enumerate(found.pictures):
            assert picture.label == TAXONOMY.names[j][picture.class_id]
            assert pixels_of(*by_id, picture.level).shape == (picture.height, picture.width, 3)


@pytest.mark.parametrize("image", ["18", "-1", "nothing", ""])
def test_no_such_image(folder: Path, image: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_image(find_heads(folder), image)
    assert "0 to 17" in caught.value.hint


def test_no_such_level(bare: Path) -> None:
    with pytest.raises(ConfigError, match="order"):
        pixels_of(probed(bare), 0, "order")


def test_a_flipped_byte_of_an_image_is_noticed(bare: Path) -> None:
    column = probed(bare).columns["genus"]
    data = bytearray(bare.read_bytes())
    data[column.start + 30] ^= 1
    bare.write_bytes(data)
    with pytest.raises(ArtefactError, match="is damaged"):
        pixels_of(probed(bare), 0, "genus")


def edited(edit: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            edit(file)

    return apply


def attribute(name: str, value: object, place: str = "/") -> Callable[[Path], None]:
    return edited(lambda file: file[place].attrs.__setitem__(name, value))


def without(name: str) -> Callable[[Path], None]:
    return edited(lambda file: file.attrs.__delitem__(name))


def linked_images(file: h5py.File) -> None:
    del file["images"]
    file["images"] = h5py.ExternalLink("/tmp/other.h5", "/images")


def no_text(name: str, value: object) -> Callable[[Path], None]:
    """Bytes that are not UTF-8, in an attribute that says that they are."""
    kind = h5py.string_dtype("utf-8")
    return edited(lambda file: file.attrs.create(name, value, dtype=kind))


def huge_ids(file: h5py.File) -> None:
    """A terabyte of names, none of it there."""
    del file["image_ids"]
    space = h5py.h5s.create_simple((2**34,))
    kind = h5py.h5t.py_create(h5py.string_dtype("utf-8", 64), logical=True)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    properties.set_obj_track_times(False)
    h5py.h5d.create(file.id, b"image_ids", kind, space, properties)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b""), "not an HDF5 file"),
        (lambda path: path.write_bytes(b"\x89PNG" + bytes(99)), "not an HDF5 file"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "not a valid shard"),
        (attribute("schema", "c2f-predictions"), "c2f-predictions file"),
        (attribute("schema", 5), "not a c2f-shard file"),
        (no_text("schema", b"gull\xdd"), "not a c2f-shard file"),
        (no_text("dataset", b"gull\xdd"), "not a valid shard"),
        (no_text("levels", np.array([b"family", b"\xdd"], dtype=object)), "not a valid shard"),
        (without("schema"), "not a c2f-shard file"),
        (attribute("schema_version", 1), "schema version 1, this c2f reads version 2"),
        (attribute("schema_version", [2, 2]), "schema version"),
        (without("levels"), "levels"),
        (attribute("levels", 7), "no text"),
        (attribute("levels", ["family", "../genus", "species"]), "not a valid shard"),
        (attribute("levels", ["family", "family", "species"]), "two levels"),
        (attribute("layout", "raw"), "contradict"),
        (attribute("enlarged", '{"fit": "shorter", "enlarge_to": 64}'), "raw layout"),
        (attribute("encoding", "gif"), "not a valid"),
        (attribute("encoding", "raw"), "encoding of"),
        (attribute("encoding", "webp-lossless", "images/species"), "encoding of species"),
        (attribute("resolution", 13, "images/family"), "sizes of family"),
        (attribute("resolution", "many", "images/family"), "whole number"),
        (attribute("resample", "{"), "not a valid shard"),
        (attribute("resample", '{"filter": "sharp"}'), "sharp"),
        (attribute("resample", "[" * 100_000), "not a valid shard"),
        (attribute("target_bytes", 1.5), "type"),
        (attribute("dataset", "other"), "plan"),
        (attribute("shard", 99), "shard 99"),
        (edited(linked_images), "elsewhere"),
        (edited(huge_ids), "layout|larger|structure"),
        (edited(lambda file: file["labels"].__setitem__(0, 9)), "outside the hierarchy"),
        (edited(lambda file: file["image_ids"].__setitem__(0, file["image_ids"][1])), "twice"),
        (edited(lambda file: file["classes/genus"].__setitem__(0, b"rissa")), "one name"),
    ],
)
def test_what_is_no_shard_is_refused_in_words(
    bare: Path, damage: Callable[[Path], None], said: str
) -> None:
    try:
        damage(bare)
    except (OSError, RuntimeError) as error:  # HDF5 refuses an attribute of over 64 KiB
        pytest.skip(str(error))
    with pytest.raises(ArtefactError, match=said) as caught:
        summarise(find_heads(bare))
    assert bare.name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_crash_of_hdf5_is_an_error(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "_PROBE", "import os; os.abort()")
    with pytest.raises(ArtefactError, match="HDF5 crashes"):
        probed(bare)
    monkeypatch.setattr(alone, "_PROBE", "while True: pass")
    monkeypatch.setattr(alone, "PROBE_SECONDS", 0.3)
    with pytest.raises(ArtefactError, match="does not come to an end"):
        probed(bare)


def test_the_probe_reads_a_good_shard(bare: Path) -> None:
    command = [sys.executable, "-P", "-c", alone._PROBE, str(bare)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "a.h5", tmp_path):
        with pytest.raises(C2FError) as caught:
            find_heads(path)
        assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("enlarged", [None, InputSide(enlarge_to=64)])
def test_an_estimate_of_all_images_is_exact(tmp_path: Path, enlarged: InputSide | None) -> None:
    index = make_index(tmp_path).limited(2)
    assert len(index.records) <= 16
    encoding = "raw" if enlarged else "webp-lossless"
    plan = make_plan(index, levels(), SPEC, encoding=encoding, enlarged=enlarged)
    found = estimate(index, plan, plan_shards(index, plan, tmp_path / "shards"), jobs=2)
    assert not (tmp_path / "shards").exists()
    manifest = write_shards(
        index, levels(), SPEC, tmp_path / "shards", encoding=encoding, enlarged=enlarged
    )
    for level in found.levels:
        places = [p for entry in manifest.shards for p in entry.payloads if p.level == level.name]
        assert level.bytes == sum(place.bytes for place in places)
    assert found.images == manifest.images
    assert found.shards == {split: len(manifest.entries(split)) for split in manifest.images}
    assert found.source_bytes == sum(record.bytes for record in index.records)
    assert found.seconds > 0
    assert (found.jobs, found.sample) == (2, len(index.records))
