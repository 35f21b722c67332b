"""What lies below a folder that may hold Stanford Cars, however deep the copy nests it."""

from __future__ import annotations

import filecmp
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from c2f_data.hierarchy.cars import canonical_name
from c2f_data.sources.classes import is_image

TRAIN_IMAGES, TEST_IMAGES, ALL_IMAGES = "cars_train", "cars_test", "car_ims"
META = "cars_meta.mat"
TRAIN_LABELS = "cars_train_annos.mat"
TEST_LABELS = "cars_test_annos_withlabels.mat"
TEST_BOXES = "cars_test_annos.mat"
ALL_LABELS = "cars_annos.mat"

# ROOT/stanford_cars/car_devkit/devkit/*.mat is the deepest that copies are known to nest.
_DEPTH = 4
# Someone may give a home folder; the data set is near its top or not meant.
_MOST_FOLDERS = 5_000
_IMAGE_FOLDERS = (TRAIN_IMAGES, TEST_IMAGES, ALL_IMAGES)
_MATRICES = (META, TRAIN_LABELS, TEST_LABELS, TEST_BOXES, ALL_LABELS)
_ARCHIVES = (".tgz", ".tar.gz", ".tar", ".zip")
_SPLITS = ("train", "test", "val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found; of several the nearest to the root.

    Attributes:
        images: ``cars_train``, ``cars_test`` and ``car_ims``, where they hold images; of several
            of one name the fullest.
        matrices: the .mat files by their official names.
        class_root: folder that holds class folders, or train and test with class folders.
        archives: archive files, none of them opened.
        warnings: what was found twice.
    """

    root: Path
    images: Mapping[str, Path]
    matrices: Mapping[str, Path]
    class_root: Path | None
    archives: tuple[Path, ...]
    warnings: tuple[str, ...]

    def describe(self) -> str:
        """One line for a message: what is there."""
        seen = [*self.images, *self.matrices, *(path.name for path in self.archives)]
        if self.class_root is not None:
            seen.append("class folders")
        return ", ".join(seen) or "nothing of the data set"


@dataclass(slots=True)
class _Finds:
    """All that was found, the nearest to the root first."""

    images: dict[str, list[tuple[Path, int]]] = field(default_factory=dict)
    matrices: dict[str, list[Path]] = field(default_factory=dict)
    class_roots: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)


def survey(root: Path) -> Survey:
    """Look at the folders below ``root``, breadth first; hidden ones are skipped."""
    finds = _Finds()
    waiting, seen = deque([(root, 0)]), 0
    while waiting and seen < _MOST_FOLDERS:
        folder, depth = waiting.popleft()
        seen += 1
        children = _look(folder, root, finds)
        if depth < _DEPTH:
            waiting.extend((child, depth + 1) for child in children)
    return Survey(
        root=root,
        images={name: max(of, key=lambda one: one[1])[0] for name, of in finds.images.items()},
        matrices={name: of[0] for name, of in finds.matrices.items()},
        class_root=finds.class_roots[0] if finds.class_roots else None,
        archives=tuple(finds.archives),
        warnings=_twice(finds),
    )


def _look(folder: Path, root: Path, finds: _Finds) -> list[Path]:
    """Note what one folder holds; the folders in it that are worth a look."""
    children, images = [], 0
    for entry in _entries(folder):
        name = entry.name.lower()
        if entry.is_dir():
            children.append(Path(entry.path))
        elif name in _MATRICES:
            finds.matrices.setdefault(name, []).append(Path(entry.path))
        elif name.endswith(_ARCHIVES):
            finds.archives.append(Path(entry.path))
        else:
            images += is_image(Path(entry.name))
    if images and folder.name.lower() in _IMAGE_FOLDERS:
        finds.images.setdefault(folder.name.lower(), []).append((folder, images))
    deeper = [child for child in children if canonical_name(child.name) is None]
    if len(deeper) < len(children):
        is_split = folder != root and folder.name.lower() in _SPLITS
        class_root = folder.parent if is_split else folder
        if class_root not in finds.class_roots:
            finds.class_roots.append(class_root)
    return deeper


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(visible, key=lambda entry: entry.name)


def _twice(finds: _Finds) -> tuple[str, ...]:
    warnings = []
    for name, folders in finds.images.items():
        if len(folders) > 1:
            fullest, count = max(folders, key=lambda one: one[1])
            warnings.append(
                f"{len(folders)} folders named {name}: {fullest} with {count} images is read"
            )
    for first, *others in finds.matrices.values():
        warnings.extend(
            f"{first} is read; {other} is another file of that name"
            for other in others
            if not filecmp.cmp(first, other, shallow=False)
        )
    if len(finds.class_roots) > 1:
        first, second, *_ = finds.class_roots
        warnings.append(f"class folders in several places: {first} is read, not {second}")
    return tuple(warnings)
