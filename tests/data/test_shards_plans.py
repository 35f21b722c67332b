"""Same plan: keep; other plan: refuse or replace whole; any number of jobs: the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shards_cases import SPEC, TAXONOMY, levels, make_index, tree

from c2f_data.errors import ArtefactError, ConfigError, DataSetError, ImageError
from c2f_data.index import DatasetIndex
from c2f_data.shards.build import build_shard
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import make_plan, plan_levels
from c2f_data.shards.tasks import plan_shards
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards

OTHER = plan_levels(TAXONOMY, {"family": 10, "genus": 20})


@pytest.fixture
def index(tmp_path: Path) -> DatasetIndex:
    return make_index(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, index: DatasetIndex) -> Path:
    """A finished set of shards."""
    write_shards(index, levels(), SPEC, tmp_path / "shards")
    return tmp_path / "shards"


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.h5")}


def test_two_processes_write_the_same_bytes(
    tmp_path: Path, index: DatasetIndex, folder: Path
) -> None:
    seen: list[tuple[int, int]] = []
    manifest = write_shards(
        index,
        levels(),
        SPEC,
        tmp_path / "two",
        jobs=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert tree(tmp_path / "two") == tree(folder)
    assert manifest == read_manifest(folder)
    assert seen[0] == (0, 18)
    assert seen[-1] == (18, 18)
    assert seen == sorted(seen)


def test_an_error_in_a_worker_process_arrives_as_it_is(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    broken = index.path(4)
    broken.write_bytes(b"x" * index.records[4].bytes)
    with pytest.raises(ImageError, match=broken.name):
        write_shards(index, levels(), SPEC, tmp_path / "shards", jobs=2)
    assert not (tmp_path / "shards" / "manifest.json").exists()
    assert not list((tmp_path / "shards").glob(".tmp-*"))


def test_finished_shards_are_left_alone(index: DatasetIndex, folder: Path) -> None:
    before, manifest = times(folder), read_manifest(folder)
    calls: list[int] = []
    again = write_shards(index, levels(), SPEC, folder, progress=lambda *_: calls.append(1))
    assert again == manifest
    assert times(folder) == before
    assert not calls


def test_another_plan_is_refused(index: DatasetIndex, folder: Path) -> None:
    before = tree(folder)
    with pytest.raises(ArtefactError, match=r"genus 24 px.*asked for: .*genus 20 px") as caught:
        write_shards(index, OTHER, SPEC, folder)
    assert "--overwrite" in caught.value.hint
    assert tree(folder) == before


def test_overwrite_replaces_everything(tmp_path: Path, index: DatasetIndex, folder: Path) -> None:
    (folder / "notes.json").write_text("mine")
    (folder / "mine.h5").write_text("mine")
    write_shards(index, OTHER, SPEC, folder, overwrite=True)
    assert (folder / "notes.json").read_text() == (folder / "mine.h5").read_text() == "mine"
    (folder / "notes.json").unlink()
    (folder / "mine.h5").unlink()
    write_shards(index, OTHER, SPEC, tmp_path / "fresh")
    assert tree(folder) == tree(tmp_path / "fresh")


def test_an_interrupted_overwrite_leaves_the_old_shards_usable(
    tmp_path: Path, index: DatasetIndex, folder: Path
) -> None:
    old = tree(folder)

    def interrupt(done: int, total: int) -> None:
        if done > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(index, OTHER, SPEC, folder, overwrite=True, progress=interrupt)
    assert old.items() <= tree(folder).items()
    assert verify(folder, decode=True) == []
    assert ShardReader(folder).manifest.levels == levels()
    # Back to the old plan: nothing to do. Forward to the new one: it takes up its own shards.
    write_shards(index, levels(), SPEC, folder)
    begun = {name: when for name, when in times(folder).items() if name not in old}
    assert begun
    write_shards(index, OTHER, SPEC, folder, overwrite=True)
    assert begun.items() <= times(folder).items()
    write_shards(index, OTHER, SPEC, tmp_path / "fresh")
    assert tree(folder) == tree(tmp_path / "fresh")


def test_a_missing_shard_is_built_again_and_no_other(index: DatasetIndex, folder: Path) -> None:
    whole, before = tree(folder), times(folder)
    gone = min(before)
    (folder / gone).unlink()
    with pytest.raises(ArtefactError, match=gone):
        ShardReader(folder)
    write_shards(index, levels(), SPEC, folder)
    assert tree(folder) == whole
    after = times(folder)
    assert {name for name in before if before[name] != after[name]} == {gone}


def test_overwrite_of_the_same_plan_mends_a_damaged_shard(
    index: DatasetIndex, folder: Path
) -> None:
    whole, before = tree(folder), times(folder)
    path = folder / max(before)
    data = bytearray(path.read_bytes())
    data[-500] ^= 1
    path.write_bytes(data)
    write_shards(index, levels(), SPEC, folder, overwrite=True)
    assert tree(folder) == whole
    after = times(folder)
    assert {name for name in before if before[name] != after[name]} == {path.name}


def test_a_source_image_that_changed_makes_its_shard_anew(
    index: DatasetIndex, folder: Path
) -> None:
    """The same size, so that the index can't tell: only the bytes can."""
    before = times(folder)
    path = index.root / "images" / "plain.png"
    data = path.read_bytes()
    swapped = index.root / "images" / "plain.jpg"
    padded = swapped.read_bytes().ljust(len(data), b"\0")[: len(data)]
    assert len(padded) == len(data)
    path.write_bytes(padded)
    write_shards(index, levels(), SPEC, folder, overwrite=True)
    changed = {name for name, when in times(folder).items() if before[name] != when}
    assert len(changed) == 1
    assert verify(folder, decode=True) == []


@pytest.mark.parametrize("what", ["gone", "longer"])
def test_a_source_image_that_vanished_or_grew_is_named(tmp_path: Path, what: str) -> None:
    index = make_index(tmp_path)
    path = index.root / "images" / "more10.jpg"
    if what == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises((ImageError, DataSetError), match=r"more10\.jpg"):
        write_shards(index, levels(), SPEC, tmp_path / "shards")
    assert not (tmp_path / "shards" / "manifest.json").exists()


def test_one_task_is_enough_to_build_a_shard_elsewhere(
    tmp_path: Path, index: DatasetIndex, folder: Path
) -> None:
    plan = make_plan(index, levels(), SPEC)
    task = plan_shards(index, plan, tmp_path / "elsewhere")[1]
    entry = build_shard(task)
    assert entry in read_manifest(folder).shards
    assert (tmp_path / "elsewhere" / entry.file).read_bytes() == (folder / entry.file).read_bytes()


def test_a_second_writer_is_told_who_is_at_work(index: DatasetIndex, folder: Path) -> None:
    """A process of its own holds the folder, and is named by its number."""
    code = (
        "import sys; from pathlib import Path; from c2f_data.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])):\n    print('here', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"here\n"
        with pytest.raises(ArtefactError, match=f"process {other.pid} on .* is writing here"):
            write_shards(index, levels(), SPEC, folder)
        # Killed, it can't give the lock back; the system does.
        other.kill()
    write_shards(index, levels(), SPEC, folder)


def test_no_jobs(tmp_path: Path, index: DatasetIndex) -> None:
    with pytest.raises(ConfigError, match="0 processes"):
        write_shards(index, levels(), SPEC, tmp_path / "shards", jobs=0)


def test_a_damaged_manifest_is_refused_and_replaced(index: DatasetIndex, folder: Path) -> None:
    whole, before = tree(folder), times(folder)
    path = folder / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, "schema_version": 1}), encoding="utf-8")
    with pytest.raises(ArtefactError, match="schema version 1") as caught:
        write_shards(index, levels(), SPEC, folder)
    assert "--overwrite" in caught.value.hint
    write_shards(index, levels(), SPEC, folder, overwrite=True)
    assert tree(folder) == whole
    assert times(folder) == before
