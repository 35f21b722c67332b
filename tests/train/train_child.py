"""A training in a process of its own, or in several: python train_child.py SHARDS FOLDER OPTIONS.

OPTIONS is JSON: ``changes`` to the settings; ``kill``: [task, step] at which the process kills
itself, without a word, in the process with the number ``rank``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from train_runs import CONFIG
from train_samples import CPU, Recorder

from c2f_train.distributed import world_here
from c2f_train.train import train


class Killer(Recorder):
    """Ends this process at a step, as the kernel would."""

    def __init__(self, kill: tuple[str, int] | None) -> None:
        super().__init__()
        self._kill = kill

    def count(self, what: str, steps: int) -> None:
        super().count(what, steps)
        if self._kill is None or not what.startswith(self._kill[0]):
            return
        if self.steps[what] >= self._kill[1]:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    shards, folder, options = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    torch.set_num_threads(1)
    world = world_here()
    kill = options.get("kill") if world.rank == options.get("rank", 0) else None
    config = replace(CONFIG, **options.get("changes", {}))
    train(shards, config, folder, CPU, Killer(kill), world=world)


if __name__ == "__main__":
    main()
