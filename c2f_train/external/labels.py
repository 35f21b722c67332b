"""Which output of a classifier is which class of the data set: by name, never by position."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2f_data.errors import ConfigError
from c2f_data.sources.classes import Spellings, some
from c2f_data.taxonomy import Taxonomy

MOST_BYTES = 16 * 2**20


def read_labels(path: Path) -> tuple[str, ...]:
    """One class name a line, in the order of the scores; or a JSON list of names.

    Raises:
        ConfigError: unreadable, empty, a line without a name, or not a list of names.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: too large for a file of labels", "Check --labels.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", "Check --labels.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text", "Save the labels as UTF-8.") from error
    if path.suffix.lower() == ".json" or text.lstrip().startswith("["):
        return _from_json(path, text)
    names = [line.strip() for line in text.rstrip().splitlines()]
    if not any(names):
        raise ConfigError(f"{path}: no labels", "Write one class name a line.")
    if "" in names:
        # Skipping it would shift every later name by one output.
        raise ConfigError(
            f"{path}, line {names.index('') + 1}: no name",
            "Write one class name a line, in the order of the scores, without gaps.",
        )
    return tuple(names)


def _from_json(path: Path, text: str) -> tuple[str, ...]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON ({error})", "Correct the file.") from error
    if not isinstance(values, list) or not values:
        raise ConfigError(
            f"{path}: not a list of names", 'Write ["first class", "second class", ...].'
        )
    for number, value in enumerate(values):
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(
                f"{path}: entry {number} is {value!r}, not a name",
                'Write ["first class", "second class", ...], in the order of the scores.',
            )
    return tuple(value.strip() for value in values)


def match_labels(labels: Sequence[str], taxonomy: Taxonomy, owner: str) -> NDArray[np.int64]:
    """The output of each class, (classes,), found as the classes of a data set are.

    The exact name is tried first, then capitals, underscores, numbers before the name and the
    parent's name are let go. ImageNet's labels are lists of synonyms ("tench, Tinca tinca"): for
    a class that is still without an output, each of them counts.

    Raises:
        ConfigError: a class has no output, or several.
    """
    spellings = Spellings(taxonomy)
    outputs = _by_class([(o, spellings.rows(label)) for o, label in enumerate(labels)])
    synonyms = [
        (o, spellings.rows(part.strip()))
        for o, label in enumerate(labels)
        if "," in label
        for part in label.split(",")
    ]
    for row, found in _by_class(synonyms).items():
        outputs.setdefault(row, found)
    _check_complete(labels, outputs, taxonomy, owner)
    return np.asarray([outputs[row][0] for row in range(len(taxonomy.paths))], dtype=np.int64)


def _by_class(candidates: Sequence[tuple[int, Sequence[int]]]) -> dict[int, list[int]]:
    """Outputs by class; a label that may be several classes is none of them."""
    found: dict[int, list[int]] = {}
    for output, rows in candidates:
        if len(rows) == 1 and output not in found.setdefault(rows[0], []):
            found[rows[0]].append(output)
    return found


def _check_complete(
    labels: Sequence[str], outputs: Mapping[int, Sequence[int]], taxonomy: Taxonomy, owner: str
) -> None:
    names = taxonomy.names[-1]
    absent = [names[row] for row in range(len(names)) if row not in outputs]
    if absent:
        raise ConfigError(
            f"{owner}: no output for {len(absent)} of {len(names)} classes ({some(absent, 5)}); "
            f"its labels are {some(labels)}",
            "Give a file with the classes' names as the hierarchy spells them, in the order of "
            "the scores: --labels FILE.",
        )
    for row, found in outputs.items():
        if len(found) > 1:
            raise ConfigError(
                f"{owner}: outputs {found[0]} ({labels[found[0]]!r}) and {found[1]} "
                f"({labels[found[1]]!r}) are both the class {names[row]!r}",
                "Rename the label that means something else: --labels FILE.",
            )
