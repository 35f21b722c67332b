"""A download that goes on where it broke off: HTTP range requests into a part file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from c2f_data.errors import DataSetError

if TYPE_CHECKING:
    from requests import Response

CHUNK = 1 << 16
# A connection that brought this many bytes was a good one: the count of failures starts again.
PROGRESS = 1 << 20
LONGEST_WAIT = 60.0
NOT_NOW = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file with one true content, wherever it is served.

    Attributes:
        name: its file name here.
        url: http or https address.
        size: bytes.
        sha256: of the whole file, 64 hexadecimal digits.
    """

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, all in seconds.

    Attributes:
        connect: for the connection.
        read: for the next bytes.
        pauses: before each new try; as many tries in a row may fail, and one more.
    """

    connect: float = 20.0
    read: float = 60.0
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


class _DroppedError(Exception):
    """This connection brings no more, the next one may."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(slots=True)
class ResumingDownload:
    """Fetches a file for pooch, which has no way to go on with a part of one.

    The bytes are gathered in ``part``, which outlives a broken connection, an interrupt and a
    killed process. Beside it lies the server's name for the file's version (its strong ETag), so
    that parts of two versions are never joined (RFC 9110, sections 13.1.5 and 14).

    Attributes:
        part: file that gathers the bytes.
        progress: told the bytes that are here and the bytes of the whole file.
        note: told in one line what a user should know.
        received: bytes that came over the network so far.
    """

    file: RemoteFile
    part: Path
    patience: Patience
    progress: Callable[[int, int], None]
    note: Callable[[str], None]
    received: int = 0

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Fetch ``url`` and put it, whole in length but not yet checked, at ``output_file``.

        Raises:
            DataSetError: no connection after all tries, or an answer that more tries won't mend.
        """
        if self.have() > self.file.size:
            self.discard()
        best, failures = self.have(), 0
        self.progress(best, self.file.size)
        while self.have() < self.file.size:
            try:
                self._receive(url)
            except _DroppedError as drop:
                # Counted from the best so far: a server that starts over again and again, each
                # time with many bytes, gets nowhere.
                failures = 1 if self.have() >= best + PROGRESS else failures + 1
                best = max(best, self.have())
                self._pause(url, drop, failures)
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())
        self.part.replace(output_file)
        self._etag.unlink(missing_ok=True)

    def have(self) -> int:
        """Bytes in the part file."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Forget the part."""
        self.part.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)

    @property
    def _etag(self) -> Path:
        return self.part.with_name(f"{self.part.name}.etag")

    def _pause(self, url: str, drop: _DroppedError, failures: int) -> None:
        if failures > len(self.patience.pauses):
            kept = f"{self.have():,} of {self.file.size:,} bytes are kept in {self.part}. "
            raise DataSetError(
                f"{shown(url)}: {failures} tries in a row failed, the last one with: {drop}",
                f"{kept if self.have() else ''}Check the network, then run the command again.",
            ) from drop
        seconds = max(self.patience.pauses[failures - 1], drop.wait)
        here = f"{self.have() / 1e6:,.0f} of {self.file.size / 1e6:,.0f} MB are here"
        self.note(f"{drop}; {here}, trying again in {seconds:g} s")
        time.sleep(seconds)

    def _receive(self, url: str) -> None:
        """One request, and all that it brings."""
        import requests
        from urllib3.exceptions import HTTPError

        have = self.have()
        # identity: a .tgz that the server packs once more would have another length.
        headers = {"Accept-Encoding": "identity", "User-Agent": "c2f-toolkit"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if tag := self._known_tag():
                headers["If-Range"] = tag
        waits = (self.patience.connect, self.patience.read)
        try:
            with requests.get(url, headers=headers, stream=True, timeout=waits) as answer:
                self._write(answer, self._start(answer, url, have))
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            requests.exceptions.TooManyRedirects,
            requests.exceptions.SSLError,
        ) as error:
            raise DataSetError(
                f"{shown(url)}: {_reason(error)}",
                "Check the address (--url URL); a network with certificates of its own needs "
                "REQUESTS_CA_BUNDLE.",
            ) from error
        except (requests.RequestException, HTTPError) as error:
            raise _DroppedError(_reason(error)) from error

    def _start(self, answer: Response, url: str, have: int) -> int:
        """Where in the file the answer's body begins; raises where it has no use."""
        status = answer.status_code
        if status == 206:
            return self._continued(answer, url, have)
        if status == 200:
            if "html" in answer.headers.get("Content-Type", ""):
                raise self._wrong(url, "a web page, not the archive")
            length = answer.headers.get("Content-Length", "")
            if length.isdecimal() and int(length) != self.file.size:
                raise self._wrong(url, f"{int(length):,} bytes, not {self.file.size:,}")
            if have:
                self.note("The server can't go on with the part that is here: from the beginning")
            return 0
        if status == 416 and have:
            self.discard()
            raise _DroppedError(f"the server has no more than {have:,} bytes (416)")
        said = f"{status} {answer.reason}".strip()
        if status in NOT_NOW:
            after = answer.headers.get("Retry-After", "")
            wait = float(after) if re.fullmatch("[0-9]{1,6}", after) else 0.0
            raise _DroppedError(f"the server answered {said}", min(wait, LONGEST_WAIT))
        raise DataSetError(
            f"{shown(url)}: the server answered {said}",
            "Give the address of a copy: --url URL. What was downloaded before is kept.",
        )

    def _continued(self, answer: Response, url: str, have: int) -> int:
        """Where a partial answer begins: where the part ends, or it is of no use."""
        ranges = answer.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", ranges)
        if match and match[2] != "*" and int(match[2]) != self.file.size:
            raise self._wrong(url, f"{int(match[2]):,} bytes, not {self.file.size:,}")
        known = self._known_tag() if have else ""
        changed = known and answer.headers.get("ETag", known) != known
        if match is None or int(match[1]) != have or changed:
            self.discard()
            raise _DroppedError(f"the server sent another part than asked for ({ranges!r})")
        return have

    def _wrong(self, url: str, what: str) -> DataSetError:
        return DataSetError(
            f"{shown(url)}: {what}",
            f"It serves another file than {self.file.name}; give the address of a copy: --url URL.",
        )

    def _write(self, answer: Response, start: int) -> None:
        """Append the body to the part, up to the size of the file."""
        with self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            if start == 0:
                # After the old part is cut off: its bytes must never lie beside the new name.
                self._remember(answer.headers.get("ETag", ""))
            here = start
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                wanted = chunk[: self.file.size - here]
                file.write(wanted)
                file.flush()
                here += len(wanted)
                self.received += len(wanted)
                self.progress(here, self.file.size)
                if here == self.file.size:
                    return
        raise _DroppedError("the connection ended early")

    def _known_tag(self) -> str:
        return self._etag.read_text(encoding="latin-1") if self._etag.exists() else ""

    def _remember(self, tag: str) -> None:
        """Keep a strong ETag; a weak one doesn't promise the same bytes."""
        if tag.startswith('"') and tag.isprintable():
            self._etag.write_text(tag, encoding="latin-1")
        else:
            self._etag.unlink(missing_ok=True)


def shown(url: str) -> str:
    """An address for a message: without user, password and query, which may be secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _reason(error: Exception) -> str:
    """The innermost cause in words; requests and urllib3 wrap it in names of their objects."""
    inner: object = error
    while True:
        causes = [cause for cause in getattr(inner, "args", ()) if isinstance(cause, Exception)]
        cause = getattr(inner, "reason", None) or (causes[-1] if causes else None)
        if not isinstance(cause, Exception):
            break
        inner = cause
    return str(inner).rsplit("): ", 1)[-1] or type(inner).__name__
