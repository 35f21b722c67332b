"""A .npy file that grows row by row, and whose first rows survive a killed process."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from torch import Tensor

from c2f_data.artefacts import disk_error, fsync_folder, write_text
from c2f_train.features import check_room, stored_type, write_header


class GrowingFile:
    """Rows are added in order; the file has its name when the last one is there.

    Attributes:
        rows: that are on the disk, or were added since.
    """

    def __init__(self, path: Path, total: int, width: int) -> None:
        """Args: total, width: rows and columns of the whole."""
        self._path = path
        self._part = path.with_suffix(".part")
        self._noted = path.with_suffix(".rows")
        self._shape = total, width
        self._dtype = stored_type(total, width)
        self._file: BinaryIO | None = None
        self.rows = 0

    def __enter__(self) -> GrowingFile:
        """Raises ArtefactError: the disk refused, or has no room."""
        size, kept = self._shape[1] * self._dtype.itemsize, 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("r+b" if self._part.exists() else "w+b")
            write_header(self._file, self._shape, self._dtype)
            self._start = self._file.tell()
            kept = max(0, os.fstat(self._file.fileno()).st_size - self._start)
            # Rows that reached the disk before their number was noted don't count.
            self.rows = min(kept // size, self._read_noted())
        except OSError as error:
            raise disk_error(error, self._path) from error
        check_room(self._path.parent, self._shape[0] * size - kept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        if isinstance(error, OSError):
            raise disk_error(error, self._path) from error

    def go_back(self, rows: int) -> None:
        """Forget all but the first rows."""
        file = self._open()
        file.seek(self._start + rows * self._shape[1] * self._dtype.itemsize)
        file.truncate()
        self.rows = rows

    def add(self, rows: Tensor) -> None:
        """Args: rows: (n, width) float32 on the CPU."""
        self._open().write(rows.numpy().astype(self._dtype).tobytes())
        self.rows += len(rows)

    def flush(self) -> None:
        """Have what was added on the disk, and note how much that is."""
        file = self._open()
        file.flush()
        os.fsync(file.fileno())
        write_text(self._noted, f"{self.rows}\n")

    def finish(self) -> None:
        """Give the file its name."""
        if self.rows != self._shape[0]:
            raise AssertionError(f"{self.rows} of {self._shape[0]} rows")
        self.flush()
        self._part.replace(self._path)
        self._noted.unlink(missing_ok=True)
        fsync_folder(self._path.parent)

    def _open(self) -> BinaryIO:
        assert self._file is not None, "a file is used inside its with block"
        return self._file

    def _read_noted(self) -> int:
        """0 where nothing was noted, or nothing that makes sense."""
        try:
            return max(0, int(self._noted.read_text()))
        except (FileNotFoundError, ValueError):
            return 0
