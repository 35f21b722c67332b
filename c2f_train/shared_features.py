"""The frozen features of stage 1 of several runs, from one pass of the trunk they share.

On a CPU a trunk takes nearly all the time of its features, and it gives the same maps to every
pooling. So HBP, MLP, MLPH and the models they are compared with, under several seeds, need one pass
over the images instead of one each. A run finds its features as if it had computed them itself.

The rows of all files grow together. Now and then they are flushed, and each file's number of rows
is noted beside it; a killed pass goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from c2f_data.errors import ConfigError
from c2f_data.index import TEST, TRAIN
from c2f_train.backbones import Backbone
from c2f_train.config import Precision
from c2f_train.data import CenterImages
from c2f_train.device import autocast
from c2f_train.features import feature_file, rows_of
from c2f_train.growing_file import GrowingFile
from c2f_train.inference import BATCH, to_device
from c2f_train.loader import in_order, load, threads_of
from c2f_train.pooling.multilinear import MultiLinearPooling, same_numbers
from c2f_train.progress import Progress
from c2f_train.run import Run

# A killed pass loses at most this much, in seconds.
FLUSH_EVERY = 60.0
# Images of a batch where several are computed side by side: what stays near a core's cache.
SIDE_BY_SIDE = 4


def missing_features(runs: Sequence[Run], level: int) -> dict[str, list[Run]]:
    """Split to the runs that lack the features of one level's images."""
    wanted = {
        TRAIN: [run for run in runs if run.config.stage1 == "softmax" and run.config.cache],
        TEST: [run for run in runs if run.config.frozen],
    }
    return {
        split: [
            run
            for run in candidates
            if level in run.levels and not feature_file(run, level, split).exists()
        ]
        for split, candidates in wanted.items()
    }


def share_features(runs: Sequence[Run], level: int, progress: Progress) -> None:
    """Compute what runs lack of one level's features; what was finished before is kept.

    The numbers are those of :func:`c2f_train.features.cached_features`; on a CPU with several
    threads, where batches are computed side by side, up to the last digits of the number format.

    Args:
        runs: of one set of shards, with one backbone object and one input, as
            :func:`c2f_train.train.open_run` makes them.

    Raises:
        ConfigError: the runs do not share their trunk and images.
        ArtefactError: the disk has no room, or a shard is damaged.
    """
    for split, lacking in missing_features(runs, level).items():
        if lacking:
            _check_shared(lacking)
            _one_pass(lacking, level, split, progress)


def _check_shared(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        same = (
            run.model.backbone is first.model.backbone
            and run.spec == first.spec
            and run.config.precision == first.config.precision
            and run.reader.manifest.plan_fingerprint == first.reader.manifest.plan_fingerprint
        )
        if not same:
            raise ConfigError(
                f"{run.folder.name} and {first.folder.name} do not share trunk and images",
                "Compute their features one after the other: c2f train.",
            )


def _one_pass(runs: Sequence[Run], level: int, split: str, progress: Progress) -> None:
    first = runs[0]
    heads = Heads([run.model.pooling for run in runs])
    total = rows_of(first, split)
    device, precision = first.device, first.config.precision
    streams = torch.get_num_threads() if device.type == "cpu" else 1
    with ExitStack() as stack:
        files = [
            stack.enter_context(GrowingFile(feature_file(run, level, split), total, width))
            for run, width in zip(runs, heads.widths, strict=True)
        ]
        done = min(file.rows for file in files)
        for file in files:
            file.go_back(done)
        images = CenterImages(first.pictures(split, level), first.spec, mirror=split == TRAIN)
        size = BATCH if streams == 1 else SIDE_BY_SIDE
        keys = (range(start, min(start + size, total)) for start in range(done, total, size))
        loaded = load(images.__getitem__, keys, threads_of(first.config.workers))
        batches = (batch for batch, _ in loaded)
        where = f"{split} images at the {first.names[level]} resolution"
        task = stack.enter_context(progress.task(f"Features, {where}", total))
        task.advance(done)
        compute = _Compute(first.model.backbone, heads, device, precision)
        flushed = time.monotonic()
        # Threads that share a batch wait for each other at every layer; on a busy machine long.
        computed = in_order(compute, batches, streams) if streams > 1 else map(compute, batches)
        for rows in computed:
            for file, own in zip(files, rows, strict=True):
                file.add(own)
            if time.monotonic() - flushed >= FLUSH_EVERY:
                for file in files:
                    file.flush()
                flushed = time.monotonic()
            task.advance(len(rows[0]))
        for file in files:
            file.finish()


class Heads:
    """Poolings whose features are computed once where several have the same.

    Attributes:
        widths: features of each.
    """

    def __init__(self, poolings: Sequence[nn.Module]) -> None:
        self.widths = [cast("int", pooling.out_features) for pooling in poolings]
        # The widest first: HBP is a part of MLP, not the other way round.
        order = sorted(range(len(poolings)), key=lambda i: -self.widths[i])
        self._computed: list[nn.Module] = []
        self._source = [0] * len(poolings)
        for i in order:
            pooling = poolings[i]
            known = (j for j, other in enumerate(self._computed) if _within(pooling, other))
            self._source[i] = next(known, len(self._computed))
            if self._source[i] == len(self._computed):
                self._computed.append(pooling)

    def __call__(self, maps: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        """Three (B, c, h, w) maps to (B, F) float32 on the CPU, one a pooling."""
        found = [pooling(*maps).float().cpu() for pooling in self._computed]
        pairs = zip(self._source, self.widths, strict=True)
        return [found[source][:, :width] for source, width in pairs]


def _within(pooling: nn.Module, other: nn.Module) -> bool:
    """Whether a pooling's features are the first ones of another's, or all of them."""
    if isinstance(pooling, MultiLinearPooling) and pooling.begins(other):
        return True
    settings = [
        {name: value for name, value in vars(each).items() if isinstance(value, int | float | str)}
        for each in (pooling, other)
    ]
    return (
        type(pooling) is type(other) and settings[0] == settings[1] and same_numbers(pooling, other)
    )


@dataclass(frozen=True)
class _Compute:
    """A batch of images to the features of all heads."""

    trunk: Backbone
    heads: Heads
    device: torch.device
    precision: Precision

    def __call__(self, images: Tensor) -> list[Tensor]:
        # Both hold for a thread, and this may be one of several.
        with torch.inference_mode(), autocast(self.device, self.precision):
            return self.heads(self.trunk(to_device(images, self.device)))
