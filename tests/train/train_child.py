"""Trainings in processes of their own, which may be killed: ``Children`` starts them.

Run as a script it imports what a training needs once, and forks a process for each that it is
asked for: torch alone takes seconds to import. It has run nothing that a fork could break.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import torch
from train_runs import CONFIG
from train_samples import CPU, Recorder

from c2f_data.errors import C2FError
from c2f_train import snapshot
from c2f_train.distributed import world_here
from c2f_train.train import train


@dataclass(frozen=True)
class Child:
    """One training.

    Attributes:
        changes: to the settings.
        kill: (task, step) at which the process kills itself, without a word.
        torn: (stage, epoch) between the two files of whose snapshot it kills itself.
        environment: variables that it finds.
    """

    shards: Path
    folder: Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    kill: tuple[str, int] | None = None
    torn: tuple[int, int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Children:
    """A process that has imported a training, and those that it forks."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *children: Child) -> list[tuple[int, str]]:
        """Run trainings side by side: each one's exit code, or signal below 0, and its stderr."""
        jobs = [
            vars(each) | {"shards": str(each.shards), "folder": str(each.folder)}
            for each in children
        ]
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(jobs) + "\n")
        self._server.stdin.flush()
        return [(code, text) for code, text in json.loads(self._server.stdout.readline())]

    def close(self) -> None:
        self._server.communicate()
        assert self._server.returncode == 0


class Killer(Recorder):
    """Ends this process at a step, as the kernel would."""

    def __init__(self, kill: Sequence[Any] | None) -> None:
        super().__init__()
        self._kill = kill

    def count(self, what: str, steps: int) -> None:
        super().count(what, steps)
        if self._kill is None or not what.startswith(self._kill[0]):
            return
        if self.steps[what] >= self._kill[1]:
            os.kill(os.getpid(), signal.SIGKILL)


def tear(stage: int, epoch: int) -> None:
    """From now on this process is killed between the files of that snapshot."""
    write = snapshot.write_json

    def killed_between_the_files(path: Path, position: Any, **rest: Any) -> None:
        if (position.stage, position.epoch) == (stage, epoch):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, position, **rest)

    snapshot.write_json = killed_between_the_files  # type: ignore[assignment]


def train_here(job: dict[str, Any]) -> None:
    os.environ.update(job["environment"])
    torch.set_num_threads(1)
    if job["torn"]:
        tear(*job["torn"])
    config = replace(CONFIG, **job["changes"])
    shards, folder = Path(job["shards"]), Path(job["folder"])
    train(shards, config, folder, CPU, Killer(job["kill"]), world=world_here())


def fork(job: dict[str, Any], said: IO[str]) -> int:
    """Start a training; its process's number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
    try:
        train_here(job)
        code = 0
    except C2FError as error:
        os.write(2, f"{error}\n".encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def serve() -> None:
    """Answer a line of jobs with a line of what became of them, until there are no more."""
    import_module("torch._dynamo")  # an optimizer's first step would, in every process
    for line in sys.stdin:
        jobs = json.loads(line)
        answer = []
        with ExitStack() as stack:
            files = [stack.enter_context(TemporaryFile("w+")) for _ in jobs]
            pids = [fork(job, file) for job, file in zip(jobs, files, strict=True)]
            for pid, file in zip(pids, files, strict=True):
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                file.seek(0)
                answer.append((code, file.read()))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
