"""RandAugment (Cubuk et al. 2020) on uint8 images, where they lie: processor or GPU.

Two of fourteen operations, drawn anew for every image and epoch from (seed, epoch, position), so
that an epoch repeats wherever and in whatever order its images are loaded. On a GPU the floating
point operations may round differently: a grey level here and there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample

from c2f_train.config import TrainConfig

# Two operations an image, as in the paper's choice for ImageNet.
OPERATIONS = 2
# What the paper's tables give as the strongest of each kind, at magnitude 10.
ROTATION = math.radians(30)
SHEAR = 0.3
SHIFT = 0.45  # of the side
BLEND = 0.9
BITS = 4
# Enters from outside the image: the middle of the scale.
OUTSIDE = 128.0
_STREAM = 0xA06  # keeps these draws apart from those of the crop

Change = Callable[[Tensor, tuple[int, int, int]], Tensor]
Operation = Callable[[Tensor, float], Tensor]


def augmentation(config: TrainConfig) -> Change | None:
    """What happens to a crop before it goes to the network; None: nothing."""
    if config.augment == "crop":
        return None
    return RandAugment(config.magnitude)


class RandAugment:
    """Two random operations of one strength.

    Args:
        magnitude: 0 to 10.
    """

    def __init__(self, magnitude: float) -> None:
        self._share = magnitude / 10

    def __call__(self, image: Tensor, key: tuple[int, int, int]) -> Tensor:
        """(H, W, 3) uint8 to the same.

        Args:
            key: (seed, epoch, position), all that is drawn depends on.
        """
        random = np.random.default_rng((*key, _STREAM))
        planes = image.permute(2, 0, 1)
        for chosen in random.integers(len(OPERATIONS_BY_NAME), size=OPERATIONS):
            sign = 1.0 if random.random() < 0.5 else -1.0
            planes = tuple(OPERATIONS_BY_NAME.values())[int(chosen)](planes, sign * self._share)
        return planes.permute(1, 2, 0)


def _same(x: Tensor, _: float) -> Tensor:
    return x


def _back(x: Tensor) -> Tensor:
    """Grey levels as numbers to uint8."""
    return x.round().clamp_(0, 255).to(torch.uint8)


def _blended(x: Tensor, plain: Tensor, strength: float) -> Tensor:
    """Towards ``plain``, or away from it where the strength is positive."""
    return _back(plain + (1 + BLEND * strength) * (x.float() - plain))


def _grey(x: Tensor) -> Tensor:
    """(1, H, W) luma, ITU-R 601."""
    weights = x.new_tensor((0.299, 0.587, 0.114), dtype=torch.float32)
    return (weights[:, None, None] * x).sum(dim=0, keepdim=True)


def _brightness(x: Tensor, strength: float) -> Tensor:
    return _blended(x, torch.zeros((), device=x.device), strength)


def _colour(x: Tensor, strength: float) -> Tensor:
    return _blended(x, _grey(x), strength)


def _contrast(x: Tensor, strength: float) -> Tensor:
    return _blended(x, _grey(x).mean(), strength)


def _sharpness(x: Tensor, strength: float) -> Tensor:
    """Against the image smoothed by a 3 x 3 kernel; the border stays, as in Pillow."""
    kernel = torch.ones(3, 3, device=x.device)
    kernel[1, 1] = 5
    kernel /= kernel.sum()
    numbers = x.float()
    smooth = numbers.clone()
    if min(x.shape[1:]) > 2:
        smooth[:, 1:-1, 1:-1] = conv2d(numbers[:, None], kernel[None, None])[:, 0]
    return _blended(x, smooth, strength)


def _posterize(x: Tensor, strength: float) -> Tensor:
    kept = 8 - round(BITS * abs(strength))
    return x & (0xFF << (8 - kept) & 0xFF)


def _solarize(x: Tensor, strength: float) -> Tensor:
    # As a tensor of its own: 256 does not fit into uint8, where nothing is inverted.
    threshold = 256 * (1 - abs(strength))
    return torch.where(x.float() >= threshold, 255 - x, x)


def _autocontrast(x: Tensor, _: float) -> Tensor:
    """Each channel stretched to the whole scale; a flat one stays."""
    low = x.amin(dim=(1, 2), keepdim=True).float()
    high = x.amax(dim=(1, 2), keepdim=True).float()
    room = high - low
    stretched = (x.float() - low) * (255 / room.clamp(min=1))
    return torch.where(room > 0, _back(stretched), x)


def _equalize(x: Tensor, _: float) -> Tensor:
    """Each channel's histogram made flat, as Pillow does; nothing is read back from the device."""
    values = x.flatten(1).long()
    counts = torch.zeros(3, 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(1, values, torch.ones_like(values))
    last = counts.gather(1, values.amax(dim=1, keepdim=True))
    step = (values.shape[1] - last) // 255
    table = (counts.cumsum(1) - counts + step // 2) // step.clamp(min=1)
    mapped = table.clamp_(0, 255).gather(1, values).view(x.shape).to(torch.uint8)
    return torch.where(step[:, :, None] > 0, mapped, x)


def _moved(x: Tensor, matrix: list[list[float]]) -> Tensor:
    """Resampled; the matrix takes places in the new image, -1 to 1, to places in the old one."""
    theta = torch.tensor([matrix], device=x.device)
    grid = affine_grid(theta, [1, *x.shape], align_corners=False)
    shifted = grid_sample((x.float() - OUTSIDE)[None], grid, align_corners=False)
    return _back(shifted[0] + OUTSIDE)


def _rotate(x: Tensor, strength: float) -> Tensor:
    cosine, sine = math.cos(ROTATION * strength), math.sin(ROTATION * strength)
    return _moved(x, [[cosine, -sine, 0.0], [sine, cosine, 0.0]])


def _shear_x(x: Tensor, strength: float) -> Tensor:
    return _moved(x, [[1.0, SHEAR * strength, 0.0], [0.0, 1.0, 0.0]])


def _shear_y(x: Tensor, strength: float) -> Tensor:
    return _moved(x, [[1.0, 0.0, 0.0], [SHEAR * strength, 1.0, 0.0]])


def _shift_x(x: Tensor, strength: float) -> Tensor:
    return _moved(x, [[1.0, 0.0, 2 * SHIFT * strength], [0.0, 1.0, 0.0]])


def _shift_y(x: Tensor, strength: float) -> Tensor:
    return _moved(x, [[1.0, 0.0, 0.0], [0.0, 1.0, 2 * SHIFT * strength]])


OPERATIONS_BY_NAME: dict[str, Operation] = {
    "identity": _same,
    "shear x": _shear_x,
    "shear y": _shear_y,
    "shift x": _shift_x,
    "shift y": _shift_y,
    "rotate": _rotate,
    "brightness": _brightness,
    "colour": _colour,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
