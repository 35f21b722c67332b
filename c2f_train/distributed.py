"""Several processes, one training: who this one is, which part it does, what they tell each other.

torchrun starts the processes and ends them all when one dies. Gradients go through
DistributedDataParallel (NCCL between GPUs); the little else that is said goes through gloo.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from c2f_data.errors import C2FError, ConfigError, DeviceError
from c2f_train.config import TrainConfig

T = TypeVar("T")

# Features, validation and the last test take long, and meanwhile the others wait.
PATIENCE = timedelta(days=7)


class PeerError(C2FError):
    """Another process of the training has ended."""


@dataclass(frozen=True, slots=True)
class World:
    """The processes of one training.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
        local: rank among the processes of this machine: the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    _control: Any = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a sequence; together, in order, they are the sequence."""
        part = self.rows(len(items))
        return items[part.start : part.stop]

    def rows(self, count: int) -> range:
        """This process's part of ``count`` rows."""
        return range(*(part * count // self.size for part in (self.rank, self.rank + 1)))

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def largest(self, values: Tensor) -> Tensor:
        """The largest of all processes, on the CPU; NaN must have been replaced."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def _reduce(self, values: Tensor, operation: Any) -> Tensor:
        own = values.detach().cpu().clone()
        if self.size > 1:
            dist.all_reduce(own, op=operation, group=self._control)
        return own

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier(group=self._control)


ALONE = World()


def world_here() -> World:
    """Which of torchrun's processes this is, not joined yet; ALONE where torchrun did not start it.

    Raises:
        ConfigError: the variables that torchrun sets contradict each other.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
    if any(name not in os.environ for name in names):
        return ALONE
    try:
        rank, size, local = (int(os.environ[name]) for name in names[:3])
    except ValueError as error:
        raise ConfigError(
            f"RANK, WORLD_SIZE and LOCAL_RANK are no numbers ({error})",
            "Start c2f by torchrun, or unset these variables.",
        ) from error
    if not 0 <= rank < size:
        raise ConfigError(f"RANK {rank} of {size}", "Start c2f by torchrun.")
    return World(rank, size, local) if size > 1 else ALONE


def device_of(world: World, device: torch.device) -> torch.device:
    """The device of this process: on CUDA one GPU for each process of the machine.

    Raises:
        DeviceError: the machine has fewer GPUs than processes, or the device can't be shared.
    """
    if world.size == 1 or device.type == "cpu":
        return device
    if device.type != "cuda":
        raise DeviceError(f"several processes on {device}", "Use --device cuda or --device cpu.")
    if world.local >= torch.cuda.device_count():
        raise DeviceError(
            f"process {world.local} of this machine has no GPU of its own: there are "
            f"{torch.cuda.device_count()}",
            "Start at most that many: torchrun --nproc-per-node.",
        )
    return torch.device("cuda", world.local)


def check_divides(config: TrainConfig, world: World) -> None:
    """Raises ConfigError where a batch can't be dealt out evenly."""
    for name in ("batch_size", "stage1_batch_size"):
        value = getattr(config, name)
        if value % world.size:
            option = "--" + name.replace("_", "-")
            near = -(-value // world.size) * world.size
            raise ConfigError(
                f"{option} {value} on {world.size} processes",
                f"Every process takes the same part of a batch: give {option} {near}, or another "
                "--nproc-per-node.",
            )


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[World]:
    """Connect the processes while this is open.

    Raises:
        PeerError: another process ended, or could not be reached.
    """
    if world.size == 1:
        yield world
        return
    told = None
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        control = dist.new_group(backend="gloo", timeout=PATIENCE)
        # Not before: a process that waits to be joined runs no handler, so it could not be ended.
        told = _end_with_a_word(world)
        yield World(world.rank, world.size, world.local, control)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not _of_a_peer(error):
            raise
        raise _ended(world) from error
    finally:
        if told is not None:
            signal.signal(signal.SIGTERM, told)
        if dist.is_initialized():
            dist.destroy_process_group()


def _ended(world: World) -> PeerError:
    return PeerError(
        f"process {world.rank} of {world.size}: another process of this training has ended",
        "Its own message says why. Start the same command again: with --resume it goes on from "
        "the last snapshot.",
    )


def _end_with_a_word(world: World) -> Any:
    """torchrun ends the other processes by SIGTERM: an error like any other. The handler before."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def end(*_: object) -> None:
        raise _ended(world)

    return signal.signal(signal.SIGTERM, end)


def _of_a_peer(error: RuntimeError) -> bool:
    """Whether an error is that of a connection; gloo's are RuntimeErrors like any other."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return any(word in text for word in ("gloo", "connection", "peer", "socket", "nccl"))
