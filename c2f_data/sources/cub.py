"""CUB-200-2011 in whatever layout the user has it.

The official folder (at the root, up to two levels below it, or above its ``images`` folder), its
archive, parquet files, and class folders: which one it is stands in ``DatasetIndex.layout``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from c2f_data.errors import DataSetError, TaxonomyError
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources.archive import is_archive, unpack_archive
from c2f_data.sources.class_folders import (
    TEST_SHARE,
    carve_test,
    check_trained,
    class_folder_root,
    find_class_images,
    image_record,
    refuse_boxes,
)
from c2f_data.sources.classes import match_classes, some
from c2f_data.sources.cub_official import is_official, read_official
from c2f_data.sources.official import CUB
from c2f_data.sources.parquet import ParquetCopy, has_parquet, unpack_parquet
from c2f_data.sources.request import SourceRequest
from c2f_data.taxonomy import Taxonomy

OFFICIAL_FOLDER = "CUB_200_2011"
OWN_NAME = "cub"  # the demo has this layout, too
ACCEPTED = (
    "Accepted: the folder with images.txt as CUB_200_2011.tgz unpacks, that archive itself "
    "(.tgz, .tar.gz, .tar, .zip), class folders (CLASS/*.jpg, or train/CLASS/*.jpg and "
    "test/CLASS/*.jpg), or parquet files with images and labels: --root PATH."
)

Reader = Callable[[Path, SourceRequest], DatasetIndex]


def read_cub(request: SourceRequest) -> DatasetIndex:
    """Find out the layout and read it.

    Fewer images or classes than the official data set has are accepted, with a warning, since
    subsets are common.

    Raises:
        DataSetError: no layout that c2f knows (what was found is named), or what is wrong with
            the one it is, with file and line.
        TaxonomyError: a class has no row in the hierarchy.
    """
    reader, place = _layout(request.folder, request)
    return reader(place, request)


def _layout(root: Path, request: SourceRequest) -> tuple[Reader, Path]:
    """How to read what is at ``root``, and which file or folder of it.

    An archive goes before class folders only under its official name: the masks that one can get
    separately are class folders, too.
    """
    if is_archive(root):
        return _read_archive, root
    official = next((folder for folder in _nearby(root) if is_official(folder)), None)
    if official is not None:
        return _read_official, official
    archives = [path for path in _children(root) if is_archive(path)]
    named = [path for path in archives if path.name.startswith(OFFICIAL_FOLDER)]
    if named:
        return _read_archive, named[0]
    if has_parquet(root):
        return _read_parquet, root
    folders = class_folder_root(root) if root.is_dir() else None
    if folders is not None:
        return _read_class_folders, folders
    if len(archives) == 1:
        return _read_archive, archives[0]
    raise _unknown(root, request)


def _unknown(root: Path, request: SourceRequest) -> DataSetError:
    found = some([path.name for path in _children(root)], 6) or "nothing"
    what = f"it holds {found}" if root.is_dir() else "no folder and no archive"
    return DataSetError(
        f"{request.root}: no layout of CUB-200-2011 that c2f knows ({what})", ACCEPTED
    )


def _nearby(root: Path) -> Iterator[Path]:
    """Where the official files may be, seen from ``root``."""
    yield root
    if root.name == "images":
        yield root.parent
    level = [root]
    for _ in range(2):
        level = [path for folder in level for path in _children(folder) if path.is_dir()]
        yield from sorted(level, key=lambda path: path.name != OFFICIAL_FOLDER)


def _children(folder: Path) -> list[Path]:
    """What is in a folder, without hidden files; nothing where it is none or can't be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _read_official(root: Path, request: SourceRequest) -> DatasetIndex:
    taxonomy, records, warnings = read_official(root, request)
    own = request.dataset == OWN_NAME
    layout = "official CUB_200_2011 folder" if own else "rendered images in CUB's layout"
    index = DatasetIndex(request.dataset, root, layout, taxonomy, records, warnings)
    return _counted(index, official_split=True) if own else index


def _read_archive(path: Path, request: SourceRequest) -> DatasetIndex:
    folder = unpack_archive(path)
    reader, place = _layout(folder, request)
    if reader is _read_archive:
        raise DataSetError(f"{path}: an archive in an archive", "Unpack it and give the inner one.")
    index = reader(place, request)
    note = f"read from {path}, unpacked to {folder}"
    layout = f"{index.layout}, from {path.name}"
    return replace(index, layout=layout, warnings=(note, *index.warnings))


def _read_class_folders(root: Path, request: SourceRequest) -> DatasetIndex:
    layout = "class folders"
    refuse_boxes(request, layout)
    found = find_class_images(root)
    if not _any_known(found.class_names, request.taxonomy):
        raise _unknown(root, request)
    taxonomy, ids = match_classes(
        found.class_names, request.taxonomy, allow_partial=True, owner=str(root)
    )
    records = [image_record(root, i.split, ids[i.class_name], i.path) for i in found.images]
    warnings = []
    if found.others:
        warnings.append(
            f"{len(found.others)} files are not images and are left out: {some(found.others)}"
        )
    layout += " with train and test" if found.split_given else " without a split"
    index = DatasetIndex(request.dataset, root, layout, taxonomy, tuple(records), tuple(warnings))
    return _counted(index, official_split=found.split_given)


def _any_known(names: Sequence[str], taxonomy: Taxonomy) -> bool:
    """Whether any class is in the hierarchy; if none is, these are folders of something else."""
    for name in names:
        try:
            match_classes((name,), taxonomy, allow_partial=True, owner="")
        except TaxonomyError:
            continue
        return True
    return False


def _read_parquet(root: Path, request: SourceRequest) -> DatasetIndex:
    layout = "parquet files"
    refuse_boxes(request, layout)
    copy = unpack_parquet(root, request.dataset)
    names, warnings = _parquet_classes(root, copy)
    check_trained(root, zip((image.split for image in copy.images), names, strict=True))
    taxonomy, ids = match_classes(
        sorted(set(names)), request.taxonomy, allow_partial=True, owner=str(root)
    )
    records = tuple(
        image_record(copy.folder, image.split, ids[name], image.path)
        for image, name in zip(copy.images, names, strict=True)
    )
    index = DatasetIndex(request.dataset, copy.folder, layout, taxonomy, records, tuple(warnings))
    return _counted(index, official_split=any(record.split == TEST for record in records))


def _parquet_classes(root: Path, copy: ParquetCopy) -> tuple[list[str], list[str]]:
    """The class name of each image, and a warning where only the labels' order gives it."""
    named = [image.class_name for image in copy.images if image.class_name is not None]
    if len(named) == len(copy.images):
        return named, []
    labels = [image.label for image in copy.images if image.label is not None]
    seen = sorted(set(labels))
    first = seen[0]
    if first not in (0, 1) or seen != list(range(first, first + CUB.classes)):
        raise DataSetError(
            f"{root}: no class names, and {len(seen)} labels ({seen[0]} to {seen[-1]}), not the "
            f"{CUB.classes} of the whole data set in their official order",
            "Give files whose schema or a text column names the classes.",
        )
    official = builtin_taxonomy("cub").names[-1]
    return [official[label - first] for label in labels], [
        f"the files don't name the classes: labels {first} to {seen[-1]} were taken on trust as "
        "the official order"
    ]


def _counted(index: DatasetIndex, *, official_split: bool) -> DatasetIndex:
    """Hold the copy against the official numbers; where it has no split, make one."""
    classes = len(index.taxonomy.paths)
    if official_split:
        train, test = index.positions(TRAIN).size, index.positions(TEST).size
        counts = CUB.warnings(classes, train, test)
        return replace(index, warnings=(*index.warnings, *counts))
    carved = (
        f"no train and test images are told apart: {TEST_SHARE:.0%} of each class became test "
        "images; this is not the official split, so accuracies can't be compared with published "
        "ones"
    )
    counts = CUB.warnings_without_split(classes, len(index.records))
    records = tuple(carve_test(index.records))
    return replace(index, records=records, warnings=(*index.warnings, carved, *counts))
