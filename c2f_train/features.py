"""The frozen features of stage 1: computed once, kept in a file, read row by row.

Of B-CNN an image has 262,144 of them. The file is therefore written batch by batch and mapped
into memory, never held there as a whole, and features that take much room are kept in float16.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from numpy.lib.format import dtype_to_descr, write_array_header_2_0
from torch import Tensor

from c2f_data.artefacts import TEMPORARY_PREFIX, disk_error, fsync_folder
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST, TRAIN
from c2f_train.distributed import World
from c2f_train.inference import feature_batches
from c2f_train.run import Run

# Above this a level's features are kept in float16: numbers of at most 1 lose their fourth digit.
FLOAT32_BYTES = 1024**3


def cached_features(run: Run, level: int) -> Tensor:
    """Features of the centre crops and then of their mirror images, (2 n, F), mapped from a file.

    Raises:
        ArtefactError: the disk has no room for them, or a shard is damaged.
    """
    path = feature_file(run, level)
    if not path.exists():
        _write(run, level, path)
    return _mapped(path)


def kept_test_features(run: Run, level: int) -> Tensor | None:
    """Features of the test images' centre crops, (n, F), where they are kept; None elsewhere.

    Only a run whose features never change has them: :mod:`c2f_train.shared_features` writes them.

    Raises:
        ArtefactError: the file is damaged.
    """
    path = feature_file(run, level, TEST)
    return _mapped(path) if run.config.frozen and path.exists() else None


def feature_file(run: Run, level: int, split: str = TRAIN) -> Path:
    """Where a run's features of one level's images are kept."""
    after = "" if split == TRAIN else f"-{split}"
    return run.folder / f"features-{run.names[level]}-{run.key[:12]}{after}.npy"


def rows_of(run: Run, split: str) -> int:
    """Of such a file: training images count twice, for their mirror images."""
    return run.reader.length(split) * (2 if split == TRAIN else 1)


def stored_type(rows: int, width: int) -> np.dtype[np.float16] | np.dtype[np.float32]:
    """The number format that features are kept in."""
    return np.dtype(np.float16) if 4 * rows * width > FLOAT32_BYTES else np.dtype(np.float32)


def _mapped(path: Path) -> Tensor:
    try:
        # Copy-on-write: torch takes no array that can't be written to, and nobody writes.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ArtefactError(f"{path}: {error}", "Delete this file and run again.") from error


def remove_features(folder: Path) -> None:
    """Delete the cached features: a finished run needs them no more."""
    for path in folder.glob("features-*"):
        path.unlink()


def _write(run: Run, level: int, path: Path) -> None:
    shape = (rows_of(run, TRAIN), cast("int", run.model.pooling.out_features))
    dtype = stored_type(*shape)
    check_room(run.folder, shape[0] * shape[1] * dtype.itemsize)
    # Every process computes its share of the rows.
    rows = run.world.rows(shape[0])
    what = f"Features at the {run.names[level]} resolution"
    with _shared_file(path, shape, dtype, run.world) as (file, start):
        file.seek(start + rows.start * shape[1] * dtype.itemsize)
        with run.progress.task(what, len(rows)) as task:
            batches = feature_batches(
                run.model,
                run.pictures(TRAIN, level),
                run.spec,
                run.device,
                run.config.precision,
                workers=run.config.workers,
                mirror=True,
                rows=rows,
                task=task,
            )
            # Not through a mapping: a full disk is an error of a write, but the end of a process
            # that writes to mapped pages.
            for batch in batches:
                file.write(batch.numpy().astype(dtype).tobytes())


@contextmanager
def _shared_file(
    path: Path, shape: tuple[int, int], dtype: np.dtype[np.generic], world: World
) -> Iterator[tuple[BinaryIO, int]]:
    """A file of numpy's that all processes fill; it appears when all of them are done.

    Yields:
        The file, open for writing, and where its first row begins.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    try:
        if world.first:
            with temporary.open("wb") as file:
                write_header(file, shape, dtype)
                start = file.tell()
                file.truncate(start + shape[0] * shape[1] * dtype.itemsize)
        world.wait()
        with temporary.open("rb+") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_2_0(file)
            yield file, file.tell()
            file.flush()
            os.fsync(file.fileno())
        world.wait()
        if world.first:
            temporary.replace(path)
            fsync_folder(path.parent)
        world.wait()
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        if world.first:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_header(file: BinaryIO, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    """Begin a .npy file, to which the rows are then added."""
    header = {"descr": dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    write_array_header_2_0(file, header)


def check_room(folder: Path, size: int) -> None:
    """Said before hours of work. Raises ArtefactError."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ArtefactError(
            f"{folder}: the features of stage 1 need {size / 1e9:.1f} GB of {free / 1e9:.1f} free",
            "Free some space, choose another --workspace or a smaller --dim, or pass --no-cache.",
        )
