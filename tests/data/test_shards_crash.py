"""A kill, Ctrl-C or a full disk in the middle: nothing torn, nothing lost, nothing left running."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shards_cases import SPEC, levels, make_index, tree

from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.shards import hdf5
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

# Dies by its own hand at a fixed image, so the moment does not depend on how fast it runs.
SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from shards_cases import SPEC, levels, make_index
from c2f_data.shards.writer import write_shards

def progress(done, total):
    if done >= int(sys.argv[5]):
        # 0: every process of the group, which is what Ctrl-C in a terminal does.
        who = 0 if sys.argv[4] == "SIGINT" else os.getpid()
        os.kill(who, getattr(signal, sys.argv[4]))

if __name__ == "__main__":
    # A shell's background jobs, and so what they start, ignore Ctrl-C unless told otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    root = Path(sys.argv[2])
    write_shards(make_index(root), levels(), SPEC, root / "shards", jobs=int(sys.argv[3]),
                 progress=progress)
"""


def run_until(root: Path, jobs: int, how: str, images: int) -> subprocess.CompletedProcess[str]:
    script = root / "script.py"
    script.write_text(SCRIPT)
    here = str(Path(__file__).parent)
    arguments = [here, str(root), str(jobs), how, str(images)]
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("t*.h5")}


@pytest.fixture
def fresh(tmp_path: Path) -> tuple[DatasetIndex, dict[str, bytes]]:
    """A data set, and what its shards must be in the end."""
    index = make_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "right")
    return index, tree(tmp_path / "right")


def finish(index: DatasetIndex, folder: Path, right: dict[str, bytes]) -> None:
    """Resume: finished shards are kept, and the result is what a quiet run gives."""
    before = times(folder)
    assert all(right[path.name] == path.read_bytes() for path in folder.glob("t*.h5"))
    write_shards(index, levels(), SPEC, folder)
    assert before.items() <= times(folder).items()
    assert tree(folder) == right
    assert verify(folder, decode=True) == []


@posix
def test_kill_9_in_one_process(
    tmp_path: Path, fresh: tuple[DatasetIndex, dict[str, bytes]]
) -> None:
    done = run_until(tmp_path, 1, "SIGKILL", 11)
    assert done.returncode == -signal.SIGKILL
    folder = tmp_path / "shards"
    assert len(times(folder)) >= 2
    assert not (folder / "manifest.json").exists()
    finish(fresh[0], folder, fresh[1])


@posix
def test_kill_9_takes_the_worker_processes_along(
    tmp_path: Path, fresh: tuple[DatasetIndex, dict[str, bytes]]
) -> None:
    done = run_until(tmp_path, 2, "SIGKILL", 1)
    assert done.returncode == -signal.SIGKILL
    # capture_output has waited until no process held the pipes: the workers are gone.
    assert not (tmp_path / "shards" / "manifest.json").exists()
    finish(fresh[0], tmp_path / "shards", fresh[1])


@posix
def test_ctrl_c_stops_all_processes_quietly(
    tmp_path: Path, fresh: tuple[DatasetIndex, dict[str, bytes]]
) -> None:
    started = time.monotonic()
    done = run_until(tmp_path, 2, "SIGINT", 1)
    assert time.monotonic() - started < 60
    assert done.returncode in (-signal.SIGINT, 130, 1)
    # One traceback, of the first process; the command line turns it into a line of its own.
    assert done.stderr.count("Traceback") == 1
    assert "KeyboardInterrupt" in done.stderr
    assert not list((tmp_path / "shards").glob(".tmp-*"))
    finish(fresh[0], tmp_path / "shards", fresh[1])


def test_ctrl_c_between_two_images(
    tmp_path: Path, fresh: tuple[DatasetIndex, dict[str, bytes]]
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    folder = tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt):
        write_shards(fresh[0], levels(), SPEC, folder, progress=interrupt)
    assert not list(folder.glob(".tmp-*"))
    finish(fresh[0], folder, fresh[1])


@pytest.mark.parametrize("rename", range(1, 7))
def test_stopped_right_after_a_rename(
    tmp_path: Path,
    fresh: tuple[DatasetIndex, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    rename: int,
) -> None:
    """A shard that can be seen is a finished one, whatever its sidecar's turn was."""
    calls = 0

    def stop(folder: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == rename:
            raise KeyboardInterrupt

    folder = tmp_path / "shards"
    with monkeypatch.context() as patch:
        patch.setattr("c2f_data.artefacts.fsync_folder", stop)
        with pytest.raises(KeyboardInterrupt):
            write_shards(fresh[0], levels(), SPEC, folder)
    finish(fresh[0], folder, fresh[1])


def test_leftovers_of_a_killed_run_are_removed(
    tmp_path: Path, fresh: tuple[DatasetIndex, dict[str, bytes]]
) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / ".tmp-0123abcd-train.h5").write_bytes(b"half")
    finish(fresh[0], folder, fresh[1])
    assert not list(folder.glob(".tmp-*"))


@pytest.mark.parametrize("call", [3, 6])
def test_a_disk_that_is_full(
    tmp_path: Path,
    fresh: tuple[DatasetIndex, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    calls = 0
    write = hdf5.write_hdf5

    def full(path: Path, *arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            path.write_bytes(b"as far as it went")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, *arguments)  # type: ignore[arg-type]

    folder = tmp_path / "shards"
    with monkeypatch.context() as patch:
        patch.setattr("c2f_data.shards.build.write_hdf5", full)
        with pytest.raises(ArtefactError, match="No space left on device") as caught:
            write_shards(fresh[0], levels(), SPEC, folder)
    assert "Free some space" in caught.value.hint
    assert len(times(folder)) == call - 1
    assert not list(folder.glob(".tmp-*"))
    finish(fresh[0], folder, fresh[1])


@posix
def test_a_write_that_the_system_cuts_off(
    tmp_path: Path, fresh: tuple[DatasetIndex, dict[str, bytes]]
) -> None:
    """The real thing, through the kernel: the HDF5 library would crash the process here."""
    import resource

    folder = tmp_path / "shards"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    smallest = min(len(data) for name, data in fresh[1].items() if name.endswith(".h5"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (smallest - 1, hard))
    try:
        with pytest.raises(ArtefactError, match="File too large"):
            write_shards(fresh[0], levels(), SPEC, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(folder.glob(".tmp-*"))
    finish(fresh[0], folder, fresh[1])


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtefactError, match="file"):
        write_shards(make_index(tmp_path), levels(), SPEC, tmp_path / "file" / "shards")
