"""What the writer and the reader ask of the place of shards, be it a folder or a URL."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from c2f_data.artefacts import disk_error, remove_leftovers
from c2f_data.lock import SameFolder
from c2f_data.storage import Place, Url


def listed_sizes(place: Place) -> Mapping[str, int] | None:
    """The size in bytes of every object at a URL, by one listing instead of a question a shard.

    None: a folder, whose files are asked one by one, which costs nothing.

    Raises:
        ArtefactError: the store refused.
    """
    if not isinstance(place, Url):
        return None
    try:
        return place.sizes()
    except OSError as error:
        raise disk_error(error, place) from error


def file_names(place: Place) -> list[str]:
    """Names of the files in a folder, or right at a URL."""
    if isinstance(place, Path):
        return [path.name for path in place.iterdir()]
    return [name for name in listed_sizes(place) or () if "/" not in name]


@contextmanager
def at_hand(place: Place, names: Sequence[str]) -> Iterator[Path]:
    """A local folder with these files of a place, as far as they exist there.

    Raises:
        ArtefactError: the store refused, or this machine's disk did (TMPDIR says where it is).
    """
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="c2f-shard-") as folder:
        try:
            for name in names:
                with suppress(FileNotFoundError):
                    (place / name).download(Path(folder) / name)
        except OSError as error:
            raise disk_error(error, place) from error
        yield Path(folder)


def clean_up(place: Place) -> None:
    """Delete what killed builds left; a store shows no unfinished objects."""
    if isinstance(place, Path):
        remove_leftovers(place)


def watch(place: Place) -> Callable[[], None]:
    """A check that a locked folder is still the same one (see :class:`SameFolder`)."""
    return SameFolder(place).check if isinstance(place, Path) else _nothing


def _nothing() -> None:
    """A URL can't be replaced by another one."""
