"""Arrays and texts in HDF5 files, read without trusting the file."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np
from numpy.typing import NDArray


def fixed_text(values: Sequence[str]) -> NDArray[np.bytes_]:
    """Fixed-length UTF-8: unlike variable length it is contiguous and has no heap to damage."""
    encoded = [value.encode() for value in values]
    longest = max((len(value) for value in encoded), default=1)
    return np.asarray(encoded, dtype=h5py.string_dtype("utf-8", max(1, longest)))


def checked_dataset(
    file: h5py.File, name: str, kind: str, shape: tuple[int, ...] | None
) -> h5py.Dataset:
    """A dataset of just this type and shape, inside this very file.

    Args:
        kind: ``S`` for text, else a NumPy type such as ``i4``, little endian.
        shape: None: one dimension, of any length.

    Raises:
        ValueError, KeyError: it is not there, or something else.
    """
    parts = name.split("/")
    for end in range(1, len(parts) + 1):
        if not isinstance(file.get("/".join(parts[:end]), getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is absent or a link to elsewhere")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or (
        len(dataset.shape) != 1 if shape is None else dataset.shape != shape
    ):
        raise ValueError(f"{name} has not the shape {shape or 'of a column'}")
    right = dataset.dtype.kind == "S" if kind == "S" else dataset.dtype == np.dtype("<" + kind)
    # External and virtual datasets name other files; chunks may be compressed to next to nothing
    # and claim a terabyte.
    inside = not (dataset.external or dataset.is_virtual or dataset.chunks)
    if not right or not inside or dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{name} has another type or layout")
    # Reading allocates all of it, so a claim that no file could hold ends here.
    if dataset.nbytes > file.id.get_filesize():
        raise ValueError(f"{name} is larger than its file")
    return dataset


def read_array(
    file: h5py.File, name: str, kind: str, shape: tuple[int, ...]
) -> NDArray[np.generic]:
    """The values of a dataset; see :func:`checked_dataset`."""
    values: NDArray[np.generic] = checked_dataset(file, name, kind, shape)[...]
    return values


def read_text(file: h5py.File, name: str, n: int | None = None) -> tuple[str, ...]:
    """The texts of a dataset of ``n``; see :func:`checked_dataset`."""
    values = checked_dataset(file, name, "S", None if n is None else (n,))[...]
    return tuple(value.decode() for value in values.tolist())
