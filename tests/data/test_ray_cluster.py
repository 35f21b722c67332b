"""Shards built on real Ray clusters of this machine: the same bytes, whoever dies meanwhile.

Each build has a cluster of its own, whose processes are below the test's. The short form, for CI,
is test_by_ray in tests/cli/test_shard_remote.py.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from shards_cases import SPEC, TAXONOMY, levels, make_index, picture, tree

from c2f_data.errors import C2FError, ConfigError, ImageError
from c2f_data.index import TRAIN, DatasetIndex, ImageRecord
from c2f_data.shards.ray_engine import RayEngine
from c2f_data.shards.writer import write_shards

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc"),
    pytest.mark.slow,
]
# Two worker processes, started with each build.
ENGINE = RayEngine("local", jobs=2)


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


def below() -> list[int]:
    """Every process that this one started, or those did."""
    found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [process for process in found if os.getpid() in ancestors(process)]


def building() -> list[int]:
    """Those of them that build a shard right now."""
    return [process for process in below() if title(process).startswith(b"ray::build_on_node")]


def title(process: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def ancestors(process: int) -> list[int]:
    above: list[int] = []
    while (up := parent(process)) is not None and up > 1:
        above.append(up)
        process = up
    return above


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


def soon(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes true within that time."""
    until = time.monotonic() + seconds
    while not (now := condition()) and time.monotonic() < until:
        time.sleep(0.05)
    return now


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    engine = RayEngine(address="127.0.0.1:1")
    with pytest.raises(ConfigError, match="no Ray cluster at"):
        write_shards(make_index(tmp_path), levels(), SPEC, tmp_path / "ray", engine=engine)


def test_the_same_bytes_as_local_processes(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    right = write_shards(index, levels(), SPEC, tmp_path / "right")
    seen: list[tuple[int, int]] = []
    made = write_shards(
        index, levels(), SPEC, tmp_path / "ray", engine=ENGINE, progress=lambda *s: seen.append(s)
    )
    assert made == right
    assert tree(tmp_path / "ray") == tree(tmp_path / "right")
    assert seen[0] == (0, 18)
    assert seen[-1] == (18, 18)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_killed_worker_costs_its_shard_alone(tmp_path: Path) -> None:
    index = large_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "right")
    folder = tmp_path / "ray"
    kill = KillOne(folder)
    write_shards(index, levels(), SPEC, folder, engine=ENGINE, progress=kill)
    assert kill.killed is not None
    assert gone(kill.killed)
    assert tree(folder) == tree(tmp_path / "right")
    assert kill.before
    assert kill.before.items() <= finished(folder).items()


def test_retries_that_are_used_up(tmp_path: Path) -> None:
    index = large_index(tmp_path)
    folder = tmp_path / "ray"
    kill = KillOne(folder)
    with pytest.raises(C2FError, match="begun 1 time") as caught:
        write_shards(
            index, levels(), SPEC, folder, engine=replace(ENGINE, retries=0), progress=kill
        )
    assert "kept" in caught.value.hint
    assert not (folder / "manifest.json").exists()
    left = finished(folder)
    assert kill.before.items() <= left.items()
    write_shards(index, levels(), SPEC, folder, engine=ENGINE)
    assert left.items() <= finished(folder).items()


def test_an_error_in_a_worker_arrives_as_it_is(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    bad = tmp_path / index.records[3].path
    bad.write_bytes(b"x" * index.records[3].bytes)
    with pytest.raises(ImageError, match=f"{bad}: not an image"):
        write_shards(index, levels(), SPEC, tmp_path / "ray", engine=ENGINE)


def test_ctrl_c_ends_what_is_out(tmp_path: Path) -> None:
    index = large_index(tmp_path)
    folder = tmp_path / "ray"

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(index, levels(), SPEC, folder, engine=ENGINE, progress=interrupt)
    assert soon(lambda: not building(), 20)
    assert not list(folder.glob(".tmp-*"))
    assert 1 <= len(finished(folder)) < 8
    assert not (folder / "manifest.json").exists()


@pytest.mark.parametrize("which", ["the process", "its raylet"])
def test_the_process_that_speaks_to_ray_ends(tmp_path: Path, which: str) -> None:
    """By a signal, or by Ray, because its raylet is gone: another one builds what is left."""
    index = large_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "right")
    folder = tmp_path / "ray"
    before: dict[str, int] = {}
    cluster: list[int] = []

    def kill(done: int, total: int) -> None:
        if not cluster and 0 < done < total:
            (driver,) = [child.pid for child in multiprocessing.active_children() if child.pid]
            cluster.extend(process for process in below() if driver in ancestors(process))
            before.update(finished(folder))
            raylets = [process for process in cluster if b"/raylet\0" in title(process)]
            os.kill(driver if which == "the process" else raylets[0], signal.SIGKILL)

    write_shards(index, levels(), SPEC, folder, engine=ENGINE, progress=kill)
    assert tree(folder) == tree(tmp_path / "right")
    assert before
    assert before.items() <= finished(folder).items()
    # Raylet, workers and the rest of the first cluster.
    assert len(cluster) > 3
    # A raylet's agents notice its end on their next round.
    assert soon(lambda: all(map(gone, cluster)), 90)


def test_a_node_that_dies(tmp_path: Path) -> None:
    """Two nodes in all but the machine: each has its own raylet, and one of them is killed."""
    from ray.cluster_utils import Cluster

    index = large_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "right")
    folder = tmp_path / "ray"
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
        nodes.shutdown()
    assert killed
    assert tree(folder) == tree(tmp_path / "right")
