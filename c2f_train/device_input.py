"""The network's input, made where the network is: images are enlarged and cropped on a GPU.

They are reduced on the processor, always, by the one canonical resizer; a reduced image is also
smaller to send. A GPU's own kernel would enlarge in floating point, and its pixels would be a grey
level off here and there. So this repeats torch's uint8 kernel (ATen/native/cpu/UpSampleKernel.cpp:
one direction after the other, weights as 16-bit integers, rounded to uint8 after each) in integer
arithmetic, which is the same on every device: the pixels are those of
:func:`c2f_data.resample.to_input`, bit for bit. Should a torch come whose kernel differs, that is
noticed, and the processor does all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.resample import Pixels, ResampleSpec, enlarge, enlarged_size, to_input
from c2f_data.resample_spec import Filter
from c2f_train.inference import to_device

# The largest weight stays below 2^15 and has at most so many binary places.
WEIGHT_LIMIT = 1 << 15
MOST_PLACES = 22
# Half-width of a kernel that enlarges, in pixels of the smaller image.
SUPPORT: dict[Filter, float] = {"bicubic": 2.0, "bilinear": 1.0}


class NetworkInput(Protocol):
    """Makes what a network sees in a test of reduced (or native) images."""

    def prepare(self, pixels: Pixels) -> Pixels:
        """The processor's part, (height, width, 3) uint8 to the same; several threads may ask."""

    def batch(self, prepared: Sequence[Pixels]) -> Tensor:
        """(B, 3, crop, crop) uint8 on the device, channels last in memory."""


def network_input(spec: ResampleSpec, device: torch.device) -> NetworkInput:
    """On a CUDA device images are enlarged there, where that gives the same pixels."""
    if device.type == "cuda" and spec.engine == "torch uint8" and gives_the_same(spec, device):
        return DeviceInput(spec, device)
    return HostInput(spec, device)


@dataclass(frozen=True)
class HostInput:
    """All of it on the processor."""

    spec: ResampleSpec
    device: torch.device

    def prepare(self, pixels: Pixels) -> Pixels:
        """Enlarge and crop: (crop, crop, 3)."""
        return np.ascontiguousarray(to_input(pixels, self.spec))

    def batch(self, prepared: Sequence[Pixels]) -> Tensor:
        """Stack and send."""
        return to_device(torch.from_numpy(np.stack(prepared)).movedim(-1, -3), self.device)


@dataclass(frozen=True)
class DeviceInput:
    """Enlarging and cropping on the device; the results are those of :class:`HostInput`.

    An image that is larger than what the crop is taken from has to be made smaller, which is a
    reduction, and stays on the processor.
    """

    spec: ResampleSpec
    device: torch.device

    def prepare(self, pixels: Pixels) -> Pixels:
        """Nothing, unless the image has to be made smaller."""
        height, width = pixels.shape[:2]
        high, wide = enlarged_size(height, width, self.spec)
        grows = height <= high and width <= wide
        return np.ascontiguousarray(pixels if grows else enlarge(pixels, self.spec))

    def batch(self, prepared: Sequence[Pixels]) -> Tensor:
        """Send, then enlarge and crop all images of one size at once."""
        crop = self.spec.crop
        made = torch.empty((len(prepared), crop, crop, 3), dtype=torch.uint8, device=self.device)
        for size in dict.fromkeys(pixels.shape for pixels in prepared):
            rows = [i for i, pixels in enumerate(prepared) if pixels.shape == size]
            images = torch.from_numpy(np.stack([prepared[i] for i in rows])).to(self.device)
            made[torch.tensor(rows, device=self.device)] = self._enlarged(images)
        return made.permute(0, 3, 1, 2)

    def _enlarged(self, images: Tensor) -> Tensor:
        """(B, height, width, 3) uint8 to (B, crop, crop, 3)."""
        before = images.shape[1], images.shape[2]
        after = enlarged_size(*before, self.spec)
        for axis in (1, 0):  # within rows first, then across them
            taps = _taps(before[axis], after[axis], self.spec.crop, self.spec.input_filter)
            images = _along(images, axis + 1, taps)
        return images


@dataclass(frozen=True)
class _Taps:
    """What each pixel of a crop is made of, along one direction.

    Attributes:
        sources: (crop, k) positions in the smaller image; those of weight 0 are any.
        weights: (crop, k) integers: the weights times 2^places.
    """

    sources: NDArray[np.int64]
    weights: NDArray[np.int32]
    places: int


@lru_cache(maxsize=256)
def _taps(before: int, after: int, crop: int, kernel: Filter) -> _Taps:
    """Of the centre crop of a side that grows from ``before`` to ``after`` pixels."""
    start = (after - crop) // 2
    if before == after:
        return _Taps(np.arange(start, start + crop)[:, None], np.ones((crop, 1), np.int32), 0)
    support, scale = SUPPORT[kernel], before / after
    centres = scale * (np.arange(after) + 0.5)
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + support + 0.5).astype(np.int64), before)
    sources = first[:, None] + np.arange(2 * math.ceil(support) + 1)
    weights = _kernel(sources - centres[:, None] + 0.5, kernel)
    weights[sources >= last[:, None]] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    places, largest = 0, float(weights.max())
    while places < MOST_PLACES and int(0.5 + largest * (1 << (places + 1))) < WEIGHT_LIMIT:
        places += 1
    scaled = weights * (1 << places)
    whole = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int32)
    chosen = slice(start, start + crop)
    return _Taps(np.minimum(sources, before - 1)[chosen], whole[chosen], places)


def _kernel(x: NDArray[np.float64], kernel: Filter) -> NDArray[np.float64]:
    """A triangle, or Keys' cubic with a = -0.5."""
    x = np.abs(x)
    if kernel == "bilinear":
        return np.maximum(1.0 - x, 0.0)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((x - 5) * x + 8) * x * -0.5 + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _along(images: Tensor, axis: int, taps: _Taps) -> Tensor:
    """(B, height, width, 3) uint8, one direction of which becomes the crop's."""
    if taps.places == 0:
        return images.index_select(axis, _on(images.device, taps.sources[:, 0]))
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    total = None
    for sources, weights in zip(taps.sources.T, taps.weights.T, strict=True):
        own = images.index_select(axis, _on(images.device, sources)).to(torch.int32)
        own *= _on(images.device, weights).view(shape)
        total = own if total is None else total.add_(own)
    assert total is not None
    total += 1 << (taps.places - 1)
    return total.bitwise_right_shift_(taps.places).clamp_(0, 255).to(torch.uint8)


def _on(device: torch.device, values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


@cache
def gives_the_same(spec: ResampleSpec, device: torch.device) -> bool:
    """Whether this torch's pixels are repeated bit for bit: tried on one picture of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    mine = DeviceInput(spec, device).batch([noise])[0].permute(1, 2, 0).cpu().numpy()
    return np.array_equal(mine, to_input(noise, spec))
