"""Files that are either whole or not there: atomic writes, and JSON for frozen dataclasses.

A file appears under its final name by rename only, after its bytes have reached the disk. JSON
artefacts carry ``schema`` (what they are) and ``schema_version``; a file of another version is
refused and never half understood.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.preconf.json import make_converter

from c2f_data.errors import ArtefactError, C2FError
from c2f_data.storage import Place, Url

T = TypeVar("T")

TEMPORARY_PREFIX = ".tmp-"
FLUSHED_AT_ONCE = 32


def disk_error(error: OSError, path: Place) -> C2FError:
    """Turn the operating system's refusal into one line that names the file and what to do."""
    hints = {
        errno.ENOSPC: "Free some space or choose another --workspace, then run the command again.",
        errno.EDQUOT: "Your quota is used up: free some space or choose another --workspace.",
        errno.EACCES: "Make the folder writable or choose another --workspace.",
        errno.EROFS: "The disk is read-only: choose another --workspace.",
    }
    reason = error.strerror or str(error)
    hint = hints.get(error.errno or 0, "Check the path and the disk, then run the command again.")
    if isinstance(path, Url):
        hint = "Check the URL, the network and your credentials, then run the command again."
    return ArtefactError(f"{path}: {reason}", hint)


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success fsync it and rename it to ``final``.

    The temporary file is removed on any failure, an interrupt included. The suffix is kept,
    because some writers choose their format by it.

    Raises:
        ArtefactError: the disk refused (full, read-only, no permission).
    """
    temporary = final.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{final.name}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
        fsync_folder(final.parent)
    except OSError as error:
        raise disk_error(error, final) from error
    finally:
        # A read-only disk refuses this too, and must not hide the error that says so.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Like :func:`atomic_path` for a folder of files; an older ``final`` is replaced at the end.

    Raises:
        ArtefactError: the disk refused (full, read-only, no permission).
    """
    temporary = final.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{final.name}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        fsync_tree(temporary)
        _replace_folder(temporary, final)
        fsync_folder(final.parent)
    except OSError as error:
        raise disk_error(error, final) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(new: Path, final: Path) -> None:
    """Rename over a folder that isn't empty, which no system does in one step."""
    before = new.with_name(f"{new.name}-before")
    if final.exists():
        final.replace(before)
    try:
        new.replace(final)
    except BaseException:
        if before.exists():
            before.replace(final)
        raise
    shutil.rmtree(before, ignore_errors=True)


def fsync_tree(folder: Path) -> None:
    """Have all files of a folder on the disk, at any depth, and their names."""
    # Here, because every command imports this module, and few write a folder.
    from concurrent.futures import ThreadPoolExecutor

    places = [(Path(place), files) for place, _, files in os.walk(folder)]
    # Many small files reach the disk several times as fast when it is asked for many at once.
    with ThreadPoolExecutor(FLUSHED_AT_ONCE) as pool:
        paths = (place / name for place, files in places for name in files)
        list(pool.map(_fsync_file, paths))
    for place, _ in places:
        fsync_folder(place)


def _fsync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut (a no-op where the system can't)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files and folders that a killed run left in ``folder``."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Place, text: str) -> None:
    """Write UTF-8 text atomically; an object at a URL appears whole by itself.

    Raises:
        ArtefactError: the disk refused, or the text holds a name that is not Unicode.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 40) : error.end + 20]
        raise ArtefactError(
            f"{path}: can't hold a name that is not UTF-8: {around!r}",
            "Rename that file or folder.",
        ) from error
    if isinstance(path, Path):
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise disk_error(error, path) from error


def sha256_file(path: Place) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: object) -> str:
    """SHA-256 over the canonical JSON of a dataclass or plain value."""
    return hashlib.sha256(_canonical(to_plain(value))).hexdigest()


def fingerprint_of_rows(before: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """The same as ``fingerprint([*before, list(rows)])``, whose rows are plain already.

    Only one row is held at a time: the JSON of a million images needs half a gigabyte.
    """
    digest = hashlib.sha256(b"[")
    for value in before:
        digest.update(_canonical(to_plain(value)) + b",")
    separator = b"["
    for row in rows:
        digest.update(separator + _canonical(row))
        separator = b","
    digest.update(b"[]]" if separator == b"[" else b"]]")
    return digest.hexdigest()


def _canonical(plain: object) -> bytes:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


_converter = make_converter(forbid_extra_keys=True)


def _exactly(value: Any, kind: type[T]) -> T:
    """No coercion: 12.7 is not the resolution 12, and null is not the name "None"."""
    if issubclass(kind, Enum):  # an enum of strings is a str, too
        return kind(value)
    if kind is float and type(value) is int:
        return kind(value)  # type: ignore[call-arg]
    if type(value) is kind:
        return value
    raise TypeError(f"{value!r} is not {kind.__name__}")


for _kind in (bool, int, float, str):
    _converter.register_structure_hook(_kind, _exactly)


def to_plain(value: object) -> Any:
    """Dataclasses, tuples and enums to what JSON has."""
    return _converter.unstructure(value)


def from_plain(data: Any, kind: type[T], where: str) -> T:
    """Read a frozen dataclass back, checking names and types.

    Raises:
        ArtefactError: a key is missing, unknown or of another type; ``where`` is named.
    """
    try:
        return _converter.structure(data, kind)
    except C2FError:
        raise
    except Exception as error:
        # A C2FError among them has two lines.
        reasons = "; ".join(cattrs.transform_error(error)[:3]).replace("\n", " ")
        raise ArtefactError(
            f"{where}: not a valid {kind.__name__} ({reasons})",
            "The file was changed or written by another version; run the command that makes it.",
        ) from error


def write_json(path: Place, value: object, *, schema: str, version: int) -> None:
    """Write a dataclass as a JSON artefact, atomically. Raises ArtefactError as the disk does."""
    write_text(path, json_text(value, schema=schema, version=version))


def json_text(value: object, *, schema: str, version: int) -> str:
    """A dataclass as the text of a JSON artefact."""
    plain = {"schema": schema, "schema_version": version, **to_plain(value)}
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Place, kind: type[T], *, schema: str, version: int, maker: str) -> T:
    """Read a JSON artefact that :func:`write_json` wrote.

    Args:
        maker: the command that makes the file, for the hint.

    Raises:
        ArtefactError: absent, not JSON, of another schema or version, or with other fields.
    """
    remake = f"Run `{maker}` to write it again."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtefactError(f"{path}: no such file", f"Run `{maker}` first.") from error
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path}: not valid JSON ({error})", remake) from error
    except OSError as error:
        raise disk_error(error, path) from error
    if not isinstance(data, dict) or data.pop("schema", None) != schema:
        raise ArtefactError(f"{path}: not a {schema} file", remake)
    found = data.pop("schema_version", None)
    if found != version:
        raise ArtefactError(
            f"{path}: schema version {found}, this c2f reads version {version}",
            f"{remake} (or use the c2f that wrote it)",
        )
    return from_plain(data, kind, str(path))
