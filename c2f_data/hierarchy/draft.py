"""A draft of a class table for a folder of class folders: what the names say, and blanks to fill.

A wrong parent that looks right is worse than a blank, which the validator names by its line. So a
genus is guessed from a binomial only (``Picus_viridis``), and a binomial is told from a common name
in two words (``Herring_gull``) by the Latin endings of both words. Of the 182 two-word common names
of the birds in CUB-200-2011 this takes none for a binomial, of their 195 full binomials it knows
174; the others stay blank.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from c2f_data.errors import ConfigError, DataSetError
from c2f_data.hierarchy.formats import counted, rows_as_csv, visible
from c2f_data.sources.class_folders import TEST_NAMES
from c2f_data.sources.classes import is_image, some
from c2f_data.taxonomy import DEFAULT_LEVELS

_NUMBER = re.compile(r"\d+[._ -]+")
_BINOMIAL = re.compile(r"([A-Z][a-z]+)[_ ]([a-z]+)")
_LATIN_GENUS = re.compile(r".+(?:us|a|um|is|es|os|as|ys|ops|[aeiy]x|o|on|er|or)")
_LATIN_EPITHET = re.compile(
    r".+(?:us|a|um|is|ii?|ae|ens|ans|es|os|as|[aeiy]x|ops|color)|major|minor"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A table to complete.

    Attributes:
        root: the folder it was made for.
        levels: column names, coarse to fine.
        rows: one row a class, in the order of ``levels``; blank where nothing is known. The last
            cell is the folder's name as it is.
        guessed: how many rows have a genus that was guessed from the folder's name.
        layout: where the classes are, in words.
        warnings: what the user should know about this folder.
    """

    root: Path
    levels: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    guessed: int
    layout: str
    warnings: tuple[str, ...]

    @property
    def blanks(self) -> int:
        """Number of cells to fill."""
        return sum(not cell for row in self.rows for cell in row)

    def build_command(self, file: str) -> str:
        """The command that checks the completed table ``file``."""
        words = ["c2f", "build-hierarchy", visible(file)]
        if self.levels != DEFAULT_LEVELS:
            words += ["--levels", ",".join(self.levels)]
        return shlex.join(words)

    def text(self, file: str = "TABLE.csv") -> str:
        """The draft as CSV; its first lines start with ``#`` and say what to do.

        Args:
            file: its name, for the command in these lines.
        """
        # Without double quotes: a spreadsheet quotes a cell that has one when it saves the table,
        # and the line would no longer start with #.
        head = [
            f"Draft: one row for each class folder of {visible(str(self.root))}",
            f"{len(self.rows)} classes; {self.blanks} blanks to fill",
            f"Then run: {self.build_command(file)}",
        ]
        if self.guessed:
            genera = counted("genus", self.guessed)
            head.insert(2, f"{genera} guessed from the names of the folders: check them")
        comments = "".join(f"# {line.replace(chr(34), chr(39))}\n" for line in head)
        return comments + rows_as_csv(self.levels, self.rows)


def guess_genus(name: str) -> str:
    """The genus of a folder named by a binomial (a number before it is left out), else ``""``.

    ``001.Picus viridis`` and ``Picus_viridis`` give ``Picus``; ``Black_footed_Albatross``,
    ``Herring_gull`` and ``Sea lion`` give nothing.
    """
    parts = _BINOMIAL.fullmatch(_NUMBER.sub("", name, count=1) if name[:1].isdigit() else name)
    if parts is None:
        return ""
    genus, epithet = parts.groups()
    latin = _LATIN_GENUS.fullmatch(genus) and _LATIN_EPITHET.fullmatch(epithet)
    return genus if latin or genus.lower() == epithet else ""


def draft_table(root: Path, levels: Sequence[str] = DEFAULT_LEVELS) -> Draft:
    """Make a draft for ``ROOT/CLASS/*.jpg`` or ``ROOT/train/CLASS/*.jpg``.

    Folders inside folders count as genus and species (or as all levels) only where that is clear:
    no name twice, images at one depth alone, and either one folder for every level or species
    folders that start with the name of the folder they are in (``Picus/Picus_viridis``).

    Raises:
        ConfigError: fewer than two levels, or one twice.
        DataSetError: no folder, one that can't be read, or fewer than two class folders.
    """
    levels = tuple(levels)
    if len(levels) < 2 or len(set(levels)) < len(levels):
        raise ConfigError(
            f"a draft can't have the levels {', '.join(levels) or '(none)'}",
            "Name two or more, coarse to fine: --levels family,genus,species.",
        )
    bases = _bases(root)
    found = {place for base in bases for place in _image_folders(base)}
    if not any(found):
        raise DataSetError(
            f"{root}: no images in class folders",
            "Expected ROOT/CLASS/*.jpg, or ROOT/train/CLASS/*.jpg and ROOT/test/CLASS/*.jpg.",
        )
    nested = _is_nested(found, levels)
    classes = sorted(found if nested else {place[:1] for place in found if place})
    if len(classes) < 2:
        raise _lone_class(root, found)
    rows = [_row(place, levels) for place in classes]
    guessed = sum(guess for _, guess in rows)
    layout = "/".join(("ROOT", *(["train"] if bases != [root] else []), *_words(classes, levels)))
    warnings = tuple(_warnings(bases, found, classes))
    return Draft(root, levels, tuple(row for row, _ in rows), guessed, layout, warnings)


def _bases(root: Path) -> list[Path]:
    """The folders that hold class folders: those of the splits where there is a train folder."""
    below = {folder.name.lower(): folder for folder in _folders(root)}
    if "train" not in below:
        return [root]
    return [below[split] for split in ("train", *TEST_NAMES) if split in below]


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise _unreadable(error, parent) from error


def _unreadable(error: OSError, folder: Path) -> DataSetError:
    place = error.filename or folder
    return DataSetError(
        f"{place}: {error.strerror}", "Give a folder of class folders that can be read."
    )


def _lone_class(root: Path, found: set[tuple[str, ...]]) -> DataSetError:
    """Only one class: most often the folder that was given is too far up."""
    places = [place for place in found if place]
    parents = zip(*(place[:-1] for place in places), strict=False)
    shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, parents)]
    return DataSetError(
        f"{root}: only one class folder has images: {some([places[0][0]])}",
        f"Are the class folders those in it? --from-folder {root.joinpath(*shared)}"
        if shared
        else "A hierarchy needs two or more classes, each in a folder of its own.",
    )


def _image_folders(base: Path) -> Iterator[tuple[str, ...]]:
    """Folders with images of their own, as parts below ``base``; () is ``base`` itself."""

    def refuse(error: OSError) -> None:
        raise _unreadable(error, base)

    # os.walk stays out of linked folders, as the image loader does, but for the class folders.
    tops = [base / folder.name for folder in _folders(base)]
    if any(is_image(path) for path in base.iterdir()):
        yield ()
    for top in tops:
        for folder, below, files in os.walk(top, onerror=refuse):
            below[:] = [name for name in below if not name.startswith(".")]
            if any(is_image(Path(name)) for name in files):
                yield Path(folder).relative_to(base).parts


def _is_nested(found: set[tuple[str, ...]], levels: tuple[str, ...]) -> bool:
    """Whether the folders inside folders are clearly levels; see :func:`draft_table`."""
    depths = {len(place) for place in found}
    if len(depths) != 1 or min(depths) < 2:
        return False
    leaves = {place[-1] for place in found}
    tops = {place[0] for place in found}
    if len(leaves) < len(found) or len(tops) in (1, len(found)):
        return False
    named = all(re.match(rf"{re.escape(place[-2])}[_ ]", place[-1]) for place in found)
    return depths == {len(levels)} or (depths == {2} and levels[-2] == "genus" and named)


def _row(place: tuple[str, ...], levels: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """The cells of a class, and whether its genus is a guess."""
    cells = ("",) * (len(levels) - len(place)) + place
    if len(place) == 1 and "genus" in levels[:-1]:
        position, genus = levels.index("genus"), guess_genus(place[-1])
        return (*cells[:position], genus, *cells[position + 1 :]), bool(genus)
    return cells, False


def _words(classes: list[tuple[str, ...]], levels: tuple[str, ...]) -> tuple[str, ...]:
    return levels[-len(classes[0]) :] if len(classes[0]) > 1 else ("CLASS",)


def _warnings(
    bases: list[Path], found: set[tuple[str, ...]], classes: list[tuple[str, ...]]
) -> Iterator[str]:
    depth = len(classes[0])
    if depth > 1:
        yield (
            f"the class folders lie {depth} levels deep: c2f reads images from ROOT/CLASS, so move "
            "them up before `c2f calibrate`"
        )
    if () in found:
        yield "images outside of the class folders are left out"
    used = {place[0] for place in classes}
    empty = sorted({f.name for base in bases for f in _folders(base)} - used)
    if empty:
        yield f"no images in {len(empty)} folders, left out: {some(empty)}"
