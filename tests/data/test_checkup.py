"""A check-up of a whole data set: what is found, how it is judged, and what never stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkup_cases import encoded, find, make_index, picture, topics, usual
from PIL import Image

from c2f_data.artefacts import from_plain, to_plain
from c2f_data.checkup import CheckUp, check_up
from c2f_data.checkup.counts import count_images, official_counts
from c2f_data.checkup.findings import Severity
from c2f_data.checkup.scan import WINDOW, scan_images
from c2f_data.checkup.sides import cover, describe_sides
from c2f_data.errors import ConfigError
from c2f_data.resample import ResampleSpec, ResolutionSweep
from c2f_data.sources.official import OfficialCounts


def test_a_sound_data_set_has_no_findings(tmp_path: Path) -> None:
    result = check_up(make_index(tmp_path, usual()))
    assert result.findings == ()
    assert result.sound
    assert (result.counts.images, result.counts.train, result.counts.test) == (40, 20, 20)
    assert result.sweep is not None
    assert result.sweep.images == 20


def test_a_check_up_survives_json(tmp_path: Path) -> None:
    images = usual()
    images[3] = ("b", "test", b"no image")
    images[8] = ("b", "train", images[0][2])
    result = check_up(make_index(tmp_path, images), official=OfficialCounts(2, 20, 21))
    assert topics(result) >= {"unreadable", "repeats", "labels", "few"}
    assert from_plain(to_plain(result), CheckUp, "here") == result


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero bytes"),
        (b"this is a text", "not an image"),
        (encoded(picture(5))[:300], "damaged image"),
        (encoded(picture(5), "JPEG")[:-400], "damaged image"),
    ],
)
def test_an_unreadable_image_is_named_and_the_others_are_looked_at(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    images = usual()
    images[5] = ("b", "train", data)
    result = check_up(make_index(tmp_path, images))
    (bad,) = result.unreadable
    assert bad.image_id == "5.img"
    assert bad.reason.startswith(reason)
    assert str(tmp_path) not in bad.reason
    assert find(result, "unreadable").severity is Severity.PROBLEM
    assert not result.sound
    assert result.sides.images == 39


def test_a_file_that_is_gone_and_a_decoder_that_trips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path, usual(8))
    (tmp_path / "2.img").unlink()
    monkeypatch.setattr("c2f_data.checkup.scan.decode_bytes", lambda *_: 1 / 0)
    reasons = [bad.reason for bad in scan_images(index).unreadable]
    assert reasons[2] == "No such file or directory"
    assert reasons[0] == "damaged image (ZeroDivisionError: division by zero)"


def test_all_images_unreadable(tmp_path: Path) -> None:
    result = check_up(make_index(tmp_path, [(c, s, b"x") for c, s, _ in usual(24)]))
    assert len(result.unreadable) == 24
    assert result.sweep is None
    assert result.sides.bins == ()
    assert not result.sound


def test_any_number_of_threads_sees_the_same(tmp_path: Path) -> None:
    index = make_index(tmp_path, usual(40))
    # More than one window of work.
    repeated = tuple(
        replace(record, image_id=f"{k}/{record.image_id}")
        for k in range(WINDOW // 40 + 1)
        for record in index.records
    )
    index = replace(index, records=repeated)
    calls: list[tuple[int, int]] = []
    one, four = (
        scan_images(index, 1),
        scan_images(index, 4, lambda done, total: calls.append((done, total))),
    )
    assert one.digests == four.digests
    np.testing.assert_array_equal(one.hashes, four.hashes)
    np.testing.assert_array_equal(one.thumbnails, four.thumbnails)
    np.testing.assert_array_equal(one.sizes, np.tile([[90, 120]], (len(repeated), 1)))
    assert calls == [(i + 1, len(repeated)) for i in range(len(repeated))]
    with pytest.raises(ConfigError, match="0 threads"):
        scan_images(index, 0)


def test_an_interrupt_comes_through(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_up(make_index(tmp_path, usual(8)), progress=interrupt)


def test_a_box_gives_the_size_and_the_whole_image_the_picture(tmp_path: Path) -> None:
    index = make_index(tmp_path, usual(8))
    boxed = tuple(replace(record, box=(10, 20, 60, 50)) for record in index.records)
    outside = replace(index.records[7], box=(0, 0, 500, 10))
    whole, seen = scan_images(index), scan_images(replace(index, records=(*boxed[:7], outside)))
    assert seen.sizes[:7].tolist() == [[30, 50]] * 7
    assert seen.digests[:7] == whole.digests[:7]
    np.testing.assert_array_equal(seen.hashes[:7], whole.hashes[:7])
    assert [bad.image_id for bad in seen.unreadable] == ["7.img"]
    assert "500" in seen.unreadable[0].reason


def test_counts_beside_the_official_ones(tmp_path: Path) -> None:
    index = make_index(tmp_path, usual())
    same = OfficialCounts(2, 20, 20)
    assert count_images(index, same).complete
    assert not count_images(index, OfficialCounts(2, 21, 20)).complete
    assert count_images(index, None).complete
    assert check_up(index, official=same).counts.official == same
    assert [(c.name, c.train, c.test) for c in count_images(index, None).per_class] == [
        ("a", 10, 10),
        ("b", 10, 10),
    ]
    assert official_counts("cub") == OfficialCounts(200, 5994, 5794)
    assert official_counts("cars") == OfficialCounts(196, 8144, 8041)
    assert official_counts("folder") is None


def test_what_the_adapter_noticed_is_a_warning(tmp_path: Path) -> None:
    index = replace(make_index(tmp_path, usual()), warnings=("a part of it", "a homonym"))
    found = check_up(index).findings
    assert [(f.severity, f.message) for f in found] == [
        (Severity.WARNING, "a part of it"),
        (Severity.WARNING, "a homonym"),
    ]


def test_overlap_with_imagenet_is_noted_for_cub_alone(tmp_path: Path) -> None:
    index = make_index(tmp_path, usual())
    assert "imagenet" not in topics(check_up(index))
    finding = find(check_up(replace(index, dataset="cub")), "imagenet")
    assert finding.severity is Severity.NOTE


def test_classes_with_few_images_are_named(tmp_path: Path) -> None:
    images = [i for i in usual() if i[:2] != ("b", "test")]
    images += [("b", "test", encoded(picture(100 + i))) for i in range(9)]
    finding = find(check_up(make_index(tmp_path, images)), "few")
    assert finding.examples == ("b (10 train, 9 test)",)


def test_tiny_and_grey_images(tmp_path: Path) -> None:
    images = usual()
    images[0] = ("a", "train", encoded(picture(200, 63, 200)))
    images[1] = ("b", "train", encoded(picture(201, 64, 200)))
    grey = np.asarray(Image.fromarray(picture(202)).convert("L"))
    images[2] = ("a", "test", encoded(grey))
    images[3] = ("b", "test", encoded(np.stack([grey.T] * 3, axis=-1), "JPEG", quality=50))
    result = check_up(make_index(tmp_path, images))
    assert find(result, "tiny").examples == ("0.img (200 x 63 px)",)
    assert find(result, "grey").examples == ("2.img", "3.img")
    assert find(result, "grey").severity is Severity.NOTE


def test_a_class_that_can_not_be_held_out_is_a_problem(tmp_path: Path) -> None:
    images = [image for image in usual() if image[:2] != ("b", "train")]
    images.append(("b", "train", encoded(picture(300))))
    result = check_up(make_index(tmp_path, images))
    assert find(result, "split").severity is Severity.PROBLEM
    assert result.sweep is None


def test_images_too_small_for_a_sweep_are_a_problem(tmp_path: Path) -> None:
    images = [(c, s, encoded(picture(i, 12, 16))) for i, (c, s, _) in enumerate(usual())]
    result = check_up(make_index(tmp_path, images))
    assert find(result, "sweep").severity is Severity.PROBLEM
    assert [f.severity for f in result.findings] == sorted(
        (f.severity for f in result.findings), key=list(Severity).index
    )


def test_sides_are_all_counted_once() -> None:
    sides = np.asarray([63, 64, 127, 128, 400, 5000, 4096], np.int32)
    found = describe_sides(sides)
    assert sum(b.images for b in found.bins) == 7
    assert (found.bins[0].low, found.bins[0].high, found.bins[0].images) == (0, 64, 1)
    assert found.bins[1].images == 2
    assert (found.bins[-1].high, found.bins[-1].images) == (None, 2)
    assert {q.share: q.pixels for q in found.quantiles}[0.5] == 128
    assert describe_sides(sides[:0]).quantiles == ()


def test_the_sweep_is_the_one_a_calibration_takes() -> None:
    sides = np.asarray([200] * 6 + [100] * 4, np.int32)
    found = cover(sides, "cross-validation", 448)
    assert (found.cap, found.limited_by) == (200, "images")
    assert found.resolutions == ResolutionSweep.geometric(200).resolutions
    assert found.reduced == 0.6
    found = cover(sides, "cross-validation", 56)
    assert (found.cap, found.limited_by) == (ResampleSpec.for_input(56).enlarge_to, "network")
    assert found.reduced == 1.0
