"""One image at several resolutions, as the network sees it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from c2f_data.calibration import LevelResolution
from c2f_data.resample import Pixels, ResampleSpec, reduce, to_input

# Sides in pixels. A page shows a frame at 320 px or less; small inputs are stored without loss,
# because artefacts of JPEG would be larger than their details.
LARGEST_FRAME = 448
# Of the many that stand side by side.
SAMPLE_FRAME = 256
LOSSLESS_UP_TO = 128
JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Told:
    """One level's answer to an image.

    Attributes:
        level: its name.
        class_name: what the image was named.
        right: that is its class.
    """

    level: str
    class_name: str
    right: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """An image at one resolution.

    Attributes:
        level: the level that the resolution is for; empty where it is just one of those measured.
        class_name: the image's class at this level; empty where not known.
        resolution: shorter side in pixels that the image was reduced to; the image's own shorter
            side where it wasn't reduced.
        reduced: the image was larger than the level's resolution.
        side: side in pixels of the square that is stored.
        uri: data: URI, PNG or JPEG.
        native: shown as it is.
        answers: what the levels' classifiers named it, fine to coarse; empty where not known.
    """

    level: str
    class_name: str
    resolution: int
    reduced: bool
    side: int
    uri: str
    native: bool = False
    answers: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True)
class Strip:
    """One image at several resolutions, the highest first.

    Attributes:
        image_id: name of the image.
        height, width: of the original, in pixels.
        input_size: side in pixels of the network's input.
        missing: levels without a resolution, so without a frame.
        classes: names of its classes, fine to coarse; empty where they stand in the frames.
    """

    image_id: str
    height: int
    width: int
    input_size: int
    frames: tuple[Frame, ...]
    missing: tuple[str, ...]
    classes: tuple[str, ...] = ()


def make_strip(
    pixels: Pixels,
    levels: Sequence[LevelResolution],
    spec: ResampleSpec,
    *,
    image_id: str,
    classes: Sequence[str] = (),
) -> Strip:
    """Reduce one image to every level's resolution and bring it to the network's input.

    Args:
        pixels: (height, width, 3) uint8, the decoded image at native resolution.
        levels: coarse to fine, as in :attr:`RunReport.levels`; a level without a resolution that
            isn't native is left out.
        spec: the resampling chain of the calibration or run.
        image_id: for the caption.
        classes: names of the image's classes, in the order of ``levels``; may be empty.
    """
    height, width = pixels.shape[:2]
    names = classes or [""] * len(levels)
    pairs = list(zip(levels, names, strict=True))[::-1]
    return Strip(
        image_id=image_id,
        height=height,
        width=width,
        input_size=spec.crop,
        frames=tuple(
            _frame(pixels, level, name, spec)
            for level, name in pairs
            if level.native or level.resolution is not None
        ),
        missing=tuple(
            level.name for level, _ in pairs if not level.native and level.resolution is None
        ),
    )


def _frame(pixels: Pixels, level: LevelResolution, class_name: str, spec: ResampleSpec) -> Frame:
    native = level.native or level.resolution is None
    resolution = min(pixels.shape[:2]) if native or not level.resolution else level.resolution
    return make_frame(pixels, resolution, spec, level=level.name, class_name=class_name)


def make_frame(
    pixels: Pixels,
    resolution: int,
    spec: ResampleSpec,
    *,
    level: str = "",
    class_name: str = "",
    native: bool = False,
    answers: tuple[Told, ...] = (),
) -> Frame:
    """One image at one resolution, as the network sees it.

    Args:
        pixels: (height, width, 3) uint8, the decoded image at native resolution.
        resolution: shorter side in pixels; an image that is no larger stays as it is.
        spec: the resampling chain of the calibration or run.
    """
    seen = to_input(reduce(pixels, resolution, spec), spec)
    # Without noise and JPEG, which the reduction above has had already.
    largest = SAMPLE_FRAME if answers else LARGEST_FRAME
    shown = reduce(seen, largest, ResampleSpec())
    smallest = min(pixels.shape[:2])
    return Frame(
        level=level,
        class_name=class_name,
        resolution=min(resolution, smallest),
        reduced=resolution < smallest,
        side=shown.shape[0],
        uri=_data_uri(shown),
        native=native,
        answers=answers,
    )


def _data_uri(pixels: Pixels) -> str:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    kind = "png" if pixels.shape[0] <= LOSSLESS_UP_TO else "jpeg"
    if kind == "png":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
