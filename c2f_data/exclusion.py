"""Images that a user leaves out of a data set: an exclude list, one image a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from c2f_data.artefacts import disk_error
from c2f_data.errors import DataSetError
from c2f_data.index import DatasetIndex, ImageRecord

# A million long paths; more is no list of images.
MOST_BYTES = 256 * 2**20


def read_exclude_list(path: Path) -> tuple[str, ...]:
    """The images of an exclude list, in its order, each once.

    One image a line: its id, or its path below the data set's root. Blank lines and lines that
    begin with ``#`` are skipped. An empty list leaves nothing out.

    Raises:
        DataSetError: absent, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataSetError(
                f"{path}: more than {MOST_BYTES // 2**20} MiB", "Is this a list of images?"
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataSetError(f"{path}: no such file", "Check --exclude-list.") from error
    except UnicodeDecodeError as error:
        raise DataSetError(f"{path}: not UTF-8 text", "One image a line, as text.") from error
    except OSError as error:
        raise disk_error(error, path) from error
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def without(index: DatasetIndex, excluded: Sequence[str]) -> DatasetIndex:
    """The index without some images; how many is among its warnings.

    Args:
        excluded: ids, or paths below the root.

    Raises:
        DataSetError: one of them is no image of the data set, or a class loses all its images of
            a split.
    """
    if not excluded:
        return index
    known = {name for record in index.records for name in (record.image_id, record.path)}
    strange = [name for name in excluded if name not in known]
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise DataSetError(
            f"exclude list: {strange[0]!r}{more}: no such image in {index.root}",
            f"Name images as this data set does, for example {index.records[0].image_id!r}.",
        )
    gone = set(excluded)
    kept = tuple(r for r in index.records if r.image_id not in gone and r.path not in gone)
    _check_classes(index, kept)
    left = len(index.records) - len(kept)
    note = f"{left:,} {'image was' if left == 1 else 'images were'} left out by an exclude list"
    return replace(index, records=kept, warnings=(*index.warnings, note))


def _check_classes(index: DatasetIndex, kept: Sequence[ImageRecord]) -> None:
    """A class without images of a split that it had would be measured as never told."""
    before = {(record.label, record.split) for record in index.records}
    after = {(record.label, record.split) for record in kept}
    lost = sorted(before - after)
    if lost:
        label, split = lost[0]
        raise DataSetError(
            f"exclude list: no {split} image of class {index.taxonomy.names[-1][label]!r} is left",
            "Keep one at least, or choose classes by a table with --allow-partial.",
        )
