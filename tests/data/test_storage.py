"""Images and shards at URLs: the same bytes as in folders, and errors in words."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from object_store import new_bucket, object_server
from shards_cases import SPEC, levels, make_index, tree

from c2f_data import storage_lock
from c2f_data.errors import ArtefactError, ConfigError, DataSetError, ImageError
from c2f_data.index import DatasetIndex
from c2f_data.shards.manifest import ShardManifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.writer import write_shards
from c2f_data.storage import Place, Url, place
from c2f_data.storage_lock import writer_lock


@pytest.fixture
def memory() -> Iterator[Url]:
    """A store inside this process, empty before and after."""
    yield Url("memory://test")
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Url:
    return new_bucket(s3_server, monkeypatch) / "shards"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with object_server() as address:
        yield address


def contents(url: Url) -> dict[str, bytes]:
    """As ``tree`` of a folder."""
    return {name: (url / name).read_bytes() for name in url.sizes() if name != "provenance.json"}


def upload(index: DatasetIndex, url: Url) -> DatasetIndex:
    """The same data set with its images at a URL."""
    for i, record in enumerate(index.records):
        source = index.path(i)
        (url / record.path).write_bytes(source.read_bytes())
    return replace(index, root=url)


def build(index: DatasetIndex, where: Place, **how: Any) -> ShardManifest:
    return write_shards(index, levels(), SPEC, where, **how)


def test_words_to_places() -> None:
    assert place("a/b") == Path("a/b")
    assert place("file:///a/b") == Path("/a/b")
    assert str(place("S3://Bucket/a/")) == "s3://Bucket/a"
    url = Url("s3://bucket/a")
    assert str(url / "b c.h5") == "s3://bucket/a/b c.h5"
    assert str((url / "b.h5").with_suffix(".json")) == "s3://bucket/a/b.json"
    assert pickle.loads(pickle.dumps(url)) == url


@pytest.mark.parametrize("text", ["s3://key:secret@bucket/a", "simplecache::s3://bucket/a"])
def test_urls_that_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Url(text)
    assert "secret" not in str(caught.value)


def test_a_protocol_that_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="Protocol not known"):
        Url("nonsense://a/b").exists()


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_an_object(store: str, request: pytest.FixtureRequest) -> None:
    url: Url = request.getfixturevalue(store)
    one = url / "a b#?[1].bin"
    data = bytes(range(200))
    with pytest.raises(FileNotFoundError):
        one.read_bytes()
    assert not one.exists()
    one.write_bytes(data)
    assert one.stat().st_size == 200
    assert (one.read_bytes(), one.read_bytes(7)) == (data, data[:7])
    assert one.read_ranges([(0, 3)]) == [data[:3]]
    assert one.read_ranges([(5, 9), (9, 9), (190, 200)]) == [data[5:9], b"", data[190:]]
    with pytest.raises(FileExistsError):
        one.write_bytes(b"other", new=True)
    assert url.sizes() == {"a b#?[1].bin": 200}
    one.unlink()
    assert url.sizes() == {}
    one.unlink(missing_ok=True)


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_shards_at_a_url(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> None:
    """Images from a URL, shards to a URL: byte for byte those of folders, and read alike."""
    url: Url = request.getfixturevalue(store)
    index = make_index(tmp_path)
    right = build(index, tmp_path / "right")
    remote = upload(index, Url(f"{url}-images"))
    assert build(remote, url) == right
    assert contents(url) == tree(tmp_path / "right")
    here, there = ShardReader(tmp_path / "right"), ShardReader(url)
    for split in here.splits:
        assert there.image_ids(split) == here.image_ids(split)
        assert np.array_equal(there.labels(split), here.labels(split))
        for position in range(here.length(split)):
            for level in here.levels:
                assert there.read(split, position, level) == here.read(split, position, level)
    assert np.array_equal(remote.pixels(1), index.pixels(1))
    assert remote.shorter_side(1) == index.shorter_side(1)
    moved = pickle.loads(pickle.dumps(there))
    assert np.array_equal(moved.pixels("test", 0, "genus"), here.pixels("test", 0, "genus"))


def test_resuming_at_a_url(tmp_path: Path, memory: Url) -> None:
    """Finished shards stay; those without a sidecar, or of another size, are made again."""
    index = make_index(tmp_path)
    build(index, memory)
    right = contents(memory)
    shards = sorted(name for name in right if name.endswith(".h5"))
    (memory / "manifest.json").unlink()
    (memory / shards[0]).with_suffix(".json").unlink()
    (memory / shards[1]).write_bytes(b"half")
    sent: list[str] = []
    put = Url.upload
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Url, "upload", lambda self, file: (sent.append(self.name), put(self, file)))
        build(index, memory)
    assert sorted(sent) == shards[:2]
    assert contents(memory) == right


def test_another_plan_at_the_same_url(tmp_path: Path, memory: Url) -> None:
    index = make_index(tmp_path)
    build(index, memory)
    old = set(contents(memory))
    with pytest.raises(ArtefactError, match="holds other shards"):
        build(index, memory, target_bytes=20_000)
    manifest = build(index, memory, target_bytes=20_000, overwrite=True)
    files = {entry.file for entry in manifest.shards}
    assert set(contents(memory)) - {"manifest.json"} == files | {
        f"{Path(file).stem}.json" for file in files
    }
    assert not files & old


def test_a_store_that_gives_other_bytes_back(
    tmp_path: Path, memory: Url, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Url, "upload", lambda self, file: self.write_bytes(bytes(file.stat().st_size))
    )
    with pytest.raises(ArtefactError, match="gives other bytes back"):
        build(make_index(tmp_path), memory)
    assert not [name for name in contents(memory) if name.endswith(".json")]


def test_damage_at_a_url_is_found(tmp_path: Path, memory: Url) -> None:
    manifest = build(make_index(tmp_path), memory)
    entry = manifest.entries("train")[0]
    path = memory / entry.file
    whole = path.read_bytes()
    payload = entry.payloads[0]
    for position in (100, payload.offset + 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        reader = ShardReader(memory)
        with pytest.raises(ArtefactError, match=entry.file):
            reader.pixels("train", 0, payload.level)
    path.write_bytes(whole[:-1])
    with pytest.raises(ArtefactError, match="the manifest says"):
        ShardReader(memory)
    path.unlink()
    with pytest.raises(ArtefactError, match="no such file"):
        ShardReader(memory)


def test_an_image_that_is_absent_or_has_changed(tmp_path: Path, memory: Url) -> None:
    index = upload(make_index(tmp_path), Url("memory://images"))
    first = index.path(0)
    assert isinstance(first, Url)
    data = first.read_bytes()
    first.write_bytes(data + b"more")
    with pytest.raises(DataSetError, match="when the data set was listed"):
        build(index, memory)
    first.unlink()
    with pytest.raises(ImageError, match="No such file"):
        build(index, memory)


def test_a_store_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Unable to locate credentials\nsecond line")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    with pytest.raises(ArtefactError, match=r"RuntimeError: Unable to locate credentials\)"):
        build(make_index(tmp_path), Url("memory://other"))


def test_one_writer_at_a_url(memory: Url) -> None:
    with (
        writer_lock(memory),
        pytest.raises(ArtefactError, match=f"process {os.getpid()} on") as caught,
        writer_lock(memory),
    ):
        pass
    assert "10 minutes" in caught.value.hint
    assert memory.sizes() == {}


@pytest.mark.parametrize(
    ("host", "process", "age", "held"),
    [
        (None, 2**22 + 1, 0, False),  # no process of this machine has that number
        ("elsewhere", 1, 0, True),
        ("elsewhere", 1, 3600, False),
        (None, os.getpid(), 0, True),
    ],
    ids=["dead", "elsewhere", "elsewhere, long ago", "this process"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by signal 0")
def test_a_lock_that_was_left(
    memory: Url, host: str | None, process: int, age: int, held: bool
) -> None:
    import platform

    words = {
        "schema": storage_lock.SCHEMA,
        "schema_version": storage_lock.VERSION,
        "host": host or platform.node(),
        "process": process,
        "renewed": time.time() - age,
    }
    (memory / storage_lock.LOCK).write_bytes(json.dumps(words).encode())
    if held:
        with pytest.raises(ArtefactError, match="is writing here"), writer_lock(memory):
            pass
    else:
        with writer_lock(memory):
            assert memory.sizes()


def test_a_lock_is_renewed(memory: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_lock, "RENEWED_EVERY", 0.01)
    lock = memory / storage_lock.LOCK
    with writer_lock(memory):
        first = lock.read_bytes()
        until = time.monotonic() + 5
        while lock.read_bytes() == first and time.monotonic() < until:
            time.sleep(0.01)
        assert lock.read_bytes() != first
