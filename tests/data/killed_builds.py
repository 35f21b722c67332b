"""Builds that are killed at random moments: what the short and the long soak test share.

Run as a script it is the process that gets killed: one build of a data set's shards.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image
from shards_cases import SPEC, TAXONOMY, levels, tree

from c2f_data.artefacts import TEMPORARY_PREFIX, sha256_file
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.shards.sidecar import read_sidecar, sidecar_path
from c2f_data.shards.writer import write_shards

IMAGES = 48
# How long a process may take to notice that the one that started it is gone.
SURVIVAL_SECONDS = 20.0


def make_images(root: Path, seed: int) -> DatasetIndex:
    """Small photographs of noise, of different sizes, so that a shard takes a moment."""
    random_ = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    for i in range(IMAGES):
        height, width = random_.integers(80, 200, 2)
        pixels = random_.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(root / "images" / f"{i:03}.jpg")
    return read_index(root)


def read_index(root: Path) -> DatasetIndex:
    """The same images again, in another process."""
    paths = sorted((root / "images").iterdir())
    records = tuple(
        ImageRecord(
            image_id=path.name,
            path=f"images/{path.name}",
            label=i % len(TAXONOMY.paths),
            split=TEST if i % 4 == 3 else TRAIN,
            bytes=path.stat().st_size,
        )
        for i, path in enumerate(paths)
    )
    return DatasetIndex("noise", root, "made for a test", TAXONOMY, records)


@dataclass
class Soak:
    """Builds, killed and resumed until enough kills count.

    A kill counts only if the process ended by signal 9 and a temporary file was there right
    after: then something was being written.

    Attributes:
        wanted: kills that must count.
        early: kill also before anything is written; if not, writing has begun and all kills count.
        counted: those that did.
        killed: all of them.
        finished: builds that came to their end.
    """

    root: Path
    wanted: int
    seed: int = 0
    early: bool = True
    counted: int = 0
    killed: int = 0
    finished: int = 0
    jobs: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Raises AssertionError for a torn, lost or redone shard, or one that differs."""
        draw = random.Random(self.seed)
        # A build's number decides its processes: 1, 2, 3, 1 and so on.
        each = max(1, self.wanted // 6)
        while self.counted < self.wanted:
            root = self.root / f"build{self.finished}"
            index = make_images(root, self.finished)
            write_shards(index, levels(), SPEC, root / "right")
            goal = min(self.wanted, self.counted + each)
            self._one_build(root, 1 + self.finished % 3, draw, goal)
            self.finished += 1

    def _one_build(self, root: Path, jobs: int, draw: random.Random, goal: int) -> None:
        folder, right = root / "shards", tree(root / "right")
        shards = [name for name in right if name.endswith(".h5")]
        assert len(shards) >= 8
        seen: dict[str, tuple[int, int]] = {}
        # Then the build may come to its end, so that no build takes forever.
        for _ in range(3 * len(shards)):
            if self.counted >= goal or not self._killed(root, jobs, draw):
                break
            seen = check_killed(folder, right, seen)
            if (folder / "manifest.json").exists():
                break
        if not (folder / "manifest.json").exists():
            write_shards(read_index(root), levels(), SPEC, folder)
        # A manifest means that the last process was done, whether or not it was killed then.
        assert seen.items() <= visible(folder).items()
        assert tree(folder) == right

    def _killed(self, root: Path, jobs: int, draw: random.Random) -> bool:
        """Start a build and kill it at a random moment. False: it had ended before."""
        child = subprocess.Popen(
            [sys.executable, __file__, str(root), str(jobs)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        wait_for_a_moment(child, root / "shards", draw, self.early)
        child.send_signal(signal.SIGKILL)
        code = child.wait()
        # Every process that the build started holds the pipe: the end of it is their end.
        ended = time.monotonic()
        child.stdout.read()
        assert time.monotonic() - ended < SURVIVAL_SECONDS
        child.stdout.close()
        if code != -signal.SIGKILL:
            assert code == 0
            return False
        self.killed += 1
        if not self.early or any((root / "shards").glob(f"{TEMPORARY_PREFIX}*")):
            self.counted += 1
            self.jobs.add(jobs)
        return True


def wait_for_a_moment(
    child: subprocess.Popen[bytes], folder: Path, draw: random.Random, early: bool
) -> None:
    """A random time after a random event: the start, or one of the next writings of a file."""
    deadline = time.monotonic() + 60
    for _ in range(draw.randrange(0 if early else 1, 4)):
        while child.poll() is None and not any(folder.glob(f"{TEMPORARY_PREFIX}*")):
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        if draw.random() < 0.5:
            break
        time.sleep(draw.uniform(0, 0.05))
    time.sleep(draw.choice((0.0, draw.uniform(0, 0.003), draw.uniform(0, 0.02))))


def visible(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every shard that bears its final name."""
    found = {path.name: path.stat() for path in folder.glob("*.h5") if path.name[0] != "."}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def check_killed(
    folder: Path, right: dict[str, bytes], before: dict[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """A killed build leaves whole shards, none redone; a manifest only if all are there."""
    now = visible(folder) if folder.exists() else {}
    assert before.items() <= now.items(), "a finished shard was lost or written again"
    if (folder / "manifest.json").exists():
        assert now.keys() == {name for name in right if name.endswith(".h5")}
    for name in now:
        sidecar = read_sidecar(sidecar_path(folder / name))
        assert sha256_file(folder / name) == sidecar.entry.sha256, f"{name} is torn"
        assert (folder / name).read_bytes() == right[name]
    for path in folder.glob("[!.]*.json"):  # a temporary name begins with a dot
        json.loads(path.read_text(encoding="utf-8"))
    return now


def main() -> None:
    root, jobs = Path(sys.argv[1]), int(sys.argv[2])
    index = read_index(root)
    if jobs == 1:
        import_module("c2f_data.shards.build")  # several processes import it on their own
    # Everything is imported by now: what follows is the build, and only that is to be killed.
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    write_shards(index, levels(), SPEC, root / "shards", jobs=jobs)


if __name__ == "__main__":
    main()
