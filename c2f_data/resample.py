"""Resolution, defined once: the one canonical resizer, and the sweep of resolutions.

A resolution r is the shorter side in pixels of the reduced image: aspect kept, never enlarged
above native, reduced straight from the full image by an antialiased filter on uint8, then degraded
where that is asked for (noise, JPEG). The reduced image is then enlarged to the network's input.
Every number that depends on this chain carries its :class:`ResampleSpec`.

This is the only file of c2f_data that knows torch: its antialiased uint8 kernel gives the same
bytes for every layout, batch and thread count, lies within two grey levels of Pillow's, and is
several times as fast. (Rows are filtered first, always; Pillow 13 filters columns first where the
height is over twice the width, and differs more there.) Pillow makes what torch has no kernel for,
and, when it is asked to, its own pixels exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from c2f_data.degrade import degrade
from c2f_data.errors import ConfigError
from c2f_data.resample_spec import Filter, Reduction
from c2f_data.resample_spec import ResampleSpec as ResampleSpec

Pixels = NDArray[np.uint8]

LOWEST_RESOLUTION = 2
DEFAULT_LOWEST = 12
# Below native resolution; 28 with it.
DEFAULT_POINTS = 27


def reduced_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """(height, width) at a resolution: shorter side exact, longer side rounded half up."""
    short, long = min(height, width), max(height, width)
    other = (2 * long * resolution + short) // (2 * short)
    return (resolution, other) if height <= width else (other, resolution)


def reduce(pixels: Pixels, resolution: int, spec: Reduction) -> Pixels:
    """Reduce an image to a resolution, and degrade it as the spec says.

    Args:
        pixels: (height, width, 3) uint8, at native resolution.
        resolution: shorter side in pixels; at or above native the image is returned untouched.
        spec: a reduction, or a whole chain.

    Returns:
        (h, w, 3) uint8 with min(h, w) = resolution.

    Raises:
        ImageError: the reduced image is too long for the JPEG that is asked for.
    """
    height, width = pixels.shape[:2]
    if resolution >= min(height, width):
        return pixels
    size = reduced_size(height, width, resolution)
    return degrade(_resize(pixels, size, spec, spec.filter), spec)


def reduce_all(pixels: Pixels, resolutions: Sequence[int], spec: Reduction) -> Iterator[Pixels]:
    """Every resolution of one decoded image, each straight from the full image."""
    for resolution in resolutions:
        yield reduce(pixels, resolution, spec)


def enlarged_size(height: int, width: int, spec: ResampleSpec) -> tuple[int, int]:
    """(height, width) of an image of this size when :func:`enlarge` has made it."""
    if spec.fit == "squash":
        return spec.enlarge_to, spec.enlarge_to
    return reduced_size(height, width, spec.enlarge_to)


def enlarge(pixels: Pixels, spec: ResampleSpec) -> Pixels:
    """Bring a reduced (or native) image to the side that the network's crop is taken from."""
    height, width = pixels.shape[:2]
    size = enlarged_size(height, width, spec)
    return pixels if size == (height, width) else _resize(pixels, size, spec, spec.input_filter)


def center_crop(pixels: Pixels, size: int) -> Pixels:
    """The middle (size, size, 3) square, rounded towards the upper left."""
    height, width = pixels.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return pixels[top : top + size, left : left + size]


def to_input(pixels: Pixels, spec: ResampleSpec) -> Pixels:
    """Enlarge and take the centre crop: (crop, crop, 3) uint8, what the network sees in a test."""
    return center_crop(enlarge(pixels, spec), spec.crop)


def _resize(pixels: Pixels, size: tuple[int, int], spec: Reduction, kernel: Filter) -> Pixels:
    if spec.engine == "pillow":
        height, width = size
        image = Image.fromarray(np.ascontiguousarray(pixels))
        return np.array(image.resize((width, height), Image.Resampling[kernel.upper()]))
    # (H, W, 3) memory is a channels_last (1, 3, H, W) tensor: no copy on the way in or out. The new
    # axis comes first: added last, it hides the layout from torch, which is far slower then.
    source = torch.from_numpy(np.ascontiguousarray(pixels))[None].permute(0, 3, 1, 2)
    resized = interpolate(source, size, mode=kernel, antialias=spec.antialias)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1)[0].numpy())


@dataclass(frozen=True, slots=True)
class ResolutionSweep:
    """The resolutions to measure, in pixels, strictly descending, below the network's cap.

    The untouched images are always measured first and are not part of the tuple.

    Raises:
        ConfigError: empty, not descending, or below 2 px.
    """

    resolutions: tuple[int, ...]

    def __post_init__(self) -> None:
        values = self.resolutions
        if not values:
            raise ConfigError(
                "the sweep is empty", "Give resolutions in pixels: --sweep 224,160,112."
            )
        for before, after in pairwise(values):
            if after >= before:
                raise ConfigError(
                    f"the sweep is not descending: {after} px follows {before} px",
                    "Give every resolution once, the highest first: --sweep 224,160,112.",
                )
        if values[-1] < LOWEST_RESOLUTION:
            raise ConfigError(
                f"the sweep goes down to {values[-1]} px",
                f"Stop at {LOWEST_RESOLUTION} px or above.",
            )

    @classmethod
    def geometric(
        cls, cap: int, *, lowest: int = DEFAULT_LOWEST, points: int = DEFAULT_POINTS
    ) -> ResolutionSweep:
        """About ``points`` resolutions in equal ratios below ``cap`` down to ``lowest`` pixels."""
        if lowest >= cap:
            raise ConfigError(
                f"images of {cap} px leave nothing to sweep above {lowest} px",
                "Use larger images or a larger --input-size.",
            )
        values = np.geomspace(cap, lowest, points + 1)[1:]
        whole = sorted({int(np.floor(v + 0.5)) for v in values if v < cap - 0.5}, reverse=True)
        return cls(tuple(whole))

    def check_cap(self, cap: int, why: str) -> None:
        """Refuse resolutions that the network's input can't show. Raises ConfigError."""
        above = [r for r in self.resolutions if r > cap]
        if above:
            raise ConfigError(
                f"the sweep starts at {above[0]} px, but {why} ends at {cap} px",
                f"Start at {cap} px or below, or raise --input-size if the images allow it.",
            )


def input_cap(native_sides: NDArray[np.int64], spec: ResampleSpec) -> int:
    """The highest resolution a sweep can see: min(median native shorter side, enlarged side)."""
    return int(min(int(np.median(native_sides)), spec.enlarge_to))


def limit_threads() -> None:
    """Let torch use one thread in this process: for workers, of which there is one a core."""
    torch.set_num_threads(1)
