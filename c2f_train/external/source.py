"""What every kind of classifier is brought to: a module from uint8 images to scores."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from c2f_data.errors import ConfigError

DEFAULT_SIDE = 224


@dataclass(frozen=True)
class Source:
    """A classifier as it was read, not yet checked.

    Attributes:
        network: (B, 3, H, W) uint8 RGB to (B, outputs) scores.
        name: what it is called in a report.
        origin: where its weights came from, in words.
        content: SHA-256 of what was read.
        side: side in pixels of the images that it expects; None: any.
        fixed_side: the network takes no other side.
        enlarged: side that images are brought to before the crop; None: c2f's 8/7 of the crop.
        batch: images that it takes at once; None: any number.
        labels: names of its outputs, where it carries them.
        partial_content: ``content`` does not cover everything that its answers depend on.
        notes: what the user should know.
    """

    network: nn.Module
    name: str
    origin: str
    content: str
    side: int | None = None
    fixed_side: bool = False
    enlarged: int | None = None
    batch: int | None = None
    labels: tuple[str, ...] | None = None
    partial_content: bool = False
    notes: tuple[str, ...] = ()


def first_line(error: BaseException) -> str:
    """The first line of a library's error, for a message of one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def square(sides: tuple[int | None, int | None], owner: str) -> int | None:
    """The side of a square input; None where the network leaves it open.

    Raises:
        ConfigError: the network wants height and width to differ, or is odd about one of them.
    """
    height, width = sides
    if height is not None and width is not None and height != width:
        raise ConfigError(
            f"{owner} takes images of {width} x {height} px",
            "c2f gives a classifier squares: export it for a square input.",
        )
    return height if height is not None else width
