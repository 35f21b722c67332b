"""Images in one folder a class, as torchvision's ImageFolder reads them.

Either ``ROOT/train/CLASS/*.jpg`` and ``ROOT/test/CLASS/*.jpg`` (``val``, ``valid`` or
``validation`` count as test where there is no test folder), or ``ROOT/CLASS/*.jpg`` without a
split.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.index import TEST, TRAIN, ImageRecord
from c2f_data.sources.classes import is_image, some
from c2f_data.sources.request import NEEDED, WHOLE, SourceRequest
from c2f_data.storage import Place

TEST_SHARE = 0.3
# The first one that is there; a validation set is only used for want of a test set.
TEST_NAMES = ("test", "val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image file, with what the folders above it say.

    Attributes:
        split: ``train`` or ``test``; None where the folders don't say.
        class_name: name of its class folder.
        path: below the root that was searched.
    """

    split: str | None
    class_name: str
    path: Path


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """What class folders hold.

    Attributes:
        images: in the order of split, class name and path.
        others: files that are no images, relative to the root; hidden ones are not named.
    """

    root: Path
    images: tuple[FoundImage, ...]
    others: tuple[str, ...]

    @property
    def split_given(self) -> bool:
        """Whether train and test folders say which image is which."""
        return any(image.split is not None for image in self.images)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The folders' names, sorted."""
        return tuple(sorted({image.class_name for image in self.images}))


def find_class_images(root: Path) -> ClassFolders:
    """Find all images, at any depth below their class folder; hidden files and folders are skipped.

    Raises:
        DataSetError: no images in class folders, a train folder without a test folder, or a class
            that has test images only.
    """
    files = [
        (split, folder.name, path)
        for split, parent in _split_folders(root)
        for folder in _folders(parent)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _hidden(path.relative_to(folder))
    ]
    images = tuple(FoundImage(*entry) for entry in files if is_image(entry[2]))
    if not images:
        raise DataSetError(
            f"{root}: no images in class folders",
            "Expected ROOT/CLASS/*.jpg, or ROOT/train/CLASS/*.jpg and ROOT/test/CLASS/*.jpg.",
        )
    check_trained(root, ((image.split, image.class_name) for image in images))
    others = tuple(str(path.relative_to(root)) for _, _, path in files if not is_image(path))
    return ClassFolders(root, images, others)


def class_folder_root(root: Path, depth: int = 2) -> Path | None:
    """The folder whose children are class folders, or train and test: ``root`` or up to ``depth``
    levels below it, the highest one first. None where there is none."""
    level = [root]
    for _ in range(depth + 1):
        for folder in level:
            if any(map(_holds_images, _readable(folder))) or _holds_split(folder):
                return folder
        level = [child for folder in level for child in _readable(folder)]
    return None


def check_trained(root: Place, found: Iterable[tuple[str | None, str]]) -> None:
    """Every class, given as (split, class name) of each image, must have images to train with.

    Raises:
        DataSetError: classes that have test images only; they are named.
    """
    pairs = set(found)
    trained = {name for split, name in pairs if split != TEST}
    untrained = sorted({name for _, name in pairs} - trained)
    if untrained:
        raise DataSetError(
            f"{root}: classes with test images but no training images: {some(untrained)}",
            "Add training images, or remove these test images.",
        )


def refuse_boxes(request: SourceRequest, layout: str) -> None:
    """For layouts that have neither boxes nor parts. Raises DataSetError where a crop is wanted."""
    if request.crop != WHOLE:
        raise DataSetError(
            f"{request.root}: {layout} have no {NEEDED[request.crop]}, which --crop "
            f"{request.crop} needs",
            f"Leave out --crop {request.crop}, or give a copy with the official annotation files.",
        )


def image_record(root: Path, split: str | None, label: int, path: Path) -> ImageRecord:
    """The record of a file below ``root``; without a split it is a training image."""
    relative = path.relative_to(root).as_posix()
    return ImageRecord(relative, relative, label, split or TRAIN, path.stat().st_size)


def carve_test(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Make 30 % of each class test images, chosen by the SHA-256 of their names, so that adding
    an image never moves another one by more than one place."""
    by_class: dict[int, list[ImageRecord]] = {}
    for record in records:
        by_class.setdefault(record.label, []).append(record)
    test: set[str] = set()
    for members in by_class.values():
        ordered = sorted(members, key=lambda r: hashlib.sha256(r.image_id.encode()).digest())
        test.update(r.image_id for r in ordered[: round(TEST_SHARE * len(members))])
    return [replace(r, split=TEST) if r.image_id in test else r for r in records]


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataSetError(
            f"{folder}: {error.strerror}", "Give a folder that can be read: --root FOLDER."
        ) from error


def _folders(parent: Path) -> list[Path]:
    return [path for path in _listed(parent) if path.is_dir() and not path.name.startswith(".")]


def _readable(parent: Path) -> list[Path]:
    """For looking around: what can't be read is passed over."""
    return [path for path in _folders(parent) if os.access(path, os.R_OK | os.X_OK)]


def _named(root: Path) -> tuple[Path | None, Path | None]:
    """The folders named train and test (or what stands for it), in any case."""
    names = {folder.name.lower(): folder for folder in _folders(root)}
    tests = (names[name] for name in TEST_NAMES if name in names)
    return names.get("train"), next(tests, None)


def _split_folders(root: Path) -> list[tuple[str | None, Path]]:
    """[(split, folder)]; the split is None where the folders don't say."""
    train, test = _named(root)
    if train is None:
        return [(None, root)]
    if test is None:
        raise DataSetError(
            f"{root}: a train folder but no test folder",
            "Add ROOT/test/CLASS/*.jpg, or give the train folder itself as --root.",
        )
    return [(TRAIN, train), (TEST, test)]


def _holds_split(folder: Path) -> bool:
    train, test = _named(folder)
    classes = chain.from_iterable(_readable(part) for part in (train, test) if part)
    return train is not None and any(map(_holds_images, classes))


def _holds_images(folder: Path) -> bool:
    return any(is_image(path) for path in _listed(folder))
