"""What an adapter is asked: which data set, where, under which hierarchy, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from c2f_data.taxonomy import Taxonomy

WHOLE = "none"
BOX = "bbox"
CROPS = (WHOLE, BOX)


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """A data set to read.

    Attributes:
        dataset: its name, for example ``cub``.
        root: folder or archive that the user gave.
        taxonomy: its hierarchy; it may name more classes where ``allow_partial``.
        allow_partial: accept fewer classes or images than the hierarchy or the official counts.
        crop: ``none``, or ``bbox``: every image is cut to its bounding box.
    """

    dataset: str
    root: Path
    taxonomy: Taxonomy
    allow_partial: bool = False
    crop: str = WHOLE
