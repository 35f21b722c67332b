"""Images taken out of archives and parquet files: kept in the cache, whole or not there.

A copy is written under a temporary name by one process at a time, reaches the disk, and only then
gets its name. It carries the number of its files and bytes: a copy that lost some is made again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from c2f_data.artefacts import TEMPORARY_PREFIX, fsync_folder, read_json, write_json
from c2f_data.errors import ArtefactError, C2FError, DataSetError
from c2f_data.sources.locate import cache_folder

# Images hardly shrink in an archive: what grows much more than this is an attack.
MOST_GROWTH = 20
SMALL = 64 * 1024 * 1024  # below this, growth doesn't matter: text lists shrink well
MOST_BYTES = 200 * 1024**3
MOST_FILES = 2_000_000
HEAD = 1024 * 1024  # bytes of each source that its key depends on

MARK = ".c2f-unpacked.json"
LOCK_PREFIX = ".lock-"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a finished copy holds, without the file that says so."""

    files: int
    bytes: int


class Filling:
    """The folder that is being filled; every file goes through here, so that the limits hold."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.folder = folder
        self._source = sources[0]
        self._most = min(MOST_BYTES, max(SMALL, MOST_GROWTH * total_size(sources)))
        self._files: set[PurePosixPath] = set()
        self._bytes = 0

    @property
    def contents(self) -> Contents:
        return Contents(len(self._files), self._bytes)

    def reserve(self, size: int) -> None:
        """Refuse ``size`` bytes more, before they are read. Raises DataSetError."""
        if self._bytes + size > self._most or len(self._files) >= MOST_FILES:
            raise DataSetError(
                f"{self._source}: would become over {self._most:,} bytes or {MOST_FILES:,} files "
                "when unpacked",
                "It is damaged or not what it seems; if you trust it, unpack it by hand and give "
                "its folder: --root FOLDER.",
            )

    def write(self, name: PurePosixPath, chunks: Iterable[bytes]) -> None:
        """Write one file. Raises DataSetError where the name is taken or a limit is reached."""
        path = self._claim(name)
        with path.open("xb") as file:
            for chunk in chunks:
                self.reserve(len(chunk))
                self._bytes += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def repeat(self, name: PurePosixPath, earlier: PurePosixPath) -> bool:
        """Give an earlier file a second name; False where there is no such file."""
        if earlier not in self._files:
            return False
        source = self.folder / earlier
        size = source.stat().st_size
        self.reserve(size)
        path = self._claim(name)
        try:
            os.link(source, path)
        except OSError:  # not every file system has hard links
            shutil.copyfile(source, path)
        self._bytes += size
        return True

    def _claim(self, name: PurePosixPath) -> Path:
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            taken = True
        else:
            taken = name in self._files or path.exists()
        if taken:
            raise DataSetError(
                f"{self._source}: {str(name)!r} is in it twice", "Make the archive again."
            )
        self._files.add(name)
        return path


def unpack_once(
    sources: Sequence[Path],
    stem: str,
    fill: Callable[[Filling], None],
    *,
    needed: int,
    into: Path | None = None,
) -> Path:
    """The folder that ``fill`` fills from ``sources``, filled now or by an earlier run.

    Another process that fills the same folder is waited for. The sources are known by their
    sizes, times of change and first bytes, so a moved one needs no new copy.

    Args:
        sources: the files that are unpacked.
        stem: the beginning of the folder's name, for people.
        needed: bytes that must be free on the disk.
        into: folder that holds such folders; by default ``unpacked`` in the cache.

    Raises:
        DataSetError: what ``fill`` found wrong; nothing is left behind.
        ArtefactError: the disk refused (too little room, read-only, no permission).
    """
    base = into or cache_folder() / "unpacked"
    try:
        final = base / f"{_plain(stem)}-{_key(sources)}"
        if _is_whole(final):
            return final
        base.mkdir(parents=True, exist_ok=True)
        with FileLock(base / f"{LOCK_PREFIX}{final.name}"):
            _remove_leftovers(base, final.name)
            if not _is_whole(final):
                _check_room(base, needed)
                _fill(final, sources, fill)
    except OSError as error:
        raise _disk_error(error, base) from error
    return final


def total_size(files: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def _fill(final: Path, sources: Sequence[Path], fill: Callable[[Filling], None]) -> None:
    temporary = final.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{final.name}")
    temporary.mkdir()
    try:
        filling = Filling(temporary, sources)
        fill(filling)
        write_json(temporary / MARK, filling.contents, schema="c2f-unpacked", version=1)
        for folder, _, _ in os.walk(temporary):
            fsync_folder(Path(folder))
        shutil.rmtree(final, ignore_errors=True)  # a copy that lost files
        temporary.replace(final)
        fsync_folder(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    try:
        said = read_json(
            folder / MARK, Contents, schema="c2f-unpacked", version=1, maker="the same command"
        )
    except C2FError:
        return False
    files = [
        entry
        for parent, _, names in os.walk(folder)
        for entry in (Path(parent, name) for name in names)
    ]
    mark = (folder / MARK).stat().st_size
    return said == Contents(len(files) - 1, total_size(files) - mark)


def _remove_leftovers(base: Path, name: str) -> None:
    """Delete what killed runs left: of this copy, and of others that no process works on."""
    for path in base.glob(f"{TEMPORARY_PREFIX}*"):
        owner = path.name.removeprefix(TEMPORARY_PREFIX).partition("-")[2]
        if owner == name:
            shutil.rmtree(path, ignore_errors=True)
            continue
        try:
            with FileLock(base / f"{LOCK_PREFIX}{owner}", timeout=0):
                shutil.rmtree(path, ignore_errors=True)
        except Timeout:
            continue


def _key(sources: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        facts = path.stat()
        digest.update(
            f"{path.name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode(errors="replace")
        )
        with path.open("rb") as file:
            digest.update(file.read(HEAD))
    return digest.hexdigest()[:12]


def _plain(stem: str) -> str:
    """A name that any file system takes and that can't lead elsewhere."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", stem)[:60].strip("-") or "images"


def _check_room(base: Path, needed: int) -> None:
    free = shutil.disk_usage(base).free
    if needed > free:
        raise ArtefactError(
            f"{base}: {needed / 1e9:.1f} GB needed to unpack, {free / 1e9:.1f} GB free",
            "Free some space, or set C2F_CACHE_DIR to a folder on another disk.",
        )


def _disk_error(error: OSError, base: Path) -> C2FError:
    hint = "Check the folder and the disk, or set C2F_CACHE_DIR to another folder."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space, or set C2F_CACHE_DIR to a folder on another disk."
    return ArtefactError(f"{error.filename or base}: {error.strerror or error}", hint)
