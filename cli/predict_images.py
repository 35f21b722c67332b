"""Which images ``c2f predict`` is asked about: files, folders, and what comes on stdin."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

from c2f_data.decode import MAX_BYTES
from c2f_data.errors import ImageError
from c2f_data.sources.classes import IMAGE_SUFFIXES

STDIN = "-"
HEAD = 4096
# Images that may begin like text.
TEXT_LIKE = (b"GIF8", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7")


def named_images(words: Iterable[str]) -> Iterator[Path | bytes]:
    """The images of the words of a command line, one after another.

    A file is taken whatever its name; of a folder, at any depth and in the order of names, the
    files with the suffix of an image; of stdin (``-``) one image, or a list of paths, one a line.
    What is not there is left to who reads it.

    Raises:
        ImageError: stdin is empty or absurdly large.
    """
    for word in words:
        if word == STDIN:
            # The stream that is there now.
            yield from _of_stdin(cast("BufferedReader", sys.stdin.buffer))
        elif Path(word).is_dir():
            yield from _of_folder(Path(word))
        else:
            yield Path(word)


def _of_folder(folder: Path) -> Iterator[Path]:
    """One folder's names are in memory at a time, however many there are below."""
    try:
        with os.scandir(folder) as entries:
            # A link to a folder could lead back here.
            found = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries)
    except OSError:
        yield folder  # who reads it says why it can't be read
        return
    for name, is_folder in found:
        if name.startswith("."):
            continue
        if is_folder:
            yield from _of_folder(folder / name)
        elif Path(name).suffix.lower() in IMAGE_SUFFIXES:
            yield folder / name


def _of_stdin(stream: BufferedReader) -> Iterator[Path | bytes]:
    # What is there already, without waiting for more: a list may grow slowly.
    head = stream.peek(HEAD)
    if not head:
        raise ImageError("stdin: zero bytes", "Pipe an image or a list of paths into it.")
    if is_image(head):
        data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ImageError("stdin: too many bytes", "Images over 512 MiB are refused.")
        yield data
        return
    for line in stream:
        path = line.rstrip(b"\r\n")
        if path:
            yield Path(os.fsdecode(path))


def is_image(head: bytes) -> bool:
    """Whether bytes begin an image rather than a list of paths.

    Every format has bytes in its first few thousand that no text has: zeros, or what is not
    UTF-8. The few that could begin as text are known by their first letters.
    """
    if b"\0" in head or head.startswith(TEXT_LIKE):
        return True
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The last character may be cut off.
        return error.start < len(head) - 3
    return False
