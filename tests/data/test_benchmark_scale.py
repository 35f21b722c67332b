"""The benchmark of scale at tiny sizes: what it makes is real, and memory does not follow it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scale, scale_data
from c2f_data.artefacts import sha256_file
from c2f_data.index import TEST, TRAIN
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.reader import ShardReader

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for memory")


def test_the_made_up_shards_are_shards(tmp_path: Path) -> None:
    """Heads as a build writes them, or the reading of them would show nothing."""
    folder = tmp_path / "shards"
    scale_data.make_shards(3000, folder)
    index = scale_data.make_index(3000)
    reader = ShardReader(folder)
    for split in (TRAIN, TEST):
        wanted = index.positions(split)
        assert np.array_equal(reader.labels(split)[:, -1], index.labels[wanted])
        assert list(reader.image_ids(split)) == [index.records[i].image_id for i in wanted]
    assert reader.read(TRAIN, 2000, "genus") == scale_data.PAYLOAD
    for entry in read_manifest(folder).shards:
        assert entry.sha256 == sha256_file(folder / entry.file)


def test_one_manifest_with_and_without_its_shards(tmp_path: Path) -> None:
    """The second is measured for its size, so it must have all that the first has."""
    scale_data.make_shards(3000, tmp_path / "whole")
    (tmp_path / "alone").mkdir()
    scale_data.make_manifest_alone(3000, tmp_path / "alone")
    whole, alone = (read_manifest(tmp_path / name) for name in ("whole", "alone"))
    assert alone.plan == whole.plan
    assert [(e.file, e.images) for e in alone.shards] == [(e.file, e.images) for e in whole.shards]
    assert {len(e.payloads) for e in alone.shards + whole.shards} == {3}


@linux
@pytest.mark.parametrize("name", [name for name in scale.STEPS if name != "driver"])
def test_every_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in ("manifest", "open", "read"):
        monkeypatch.setattr(scale, "_apart", lambda work, images, folder: work(images, folder))
    (tmp_path / "folder").mkdir()
    step = scale.STEPS[name](2000, tmp_path / "folder")
    assert step.images == 2000
    assert step.seconds > 0
    assert step.memory >= 0
    assert step.size
    row = scale.table([scale.Step(**json.loads(json.dumps(asdict(step))))]).splitlines()[-1]
    assert row.startswith(f"| {step.step} | 2,000 | ")


@linux
def test_memory_is_seen() -> None:
    """A step that holds 50 MB for a moment says so, and the one after it does not."""
    held: list[int] = []

    def work() -> tuple[None, str]:
        held.append(len(np.ones(50_000_000, np.uint8)))
        return None, ""

    assert 45e6 < scale.measure("fifty", 1, work).memory < 60e6
    assert scale.measure("nothing", 1, lambda: (None, "")).memory < 5e6


def test_tasks_stay_small() -> None:
    """What the processes get, and what planning keeps, against ten times the images."""
    import pickle

    sizes = {}
    for images in (5_000, 50_000):
        _, tasks = scale_data.make_tasks(scale_data.make_index(images), Path("/nowhere"))
        sizes[images] = max(len(pickle.dumps(task)) for task in tasks[:3])
    assert sizes[50_000] < 1.2 * sizes[5_000]
