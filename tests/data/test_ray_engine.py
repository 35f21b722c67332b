"""Shards built on a Ray cluster: the same bytes, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from shards_cases import SPEC, TAXONOMY, levels, make_index, picture, tree

from c2f_data.errors import C2FError, ConfigError, ImageError
from c2f_data.index import TRAIN, DatasetIndex, ImageRecord
from c2f_data.shards import ray_engine
from c2f_data.shards.ray_engine import RayEngine
from c2f_data.shards.writer import write_shards

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two worker processes on this machine, shared by the tests: a start takes seconds."""
    with ray_engine._cluster(RayEngine(jobs=2)):
        yield


def large_index(root: Path, images: int = 16, side: int = 600) -> DatasetIndex:
    """Noisy images in eight shards, each of which takes a good part of a second."""
    folder = root / "images"
    folder.mkdir(parents=True)
    records = []
    for i in range(images):
        path = folder / f"{i:02}.png"
        Image.fromarray(picture(i, side, side)).save(path, compress_level=1)
        size = path.stat().st_size
        label = i % len(TAXONOMY.paths)
        records.append(ImageRecord(path.name, f"images/{path.name}", label, TRAIN, size))
    return DatasetIndex("toy", root, "made for a test", TAXONOMY, tuple(records))


def building() -> list[int]:
    """Processes of this machine that Ray has build a shard right now."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if entry.read_bytes().startswith(b"ray::_build"):
                found.append(int(entry.parent.name))
    return found


def parent(process: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return None


class KillOne:
    """Kills one worker by signal 9 while it has a shard in hand that is not finished."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.killed: int | None = None
        self.before: dict[str, int] = {}

    def __call__(self, done: int, total: int) -> None:
        if self.killed is None and 0 < done < total:
            workers = building()
            if workers:
                self.killed = workers[0]
                self.before = finished(self.folder)
                os.kill(self.killed, signal.SIGKILL)


def finished(folder: Path) -> dict[str, int]:
    """The shards under their names, and when each was written: one made again would be newer."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*.h5")}


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_cluster_that_is_not_there() -> None:
    engine = RayEngine(address="127.0.0.1:1")
    with pytest.raises(ConfigError, match="no Ray cluster at"), ray_engine._cluster(engine):
        pass


def test_what_ray_says_is_no_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a worker that died it prints a paragraph on stdout, where `--json` puts its object."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **__: None)
    monkeypatch.setattr(ray, "shutdown", lambda: sys.stdout.write("and another"))
    with ray_engine._cluster(RayEngine(address="auto")):
        sys.stdout.write("A worker died, ")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "A worker died, and another")


def test_the_same_bytes_as_local_processes(tmp_path: Path, cluster: None) -> None:
    index = make_index(tmp_path)
    right = write_shards(index, levels(), SPEC, tmp_path / "right")
    seen: list[tuple[int, int]] = []
    engine = RayEngine()
    made = write_shards(
        index, levels(), SPEC, tmp_path / "ray", engine=engine, progress=lambda *s: seen.append(s)
    )
    assert made == right
    assert tree(tmp_path / "ray") == tree(tmp_path / "right")
    assert seen[0] == (0, 18)
    assert seen[-1] == (18, 18)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_killed_worker_costs_its_shard_alone(tmp_path: Path, cluster: None) -> None:
    index = large_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "right")
    folder = tmp_path / "ray"
    kill = KillOne(folder)
    write_shards(index, levels(), SPEC, folder, engine=RayEngine(), progress=kill)
    assert kill.killed is not None
    assert gone(kill.killed)
    assert tree(folder) == tree(tmp_path / "right")
    assert kill.before
    assert kill.before.items() <= finished(folder).items()


def test_retries_that_are_used_up(tmp_path: Path, cluster: None) -> None:
    index = large_index(tmp_path)
    folder = tmp_path / "ray"
    kill = KillOne(folder)
    with pytest.raises(C2FError, match="begun 1 time") as caught:
        write_shards(index, levels(), SPEC, folder, engine=RayEngine(retries=0), progress=kill)
    assert "kept" in caught.value.hint
    assert not (folder / "manifest.json").exists()
    left = finished(folder)
    assert kill.before.items() <= left.items()
    write_shards(index, levels(), SPEC, folder, engine=RayEngine())
    assert left.items() <= finished(folder).items()


def test_an_error_in_a_worker_arrives_as_it_is(tmp_path: Path, cluster: None) -> None:
    index = make_index(tmp_path)
    bad = tmp_path / index.records[3].path
    bad.write_bytes(b"x" * index.records[3].bytes)
    with pytest.raises(ImageError, match=f"{bad}: not an image"):
        write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine())


def test_ctrl_c_ends_what_is_out(tmp_path: Path, cluster: None) -> None:
    index = large_index(tmp_path)
    folder = tmp_path / "ray"

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(index, levels(), SPEC, folder, engine=RayEngine(), progress=interrupt)
    until = time.monotonic() + 20
    while building() and time.monotonic() < until:
        time.sleep(0.05)
    assert not building()
    assert not list(folder.glob(".tmp-*"))
    assert 1 <= len(finished(folder)) < 8
    assert not (folder / "manifest.json").exists()


def test_few_tasks_are_out_at_a_time(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path)
    waiting = []
    wait = ray.wait

    def watched(references: list[object], **how: object) -> object:
        waiting.append(len(references))
        return wait(references, **how)

    monkeypatch.setattr(ray, "wait", watched)
    write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine(jobs=1))
    assert max(waiting) == 1


def test_versions_and_folders_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path)
    from c2f_data.shards.schema import make_plan
    from c2f_data.shards.tasks import plan_shards

    folder = tmp_path / "shards"
    folder.mkdir()
    task = plan_shards(index, make_plan(index, levels(), SPEC), folder)[0]
    mine = ray_engine._versions()
    assert not isinstance(ray_engine._build(task, mine), C2FError)
    other = ray_engine._build(task, mine | {"pillow": "1.0"})
    assert isinstance(other, ConfigError)
    assert "pillow" in other.message
    absent = ray_engine._build(replace(task, folder=tmp_path / "not here"), mine)
    assert isinstance(absent, ConfigError)
    assert "not here" in absent.message
    assert not (tmp_path / "not here").exists()


@pytest.mark.slow
def test_a_node_that_dies(tmp_path: Path) -> None:
    """Two nodes in all but the machine: each has its own raylet, and one of them is killed."""
    from ray.cluster_utils import Cluster

    index = large_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "right")
    folder = tmp_path / "ray"
    ray.shutdown()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = nodes.add_node(num_cpus=1)
        raylet = second.all_processes["raylet"][0].process.pid
        killed: list[int] = []

        def kill(done: int, total: int) -> None:
            until = time.monotonic() + 5
            while not killed and 0 < done < total and time.monotonic() < until:
                if any(parent(worker) == raylet for worker in building()):
                    os.kill(raylet, signal.SIGKILL)
                    killed.append(done)

        engine = RayEngine(address=nodes.address)
        write_shards(index, levels(), SPEC, folder, engine=engine, progress=kill)
    finally:
        ray.shutdown()
        nodes.shutdown()
    assert killed
    assert tree(folder) == tree(tmp_path / "right")
