"""Check a set of shards down to the last byte, and say what is wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import sha256_file
from c2f_data.errors import ArtefactError
from c2f_data.shards.head import Head, check_image, check_size, decode_image, read_head
from c2f_data.shards.manifest import ShardEntry, ShardManifest, read_manifest

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong.

    Attributes:
        file: name of the file in the folder.
        what: in words.
        images: ids of the images that are known to be damaged, each with its level.
    """

    file: str
    what: str
    images: tuple[str, ...] = ()


def verify(
    folder: Path, *, decode: bool = False, progress: Progress | None = None
) -> list[Problem]:
    """Check every shard: there, of its size, SHA-256, schema, offsets, labels; images if asked.

    Args:
        decode: also decode every image at every level and compare its size (slow).
        progress: called with images done and images in all.

    Returns:
        The problems, in the order of the manifest; empty: all is well.

    Raises:
        ArtefactError: the manifest is absent, damaged, or of another schema version.
    """
    manifest = read_manifest(folder)
    total = sum(manifest.images.values())
    done = 0
    problems = []
    for entry in manifest.shards:
        problems += list(_check_shard(folder, manifest, entry, decode=decode))
        done += entry.images
        if progress:
            progress(done, total)
    return problems


def _check_shard(
    folder: Path, manifest: ShardManifest, entry: ShardEntry, *, decode: bool
) -> Iterator[Problem]:
    path = folder / entry.file
    try:
        check_size(path, entry)
        whole = sha256_file(path) == entry.sha256
        head = read_head(folder, manifest, entry)
        images = () if whole and not decode else tuple(_damaged_images(head, decode=decode))
    except OSError as error:
        yield Problem(entry.file, error.strerror or str(error))
        return
    except ArtefactError as error:
        yield Problem(entry.file, error.message.removeprefix(f"{path}: "))
        return
    codes = manifest.taxonomy.codes
    if (codes[head.labels[:, -1]] != head.labels).any():
        yield Problem(entry.file, "labels of one image contradict the hierarchy")
    if not whole:
        yield Problem(entry.file, f"its SHA-256 differs; {_counted(images)} damaged", images)
    elif images:
        yield Problem(entry.file, f"{_counted(images)} damaged", images)


def _damaged_images(head: Head, *, decode: bool) -> Iterator[str]:
    with head.path.open("rb") as file:
        for level, column in head.columns.items():
            file.seek(column.start)
            for row, length in enumerate((column.offsets[1:] - column.offsets[:-1]).tolist()):
                data = file.read(length)
                try:
                    check_image(head, row, level, data)
                    if decode:
                        decode_image(head, row, level, data)
                except ArtefactError:
                    yield f"{head.image_ids[row]} ({level})"


def _counted(images: tuple[str, ...], most: int = 3) -> str:
    shown = ", ".join(images[:most]) + (", ..." if len(images) > most else "")
    return (
        f"{len(images)} image{'' if len(images) == 1 else 's'} ({shown})" if images else "no image"
    )
