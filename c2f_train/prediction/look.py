"""From whatever an image comes as to its pixels and their usable resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.decode import decode_bytes, decode_file, decode_pillow
from c2f_data.effective_resolution import effective_resolution
from c2f_data.errors import ImageError
from c2f_data.resample import Pixels, reduce
from c2f_data.resample_spec import ResampleSpec
from c2f_train.prediction.result import UsableResolution

# Shorter side in pixels of what an image resolves; None: all that it has.
Effective = Callable[[Pixels], int | None]
ImageLike = str | PathLike[str] | bytes | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """An image as it is judged, without its pixels.

    Attributes:
        height, width: in pixels, of the image as it came, upright.
        warnings: one line each.
    """

    name: str
    height: int
    width: int
    resolution: UsableResolution
    warnings: tuple[str, ...]


def pixels_of(image: ImageLike, name: str) -> Pixels:
    """(height, width, 3) uint8, upright RGB, decoded as everywhere in c2f.

    Args:
        image: a path, an encoded file's bytes, a Pillow image, or a uint8 array (height, width),
            (height, width, 3) or (height, width, 4) in the order R, G, B, alpha.

    Raises:
        ImageError: it can't be decoded, is absurdly large, or is none of these.
    """
    if isinstance(image, bytes):
        return decode_bytes(image, name).pixels
    if isinstance(image, (str, PathLike)):
        return decode_file(Path(image)).pixels
    if isinstance(image, Image.Image):
        return decode_pillow(image, name)
    return _of_array(image, name)


def _of_array(image: object, name: str) -> Pixels:
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"{name}: {type(image).__name__} is no image",
            "Give a path, an encoded file's bytes, a Pillow image or a uint8 array.",
        )
    shape = image.shape
    if image.dtype != np.uint8 or not (
        (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))) and 0 not in shape
    ):
        raise ImageError(
            f"{name}: an array of {image.dtype}, {' x '.join(map(str, shape))}",
            "Give uint8, height x width, height x width x 3 (RGB) or x 4 (RGB and alpha).",
        )
    return decode_pillow(Image.fromarray(image), name)


def is_one(images: object) -> bool:
    """Whether this is one image, and not several."""
    if isinstance(images, np.ndarray):
        return images.ndim < 4
    return isinstance(images, (str, bytes)) or not isinstance(images, Iterable)


def name_of(image: object, number: int) -> str:
    """A path, or ``image 3``. Args: number: counted from 1."""
    return str(image) if isinstance(image, (str, PathLike)) else f"image {number}"


def resolved(pixels: Pixels) -> int | None:
    """What is resolved, where an image was clearly enlarged or blurred; None: all of it."""
    found = effective_resolution(pixels)
    return found.resolution if found.less else None


def look(
    pixels: Pixels,
    name: str,
    spec: ResampleSpec,
    given: int | None,
    effective: Effective,
) -> tuple[Look, Pixels]:
    """Decide how many pixels of an image are to be believed.

    Args:
        given: shorter side in pixels that the caller wants the image judged at; None: its own.
        effective: estimates what is resolved where that is less than the image's side.

    Returns:
        What was decided, and the pixels that are judged: reduced where ``given`` is less.
    """
    height, width = pixels.shape[:2]
    native = min(height, width)
    warnings: tuple[str, ...] = ()
    found = None
    if given is not None:
        usable = min(given, native)
        if given > native:
            warnings = (f"{native} px and not {given}: an image is never taken for larger",)
        pixels = reduce(pixels, usable, spec)
    else:
        found = effective(pixels)
        usable = native if found is None else found
        if found is not None:
            warnings = (
                f"enlarged or blurred: about {found} of its {native} px are resolved, and it is "
                "trusted no further",
            )
    resolution = UsableResolution(native, found, given, usable)
    return Look(name, height, width, resolution, warnings), pixels
