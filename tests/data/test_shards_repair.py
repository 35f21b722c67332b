"""`c2f verify` against the sources, and the repair: the same bytes back, nothing else touched."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shards_cases import SPEC, TAXONOMY, levels, make_index, tree

from c2f_data.errors import ArtefactError, DataSetError
from c2f_data.index import DatasetIndex
from c2f_data.lock import only_writer
from c2f_data.resample_spec import ResampleSpec
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.repair import repair
from c2f_data.shards.verify import extra_files, verify
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy

RAW = {"encoding": "raw", "enlarged": InputSide.of(ResampleSpec.for_input(28))}


@pytest.fixture(scope="module", params=["encoded", "raw"])
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A data set with its finished shards in each layout."""
    root = tmp_path_factory.mktemp("toy")
    settings = RAW if request.param == "raw" else {}
    write_shards(make_index(root), levels(), SPEC, root / "shards", **settings)
    return root


@pytest.fixture
def index(made: Path, tmp_path: Path) -> DatasetIndex:
    shutil.copytree(made, tmp_path / "toy")
    return make_index(tmp_path / "toy")


@pytest.fixture
def folder(index: DatasetIndex) -> Path:
    return index.root / "shards"


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of everything that must stay as it is."""
    found = {path.name: path.stat() for path in folder.iterdir() if not path.name.startswith(".")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_images_are_what_their_sources_give(index: DatasetIndex, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = verify(
        folder,
        index=index,
        rederive=True,
        decode=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found == []
    total = 2 * sum(entry.bytes for entry in read_manifest(folder).shards)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_several_processes_find_the_same(index: DatasetIndex, folder: Path) -> None:
    first, second = read_manifest(folder).shards[:2]
    flip(folder / first.file, first.bytes // 2)
    flip(folder / second.file, 100)
    alone = verify(folder, index=index, rederive=True)
    assert {problem.file for problem in alone} == {first.file, second.file}
    assert verify(folder, index=index, rederive=True, jobs=2) == alone


def test_everything_that_can_be_broken_is_repaired(index: DatasetIndex, folder: Path) -> None:
    whole, before = tree(folder), stamps(folder)
    flipped, short, gone, strange, sidecar = read_manifest(folder).shards[:5]
    flip(folder / flipped.file, flipped.payloads[1].offset + 3)
    os.truncate(folder / short.file, short.bytes - 7)
    (folder / gone.file).unlink()
    (folder / strange.file).write_bytes((folder / sidecar.file).read_bytes())
    (folder / sidecar.file).with_suffix(".json").unlink()
    problems = verify(folder, index=index)
    broken = {flipped.file, short.file, gone.file, strange.file}
    broken |= {Path(sidecar.file).with_suffix(".json").name}
    assert {problem.file for problem in problems} == broken

    seen: list[tuple[int, int]] = []
    done = repair(folder, problems, index, progress=lambda *both: seen.append(both))
    assert done.left == ()
    assert set(done.repaired) == broken
    assert tree(folder) == whole
    assert verify(folder, decode=True, index=index, rederive=True) == []
    after = stamps(folder)
    assert {name for name in before if before[name] != after[name]} == broken
    images = sum(e.images for e in (flipped, short, gone, strange, sidecar))
    assert seen[-1] == (images, images)


def test_repair_in_two_processes(index: DatasetIndex, folder: Path) -> None:
    whole = tree(folder)
    for entry in read_manifest(folder).shards[:3]:
        (folder / entry.file).unlink()
    done = repair(folder, verify(folder), index, jobs=2)
    assert len(done.repaired) == 3
    assert tree(folder) == whole


def test_a_source_that_changed_is_told_and_nothing_is_touched(
    index: DatasetIndex, folder: Path
) -> None:
    """The same size, so that the data set's fingerprint can't tell."""
    entries = read_manifest(folder).shards
    path = index.root / "images" / "plain.png"
    data = path.read_bytes()
    swapped = (index.root / "images" / "plain.jpg").read_bytes()
    path.write_bytes(swapped.ljust(len(data), b"\0"))
    problems = verify(folder, index=index, rederive=True)
    assert len({problem.file for problem in problems}) == 1
    assert "which changed since" in problems[0].what
    assert {name.split(" (")[0] for name in problems[0].images} == {"vögel/plain.png"}

    gone = next(entry.file for entry in entries if entry.file != problems[0].file)
    (folder / gone).unlink()
    before = stamps(folder)
    done = repair(folder, [*problems, *verify(folder)], index)
    assert done.repaired == (gone,)
    (left,) = done.left
    assert left.file == problems[0].file
    assert "its source images changed since" in left.what
    assert before.items() <= stamps(folder).items()


def test_a_source_that_is_gone_is_told(index: DatasetIndex, folder: Path) -> None:
    (index.root / "images" / "grey.jpg").unlink()
    (problem,) = verify(folder, index=index, rederive=True)
    assert "absent" in problem.what
    assert len(problem.images) == 3
    before = stamps(folder)
    (left,) = repair(folder, [problem], index).left
    assert "grey.jpg" in left.what
    assert stamps(folder) == before


def test_shards_that_are_whole_but_hold_other_pixels(
    index: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only a comparison with the sources can find: a faulty reduction, all checksums right."""
    shutil.rmtree(folder)
    from c2f_data.resample import reduce_all

    def faulty(pixels: np.ndarray, *rest: object) -> list[np.ndarray]:
        pictures = [picture.copy() for picture in reduce_all(pixels, *rest)]  # type: ignore[arg-type]
        pictures[0][0, 0, 0] ^= 1
        return pictures

    with monkeypatch.context() as patch:
        patch.setattr("c2f_data.shards.encode.reduce_all", faulty)
        write_shards(index, levels(), SPEC, folder)
    assert verify(folder, decode=True, index=index) == []
    problems = verify(folder, index=index, rederive=True)
    assert sum(len(problem.images) for problem in problems) == len(index.records)
    assert all("not what the source gives" in problem.what for problem in problems)
    assert all("(family)" in image for problem in problems for image in problem.images)
    assert "changed" not in problems[0].what


def test_another_data_set_is_refused(index: DatasetIndex, folder: Path) -> None:
    first = read_manifest(folder).shards[0].file
    (folder / first).unlink()
    before = stamps(folder)
    other = replace(index, records=index.records[:-1])
    problems = verify(folder, index=other)
    assert problems[0].file == "manifest.json"
    assert "other images, labels or splits" in problems[0].what
    with pytest.raises(DataSetError, match="nothing repaired") as caught:
        repair(folder, problems, other)
    assert "--overwrite" in caught.value.hint
    assert stamps(folder) == before


def test_labels_are_held_against_the_data_set(index: DatasetIndex, folder: Path) -> None:
    paths = TAXONOMY.paths
    renamed = Taxonomy("toy", TAXONOMY.levels, (*paths[:-1], ("crows", "corvus", "rook")))
    (problem,) = verify(folder, index=replace(index, taxonomy=renamed))
    assert "another hierarchy" in problem.what
    # As if the shards had been labelled otherwise than their manifest claims.
    relabelled = replace(index.records[0], label=1)
    other = replace(index, records=(relabelled, *index.records[1:]))
    other.__dict__["fingerprint"] = index.fingerprint
    (problem,) = verify(folder, index=other)
    assert "another label than in the data set" in problem.what


def test_a_repair_waits_for_no_other_writer(index: DatasetIndex, folder: Path) -> None:
    (folder / read_manifest(folder).shards[0].file).unlink()
    problems = verify(folder)
    with only_writer(folder), pytest.raises(ArtefactError, match="is writing here"):
        repair(folder, problems, index)


def test_files_that_are_not_part_of_the_data_set(index: DatasetIndex, folder: Path) -> None:
    assert extra_files(folder) == ()
    (folder / "notes.txt").write_text("mine")
    (folder / ".tmp-12345678-x.h5").write_bytes(b"half")
    (folder / "train-00000-of-00002-0123abcd.h5").write_bytes(b"another plan")
    assert extra_files(folder) == (".tmp-12345678-x.h5", "train-00000-of-00002-0123abcd.h5")
    assert verify(folder) == []


def test_a_repair_that_is_interrupted_leaves_no_half_shard(
    index: DatasetIndex, folder: Path
) -> None:
    whole = tree(folder)
    for entry in read_manifest(folder).shards[:3]:
        (folder / entry.file).unlink()
    problems = verify(folder)

    def interrupt(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(folder, problems, index, progress=interrupt)
    assert tree(folder).items() <= whole.items()
    assert extra_files(folder) == ()
    assert repair(folder, verify(folder), index).left == ()
    assert tree(folder) == whole


def test_pixels_of_a_photograph_survive(shared: Path, tmp_path: Path) -> None:
    """A real photograph, in every encoding that Pillow alone can write."""
    photos = sorted(shared.rglob("*.jpg"))[:2]
    if not photos:
        pytest.skip("no photographs there")
    (tmp_path / "images").mkdir()
    for photo in photos:
        Image.open(photo).convert("RGB").save(tmp_path / "images" / photo.name, quality=92)
    index = make_index(tmp_path)
    for encoding in ("webp-lossless", "png", "raw"):
        folder = tmp_path / encoding
        write_shards(index, levels(), SPEC, folder, encoding=encoding)
        assert verify(folder, index=index, rederive=True) == []
