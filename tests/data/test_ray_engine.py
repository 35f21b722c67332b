"""Shard tasks given to Ray: what comes back, and what happens when Ray ends its own process.

Ray itself is in test_ray_cluster.py; here its place is taken by fake_ray, which dies when told to.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from shards_cases import SPEC, levels, make_index, tree

from c2f_data.errors import C2FError, ConfigError, ImageError
from c2f_data.shards import ray_worker
from c2f_data.shards.ray_driver import Connecting, Finished, run
from c2f_data.shards.ray_engine import RayEngine
from c2f_data.shards.schema import make_plan
from c2f_data.shards.tasks import ShardTask, plan_shards
from c2f_data.shards.writer import write_shards

FAKE = Path(__file__).parent / "fake_ray"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``fake("dies 1")``: from now on new processes find that Ray."""
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.syspath_prepend(FAKE)
    return lambda how: monkeypatch.setenv("FAKE_RAY", how)


def test_a_process_that_ray_ends_is_followed_by_another(
    tmp_path: Path, fake: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """It goes on with what is not finished; what Ray says is not on stdout, where results go."""
    fake("dies 4")
    index = make_index(tmp_path)
    right = write_shards(index, levels(), SPEC, tmp_path / "right")
    assert len(right.shards) == 7
    seen: list[tuple[int, int]] = []
    made = write_shards(
        index,
        levels(),
        SPEC,
        tmp_path / "ray",
        engine=RayEngine(restarts=0),
        progress=lambda *step: seen.append(step),
    )
    assert made == right
    assert tree(tmp_path / "ray") == tree(tmp_path / "right")
    assert len(seen) == 8
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == ((0, 18), (18, 18))
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("a word of Ray's") == 7


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("dies 0", "its process ended with signal 6"),
        ("leaves", "its process ended with exit code 7"),
        ("loses", "the raylet died"),
        ("fails", "it could not start here: timed out"),
    ],
)
def test_a_process_that_ray_ends_again_and_again(
    tmp_path: Path, fake: Callable[[str], None], how: str, ending: str
) -> None:
    """Nothing was finished in between: the error says so, and the same command goes on."""
    index = make_index(tmp_path)
    fake(how)
    with pytest.raises(C2FError, match=f"gave up 2 times in a row .{ending}.") as caught:
        write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine(restarts=1))
    assert "finished shards are kept" in caught.value.hint
    assert not (tmp_path / "ray" / "manifest.json").exists()
    if how != "dies 0":
        return
    fake("")
    write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine())
    write_shards(index, levels(), SPEC, tmp_path / "right")
    assert tree(tmp_path / "ray") == tree(tmp_path / "right")


def test_an_error_in_a_worker_arrives_as_it_is(tmp_path: Path, fake: Callable[[str], None]) -> None:
    fake("")
    index = make_index(tmp_path)
    bad = tmp_path / index.records[3].path
    bad.write_bytes(b"x" * index.records[3].bytes)
    with pytest.raises(ImageError, match=f"{bad}: not an image") as caught:
        write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine())
    assert "build_on_node" in str(caught.value.__cause__)


def test_workers_that_die_too_often(tmp_path: Path, fake: Callable[[str], None]) -> None:
    """Ray has begun the shard again already: no other process of ours would do better."""
    fake("crashes")
    index = make_index(tmp_path)
    with pytest.raises(C2FError, match=r"each time its worker died \(killed\)") as caught:
        write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine())
    assert "kept" in caught.value.hint


def test_an_error_of_ray_itself(tmp_path: Path, fake: Callable[[str], None]) -> None:
    """One line, and its traceback for those who want it."""
    fake("wrong")
    index = make_index(tmp_path)
    with pytest.raises(C2FError, match="Ray could not go on: no such thing") as caught:
        write_shards(index, levels(), SPEC, tmp_path / "ray", engine=RayEngine())
    assert "AttributeError" in str(caught.value.__cause__)


def test_ctrl_c_ends_the_process(tmp_path: Path, fake: Callable[[str], None]) -> None:
    fake("")
    index = make_index(tmp_path)

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(
            index, levels(), SPEC, tmp_path / "ray", engine=RayEngine(), progress=interrupt
        )
    assert not multiprocessing.active_children()
    assert not list((tmp_path / "ray").glob(".tmp-*"))
    assert 1 <= len(list((tmp_path / "ray").glob("[!.]*.h5"))) < 7
    assert not (tmp_path / "ray" / "manifest.json").exists()


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="needs Ray") as caught:
        write_shards(make_index(tmp_path), levels(), SPEC, tmp_path / "ray", engine=RayEngine())
    assert "[ray]" in caught.value.hint


def test_versions_and_folders_of_another_machine(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    folder = tmp_path / "shards"
    folder.mkdir()
    task = plan_shards(index, make_plan(index, levels(), SPEC), folder)[0]
    mine = ray_worker.content_versions()
    assert not isinstance(ray_worker.build_on_node(task, mine), C2FError)
    other = ray_worker.build_on_node(task, mine | {"pillow": "1.0"})
    assert isinstance(other, ConfigError)
    assert "pillow" in other.message
    absent = ray_worker.build_on_node(replace(task, folder=tmp_path / "not here"), mine)
    assert isinstance(absent, ConfigError)
    assert "not here" in absent.message
    assert not (tmp_path / "not here").exists()


class Asked:
    """The end of a pipe that gives tasks, one for each question."""

    def __init__(self, tasks: Sequence[ShardTask]) -> None:
        self.waiting = enumerate(tasks)
        self.finished: list[int] = []

    def send(self, message: object) -> None:
        if isinstance(message, Finished):
            self.finished.append(message.number)

    def recv(self) -> tuple[int, ShardTask] | None:
        return next(self.waiting, None)

    def poll(self) -> bool:
        return False


@pytest.mark.parametrize(("jobs", "most"), [(1, 1), (None, 3)])
def test_few_tasks_are_out_at_a_time(
    tmp_path: Path,
    fake: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    jobs: int | None,
    most: int,
) -> None:
    """As many as were asked for; else as the cluster has CPUs (one), and two that wait."""
    fake("")
    ray = importlib.import_module("ray")
    index = make_index(tmp_path)
    folder = tmp_path / "ray"
    folder.mkdir()
    tasks = plan_shards(index, make_plan(index, levels(), SPEC), folder)
    out: list[int] = []
    monkeypatch.setattr(ray, "wait", lambda all_, **_: (out.append(len(all_)), [all_[:1], []])[1])
    pipe = Asked(tasks)
    run(ray, Connecting("local", jobs, 3), pipe)  # type: ignore[arg-type]
    assert sorted(pipe.finished) == list(range(7))
    assert max(out) == most
