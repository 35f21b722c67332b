"""One image at each level's resolution, as the network sees it."""

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
LOSSLESS_UP_TO = 128
JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Frame:
    """An image at one level's resolution.

    Attributes:
        level: its name.
        class_name: the image's class at this level; empty where not known.
        resolution: shorter side in pixels that the image was reduced to; the image's own shorter
            side where it wasn't reduced.
        reduced: the image was larger than the level's resolution.
        side: side in pixels of the square that is stored.
        uri: data: URI, PNG or JPEG.
    """

    level: str
    class_name: str
    resolution: int
    reduced: bool
    side: int
    uri: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One image at every level's resolution, fine to coarse.

    Attributes:
        image_id: name of the image.
        height, width: of the original, in pixels.
        input_size: side in pixels of the network's input.
        missing: levels without a resolution, so without a frame.
    """

    image_id: str
    height: int
    width: int
    input_size: int
    frames: tuple[Frame, ...]
    missing: tuple[str, ...]


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
    native = min(pixels.shape[:2])
    resolution = native if level.native or level.resolution is None else level.resolution
    seen = to_input(reduce(pixels, resolution, spec), spec)
    # Without noise and JPEG, which the reduction above has had already.
    shown = reduce(seen, LARGEST_FRAME, ResampleSpec())
    return Frame(
        level=level.name,
        class_name=class_name,
        resolution=min(resolution, native),
        reduced=resolution < native,
        side=shown.shape[0],
        uri=_data_uri(shown),
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
