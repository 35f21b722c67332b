"""Which archives c2f can download, and how one gets to its place: checked, whole, and once."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2f_data.artefacts import fsync_folder, sha256_file
from c2f_data.errors import ConfigError, DataSetError, install_hint
from c2f_data.fetch.resume import Patience, RemoteFile, ResumingDownload, shown
from c2f_data.lock import only_writer
from c2f_data.sources.locate import cache_folder

# The record's page, with this size and checksum: https://data.caltech.edu/records/65de6-vp158
CUB = RemoteFile(
    name="CUB_200_2011.tgz",
    url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1",
    size=1_150_585_339,
    sha256="0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
)
# Everything unfinished lies in here, so that nothing else in the folder is ever touched.
STAGING = ".fetch"
# Photographs hardly shrink in an archive: unpacked they take about its size, and some more for
# the tables beside them. An estimate, made to be a little too large.
UNPACKED = 1.3


@dataclass(frozen=True, slots=True)
class Fetched:
    """An archive that is here and whose checksum is right.

    Attributes:
        archive: its path.
        size: bytes.
        sha256: 64 hexadecimal digits.
        received: bytes that came over the network this time; 0 where it was here already.
    """

    archive: str
    size: int
    sha256: str
    received: int


def _silent(*_: object) -> None:
    """Shows nothing."""


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    patience: Patience | None = None,
    progress: Callable[[int, int], None] = _silent,
    note: Callable[[str], None] = _silent,
) -> Fetched:
    """Download a file into a folder, going on with what an earlier run left there.

    The file gets its name only when its SHA-256 is right. One that is here already and right is
    not downloaded again.

    Args:
        progress: told the bytes that are here and the bytes of the whole file.
        note: told in one line what a user should know.

    Raises:
        ConfigError: pooch, which downloads, is not installed.
        DataSetError: no connection, a wrong file, another file under that name, a full disk.
        ArtefactError: another process downloads to this folder.
    """
    pooch = _pooch()
    folder = folder.absolute()
    final = folder / file.name
    with _disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable", str(folder))
        with only_writer(folder):
            if final.exists():
                note(f"{final} is here; checking it")
                _check(final, file)
                return Fetched(str(final), file.size, file.sha256, 0)
            with _staging(folder) as staging:
                part = staging / f"{file.name}.part"
                _rescue(staging, part, file)
                download = ResumingDownload(file, part, patience or Patience(), progress, note)
                if not (staging / file.name).exists():
                    _check_space(folder, file, download.have())
                if 0 < download.have() <= file.size:
                    note(f"Going on after {download.have() / 1e6:,.0f} MB")
                _retrieve(pooch, file, staging, download)
                (staging / file.name).replace(final)
                fsync_folder(folder)
    return Fetched(str(final), file.size, file.sha256, download.received)


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise ConfigError(
            f"downloading needs pooch, which is not installed ({error})",
            install_hint("download"),
        ) from error
    # It tells about every download in words of its own; c2f has told already.
    pooch.get_logger().setLevel(logging.WARNING)
    return pooch


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusal into what is wrong and what to do."""
    try:
        yield
    except OSError as error:
        raise DataSetError(
            f"{error.filename or folder}: {error.strerror or error}",
            "Free some space, make the folder writable, or choose another one: --root FOLDER. "
            "What was downloaded is kept.",
        ) from error


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """The folder for what is unfinished; it goes when nothing is left in it."""
    staging = folder / STAGING
    staging.mkdir(exist_ok=True)
    try:
        yield staging
    finally:
        with suppress(OSError):
            staging.rmdir()


def _check(path: Path, file: RemoteFile) -> None:
    """Refuse a file that has the archive's name and not its content."""
    size = path.stat().st_size
    wrong = f"{size:,} bytes, not {file.size:,}" if size != file.size else ""
    if not wrong and (digest := sha256_file(path)) != file.sha256:
        wrong = f"its SHA-256 is {digest}, not {file.sha256}"
    if wrong:
        raise DataSetError(
            f"{path}: not the official archive ({wrong})",
            "Move it away or delete it, then run the command again.",
        )


def _rescue(staging: Path, part: Path, file: RemoteFile) -> None:
    """Clear what a killed run left: a whole file that waited for its check is the part again."""
    for path in staging.glob("tmp*"):
        if path.stat().st_size == file.size and not part.exists():
            path.replace(part)
        else:
            path.unlink()


def _check_space(folder: Path, file: RemoteFile, have: int) -> None:
    """Refuse to begin what can't end: the archive goes here, its images to the cache folder."""
    archive, images = max(0, file.size - have), int(UNPACKED * file.size)
    cache = cache_folder().absolute()
    cache = next(place for place in (cache, *cache.parents) if place.exists())
    if cache.stat().st_dev == folder.stat().st_dev:
        wanted = {folder: archive + images}
    else:
        wanted = {folder: archive, cache: images}
    for place, needed in wanted.items():
        free = shutil.disk_usage(place).free
        if free < needed:
            raise DataSetError(
                f"{place}: {free / 1e9:,.1f} GB free; {needed / 1e9:,.1f} GB are needed for the "
                "archive and its images",
                "Free some space or choose another folder: --root FOLDER for the archive, "
                "C2F_CACHE_DIR for the images.",
            )


def _retrieve(pooch: Any, file: RemoteFile, staging: Path, download: ResumingDownload) -> None:
    """Download to the staging folder, where pooch keeps nothing whose checksum is wrong."""
    try:
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=staging,
            downloader=download,
        )
    except ValueError as error:
        raise DataSetError(
            f"{shown(file.url)}: has the length of {file.name} but not its SHA-256 {file.sha256}; "
            "deleted",
            "Run the command again: it starts from the beginning. If that fails, too, the address "
            "serves another file: --url URL.",
        ) from error
