"""Names of classes, levels and images as names of files: safe on every system, never the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

# What some system forbids in a name, what a shell or a glob would take for its own, and all that
# is not printed.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\[\]{}\x00-\x1f\x7f-\x9f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# File systems take 255 bytes; a number, a suffix and a bracket come to it.
LONGEST_BYTES = 180


def safe_name(text: str) -> str:
    """A file name that is as near to the text as every file system allows; never empty."""
    text = unicodedata.normalize("NFC", text)
    kept = "".join("_" if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    kept = _FORBIDDEN.sub("_", kept)
    kept = kept.encode()[:LONGEST_BYTES].decode(errors="ignore").strip(" .")
    if not kept or _RESERVED.fullmatch(kept):
        return f"_{kept}"
    return kept


def safe_names(texts: Sequence[str]) -> tuple[str, ...]:
    """One name a text, no two the same where case and Unicode forms count as one.

    What would be the same bears its position in brackets.
    """
    chosen: list[str] = []
    taken: set[str] = set()
    for position, text in enumerate(texts):
        plain = name = safe_name(text)
        number = position
        while _folded(name) in taken:
            name = f"{plain} ({number})"
            number += 1
        taken.add(_folded(name))
        chosen.append(name)
    return tuple(chosen)


def image_name(image_id: str, position: int) -> str:
    """``0000012-Crow_0012``: unique by the position, in the order of the shards."""
    stem = PurePosixPath(image_id.replace("\\", "/")).stem
    return f"{position:07d}-{safe_name(stem)}"


def token(text: str) -> str:
    """A name without dots and capitals, as WebDataset needs it for what stands after the key."""
    return re.sub(r"[.\s]", "_", safe_name(text)).lower()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
