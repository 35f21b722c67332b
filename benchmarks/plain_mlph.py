"""MLPH as an able user of PyTorch would write it, with the usual loader of torchvision.

Everything is at hand there: VGG-16 with taps, three 1x1 convolutions, four products, three linear
classifiers, SGD, autocast, channels_last, a DataLoader with workers that stay. Same sizes, same
number format and same memory format as c2f's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.models import vgg

from benchmarks.peers import DEVIATION, MEAN
from c2f_data.index import TRAIN
from c2f_data.shards.reader import ShardReader
from c2f_train.config import TrainConfig
from c2f_train.model import HierarchicalClassifier

TAPS = (25, 27, 29)


class PlainMlph(nn.Module):
    """VGG-16 to relu5_3, the naive head, one linear classifier a level."""

    def __init__(self, dim: int, counts: Sequence[int]) -> None:
        super().__init__()
        # Without the classifier of ImageNet, whose 120 million numbers would be drawn in vain.
        self.trunk = vgg.make_layers(vgg.cfgs["D"])[: TAPS[-1] + 1]
        self.u, self.v, self.w = (nn.Conv2d(512, dim, 1) for _ in range(3))
        self.classifiers = nn.ModuleList(nn.Linear(4 * dim, count) for count in counts)

    def forward(self, x: Tensor, level: int) -> Tensor:
        """Normalised (B, 3, H, W) images to the (B, classes) logits of one level."""
        taken = []
        for position, layer in enumerate(self.trunk):
            x = layer(x)
            if position in TAPS:
                taken.append(x)
        a, b, c = self.u(taken[0]), self.v(taken[1]), self.w(taken[2])
        ab = a * b
        parts = [product.sum(dim=(2, 3)) for product in (ab, a * c, b * c, ab * c)]
        rooted = [part.sign() * part.abs().clamp_min(1e-12).sqrt() for part in parts]
        features = torch.cat([nn.functional.normalize(part, dim=1) for part in rooted], dim=1)
        return cast("Tensor", self.classifiers[level](features))


def plain_twin(ours: HierarchicalClassifier, dim: int) -> PlainMlph:
    """The plain model with the parameters of c2f's."""
    twin = PlainMlph(dim, ours.counts)
    prefix = "backbone.body.features."
    for name, value in ours.state_dict().items():
        if name.startswith(prefix):
            twin.trunk.get_parameter(name.removeprefix(prefix)).data.copy_(value)
        elif name.startswith(("pooling.", "classifiers.")):
            parameter = twin.get_parameter(name.removeprefix("pooling."))
            parameter.data.copy_(value.view(parameter.shape))
    return twin


class PlainTraining:
    """One step after the other, the levels in turn, fine to coarse."""

    def __init__(
        self,
        model: PlainMlph,
        config: TrainConfig,
        batches: Sequence[Iterator[Any]],
        device: torch.device,
    ) -> None:
        """Args: batches: of each level, fine to coarse."""
        self.model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.device, self.bfloat16 = device, config.precision == "bfloat16"
        self.optimizer = torch.optim.SGD(
            model.parameters(),
            lr=config.stage2_lr,
            momentum=config.momentum,
            weight_decay=config.stage2_weight_decay,
        )
        self._turns = cycle(zip(range(len(batches))[::-1], batches, strict=True))

    def step(self) -> float:
        """The loss of the next batch, in nats, after one step of the optimiser."""
        level, batches = next(self._turns)
        images, labels = next(batches)
        images = images.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(images, level)
            loss = nn.functional.cross_entropy(logits, labels)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.item()


def lay_out_levels(reader: ShardReader, folder: Path) -> list[Path]:
    """The training images of each level as class folders of PNG files, fine to coarse."""
    places = []
    for level, name in reversed(list(enumerate(reader.levels))):
        place = folder / name
        labels = reader.labels(TRAIN)[:, level]
        for position in range(reader.length(TRAIN)):
            own = place / f"{int(labels[position]):04d}"
            own.mkdir(parents=True, exist_ok=True)
            pixels = np.ascontiguousarray(reader.pixels(TRAIN, position, name))
            Image.fromarray(pixels).save(own / f"{position:06d}.png", compress_level=1)
        places.append(place)
    return places


def plain_batches(folder: Path, config: TrainConfig, shorter: int, workers: int) -> Iterator[Any]:
    """Endless (images, labels): shorter side, random crop, mirror, normalised, shuffled."""
    steps = [
        transforms.Resize(shorter, transforms.InterpolationMode.BICUBIC),
        transforms.RandomCrop(config.input_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, DEVIATION),
    ]
    images = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    loader: DataLoader[Any] = DataLoader(
        images,
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    while True:
        yield from loader
