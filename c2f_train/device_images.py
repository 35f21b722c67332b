"""Training images that stay on the device: decoded and enlarged once, cropped and mirrored there.

A batch then costs the processor nothing but the drawing of its cuts. The pixels are those that
:class:`~c2f_train.data.TrainingImages` gives, bit for bit where they are not augmented further.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.resample import Pixels, ResampleSpec, enlarge, enlarged_size
from c2f_train.data import Cut, Pictures, TrainingImages
from c2f_train.loader import loader
from c2f_train.progress import Progress

# Of the device's free memory; the rest is for the training.
SHARE = 1 / 3


class DeviceImages:
    """All training images of a level, enlarged, on a device.

    They lie one after another in one buffer, because their sizes differ.

    Args:
        images: where the pixels and the draws come from.
        sizes: (n, 2) height and width of the enlarged images, see :func:`enlarged_sizes`.
        workers: threads that decode.
    """

    def __init__(
        self,
        images: TrainingImages,
        sizes: NDArray[np.int64],
        device: torch.device,
        workers: int,
        progress: Progress,
        what: str,
    ) -> None:
        self._seed, self._crop, self._change = images.seed, images.spec.crop, images.change
        self._sizes: list[tuple[int, int]] = [(int(h), int(w)) for h, w in sizes]
        self._starts = [0, *np.cumsum(3 * sizes.prod(axis=1)).tolist()]
        self._buffer = torch.empty(self._starts[-1], dtype=torch.uint8, device=device)
        whole = _Enlarged(images.pictures, images.spec)
        with progress.task(what, len(whole)) as task:
            for batch, number in loader(whole, 1, workers):
                self._image(int(number)).copy_(batch[0].permute(1, 2, 0), non_blocking=True)
                task.advance()

    def __len__(self) -> int:
        return len(self._sizes)

    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """The images of (epoch, position) keys.

        Returns:
            (B, 3, crop, crop) uint8 on the device, channels last in memory, and the (B,) positions
            on the CPU.
        """
        size = self._crop
        rows = self._buffer.new_empty((len(keys), size, size, 3))
        for row, (epoch, position) in zip(rows, keys, strict=True):
            key = (self._seed, epoch, position)
            cut = Cut.draw(key, self._sizes[position], size)
            crop = self._image(position)[cut.top : cut.top + size, cut.left : cut.left + size]
            crop = crop.flip(1) if cut.mirrored else crop
            row.copy_(crop if self._change is None else self._change(crop, key))
        return rows.permute(0, 3, 1, 2), torch.tensor([position for _, position in keys])

    def _image(self, position: int) -> Tensor:
        """(height, width, 3) of the buffer."""
        height, width = self._sizes[position]
        return self._buffer[self._starts[position] : self._starts[position + 1]].view(
            height, width, 3
        )


class _Enlarged:
    """Whole enlarged images and their positions."""

    def __init__(self, pictures: Pictures, spec: ResampleSpec) -> None:
        self._pictures, self._spec = pictures, spec

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, position: int) -> tuple[Pixels, int]:
        return enlarge(self._pictures.pixels(position), self._spec), position


def enlarged_sizes(sizes: NDArray[np.int64], spec: ResampleSpec) -> NDArray[np.int64]:
    """(n, 2) height and width of images of these sizes when they are enlarged."""
    return np.array([enlarged_size(int(h), int(w), spec) for h, w in sizes], np.int64).reshape(
        -1, 2
    )


def room_on(device: torch.device) -> int:
    """Bytes that images may take on a device; 0 where it is no more than the processor's memory."""
    if device.type != "cuda":
        return 0
    # What torch holds without using it counts as free.
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info(device)[0] * SHARE)


def keep_on_device(
    images: Sequence[TrainingImages],
    sizes: Sequence[NDArray[np.int64]],
    names: Sequence[str],
    device: torch.device,
    workers: int,
    progress: Progress,
) -> list[DeviceImages] | None:
    """Every level's images on the device, or None where they do not fit there together.

    Args:
        sizes: for each level (n, 2) height and width of its images before they are enlarged.
        names: of the levels, for the display.

    Raises:
        C2FError: an image can't be read.
    """
    enlarged = [enlarged_sizes(s, i.spec) for s, i in zip(sizes, images, strict=True)]
    total = sum(int(3 * each.prod(axis=1).sum()) for each in enlarged)
    if total > room_on(device):
        return None
    try:
        kept = [
            DeviceImages(image, size, device, workers, progress, f"Loading the {name} images")
            for image, size, name in zip(images, enlarged, names, strict=True)
        ]
    except torch.OutOfMemoryError:
        # Another process took the memory meanwhile.
        return None
    progress.note(f"Training images: {total / 1e9:.1f} GB, kept on {device} from here on.")
    return kept
