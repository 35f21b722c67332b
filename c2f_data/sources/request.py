"""What an adapter is asked: which data set, where, under which hierarchy, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from c2f_data.errors import DataSetError
from c2f_data.storage import Place
from c2f_data.taxonomy import Taxonomy

if TYPE_CHECKING:
    from c2f_data.sources.listing import Listing

WHOLE = "none"
BOX = "bbox"
PARTS = "parts"
CROPS = (WHOLE, BOX, PARTS)
# What a data set must have for a crop.
NEEDED = {BOX: "bounding boxes", PARTS: "part locations"}
# What is left of an image after it.
LEFT = {BOX: "their bounding boxes", PARTS: "boxes around their visible parts"}


def annotated(crop: str | None) -> str:
    """What stands behind the name of a system whose images were cut; empty where they weren't."""
    return f", with {NEEDED[crop]}" if crop in NEEDED else ""


def other_images(trained: str | None, own: str | None) -> str | None:
    """That a model was trained on images of another crop than those at hand; None: it wasn't.

    Args:
        trained, own: crops; None: not known, which is like any.
    """
    if trained is None or own is None or trained == own:
        return None
    before, here = (f"cut to {LEFT[c]}" if c in LEFT else "whole" for c in (trained, own))
    return f"trained on images that were {before}, and these are {here}"


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """A data set to read.

    Attributes:
        dataset: its name, for example ``cub``.
        root: folder or archive that the user gave, or a URL.
        taxonomy: its hierarchy; it may name more classes where ``allow_partial``.
        allow_partial: accept fewer classes or images than the hierarchy or the official counts.
        crop: ``none``; ``bbox``: every image is cut to its bounding box; ``parts``: to a box around
            its visible parts.
        listing: the rows of a CSV that names the images; None: the root's layout tells.
    """

    dataset: str
    root: Place
    taxonomy: Taxonomy
    allow_partial: bool = False
    crop: str = WHOLE
    listing: Listing | None = None

    @property
    def folder(self) -> Path:
        """The root, of a data set that is on this machine's disks. Raises DataSetError at a URL."""
        if not isinstance(self.root, Path):
            raise without_listing(self.root)
        return self.root


def without_listing(root: Place) -> DataSetError:
    """The error for a data set at a URL whose images no table names."""
    return DataSetError(
        f"{root}: a data set at a URL needs a list of its images",
        "Give a CSV with the columns path, split and the class: --listing images.csv; "
        "or mount or copy the images, and give that folder: --root FOLDER.",
    )
