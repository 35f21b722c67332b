"""Take a data set out of its archive: .tgz, .tar.gz, .tar, .zip.

An archive is not trusted. Only plain files are written, by this module itself and never by the
archive library; a link becomes a second name of an earlier file of the same archive; whatever
else an archive can hold is refused.
"""

from __future__ import annotations

import errno
import gzip
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from c2f_data.errors import DataSetError
from c2f_data.sources.classes import safe_relative
from c2f_data.sources.unpacked import Filling, unpack_once

SUFFIXES = (".tgz", ".tar.gz", ".tar", ".zip")
GZIP, ZIP = b"\x1f\x8b", b"PK"
CHUNK = 1024 * 1024
# Names, owners and times of one member; real ones have a few hundred bytes.
MOST_HEADER = 1024 * 1024
MOST_TRAILER = 64 * 1024 * 1024
GET_AGAIN = "Get the archive again and compare its size with the original's."


def is_archive(path: Path) -> bool:
    """Whether the file's name ends like an archive's; hidden files are none."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()


def unpack_archive(path: Path, *, into: Path | None = None) -> Path:
    """The folder with an archive's files, unpacked now or by an earlier run.

    Args:
        into: folder that holds such folders; by default ``unpacked`` in the cache.

    Raises:
        DataSetError: no archive, damaged, incomplete, or with anything that could do harm: paths
            or links that lead out, devices, one name twice, far more data than its size allows.
        ArtefactError: the disk refused (too little room, read-only, no permission).
    """
    head = _head(path)
    fill, needed = (_from_zip, _zip_size) if head == ZIP else (_from_tar, _tar_size)
    with _Damage(path):
        size = needed(path)
    stem = re.sub(r"(\.tar\.gz|\.[^.]+)$", "", path.name, flags=re.IGNORECASE)
    return unpack_once((path,), stem, lambda to: _fill(fill, path, to), needed=size, into=into)


def _fill(fill: Callable[[Path, Filling], None], path: Path, filling: Filling) -> None:
    with _Damage(path):
        fill(path, filling)
    if not filling.contents.files:
        raise DataSetError(f"{path}: no files in it", GET_AGAIN)


class _Damage:
    """Turn what the libraries raise on damaged archives into one clear error."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        damaged = (
            tarfile.TarError,
            gzip.BadGzipFile,
            zipfile.BadZipFile,
            zlib.error,
            struct.error,
            EOFError,
            ValueError,
            RecursionError,
            NotImplementedError,
        )
        # A damaged archive can name a position before its own beginning.
        nowhere = isinstance(error, OSError) and error.errno == errno.EINVAL
        if nowhere or isinstance(error, damaged):
            raise DataSetError(
                f"{self._path}: damaged or incomplete archive ({error})", GET_AGAIN
            ) from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(2)
    except OSError as error:
        raise DataSetError(f"{path}: {error.strerror}", "Check --root.") from error


def _member_path(path: Path, name: str) -> PurePosixPath | None:
    """Where a member goes; None for what macOS adds to archives."""
    where = f"{path}, member {name!r}"
    relative = safe_relative(name, where)
    if re.match("[A-Za-z]:", name):  # a drive, to Windows
        raise DataSetError(f"{where}: names a drive", "Make the archive with relative paths.")
    added = "__MACOSX" in relative.parts or relative.name.startswith("._")
    return None if added or not relative.parts else relative


def _refuse(path: Path, name: str, what: str) -> DataSetError:
    return DataSetError(
        f"{path}, member {name!r}: {what}",
        "Make the archive of plain files, or unpack it by hand and give its folder: --root FOLDER.",
    )


class _Metered:
    """A stream that gives only as many bytes as were allowed: a header that claims gigabytes
    would be read into memory otherwise."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._allowed = MOST_HEADER
        self.last = b""

    def allow(self, size: int) -> None:
        self._allowed = size

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._allowed:
            raise tarfile.ReadError("a header of over a megabyte")
        self._allowed -= size
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _open_tar(path: Path) -> IO[bytes]:
    # A GzipFile has all of IO's methods, but not its type.
    return gzip.open(path) if _head(path) == GZIP else path.open("rb")  # type: ignore[return-value]


def _tar_size(path: Path) -> int:
    """An estimate: a gzip file ends with its size before compression, modulo 4 GiB."""
    size = path.stat().st_size
    if _head(path) != GZIP or size < 4:
        return size
    with path.open("rb") as file:
        file.seek(-4, 2)
        return max(size, int(struct.unpack("<I", file.read(4))[0]))


def _from_tar(path: Path, filling: Filling) -> None:
    with _open_tar(path) as raw:
        stream = _Metered(raw)
        with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
            while (member := tar.next()) is not None:
                tar.members.clear()  # it would remember every member
                stream.allow(member.size + MOST_HEADER)
                _take(path, tar, member, filling)
                stream.allow(MOST_HEADER)
        _check_end(stream)


def _take(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, filling: Filling) -> None:
    name = _member_path(path, member.name)
    if member.isdir() or name is None:
        return
    if member.isreg():
        filling.reserve(member.size)
        source = tar.extractfile(member)
        assert source is not None
        filling.write(name, _chunks(source, member.size))
    elif member.islnk() or member.issym():
        _take_link(path, member, name, filling)
    else:
        raise _refuse(path, member.name, "a device or another special file")


def _take_link(path: Path, member: tarfile.TarInfo, name: PurePosixPath, filling: Filling) -> None:
    """No link is ever written, so plain text rules say where one leads."""
    target = member.linkname
    if member.issym() and not target.startswith("/"):
        target = posixpath.normpath(posixpath.join(str(name.parent), target))
    where = f"{path}, member {member.name!r}, link"
    if not filling.repeat(name, safe_relative(target, where)):
        raise _refuse(path, member.name, f"a link to {target!r}, which is no earlier file")


def _check_end(stream: _Metered) -> None:
    """tarfile takes a bad header for the end, and does not look behind it; the end is a block of
    zeros, and gzip has its checksum after that."""
    if len(stream.last) != tarfile.BLOCKSIZE or any(stream.last):
        raise tarfile.ReadError("it breaks off, or a header is damaged")
    for _ in range(MOST_TRAILER // CHUNK):
        stream.allow(CHUNK)
        if not stream.read(CHUNK):
            return
    raise tarfile.ReadError("too much behind its end")


def _zip_size(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(info.file_size for info in archive.infolist())


def _from_zip(path: Path, filling: Filling) -> None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _member_path(path, info.filename)
            if info.is_dir() or name is None:
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise _refuse(path, info.filename, "a link or a special file")
            if info.flag_bits & 1:
                raise _refuse(path, info.filename, "encrypted")
            filling.reserve(info.file_size)
            with archive.open(info) as source:
                filling.write(name, _chunks(source, info.file_size))


def _chunks(source: IO[bytes], size: int) -> Iterator[bytes]:
    """All of the ``size`` bytes that the member's header promises."""
    left = size
    while chunk := source.read(CHUNK):
        left -= len(chunk)
        yield chunk
    if left:
        raise EOFError(f"{left} bytes of a member are missing")
