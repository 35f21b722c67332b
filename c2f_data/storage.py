"""Where files are: a local path, or a URL that fsspec reads (``s3://``, ``gs://``, ``memory://``).

A :class:`Url` has the few methods of ``pathlib.Path`` that c2f needs, under the same names and with
the same errors, so that most code takes either. Every failure of a store is an ``OSError``. A store
has no rename and needs none: an object appears whole, or not at all.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2f_data.errors import ConfigError, install_hint

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PASSWORD = re.compile(r"[^/]*:[^/]*@")
# What to install for the usual stores; fsspec names the package of any other.
_EXTRAS = {"s3": "s3", "s3a": "s3"}


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What is asked of an object; named as in ``os.stat_result``."""

    st_size: int


@dataclass(frozen=True, slots=True)
class Url:
    """A folder or a file at a URL. Nothing is contacted before a method needs it.

    It pickles as its text: a process opens its own connection. Endpoint and credentials come from
    where fsspec looks for them (the environment, its configuration), never from the URL.

    Raises:
        ConfigError: (here) a password in the URL, or several stores chained by ``::``;
            (in every method) fsspec does not know the protocol, or its package is absent.
        OSError: (in every method) the store refused; FileNotFoundError: no such object.
    """

    text: str

    def __post_init__(self) -> None:
        match = _URL.fullmatch(self.text)
        if match is None or "::" in self.text or "\0" in self.text:
            raise ConfigError(f"{self.text!r} is not a URL", "Give one such as s3://bucket/folder.")
        if _PASSWORD.match(match[2]):
            raise ConfigError(
                f"a URL of {match[1]}:// with a password in it, which results would repeat",
                "Leave it out; give credentials as the store's own tools take them.",
            )
        object.__setattr__(self, "text", f"{match[1].lower()}://{match[2].rstrip('/')}")

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, below: str) -> Url:
        return Url(f"{self.text}/{below}")

    @property
    def protocol(self) -> str:
        return self.text.partition("://")[0]

    @property
    def name(self) -> str:
        """The last part."""
        return self.text.rpartition("/")[2]

    def absolute(self) -> Url:
        """Itself: a URL has no current folder."""
        return self

    def with_suffix(self, suffix: str) -> Url:
        """With another ending of its last part."""
        stem = Path(self.name).stem
        return Url(f"{self.text.rpartition('/')[0]}/{stem}{suffix}")

    def stat(self) -> ObjectStat:
        """Its size in bytes."""
        with self._opened() as (fs, path):
            return ObjectStat(int(fs.info(path)["size"]))

    def exists(self) -> bool:
        """Whether there is such an object."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def read_bytes(self, limit: int | None = None) -> bytes:
        """All of it, or its first ``limit`` bytes: one request."""
        with self._opened() as (fs, path):
            data: bytes = fs.cat_file(path, start=None if limit is None else 0, end=limit)
            return data

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, end), asked for at once; fewer only beyond the end."""
        wanted = [(start, end) for start, end in ranges if start < end]
        with self._opened() as (fs, path):
            if len(wanted) == 1:
                parts = [fs.cat_file(path, start=wanted[0][0], end=wanted[0][1])]
            else:
                starts, ends = [start for start, _ in wanted], [end for _, end in wanted]
                parts = fs.cat_ranges([path] * len(wanted), starts, ends, on_error="raise")
        rest: Iterator[bytes] = iter(parts)
        return [next(rest) if start < end else b"" for start, end in ranges]

    @contextmanager
    def open(self, mode: str = "rb") -> Iterator[io.BufferedIOBase]:
        """Read it from its beginning, some megabytes at a time."""
        with self._opened() as (fs, path), fs.open(path, mode) as file:
            yield file

    def write_bytes(self, data: bytes, *, new: bool = False) -> None:
        """Store an object. ``new``: raises FileExistsError where there is one already."""
        with self._opened() as (fs, path):
            fs.pipe_file(path, data, mode="create" if new else "overwrite")

    def upload(self, file: Path) -> None:
        """Store a local file's bytes."""
        with self._opened() as (fs, path):
            fs.put_file(str(file), path)

    def download(self, file: Path) -> None:
        """Copy it to a local file."""
        with self._opened() as (fs, path):
            fs.get_file(path, str(file))

    def unlink(self, missing_ok: bool = False) -> None:
        with self._opened() as (fs, path):
            try:
                fs.rm_file(path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def sizes(self) -> dict[str, int]:
        """Every object below, at any depth: its path relative to this one, and its size in bytes.

        One listing, which the store gives in pages; empty where there is nothing.
        """
        with self._opened() as (fs, path):
            prefix = f"{path.rstrip('/')}/"
            found = fs.find(path, detail=True)
            return {
                name.removeprefix(prefix): int(about["size"])
                for name, about in found.items()
                if name.startswith(prefix)
            }

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        """The file system and the path in it; what goes wrong inside becomes an OSError.

        Asked for anew each time: fsspec keeps one for each thread, and makes new ones after a fork.
        """
        fs, path = _filesystem(self.text)
        try:
            yield fs, path
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.text) from error
        except PermissionError as error:
            why = f"the store refused access ({_first_line(error)})"
            raise PermissionError(errno.EACCES, why, self.text) from error
        except Exception as error:
            why = f"the store failed ({type(error).__name__}: {_first_line(error)})"
            raise OSError(errno.EIO, why, self.text) from error


Place = Path | Url


def place(text: str) -> Place:
    """What a user wrote: a URL, else a path; ``file://`` is a path, too.

    Raises:
        ConfigError: as :class:`Url`.
    """
    match = _URL.fullmatch(text)
    if match is None:
        return Path(text)
    if match[1].lower() in ("file", "local"):
        return Path("/" + match[2].lstrip("/"))
    return Url(text)


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec.core

    protocol = url.partition("://")[0]
    try:
        # Other processes write while this one reads: a remembered listing would be wrong.
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        hint = install_hint(extra) if extra else f"{_first_line(error)}."
        raise ConfigError(f"{url}: {protocol}:// needs a package that is absent", hint) from error
    except ValueError as error:
        raise ConfigError(
            f"{url}: {_first_line(error)}", "Give a local path, or a URL such as s3://bucket/x."
        ) from error
    except Exception as error:
        why = f"the store failed ({type(error).__name__}: {_first_line(error)})"
        raise OSError(errno.EIO, why, url) from error
    return fs, path


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
