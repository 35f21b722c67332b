"""The raw layout: every level decoded and enlarged, bit for bit what a loader would make itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from shards_cases import RESOLUTIONS, SPEC, TAXONOMY, levels, make_index, picture

from c2f_data.decode import decode_file
from c2f_data.errors import ArtefactError, ConfigError, ImageError
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.resample import ResampleSpec, enlarge, reduce
from c2f_data.shards.encodings import ENCODINGS
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.manifest import ShardManifest, read_manifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import TARGET_RAW_BYTES, make_plan
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards

SIDE = InputSide(enlarge_to=72)


def write_raw(
    index: DatasetIndex, folder: Path, spec: ResampleSpec, side: InputSide
) -> ShardManifest:
    return write_shards(index, levels(), spec, folder, encoding="raw", enlarged=side)


@pytest.mark.parametrize(
    ("spec", "side"),
    [
        (SPEC, SIDE),
        (SPEC, InputSide("squash", 64)),
        (SPEC, InputSide(enlarge_to=20)),  # native images are larger than this
        (ResampleSpec(filter="box", engine="pillow"), SIDE),
        (ResampleSpec(filter="bilinear", noise=4.0, jpeg=60), SIDE),
    ],
)
def test_every_level_is_what_the_chain_gives(
    tmp_path: Path, spec: ResampleSpec, side: InputSide
) -> None:
    index = make_index(tmp_path)
    manifest = write_raw(index, tmp_path / "shards", spec, side)
    chain = ResampleSpec(fit=side.fit, enlarge_to=side.enlarge_to, crop=8).after(spec)
    reader = ShardReader(tmp_path / "shards")
    for split in reader.splits:
        for i, position in enumerate(index.positions(split)):
            full = decode_file(index.path(int(position))).pixels
            for level in reader.levels:
                resolution = RESOLUTIONS.get(level, 10**6)
                pixels = reader.pixels(split, i, level)
                np.testing.assert_array_equal(
                    pixels, enlarge(reduce(full, resolution, spec), chain)
                )
                assert enlarge(pixels, chain) is pixels
                assert reader.read(split, i, level) == pixels.tobytes()
        native = [decode_file(index.path(int(p))).pixels.shape[:2] for p in index.positions(split)]
        assert [tuple(size) for size in reader.native_sizes(split).tolist()] == native
    assert manifest.plan.layout == "raw"
    assert manifest.canonical == 18
    assert verify(tmp_path / "shards", decode=True) == []


def test_what_the_file_says_of_its_layout(tmp_path: Path) -> None:
    manifest = write_raw(make_index(tmp_path), tmp_path / "shards", SPEC, SIDE)
    with h5py.File(tmp_path / "shards" / manifest.shards[0].file) as file:
        assert file.attrs["layout"] == "raw"
        assert json.loads(file.attrs["enlarged"]) == {"fit": "shorter", "enlarge_to": 72}
        assert {file[f"images/{v}"].attrs["encoding"] for v in TAXONOMY.levels} == {"raw"}
        assert file["images/genus"].attrs["resolution"] == 24
    assert read_manifest(tmp_path / "shards").plan == manifest.plan


def documented(head: str) -> set[str]:
    """The names in the first column of a table of docs/formats.md."""
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    rows = page.read_text(encoding="utf-8").partition(f"| {head} |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in rows.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(.+?)`", "".join(cells)))


def test_everything_in_a_shard_is_documented(tmp_path: Path) -> None:
    manifest = write_raw(make_index(tmp_path), tmp_path / "shards", SPEC, SIDE)
    with h5py.File(tmp_path / "shards" / manifest.shards[0].file) as file:
        assert set(file.attrs) == documented("attribute of the file")
        datasets: set[str] = set()
        file.visititems(
            lambda name, what: datasets.add(name) if isinstance(what, h5py.Dataset) else None
        )
        level = file["images/species"]
        assert set(level.attrs) == documented("attribute of `/images/LEVEL`")
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    section = page.partition("## Shards")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `/(\S+)` \|", section, re.MULTILINE))
    general = {re.sub(r"(?<=/)(family|genus|species)", "LEVEL", name) for name in datasets}
    assert general == named
    assert set(ENCODINGS) <= set(re.findall(r"`([\w-]+)`", section))


def test_the_documented_lines_read_a_raw_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path)
    write_raw(index, tmp_path / "shards", SPEC, SIDE)
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    code = re.search(
        r"<!-- snippet: read-a-raw-shard -->\n```python\n(.*?)```",
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert code is not None
    name = next((tmp_path / "shards").glob("train-00000-*.h5"))
    names: dict[str, object] = {"h5py": h5py, "np": np, "name": name, "i": 1}
    exec(code[1], names)
    expected = ShardReader(tmp_path / "shards").pixels("train", 1, "genus")
    np.testing.assert_array_equal(np.asarray(names["pixels"]), expected)


def test_a_chain_of_another_side_is_refused_with_both_and_the_commands(tmp_path: Path) -> None:
    plan = make_plan(
        make_index(tmp_path), levels(), SPEC, encoding="raw", enlarged=InputSide.of(SPEC)
    )
    plan.check_input(ResampleSpec.for_input(448))
    with pytest.raises(ConfigError, match=r"shorter side 512 px.*shorter side 256 px") as caught:
        plan.check_input(ResampleSpec.for_input(224))
    assert "c2f train --input-size 448 --fit shorter" in caught.value.hint
    assert "c2f shard --layout raw --input-size 224 --fit shorter" in caught.value.hint
    with pytest.raises(ConfigError, match="both sides 512 px"):
        plan.check_input(ResampleSpec.for_input(448, "squash"))
    encoded = make_plan(make_index(tmp_path), levels(), SPEC)
    encoded.check_input(ResampleSpec.for_input(224))


def test_a_side_that_no_command_gives_is_not_offered() -> None:
    with pytest.raises(ConfigError) as caught:
        InputSide(enlarge_to=513).check(ResampleSpec.for_input(448))
    assert "c2f train" not in caught.value.hint


@pytest.mark.parametrize("side", [7, 5000])
def test_a_side_that_no_network_takes(side: int) -> None:
    with pytest.raises(ConfigError):
        InputSide(enlarge_to=side)


def test_raw_layout_and_an_encoding_of_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="raw layout with the encoding png"):
        make_plan(make_index(tmp_path), levels(), SPEC, encoding="png", enlarged=SIDE)


def test_shards_of_another_layout_are_refused_in_words(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    write_raw(index, tmp_path / "shards", SPEC, SIDE)
    with pytest.raises(ArtefactError, match=r"layout raw at shorter side 72 px.*layout encoded"):
        write_shards(index, levels(), SPEC, tmp_path / "shards")


def test_the_side_is_part_of_the_plan(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    sides = (SIDE, InputSide("squash", 72), InputSide(enlarge_to=73))
    plans = [make_plan(index, levels(), SPEC, encoding="raw", enlarged=side) for side in sides]
    assert len({plan.fingerprint for plan in plans}) == 3


def one_image(root: Path, size: tuple[int, int]) -> DatasetIndex:
    Image.fromarray(picture(0, *size)).save(root / "a.png")
    record = ImageRecord("a.png", "a.png", 0, "train", (root / "a.png").stat().st_size)
    return DatasetIndex("toy", root, "test", TAXONOMY, (record,))


def test_an_image_that_no_reader_would_take_is_refused_before_it_is_made(tmp_path: Path) -> None:
    index = one_image(tmp_path, (4, 400))
    with pytest.raises(ImageError, match=r"a\.png: 409600 x 4096 pixels"):
        write_raw(index, tmp_path / "shards", SPEC, InputSide(enlarge_to=4096))
    write_raw(index, tmp_path / "shards", SPEC, InputSide("squash", 64))


def test_a_raw_image_of_another_length_than_its_size_is_refused(tmp_path: Path) -> None:
    from test_shards_damage import change, read_everything, set_values

    write_raw(make_index(tmp_path), tmp_path / "shards", SPEC, SIDE)
    change(tmp_path / "shards", set_values("images/genus/sizes", [72, 9]))
    with pytest.raises(ArtefactError, match="other bytes than its size needs"):
        read_everything(tmp_path / "shards")


def test_shards_hold_what_a_process_can_hold(tmp_path: Path) -> None:
    """By the size of what is stored: a raw image is many times its source's size."""
    index = make_index(tmp_path)
    side = InputSide(enlarge_to=512)
    plan = make_plan(index, levels(), SPEC, encoding="raw", enlarged=side)
    assert plan.weight(10) == 3 * (3 * (512 * 512 * 4 // 3))
    assert plan.target_bytes <= TARGET_RAW_BYTES
    many = DatasetIndex(
        "toy",
        tmp_path,
        "test",
        TAXONOMY,
        tuple(ImageRecord(str(i), str(i), 0, "train", 1000) for i in range(3000)),
    )
    assert make_plan(many, levels(), SPEC, encoding="raw", enlarged=side).target_bytes == (
        TARGET_RAW_BYTES
    )
