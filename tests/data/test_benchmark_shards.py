"""The benchmark of the shards: its keys, and that its contestants do the same work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import pixels, shards
from benchmarks.contestants import SWEEP, Shards, cut, naive_sweep, sweeps, training_images
from benchmarks.peers import Peer, make_peers
from benchmarks.photographs import Photographs, as_jpeg, lay_out, photograph
from benchmarks.rounds import Rounds, race
from benchmarks.shards import ShardBenchmark, Size, main, markdown, measure, text
from benchmarks.targets import targets_of
from c2f_data.artefacts import to_plain
from c2f_data.decode import Pixels, decode_file
from c2f_data.errors import C2FError, ConfigError
from c2f_data.index import TRAIN
from c2f_data.resample import enlarge

TINY = Size(photographs=4, slow=1, rounds=1, readers=(20, 120))
RATIOS = (
    "sweep_vs_pillow",
    "sweep_exact_vs_pillow",
    "lossless_vs_png6",
    "loader_jpeg_1p",
    "loader_jpeg_2w",
    "loader_raw_1p",
)
CONTAINERS = {"plain files", "lmdb", "webdataset", "litdata"}


@pytest.fixture(scope="module")
def installed() -> None:
    """The packages to compare with."""
    for name in ("torchvision", "lmdb", "webdataset", "litdata"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[dev]'")


@pytest.fixture(scope="module")
def result(installed: None) -> ShardBenchmark:
    return measure(TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def photographs(folder: Path) -> Photographs:
    return lay_out(folder / "photographs", 4)


@pytest.fixture(scope="module")
def built(photographs: Photographs, folder: Path) -> Shards:
    return Shards.of(photographs, folder)


@pytest.fixture(scope="module")
def peers(installed: None, photographs: Photographs, folder: Path) -> tuple[Peer, ...]:
    return make_peers(photographs.paths, [2, 0, 3, 1], folder)


def test_the_short_form_has_every_key(result: ShardBenchmark) -> None:
    plain = json.loads(json.dumps(to_plain(result)))
    assert all(isinstance(plain[key], float) and plain[key] > 0 for key in RATIOS)
    assert plain["peers"].keys() == plain["peers_layout_only"].keys() == CONTAINERS
    assert plain["fastest_peer"] == min(plain["peers"].values())
    assert plain["versions"]["litdata"]
    assert plain["page_cache"] == "warm"
    for row in plain["targets"]:
        assert row["measured"] == plain[row["key"]]
    assert {row["key"] for row in plain["targets"]} >= set(RATIOS)
    assert plain["lossless_size_vs_png6"] < 1
    assert [each["images"] for each in plain["reader_memory"]] == [20, 120]
    # A reader holds labels and offsets of an image, nothing of the image itself.
    assert 0 < plain["reader_bytes_per_image"] < 3000


def test_both_tables_show_every_target_and_container(result: ShardBenchmark) -> None:
    for table in (text(result), markdown(result)):
        assert all(row.what in table for row in result.targets)
        assert all(name in table for name in CONTAINERS)
        assert "page cache warm" in table
    assert "litdata " + result.versions["litdata"] in markdown(result)


def test_a_target_is_met_on_the_right_side_of_its_bound() -> None:
    keys = [row.key for row in targets_of(dict.fromkeys(_keys(), 1.0))]
    good = targets_of({key: 0.5 if "size" in key or "bytes" in key else 50.0 for key in keys})
    bad = targets_of({key: 5000.0 if "size" in key or "bytes" in key else 0.5 for key in keys})
    assert all(row.met for row in good)
    assert not any(row.met for row in bad)


def _keys() -> list[str]:
    return [*RATIOS, "lossless_size_vs_png6", "fastest_peer", "reader_bytes_per_image"]


def test_all_contestants_see_the_same_pixels(
    photographs: Photographs, built: Shards, peers: tuple[Peer, ...]
) -> None:
    pixels.check_pixels(photographs, built, peers)
    for i, path in enumerate(photographs.paths):
        native = decode_file(path).pixels
        np.testing.assert_array_equal(built.encoded.pixels(TRAIN, i, "species"), native)
        np.testing.assert_array_equal(
            built.raw.pixels(TRAIN, i, "species"), enlarge(native, training_images(built.raw).spec)
        )
    plain = next(peer for peer in peers if peer.name == "plain files")
    assert [i for i, _ in plain.stream()] == [2, 0, 3, 1]
    for position, data in plain.stream():
        theirs, number = cut((position, data))
        assert number == position
        for reader in (built.encoded, built.raw):
            np.testing.assert_array_equal(training_images(reader)[1, position][0], theirs)
    works = sweeps(photographs.paths)
    own, exact, naive = (works[name]() for name in works)
    for mine, same, theirs in zip(own, exact, naive, strict=True):
        assert len(mine) == len(same) == len(theirs) == 12
        for a, b, c in zip(mine, same, theirs, strict=True):
            np.testing.assert_array_equal(b, c)
            assert np.abs(a.astype(int) - c).max() <= 2


def test_a_small_photograph_is_enlarged_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "small.jpg").write_bytes(as_jpeg(photograph(3, 100, 140)))
    works = sweeps([tmp_path / "small.jpg"])
    own, exact, naive = (works[name]()[0] for name in works)
    assert [min(small.shape[:2]) for small in naive] == [min(100, r) for r in SWEEP]
    for a, b, c in zip(own, exact, naive, strict=True):
        np.testing.assert_array_equal(b, c)
        assert np.abs(a.astype(int) - c).max() <= 2


def test_other_pixels_stop_the_benchmark(
    photographs: Photographs,
    built: Shards,
    peers: tuple[Peer, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swapped = Peer("swapped", "own", lambda: ((3 - i, data) for i, data in peers[0].stream()))
    with pytest.raises(C2FError, match="swapped and the shards give different pixels"):
        pixels.check_pixels(photographs, built, (swapped,))
    short = Peer("short", "own", lambda: iter(list(peers[0].stream())[:3]))
    with pytest.raises(C2FError, match="short: an epoch is not all images"):
        pixels.check_pixels(photographs, built, (short,))

    def darker(path: Path) -> list[Pixels]:
        return [small // 2 for small in naive_sweep(path)]

    monkeypatch.setattr(pixels, "naive_sweep", darker)
    with pytest.raises(C2FError, match="grey levels from Pillow's"):
        pixels.check_pixels(photographs, built, ())


def test_a_photograph_has_the_detail_of_one() -> None:
    first = photograph(0)
    assert first.shape == (375, 500, 3)
    np.testing.assert_array_equal(first, photograph(0))
    assert not np.array_equal(first, photograph(1))
    assert 50_000 < len(as_jpeg(first)) < 120_000


def test_photographs_of_a_folder(photographs: Photographs, tmp_path: Path) -> None:
    copied = lay_out(tmp_path / "copied", 6, photographs.folder)
    assert len(copied.paths) == 6
    assert {p.read_bytes() for p in copied.paths} == {p.read_bytes() for p in photographs.paths}
    assert "of a folder" in copied.described
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="0 JPEG files"):
        lay_out(tmp_path / "none", 2, tmp_path / "empty")


def test_an_error_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHORT", TINY)
    assert main(["--images", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "0 JPEG files" in printed.err


def test_ratios_are_paired_by_round() -> None:
    rounds = Rounds({"own": (1.0, 10.0, 2.0), "other": (2.0, 30.0, 8.0)})
    assert rounds.ratio("other", "own") == 3.0
    assert rounds.per_second("own", 6) == 3.0
    calls: list[str] = []
    timed = race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["b", "a", "a", "b", "b", "a"]
    assert {name: len(each) for name, each in timed.seconds.items()} == {"a": 2, "b": 2}
