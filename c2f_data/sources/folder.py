"""Class folders, as torchvision's ImageFolder reads them, with a hierarchy table.

Either ``ROOT/train/CLASS/*.jpg`` and ``ROOT/test/CLASS/*.jpg`` (``val`` counts as test where
there is no test folder), or ``ROOT/CLASS/*.jpg``: then 30 % of each class become the test images,
chosen by the SHA-256 of their names, so that adding an image never moves another one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.sources.classes import is_image, match_classes, some
from c2f_data.taxonomy import Taxonomy

TEST_SHARE = 0.3


def read_folder(root: Path, taxonomy: Taxonomy, dataset: str, allow_partial: bool) -> DatasetIndex:
    """Read class folders.

    Raises:
        DataSetError: no class folders, or a class that has test images only.
        TaxonomyError: folders and table don't name the same classes.
    """
    splits = _split_folders(root)
    files = [
        (split, folder.name, path)
        for split, parent in splits
        for folder in _folders(parent)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _hidden(path.relative_to(folder).parent)
    ]
    pictures = [entry for entry in files if is_image(entry[2])]
    others = [str(path.relative_to(root)) for _, _, path in files if not is_image(path)]
    others = [name for name in others if not Path(name).name.startswith(".")]
    if not pictures:
        raise DataSetError(
            f"{root}: no images in class folders",
            "Expected ROOT/CLASS/*.jpg, or ROOT/train/CLASS/*.jpg and ROOT/test/CLASS/*.jpg.",
        )
    names = sorted({name for _, name, _ in pictures})
    _check_trained(root, pictures)
    restricted, ids = match_classes(names, taxonomy, allow_partial=allow_partial, owner=str(root))
    records = [_record(root, split, ids[name], path) for split, name, path in pictures]
    warnings = []
    if splits[0][0] is None:
        records = _carve_test(records)
        warnings.append(
            f"no train and test folders: {TEST_SHARE:.0%} of each class became test images"
        )
    if others:
        warnings.append(f"{len(others)} files are not images and are left out: {some(others)}")
    return DatasetIndex(dataset, root, "class folders", restricted, tuple(records), tuple(warnings))


def _hidden(folder: Path) -> bool:
    return any(part.startswith(".") for part in folder.parts)


def _folders(parent: Path) -> list[Path]:
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))


def _split_folders(root: Path) -> list[tuple[str | None, Path]]:
    """[(split, folder)]; the split is None where the folders don't say."""
    names = {folder.name.lower(): folder for folder in _folders(root)}
    test = names.get("test") or names.get("val") or names.get("valid")
    if "train" not in names:
        return [(None, root)]
    if test is None:
        raise DataSetError(
            f"{root}: a train folder but no test folder",
            "Add ROOT/test/CLASS/*.jpg, or give the train folder itself as --root.",
        )
    return [(TRAIN, names["train"]), (TEST, test)]


def _check_trained(root: Path, pictures: list[tuple[str | None, str, Path]]) -> None:
    trained = {name for split, name, _ in pictures if split != TEST}
    untrained = sorted({name for _, name, _ in pictures} - trained)
    if untrained:
        raise DataSetError(
            f"{root}: classes with test images but no training images: {some(untrained)}",
            "Add training images, or remove these test folders.",
        )


def _record(root: Path, split: str | None, label: int, path: Path) -> ImageRecord:
    relative = path.relative_to(root).as_posix()
    return ImageRecord(relative, relative, label, split or TRAIN, path.stat().st_size)


def _carve_test(records: list[ImageRecord]) -> list[ImageRecord]:
    by_class: dict[int, list[ImageRecord]] = {}
    for record in records:
        by_class.setdefault(record.label, []).append(record)
    test: set[str] = set()
    for members in by_class.values():
        ordered = sorted(members, key=lambda r: hashlib.sha256(r.image_id.encode()).digest())
        test.update(r.image_id for r in ordered[: round(TEST_SHARE * len(members))])
    return [
        ImageRecord(r.image_id, r.path, r.label, TEST, r.bytes) if r.image_id in test else r
        for r in records
    ]
