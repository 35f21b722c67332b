"""A folder that appears under its name only when everything in it is complete and on the disk.

The work is done in a hidden folder beside it, under a lock, so that two exports can't mix and what
a killed one left is cleared by the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from c2f_data.artefacts import TEMPORARY_PREFIX, disk_error, fsync_folder, fsync_tree
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.lock import LOCK, only_writer

# The files of an export beside its images. The summary is written last, and every export has it:
# a folder without it is not ours to replace.
SUMMARY = "export.json"
CARD = "README.md"
CROISSANT = "croissant.json"
HIERARCHY = "hierarchy.csv"
LABELS = "labels.csv"


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a place that holds something else, or an export that may not be replaced.

    Raises:
        ArtefactError: something is there.
        ConfigError: the place can't be a new folder.
    """
    if not out.name:
        raise ConfigError(f"--out {out} is the root of a disk", "Give the name of a new folder.")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / SUMMARY).is_file():
        raise ArtefactError(
            f"{out} is there already, and no export of c2f",
            "Choose another --out; --overwrite replaces exports only.",
        )
    if not overwrite:
        raise ArtefactError(
            f"{out} holds an earlier export",
            "Give --overwrite to replace it, or choose another --out.",
        )


@contextmanager
def whole_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write to; without an error it becomes ``out``, else it is removed.

    Args:
        out: absolute; an earlier export there stays until the new one is complete.

    Raises:
        ArtefactError, ConfigError: as :func:`check_free`; another process writes there; the disk
            refused.
    """
    check_free(out, overwrite=overwrite)
    work = out.with_name(f"{TEMPORARY_PREFIX}export-{out.name}")
    new, before = work / "new", work / "before"
    mine = False
    try:
        with only_writer(work):
            mine = True
            _put_back(before, out)
            check_free(out, overwrite=overwrite)
            _remove(new, before)
            try:
                new.mkdir()
                yield new
                fsync_tree(new)
                check_free(out, overwrite=overwrite)  # it may have come meanwhile
                if out.exists():
                    out.replace(before)
                new.replace(out)
                fsync_folder(out.parent)
            finally:
                _put_back(before, out)
                _remove(new, before)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        if mine:
            with suppress(OSError):
                (work / LOCK).unlink(missing_ok=True)
                work.rmdir()  # not if another process has begun there meanwhile


def _put_back(before: Path, out: Path) -> None:
    """Undo half a replacement: ours, or that of a process that was killed between two renames."""
    if before.exists() and not out.exists():
        before.replace(out)


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
