"""Swapped red and blue: found on real photographs, never where they are as they were taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkup_cases import encoded, find, make_index, picture, topics, usual
from numpy.typing import NDArray

from c2f_data.checkup import check_up
from c2f_data.checkup.colour import (
    ColourVerdict,
    foliage_vote,
    judge_colours,
)
from c2f_data.checkup.findings import Severity
from c2f_data.checkup.scan import scan_images
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.request import SourceRequest

LEAF, TEAL, SKY, GREY = (90, 130, 40), (40, 130, 90), (110, 160, 230), (120, 120, 120)


def plain(*colours: tuple[int, int, int]) -> NDArray[np.int64]:
    return np.asarray(colours, np.int64)[:, None, :].repeat(8, axis=1)


@pytest.mark.parametrize(
    ("colours", "vote"),
    [
        ([LEAF], 1),
        ([TEAL], -1),
        ([GREY], 0),
        ([SKY], 0),
        ([SKY, GREY, GREY, LEAF], 1),
        ([LEAF, TEAL], 0),
        ([LEAF, LEAF, TEAL], 1),
        ([(40, 130, 40)], 0),  # pure green leans nowhere
        ([(9, 13, 4)], 0),  # too dark
        ([LEAF] + [GREY] * 60, 0),  # under 2 % of the pixels
    ],
)
def test_the_vote_of_a_picture(colours: list[tuple[int, int, int]], vote: int) -> None:
    pixels = plain(*colours)
    assert foliage_vote(pixels) == vote
    assert foliage_vote(pixels[..., ::-1]) == -vote


@pytest.mark.parametrize(
    ("yellow", "cyan", "verdict"),
    [
        (0, 0, ColourVerdict.TOO_FEW),
        (0, 9, ColourVerdict.TOO_FEW),
        (0, 10, ColourVerdict.SWAPPED),
        (3, 7, ColourVerdict.SWAPPED),
        (4, 7, ColourVerdict.UNCLEAR),
        (7, 3, ColourVerdict.NATURAL),
    ],
)
def test_the_verdict_on_many(yellow: int, cyan: int, verdict: ColourVerdict) -> None:
    votes = np.asarray([1] * yellow + [-1] * cyan + [0] * 50, np.int8)
    check = judge_colours(votes, "all")
    assert check.verdict is verdict
    assert (check.votes, check.yellow) == (yellow + cyan, yellow)


@pytest.fixture(scope="module")
def photographs(shared: Path) -> tuple[DatasetIndex, NDArray[np.int8]]:
    root = shared / "data" / "cub20" / "CUB_200_2011"
    index = read_source(SourceRequest("cub", root, builtin_taxonomy("cub"), allow_partial=True))
    return index, scan_images(index).foliage


def test_real_photographs_and_their_swapped_versions(
    photographs: tuple[DatasetIndex, NDArray[np.int8]],
) -> None:
    index, votes = photographs
    check = judge_colours(votes, "all")
    assert check.verdict is ColourVerdict.NATURAL
    assert check.share is not None
    assert check.share > 0.9
    assert check.votes > 300
    assert judge_colours(-votes, "all").verdict is ColourVerdict.SWAPPED
    for split in ("train", "test"):
        chosen = votes[index.positions(split)]
        assert judge_colours(chosen, split).verdict is ColourVerdict.NATURAL
        assert judge_colours(-chosen, split).verdict is ColourVerdict.SWAPPED


def test_thirty_images_of_any_class_give_no_wrong_verdict(
    photographs: tuple[DatasetIndex, NDArray[np.int8]],
) -> None:
    index, votes = photographs
    for label in range(20):
        chosen = votes[index.labels == label][:30]
        assert judge_colours(chosen, "all").verdict is not ColourVerdict.SWAPPED
        assert judge_colours(-chosen, "all").verdict is not ColourVerdict.NATURAL


def test_files_with_swapped_channels(shared: Path, tmp_path: Path) -> None:
    """Through the whole chain, and only one split of two is swapped."""
    from c2f_data.decode import decode_file

    root = shared / "data" / "cub20" / "CUB_200_2011" / "images"
    files = sorted(root.glob("01[56].*/*.jpg"))[:100]
    images = []
    for i, file in enumerate(files):
        pixels = decode_file(file).pixels[::4, ::4]
        split = "train" if i % 2 else "test"
        swapped = np.ascontiguousarray(pixels[..., ::-1]) if split == "test" else pixels
        images.append(("a", split, encoded(swapped, "JPEG", quality=90)))
    index = make_index(tmp_path, [*images, *usual(40)])
    result = check_up(index)
    finding = find(result, "colour")
    assert finding.severity is Severity.WARNING
    assert finding.message.startswith("test images: red and blue look swapped")
    assert result.sound
    test_only = replace(index, records=tuple(r for r in index.records if r.split == "test"))
    assert find(check_up(test_only), "colour").message.startswith("red and blue look swapped")


def test_greyscale_images_say_nothing(tmp_path: Path) -> None:
    images = []
    for i, (name, split, _) in enumerate(usual(40)):
        grey = picture(i)[..., :1].repeat(3, axis=-1)
        images.append((name, split, encoded(grey)))
    result = check_up(make_index(tmp_path, images))
    assert topics(result) == {"grey"}
    assert result.colours[0].verdict is ColourVerdict.TOO_FEW
