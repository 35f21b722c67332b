"""Who computes the sums of multi-linear pooling: PyTorch, or Triton where it measures faster.

Which is faster depends on the GPU and on the sizes, so nobody guesses: the first head of its kind
in a process is computed by each for some columns of d, with the derivatives, and the fastest
computes all that follow. Both round alike; their sums differ by the order of additions.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from c2f_data.errors import ConfigError
from c2f_train.pooling import fused, triton_head
from c2f_train.pooling.head import Head
from c2f_train.pooling.triton_head import TILES, Tile

# Columns that are measured: a head's time is proportional to them, and these are two blocks of it.
COLUMNS = 2048
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Maker:
    """One who can compute a head.

    Attributes:
        tile: of Triton's kernels; None: PyTorch.
    """

    tile: Tile | None = None

    def sums(self, head: Head, kept: Tensor | None) -> Tensor:
        """See :func:`c2f_train.pooling.fused.sums`."""
        if self.tile is None:
            return fused.sums(head, kept)
        return triton_head.sums(head, kept, self.tile)

    def gradients(
        self, head: Head, g: Tensor, p: Tensor, kept: Tensor | None, needs: Sequence[bool]
    ) -> list[Tensor | None]:
        """See :func:`c2f_train.pooling.fused.gradients`."""
        make = None if self.tile is None else triton_head.blocks_of(self.tile)
        return fused.gradients(head, g, p, kept, needs, make)


PYTORCH = Maker()


@dataclass(frozen=True, slots=True)
class Kind:
    """Heads that the same maker computes fastest.

    Attributes:
        device: name of the GPU.
        channels, locations, dim: see :class:`c2f_train.pooling.head.Head`; any batch.
        keep: the projections are kept for the derivatives.
    """

    device: str
    channels: tuple[int, ...]
    locations: int
    dim: int
    trilinear: bool
    compute: torch.dtype
    keep: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest maker of a kind of head.

    Attributes:
        seconds: of every maker that could compute it, forward and backward over the columns that
            were measured, in the order of trial; medians.
    """

    maker: Maker
    seconds: tuple[tuple[Maker, float], ...]


_choices: dict[Kind, Choice] = {}


def choices() -> dict[Kind, Choice]:
    """What was measured in this process so far."""
    return dict(_choices)


def maker_of(head: Head, keep: bool) -> Maker:
    """Who computes this head, by ``head.kernel``; ``auto``: measured once for its kind.

    Raises:
        ConfigError: Triton is demanded where it can't compute this head.
    """
    if head.kernel == "torch":
        return PYTORCH
    possible = triton_head.can_run(head)
    if head.kernel == "triton" and not possible:
        raise ConfigError(
            f"Triton can't compute this multi-linear pooling ({head.compute}, "
            f"{head.maps[0].device})",
            "It needs CUDA on Ampere or later, autocast to bfloat16 or float16, and channels and d "
            "that are multiples of 8: take kernel='auto'.",
        )
    if not possible:
        return PYTORCH
    kind = _kind(head, keep)
    if kind not in _choices:
        if torch.cuda.is_current_stream_capturing() or torch.are_deterministic_algorithms_enabled():
            # A graph can't be timed while it is recorded, and who was faster is no fixed number.
            return PYTORCH if head.kernel == "auto" else Maker(TILES[-1])
        _choices[kind] = measure(head, keep)
    return _choices[kind].maker


def measure(
    head: Head, keep: bool, timed: Callable[[Callable[[], None]], float] | None = None
) -> Choice:
    """Let every maker compute some columns of this head; the fastest is chosen.

    Args:
        head: on the GPU.
        keep: measure with kept projections.
        timed: seconds of a call; None: by the clock, the device awaited.

    Raises:
        ConfigError: Triton is demanded, and none of its kernels runs.
    """
    timed = timed or partial(_seconds, head.maps[0].device)
    part = _part(head)
    capability = torch.cuda.get_device_capability(head.maps[0].device)
    candidates = [Maker(tile) for tile in triton_head.tiles(capability, keep)]
    if head.kernel == "auto":
        candidates.insert(0, PYTORCH)
    runs = {maker: run for maker in candidates if (run := _ready(maker, part, keep)) is not None}
    if not runs:
        raise ConfigError(
            f"Triton's kernels for multi-linear pooling can't be compiled or run on "
            f"{torch.cuda.get_device_name(head.maps[0].device)}",
            "Take kernel='auto'; then PyTorch computes it.",
        )
    seconds: dict[Maker, list[float]] = {maker: [] for maker in runs}
    for _ in range(ROUNDS):
        for maker, run in runs.items():
            seconds[maker].append(timed(run))
    medians = {maker: statistics.median(taken) for maker, taken in seconds.items()}
    return Choice(min(medians, key=lambda maker: medians[maker]), tuple(medians.items()))


def _kind(head: Head, keep: bool) -> Kind:
    return Kind(
        torch.cuda.get_device_name(head.maps[0].device),
        tuple(m.shape[1] for m in head.maps),
        head.locations,
        head.weights[0].shape[0],
        head.trilinear,
        head.compute,
        keep,
    )


def _part(head: Head) -> Head:
    """The same with the first columns of d, so that measuring needs less memory than computing."""
    return replace(
        head,
        maps=[m.detach() for m in head.maps],
        weights=[w.detach()[:COLUMNS] for w in head.weights],
        biases=[b.detach()[:COLUMNS] for b in head.biases],
    )


def _ready(maker: Maker, head: Head, keep: bool) -> Callable[[], None] | None:
    """A forward and backward pass that has run once, which compiles; None: it can't run here."""
    g = torch.ones(head.sums_shape, dtype=head.wide, device=head.maps[0].device)

    def run() -> None:
        kept = torch.empty(head.kept_shape, dtype=head.compute, device=g.device) if keep else None
        p = maker.sums(head, kept)
        maker.gradients(head, g, p, kept, (True,) * 9)

    if maker == PYTORCH:
        run()
        return run
    try:
        run()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # Triton's compilers and drivers fail in many ways
        return None
    return run


def _seconds(device: torch.device, run: Callable[[], None]) -> float:
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    run()
    torch.cuda.synchronize(device)
    return time.perf_counter() - started
