"""Folders of classes, as torchvision's ImageFolder and most other loaders read them.

``LEVEL/SPLIT/CLASS/0000012-NAME.jpg``. Every class has its folder in every split, images or not:
such loaders number the folders that they find, and a class that is absent from the test images
would shift the numbers of those behind it. ``labels.csv`` has every image's labels at all levels,
its files and their SHA-256.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

from c2f_data.errors import ConfigError
from c2f_data.export.names import image_name, safe_names
from c2f_data.export.place import CARD, CROISSANT, HIERARCHY, LABELS, SUMMARY
from c2f_data.export.plan import ExportPlan
from c2f_data.export.samples import Part, Sample


def label_columns(plan: ExportPlan) -> list[str]:
    """The header of labels.csv: for each level its class's name and id, its file, the file's sum.

    Raises:
        ConfigError: a level's name is another column's.
    """
    columns = ["image_id", "split"]
    for level in plan.all_levels:
        columns += [level, f"{level}_id"]
        if level in plan.levels:
            columns += [f"{level}_file", f"{level}_sha256"]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice:
        raise ConfigError(
            f"a level named {twice!r} has the name of another column", "Rename that level."
        )
    return columns


def level_folders(plan: ExportPlan) -> tuple[str, ...]:
    """Folder of each level that is exported, coarse to fine."""
    taken = (LABELS, HIERARCHY, CARD, CROISSANT, SUMMARY)
    return safe_names((*taken, *plan.levels))[len(taken) :]


def write_class_folders(folder: Path, plan: ExportPlan, parts: Iterable[Part]) -> None:
    """Write the folders and labels.csv.

    Raises:
        ConfigError: a level's name is another column's.
        ArtefactError: a shard is damaged.
        OSError: the disk refused.
    """
    header = label_columns(plan)
    class_names = dict(zip(plan.all_levels, plan.names, strict=True))
    tree = {
        level: (name, safe_names(class_names[level]))
        for level, name in zip(plan.levels, level_folders(plan), strict=True)
    }
    for name, classes in tree.values():
        for split in plan.splits:
            for one in classes:
                (folder / name / split / one).mkdir(parents=True)
    with (folder / LABELS).open("w", encoding="utf-8", newline="") as file:
        # Quoted text, because the csv module leaves a lone carriage return in a name unquoted.
        table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(header)
        for part in parts:
            for sample in part.samples:
                table.writerow(_write(folder, plan, tree, sample))


def _write(
    folder: Path, plan: ExportPlan, tree: dict[str, tuple[str, tuple[str, ...]]], sample: Sample
) -> list[str | int]:
    """Write the files of one image; its line in labels.csv."""
    pictures = dict(zip(plan.levels, sample.pictures, strict=True))
    stem = image_name(sample.image_id, sample.position)
    row: list[str | int] = [sample.image_id, sample.split]
    for level, names, label in zip(plan.all_levels, plan.names, sample.labels, strict=True):
        row += [names[label], label]
        if level in pictures:
            top, classes = tree[level]
            picture = pictures[level]
            place = f"{top}/{sample.split}/{classes[label]}/{stem}.{picture.suffix}"
            (folder / place).write_bytes(picture.data)
            row += [place, hashlib.sha256(picture.data).hexdigest()]
    return row
