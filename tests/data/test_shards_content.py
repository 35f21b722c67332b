"""What is in a shard: the source's own bytes, exact reductions, labels, names."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from shards_cases import CANONICAL, RESOLUTIONS, SPEC, TAXONOMY, levels, make_index, open_rgb

from c2f_data.decode import decode_file
from c2f_data.errors import C2FError, ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.provenance import collect
from c2f_data.resample import ResampleSpec, reduce
from c2f_data.shards.encodings import encode
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import LevelPlan, make_plan, plan_levels
from c2f_data.shards.tasks import plan_shards
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[DatasetIndex, Path]:
    root = tmp_path_factory.mktemp("toy")
    index = make_index(root)
    provenance = collect(device="cpu", seed=0)
    write_shards(index, levels(), SPEC, root / "shards", provenance=provenance)
    return index, root / "shards"


def test_the_finest_level_holds_the_sources_own_bytes(built: tuple[DatasetIndex, Path]) -> None:
    index, folder = built
    reader = ShardReader(folder)
    flagged = []
    for split in reader.splits:
        canonical = reader.canonical(split)
        for i, position in enumerate(index.positions(split)):
            path = index.path(int(position))
            stored = reader.read(split, i, "species")
            np.testing.assert_array_equal(open_rgb(stored), decode_file(path).pixels)
            np.testing.assert_array_equal(
                reader.pixels(split, i, "species"), decode_file(path).pixels
            )
            if canonical[i]:
                flagged.append(path.name)
            else:
                assert stored == path.read_bytes()
    assert sorted(flagged) == sorted(CANONICAL)
    assert reader.manifest.canonical == len(CANONICAL)


@pytest.mark.parametrize("level", ["family", "genus"])
def test_coarser_levels_are_exactly_the_canonical_reduction(
    built: tuple[DatasetIndex, Path], level: str
) -> None:
    index, folder = built
    reader = ShardReader(folder)
    for split in reader.splits:
        sizes = reader.sizes(split, level)
        for i, position in enumerate(index.positions(split)):
            full = decode_file(index.path(int(position))).pixels
            expected = reduce(full, RESOLUTIONS[level], SPEC)
            np.testing.assert_array_equal(open_rgb(reader.read(split, i, level)), expected)
            assert tuple(sizes[i]) == expected.shape[:2]
            assert min(expected.shape[:2]) == min(RESOLUTIONS[level], *full.shape[:2])


def test_labels_ids_and_classes(built: tuple[DatasetIndex, Path]) -> None:
    index, folder = built
    reader = ShardReader(folder)
    for split in reader.splits:
        positions = index.positions(split)
        np.testing.assert_array_equal(reader.labels(split), TAXONOMY.codes[index.labels[positions]])
        assert reader.image_ids(split) == tuple(index.records[i].image_id for i in positions)
        assert reader.length(split) == positions.size
    assert reader.manifest.taxonomy.names == TAXONOMY.names
    assert reader.manifest.taxonomy.fingerprint == TAXONOMY.fingerprint


def test_the_manifest_reads_well(built: tuple[DatasetIndex, Path]) -> None:
    data = json.loads((built[1] / "manifest.json").read_text(encoding="utf-8"))
    assert data["levels"] == [
        {"name": "family", "count": 2, "resolution": 12},
        {"name": "genus", "count": 3, "resolution": 24},
        {"name": "species", "count": 4, "resolution": None},
    ]
    assert data["images"] == {"train": 12, "test": 6}
    assert sum(entry["images"] for entry in data["shards"]) == 18


def test_only_provenance_tells_when_and_where(built: tuple[DatasetIndex, Path]) -> None:
    provenance = json.loads((built[1] / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["jobs"] == 1
    created = provenance["provenance"]["created"][:10].encode()
    for path in built[1].glob("*"):
        if path.name != "provenance.json":
            data = path.read_bytes()
            assert created not in data
            assert str(built[1]).encode() not in data


def test_attributes_of_a_shard(built: tuple[DatasetIndex, Path]) -> None:
    index, folder = built
    manifest = read_manifest(folder)
    entry = manifest.shards[0]
    with h5py.File(folder / entry.file) as file:
        assert file.attrs["schema"] == "c2f-shard"
        assert file.attrs["schema_version"] == 2
        assert file.attrs["split"] == entry.split
        assert list(file.attrs["levels"]) == ["family", "genus", "species"]
        assert file.attrs["index_fingerprint"] == index.fingerprint
        assert file.attrs["taxonomy_fingerprint"] == TAXONOMY.fingerprint
        assert json.loads(file.attrs["resample"])["filter"] == "bicubic"
        assert file["images/species"].attrs["resolution"] == 0
        assert file["images/genus"].attrs["resolution"] == 24
        assert file["images/genus"].attrs["encoding"] == "webp-lossless"
        assert tuple(file["classes/species"].asstr()[:]) == TAXONOMY.names[-1]
        assert file["image_ids"].asstr()[0].startswith("vögel/")
        assert file["images/genus/payload"].chunks is None


def test_plain_h5py_reads_an_image_in_five_lines(
    built: tuple[DatasetIndex, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, folder = built
    monkeypatch.chdir(folder)
    name, i = next(folder.glob("train-00000-*.h5")).name, 0

    with h5py.File(name) as shard:
        genus = shard["images/genus"]
        start, end = genus["offsets"][i : i + 2]
        image = Image.open(io.BytesIO(genus["payload"][start:end]))
        labels = dict(zip(shard.attrs["levels"], shard["labels"][i], strict=True))

    full = decode_file(index.path(int(index.positions("train")[0]))).pixels
    np.testing.assert_array_equal(np.asarray(image), reduce(full, 24, SPEC))
    assert labels == {"family": 0, "genus": 0, "species": 0}


def test_shards_keep_order_and_never_mix_splits(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    plan = make_plan(index, levels(), SPEC)
    tasks = plan_shards(index, plan, tmp_path / "shards")
    assert len({task.file for task in tasks}) == len(tasks) >= 6
    for split in ("train", "test"):
        own = [task for task in tasks if task.split == split]
        ids = [record.image_id for task in own for record in task.records]
        assert ids == [record.image_id for record in index.records if record.split == split]
        assert all(record.split == split for task in own for record in task.records)
        assert [task.number for task in own] == list(range(own[0].of))


@pytest.mark.parametrize("names", [("group", "kind"), ("a", "b", "c", "d", "e")])
def test_two_and_five_levels(tmp_path: Path, names: tuple[str, ...]) -> None:
    paths = tuple((*(f"{level}{k // 2}" for level in names[:-1]), f"leaf{k}") for k in range(4))
    taxonomy = Taxonomy("other", names, paths)
    index = make_index(tmp_path, taxonomy)
    resolutions = {name: 8 + 4 * k for k, name in enumerate(names[:-1])}
    folder = tmp_path / "shards"
    write_shards(index, plan_levels(taxonomy, resolutions), SPEC, folder)
    reader = ShardReader(folder)
    assert reader.levels == names
    assert reader.labels("train").shape == (12, len(names))
    assert min(reader.pixels("train", 0, names[0]).shape[:2]) == 8
    assert verify(folder, decode=True) == []


def test_the_input_geometry_is_not_part_of_the_plan(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    plan = make_plan(index, levels(), SPEC)
    assert make_plan(index, levels(), ResampleSpec.for_input(224)).fingerprint == plan.fingerprint
    other = make_plan(index, levels(), ResampleSpec(filter="bilinear"))
    assert other.fingerprint != plan.fingerprint


def test_lossless_also_where_webp_ends() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 17_000, 3), dtype=np.uint8)
    np.testing.assert_array_equal(open_rgb(encode(pixels, "webp-lossless")), pixels)


def test_a_reader_travels_to_workers_and_serves_threads(built: tuple[DatasetIndex, Path]) -> None:
    reader = ShardReader(built[1])
    expected = [reader.read("train", i, "genus") for i in range(12)]
    copy = pickle.loads(pickle.dumps(reader))
    found: list[list[bytes]] = []
    threads = [
        threading.Thread(
            target=lambda: found.append([copy.read("train", i, "genus") for i in range(12)])
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_reader_works_in_processes_however_they_start(
    built: tuple[DatasetIndex, Path], method: str
) -> None:
    """Also after it was used: what it has open and knows is its own process's."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    reader = ShardReader(built[1])
    where = [("train", i, "genus") for i in range(12)]
    expected = [reader.pixels(*place) for place in where]
    with multiprocessing.get_context(method).Pool(2) as processes:
        found = processes.starmap(reader.pixels, where, chunksize=3)
    for pixels, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pixels, right)
    # A process that ended took nothing of this one's along.
    np.testing.assert_array_equal(reader.pixels(*where[0]), expected[0])


def test_reading_and_verifying_need_no_torch() -> None:
    code = (
        "import sys, c2f_data.shards.reader, c2f_data.shards.verify; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("split", "position", "level"),
    [("val", 0, "genus"), ("train", 12, "genus"), ("train", -1, "genus"), ("train", 0, "order")],
)
def test_asking_for_what_is_not_there(
    built: tuple[DatasetIndex, Path], split: str, position: int, level: str
) -> None:
    with pytest.raises(ConfigError):
        ShardReader(built[1]).read(split, position, level)


@pytest.mark.parametrize(
    "resolutions", [{"family": 12}, {"family": 12, "genus": 1}, {**RESOLUTIONS, "species": 99}]
)
def test_resolutions_that_make_no_sense(tmp_path: Path, resolutions: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        make_plan(make_index(tmp_path), plan_levels(TAXONOMY, resolutions), SPEC)


def test_levels_of_another_hierarchy(tmp_path: Path) -> None:
    other = (LevelPlan("family", 9, 12), *levels()[1:])
    with pytest.raises(C2FError, match="family \\(9\\)"):
        make_plan(make_index(tmp_path), other, SPEC)
