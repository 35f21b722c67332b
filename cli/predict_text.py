"""What ``c2f predict`` prints: an image a line, a CSV row, or an entry of one JSON object."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import click

from c2f_data.artefacts import to_plain

from .evaluate_text import shown

if TYPE_CHECKING:
    from c2f_train.predict import Failure, Prediction


class Writer(Protocol):
    """Prints answers as they come."""

    def answer(self, prediction: Prediction) -> None:
        """One image."""

    def finish(self, failed: Sequence[Failure], *, whole: bool) -> None:
        """After the last one; ``whole``: it was not interrupted."""


class Lines:
    """For people: the path with its probabilities; why it ends there; warnings."""

    def answer(self, prediction: Prediction) -> None:
        """One image."""
        named = [f"{shown(n.name)} {_percent(n.confidence)}" for n in prediction.path]
        resolution = prediction.resolution
        pixels = f"{resolution.usable} px"
        if resolution.usable != resolution.native:
            pixels += f" of {resolution.native}"
        said = " > ".join(named) or "no answer"
        click.echo(f"{shown(prediction.image)} ({pixels}): {said}")
        if prediction.stop != "finest level":
            click.echo(f"  {shown(prediction.why)}")
        for warning in prediction.warnings:
            click.echo(f"  {shown(warning)}")

    def finish(self, failed: Sequence[Failure], *, whole: bool) -> None:
        """Nothing is left to be printed."""


class Rows:
    """CSV with a header: three columns a level, empty where it is not named.

    Args:
        levels: coarse to fine.
    """

    FIRST = ("image", "height", "width", "native_px", "effective_px", "usable_px", "allowed")
    LAST = ("level", "answer", "confidence", "stop", "why", "warnings")

    def __init__(self, levels: Sequence[str]) -> None:
        self._levels = tuple(levels)
        each = [f"{level}{part}" for level in levels for part in ("", "_confidence", "_top")]
        self._write((*self.FIRST, *each, *self.LAST))

    def answer(self, prediction: Prediction) -> None:
        """One image."""
        resolution = prediction.resolution
        named = {node.level: node for node in prediction.path}
        tops = {each.level: each.top for each in prediction.levels}
        row: list[object] = [
            prediction.image,
            prediction.height,
            prediction.width,
            resolution.native,
            "" if resolution.effective is None else resolution.effective,
            resolution.usable,
            prediction.allowed,
        ]
        for level in self._levels:
            node = named.get(level)
            row += [node.name, f"{node.confidence:.6f}"] if node else ["", ""]
            row.append("; ".join(f"{n.name} {n.confidence:.4f}" for n in tops.get(level, ())))
        last = prediction.answer
        row += [last.level, last.name, f"{last.confidence:.6f}"] if last else ["", "", ""]
        self._write((*row, prediction.stop, prediction.why, "; ".join(prediction.warnings)))

    def finish(self, failed: Sequence[Failure], *, whole: bool) -> None:
        """Nothing is left to be printed."""

    def _write(self, row: Sequence[object]) -> None:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(row)
        click.echo(buffer.getvalue(), nl=False)


class Json:
    """One object, printed piece by piece: valid when it is finished, interrupted or not."""

    def __init__(self, head: dict[str, object]) -> None:
        text = json.dumps(to_plain(head), indent=2, ensure_ascii=False)
        click.echo(text[:-2] + ',\n  "images": [', nl=False)
        self._count = 0

    def answer(self, prediction: Prediction) -> None:
        """One image."""
        text = json.dumps(to_plain(prediction), indent=2, ensure_ascii=False)
        click.echo(("," if self._count else "") + "\n" + textwrap.indent(text, "    "), nl=False)
        self._count += 1

    def finish(self, failed: Sequence[Failure], *, whole: bool) -> None:
        """The rest of the object."""
        rest = {"count": self._count, "failed": list(failed), "complete": whole}
        text = json.dumps(to_plain(rest), indent=2, ensure_ascii=False)
        end = "\n  ]" if self._count else "]"
        click.echo(f"{end},{text[1:]}")


def _percent(share: float) -> str:
    # Never more than there is: 0.9996 is not 100 %.
    return f"{int(1000 * share) / 10:.1f} %"
