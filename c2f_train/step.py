"""One step of a training: a batch of one level through the network and back, and the optimiser.

The parts can be timed: a step calls its ``mark`` with the name of each part that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from c2f_train.config import TrainConfig
from c2f_train.device import autocast, seed_network
from c2f_train.distributed import ALONE, World
from c2f_train.ema import Average
from c2f_train.model import HierarchicalClassifier
from c2f_train.optimizers import make_optimizer, set_rate
from c2f_train.schedules import rate

Mark = Callable[[str], None]
# The label of an image that only fills a process's empty part of a batch.
NOBODY = -100


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of one level, or this process's part of it.

    Attributes:
        level: position of the level, coarse to fine.
        inputs: (B, 3, H, W) uint8 images, or (B, F) features that were computed before.
        labels: (B,) class ids of that level; ``NOBODY``: the image does not count.
        whole: images of the whole batch, in all processes; 0: B.
    """

    level: int
    inputs: Tensor
    labels: Tensor
    whole: int = 0

    @property
    def images(self) -> int:
        """Images of the whole batch, in all processes."""
        return self.whole or len(self.labels)

    def parts(self, count: int) -> list[Batch]:
        """At most ``count`` parts of nearly one size, in order."""
        pairs = zip(self.inputs.chunk(count), self.labels.chunk(count), strict=True)
        return [Batch(self.level, inputs, labels, self.images) for inputs, labels in pairs]


class TrainingStep:
    """What a stage trains, and how one step does it.

    The classifiers that a batch does not use have no gradient at all (None, not zero), so weight
    decay and momentum leave them alone.

    Attributes:
        model: trained in place.
        optimizer: of the parameters that the stage trains.
        average: of the weights, where the settings ask for one.
        trunk: whether the backbone is trained; otherwise it is only applied.
        watched: told the name of each part of a step that has ended.

    Args:
        levels: positions of the levels that are trained.
        mark: becomes ``watched``; the parts are ``data``, ``trunk``, ``head``
            (forward, loss included), ``head backward``, ``trunk backward``, ``optimizer``. On a
            GPU it should record an event rather than read a clock.
    """

    def __init__(
        self,
        model: HierarchicalClassifier,
        config: TrainConfig,
        stage: int,
        levels: Sequence[int],
        device: torch.device,
        *,
        world: World = ALONE,
        mark: Mark | None = None,
    ) -> None:
        self.model, self.config, self.stage, self.device = model, config, stage, device
        self.world, self.watched = world, mark
        self.trunk = stage == 2
        parameters = _trained(model, config, stage, levels)
        self.optimizer = make_optimizer(config, stage, parameters, device)
        self.average = Average(model, config.ema) if config.ema else None
        self._features: nn.Module = _Features(self)
        if config.compile:
            self._features.compile()
        self._classifiers: dict[int, nn.Module] = {n: model.classifiers[n] for n in levels}
        if world.size > 1:
            self._distribute()

    def _distribute(self) -> None:
        """One DistributedDataParallel around trunk and head, one around each classifier.

        So every parameter of each has a gradient in every backward pass that it takes part in,
        and nothing has to be searched for.
        """
        norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model.modules())
        on = [self.device] if self.device.type == "cuda" else None
        # Newer versions of torch warn of the older name, which says the same here: whether buffers
        # are sent round before every step. They are equal from the start.
        known = signature(DistributedDataParallel).parameters
        sync = next(n for n in ("forward_sync_buffers", "broadcast_buffers") if n in known)

        def spread(module: nn.Module) -> nn.Module:
            return DistributedDataParallel(
                module, device_ids=cast("Any", on), **cast("Any", {sync: norms})
            )

        if any(p.requires_grad for p in self._features.parameters()):
            self._features = spread(self._features)
        self._classifiers = {n: spread(module) for n, module in self._classifiers.items()}

    def mark(self, part: str) -> None:
        """Say that a part of the step has ended."""
        if self.watched is not None:
            self.watched(part)

    def train(self) -> None:
        """Put the model into the mode of this stage."""
        self.model.train()
        if not self.trunk:
            self.model.backbone.eval()

    def __call__(self, batch: Batch, epoch: int, step: int, steps: int) -> tuple[Tensor, Tensor]:
        """Do one step; nothing in it waits for the device.

        Args:
            epoch: 1-based within the stage.
            step: 0-based within the epoch.
            steps: of an epoch.

        Returns:
            () sum of the losses in nats of this process's images, () number of right ones.
        """
        self._seed(epoch, step)
        set_rate(self.optimizer, rate(self.config, self.stage, epoch, step, steps))
        self.optimizer.zero_grad(set_to_none=True)
        parts = batch.parts(self.config.accumulate)
        found = []
        for number, part in enumerate(parts, start=1):
            with self._together(number == len(parts), part.level):
                found.append(self._part(part))
        self.optimizer.step()
        if self.average is not None:
            self.average.update((epoch - 1) * steps + step)
        self.mark("optimizer")
        losses, right = zip(*found, strict=True)
        return torch.stack(losses).sum(), torch.stack(right).sum()

    def _part(self, part: Batch) -> tuple[Tensor, Tensor]:
        """Gradients of a part are added to those of the parts before it."""
        labels = part.labels.to(self.device, non_blocking=True)
        inputs = self._on_device(part.inputs)
        self.mark("data")
        with autocast(self.device, self.config.precision):
            features = inputs if inputs.ndim == 2 else self._features(inputs)
            logits = self._classifiers[part.level](features).float()
        loss = nn.functional.cross_entropy(
            logits,
            labels,
            reduction="sum",
            ignore_index=NOBODY,
            label_smoothing=self.config.label_smoothing,
        )
        self.mark("head")
        # The mean over the whole batch; the processes' gradients are averaged, these are sums.
        torch.autograd.backward(loss * (self.world.size / part.images))
        self.mark("trunk backward" if self.trunk else "head backward")
        right = (logits.detach().argmax(dim=1) == labels).sum()
        return loss.detach(), right

    def _on_device(self, inputs: Tensor) -> Tensor:
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=memory_format(self.config))
        return inputs.to(self.device, non_blocking=True)

    def _together(self, last: bool, level: int) -> AbstractContextManager[object]:
        """Processes add up their gradients once a step, not once a part."""
        if last or self.world.size == 1:
            return nullcontext()
        stack = ExitStack()
        for module in (self._features, self._classifiers[level]):
            if isinstance(module, DistributedDataParallel):
                stack.enter_context(module.no_sync())
        return stack

    def _seed(self, epoch: int, step: int) -> None:
        """What the network itself draws (dropout, stochastic depth) depends on the step alone."""
        key = (self.config.seed, self.stage, epoch, step, self.world.rank)
        drawn = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
        seed_network(self.device, int(drawn >> 1))


class _Features(nn.Module):
    """Trunk and head as one module: what all levels share."""

    def __init__(self, step: TrainingStep) -> None:
        super().__init__()
        self.backbone, self.pooling = step.model.backbone, step.model.pooling
        self._trains, self._mark = step.trunk, step.watched

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 to (B, F)."""
        with torch.set_grad_enabled(self._trains and torch.is_grad_enabled()):
            maps = self.backbone(images)
        mark = self._mark
        if mark is not None:
            mark("trunk")
            if maps[2].requires_grad:
                maps[2].register_hook(lambda _: mark("head backward"))
        return cast("Tensor", self.pooling(*maps))


def memory_format(config: TrainConfig) -> torch.memory_format:
    """Layout of images and convolutions."""
    return torch.channels_last if config.channels_last else torch.contiguous_format


def _trained(
    model: HierarchicalClassifier, config: TrainConfig, stage: int, levels: Sequence[int]
) -> list[nn.Parameter]:
    """What a stage trains; the levels left out of the run are never touched."""
    chosen = [p for level in levels for p in model.classifiers[level].parameters()]
    if stage == 2 or config.stage1 == "hbp":
        chosen += model.pooling.parameters()
    if stage == 2:
        chosen += model.backbone.used_parameters()
    model.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen
