"""Files that were changed: always a C2FError that names the file, never a wrong image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shards_cases import SPEC, levels, make_index

from c2f_data.artefacts import sha256_file
from c2f_data.errors import ArtefactError, C2FError
from c2f_data.shards.head import head_sha256
from c2f_data.shards.manifest import PayloadRange, read_manifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    write_shards(make_index(root), levels(), SPEC, root / "shards")
    return root / "shards"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "shards"))


def read_everything(folder: Path) -> None:
    reader = ShardReader(folder)
    for split in reader.splits:
        reader.labels(split)
        for i in range(reader.length(split)):
            for level in reader.levels:
                reader.pixels(split, i, level)


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def test_whole_shards_have_no_problem(whole: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert verify(whole, progress=lambda *both: seen.append(both)) == []
    size = sum(entry.bytes for entry in read_manifest(whole).shards)
    assert seen[0] == (0, size)
    assert seen[-1] == (size, size)
    assert seen == sorted(seen)
    assert verify(whole, decode=True) == []
    read_everything(whole)


def test_a_flipped_byte_in_an_image_is_found_and_named(folder: Path) -> None:
    entry = read_manifest(folder).shards[0]
    place = next(place for place in entry.payloads if place.level == "genus")
    flip(folder / entry.file, place.offset + 10)
    reader = ShardReader(folder)
    name = reader.image_ids(entry.split)[0]
    reader.read(entry.split, 0, "species")
    with pytest.raises(ArtefactError, match=entry.file) as caught:
        reader.read(entry.split, 0, "genus")
    assert name in caught.value.message
    assert "--overwrite" in caught.value.hint
    (problem,) = verify(folder)
    assert problem.file == entry.file
    assert problem.images == (f"{name} (genus)",)


def test_a_flipped_byte_in_the_head_never_reaches_hdf5(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = read_manifest(folder).shards[0]
    flip(folder / entry.file, 100)
    assert [problem.file for problem in verify(folder)] == [entry.file]
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(ArtefactError, match="not the shard that"):
        ShardReader(folder).labels(entry.split)


@settings(max_examples=24, deadline=None, suppress_health_check=list(HealthCheck))
@given(part=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), number=st.integers(0, 7))
def test_any_flipped_bit_is_found(whole: Path, part: float, bit: int, number: int) -> None:
    shards = read_manifest(whole).shards
    entry = shards[number % len(shards)]
    path = whole / entry.file
    good = path.read_bytes()
    try:
        flip(path, int(part * len(good)), bit)
        with pytest.raises(ArtefactError):
            read_everything(whole)
        assert [problem.file for problem in verify(whole)] == [entry.file]
    finally:
        path.write_bytes(good)


def test_a_shard_that_is_short_or_gone(folder: Path) -> None:
    first, second = read_manifest(folder).shards[:2]
    (folder / first.file).write_bytes((folder / first.file).read_bytes()[:-1])
    (folder / second.file).unlink()
    with pytest.raises(ArtefactError, match=first.file):
        ShardReader(folder)
    problems = {problem.file: problem.what for problem in verify(folder)}
    assert "but the manifest says" in problems[first.file]
    assert problems[second.file] == "no such file"


def change(folder: Path, edit: Callable[[h5py.File], None]) -> str:
    """Edit the first shard; manifest and sidecar agree with it: what only a person could do."""
    path = folder / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    entry = data["shards"][0]
    shard = folder / entry["file"]
    with h5py.File(shard, "r+") as file:
        edit(file)
    entry["bytes"], entry["sha256"] = shard.stat().st_size, sha256_file(shard)
    places = [PayloadRange(**place) for place in entry["payloads"]]
    entry["head_sha256"] = head_sha256(shard, places)
    path.write_text(json.dumps(data), encoding="utf-8")
    sidecar = shard.with_suffix(".json")
    beside = json.loads(sidecar.read_text(encoding="utf-8"))
    sidecar.write_text(json.dumps({**beside, "entry": entry}), encoding="utf-8")
    return str(entry["file"])


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file.attrs[name] = value

    return edit


def set_values(name: str, value: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[name][0] = value

    return edit


def replace_by(name: str, make: Callable[[h5py.File], Any]) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        new = make(file)
        del file[name]
        file[name] = new

    return edit


def compressed_labels(file: h5py.File) -> None:
    values = file["labels"][...]
    del file["labels"]
    file.create_dataset("labels", data=values, chunks=True, compression="gzip")


def moved_payload(file: h5py.File) -> None:
    file["new"] = file["images/genus/payload"][...]
    del file["images/genus/payload"]
    file.move("new", "images/genus/payload")


def external_sizes(file: h5py.File) -> None:
    name = "images/genus/sizes"
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "<i4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_attribute("schema_version", 1), "schema version 1, this c2f reads version 2"),
        (set_attribute("schema", "else"), "not a c2f-shard"),
        (set_attribute("plan_fingerprint", "0" * 64), "another plan"),
        (set_attribute("split", "test2"), "split"),
        (set_values("labels", 99), "outside the hierarchy"),
        (set_values("labels", -1), "outside the hierarchy"),
        (set_values("image_ids", b"\xff"), "not a valid shard"),
        (set_values("classes/genus", b"x"), "class names"),
        (set_values("images/genus/offsets", 5), "offsets"),
        (set_values("images/genus/offsets", -(2**62)), "offsets"),
        (set_values("images/genus/sizes", 2**31 - 1), "impossible size"),
        (set_values("images/genus/sizes", 0), "impossible size"),
        (replace_by("labels", lambda f: f["labels"][...].astype(np.float64)), "type"),
        (replace_by("labels", lambda f: f["labels"][...].repeat(2, 0)), "shape"),
        (replace_by("labels", lambda _: h5py.SoftLink("/image_ids")), "link"),
        (replace_by("labels", lambda _: h5py.ExternalLink("/etc/x.h5", "/a")), "link"),
        (moved_payload, "where"),
        (compressed_labels, "layout"),
        (external_sizes, "in another file"),
    ],
)
def test_a_forged_shard_is_refused(
    folder: Path, edit: Callable[[h5py.File], None], message: str
) -> None:
    name = change(folder, edit)
    with pytest.raises(ArtefactError, match=message) as caught:
        read_everything(folder)
    assert name in caught.value.message
    assert [problem.file for problem in verify(folder)] == [name]


def test_labels_of_one_image_that_contradict_each_other(folder: Path) -> None:
    name = change(folder, set_values("labels", [1, 0, 0]))
    (problem,) = verify(folder)
    assert problem.file == name
    assert "contradict" in problem.what


def test_a_size_that_the_resolution_does_not_give(folder: Path) -> None:
    name = change(folder, set_values("images/genus/sizes", [34, 24]))
    with pytest.raises(ArtefactError, match="sizes of genus do not follow"):
        read_everything(folder)
    assert [problem.file for problem in verify(folder)] == [name]


def test_an_image_that_decodes_to_another_size(folder: Path) -> None:
    def one_column_more(file: h5py.File) -> None:
        # Of 57 columns the other levels keep as many as of 56.
        for place in ("native_sizes", "images/species/sizes"):
            file[place][0] = [40, 57]

    name = change(folder, one_column_more)
    with pytest.raises(ArtefactError, match="another size"):
        read_everything(folder)
    assert verify(folder) == []
    (problem,) = verify(folder, decode=True)
    assert problem.file == name
    assert len(problem.images) == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"schema": "c2f-other"},
        {"schema_version": 0},
        {"dataset": "other"},
        {"classes": [["a", "b", "c"]]},
        {"images": {"train": 1}},
        {"shards": []},
        {"extra": 1},
        {"levels": [{"name": "species", "count": 4, "resolution": None}]},
        {"target_bytes": "many"},
    ],
)
def test_a_manifest_that_makes_no_sense(folder: Path, edit: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **edit}), encoding="utf-8")
    for use in (ShardReader, verify):
        with pytest.raises(C2FError) as caught:
            use(folder)
        assert caught.value.hint


@pytest.mark.parametrize(
    "edit",
    [
        {"file": "../../etc/passwd"},
        {"file": "/etc/passwd"},
        {"images": -1},
        {"payloads": []},
        {"payloads": [{"level": "genus", "offset": -5, "bytes": 9}]},
        {"bytes": 10},
    ],
)
def test_a_manifest_entry_that_makes_no_sense(folder: Path, edit: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["shards"][0].update(edit)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ArtefactError):
        ShardReader(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"schema": "c2f-shards"}'])
def test_a_manifest_that_is_no_manifest(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"manifest\.json"):
        ShardReader(folder)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such file") as caught:
        ShardReader(tmp_path)
    assert "c2f shard" in caught.value.hint
