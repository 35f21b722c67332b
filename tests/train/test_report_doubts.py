"""Warnings about images seen before, and about few images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import report_samples as samples
from report_samples import Page, build

from c2f_data.checkup.findings import Finding, Severity
from c2f_data.checkup.kept import KeptCheckUp, read_check_up, write_check_up
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.taxonomy import Taxonomy
from c2f_train.report import DatasetFacts, render
from c2f_train.report.doubts import few_images, from_imagenet, like_cub, overlap


@pytest.mark.parametrize(
    ("weights", "seen"),
    [
        ("torchvision ImageNet", True),
        ("vgg16-397923af.pth", True),
        ("timm resnet50.a1_in1k", True),
        ("from scratch", False),
        ("my_birds.safetensors", False),
        ("tiny", False),
    ],
)
def test_whether_weights_have_seen_imagenet(weights: str, seen: bool) -> None:
    assert from_imagenet(weights) == seen


def test_the_overlap_is_said_of_cub_with_imagenets_weights_alone() -> None:
    table = samples.taxonomy()
    measured = samples.calibration(table, n=600)
    plain = replace(measured, protocol=replace(measured.protocol, weights="from scratch"))
    run = samples.run(measured.levels)
    own = replace(run, weights="from scratch")
    assert (
        "the first weights of the calibration and run “first”"
        in overlap("cub", table, measured, [run, own])[0]
    )
    assert overlap("cub", table, plain, [own]) == ()
    assert overlap("mine", table, measured, [run]) == ()
    text = Page(render(build(measured, [run]))).text
    assert text.count("22 to 23 of its 5,794 test images") == 1
    assert "22 to 23" not in Page(render(build(plain, [own]))).text


def test_a_folder_of_cubs_birds_is_known_by_its_classes() -> None:
    birds = builtin_taxonomy("cub")
    assert like_cub(birds)
    some = tuple(
        (f"F{i}", f"G{i}", f"{i:03d}.{name}") for i, name in enumerate(birds.names[-1][:20])
    )
    assert like_cub(Taxonomy("own", ("family", "genus", "species"), some))
    assert not like_cub(samples.taxonomy())
    assert not like_cub(builtin_taxonomy("cars"))


def index(train: int, test: int) -> DatasetIndex:
    table = samples.taxonomy(counts=(2, 2, 2))
    records = [
        ImageRecord(f"{split}/{label}/{i}", f"{split}/{label}/{i}", label, split, 1)
        for label in range(2)
        for split, count in (("train", train), ("test", test))
        for i in range(count)
    ]
    return DatasetIndex("own", Path("nowhere"), "folder", table, tuple(records))


def test_a_check_up_is_used_for_its_own_images_alone(tmp_path: Path) -> None:
    here = index(20, 20)
    leak = Finding(Severity.WARNING, "leak", "3 test images with the picture of ...", "Take out.")
    grey = Finding(Severity.NOTE, "grey", "1 greyscale image", "")
    kept = KeptCheckUp("own", here.fingerprint, (leak, grey), samples.provenance("doctor"))
    write_check_up(tmp_path / "checkup.json", kept)
    assert read_check_up(tmp_path / "checkup.json") == kept
    assert DatasetFacts.from_index(here, kept).warnings == (
        "3 test images with the picture of .... Take out.",
    )
    other = replace(kept, index_fingerprint="00" * 32)
    assert DatasetFacts.from_index(here, other).warnings == ()
    (tmp_path / "checkup.json").write_text("{", encoding="utf-8")
    assert read_check_up(tmp_path / "checkup.json") is None
    assert read_check_up(tmp_path / "absent.json") is None


def test_few_images_are_said() -> None:
    assert few_images(index(10, 10)) == ()
    assert few_images(index(10, 9))[0].startswith("2 of 2 species have fewer than 10")
    few = samples.calibration(samples.taxonomy(), n=240)
    assert any("240 images only" in text for text in build(few).notes_on("calibration"))
    many = samples.calibration(samples.taxonomy(), n=400)
    assert not any("images only" in text for text in build(many).notes_on("calibration"))
