"""From resolution to distance: how far from a camera an object is at a given resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from c2f_data.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that looks at an object, as a pinhole.

    An object of S metres at d metres covers f S / d pixels, where f is what one metre covers at a
    distance of one metre (the focal length in pixels). In an image of resolution r (shorter side
    in pixels) whose subject fills the share s of that side, it covers s r pixels. Both are the
    same picture where

        d = f S / (s r).

    So half the resolution is twice the distance. The formula holds where the object is small
    against its distance.

    Attributes:
        pixels_per_metre: f, pixels that one metre covers at a distance of one metre.
        object_metres: S, the object's size in metres, along the shorter side of the images.
        share: s, how much of the shorter side the subject fills in the images, in (0, 1].

    Raises:
        ConfigError: (here and in both methods) a number that is not positive and finite, or a
            share above 1.
    """

    pixels_per_metre: float
    object_metres: float
    share: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("pixels per metre", self.pixels_per_metre)
        _check_positive("an object's size in metres", self.object_metres)
        _check_positive("the subject's share of the image", self.share)
        if self.share > 1:
            raise ConfigError(
                f"the subject's share of the image: {self.share:g}",
                "Give a share of at most 1: 0.5 where it fills half of the shorter side.",
            )

    def distance(self, resolution: float) -> float:
        """Distance in metres at which the object is as large as in an image of ``resolution``."""
        _check_positive("a resolution in pixels", resolution)
        return self.pixels_per_metre * self.object_metres / (self.share * resolution)

    def told_at(self, upper: int | None, resolution: int) -> float:
        """Distance in metres up to which a level is told, given its crossing's bracket.

        At ``upper`` accuracy was still at or above its threshold; where there is no such point,
        ``resolution`` has to do.
        """
        return self.distance(resolution if upper is None else upper)

    def resolution(self, distance: float) -> float:
        """Resolution in pixels, not rounded, of an image that shows the object as this camera does.

        Args:
            distance: to the object, in metres.
        """
        _check_positive("a distance in metres", distance)
        return self.pixels_per_metre * self.object_metres / (self.share * distance)


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{what}: {value:g}", "Give a number above 0.")
