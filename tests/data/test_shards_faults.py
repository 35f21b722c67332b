"""What can happen around a build: a worker dies, sources change, the folder goes or is closed.

Each is a clear error that leaves whole shards alone, and the next build comes to the right end.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shards_cases import SPEC, levels, make_index, tree

from c2f_data.errors import ArtefactError, C2FError
from c2f_data.index import DatasetIndex
from c2f_data.resample_spec import ResampleSpec
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.pool import AHEAD
from c2f_data.shards.sidecar import read_sidecar, sidecar_path
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards

posix = pytest.mark.skipif(os.name != "posix", reason="signals and users of POSIX")
NOBODY = 65534


@pytest.fixture
def index(tmp_path: Path) -> DatasetIndex:
    return make_index(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shards"


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every finished shard, each of which must be whole."""
    found = {}
    for path in folder.glob("[!.]*.h5"):
        entry = read_sidecar(sidecar_path(path)).entry
        assert path.stat().st_size == entry.bytes
        found[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def finish(index: DatasetIndex, folder: Path) -> None:
    """Build to the end: what is finished stays, and the result is that of a quiet build."""
    before = stamps(folder)
    assert not (folder / "manifest.json").exists()
    write_shards(index, levels(), SPEC, folder)
    assert before.items() <= stamps(folder).items()
    right = folder.with_name("right")
    write_shards(index, levels(), SPEC, right)
    assert tree(folder) == tree(right)


def at(images: int, act: Callable[[], object]) -> Callable[[int, int], None]:
    """Progress that does something once, when that many images are done."""
    done_it = []

    def report(done: int, _total: int) -> None:
        if done >= images and not done_it:
            done_it.append(True)
            act()

    return report


@posix
def test_a_worker_process_that_is_killed(index: DatasetIndex, folder: Path) -> None:
    def kill() -> None:
        multiprocessing.active_children()[0].kill()

    # Enough shards that some were not even handed over when the first are done.
    with pytest.raises(C2FError, match="one of the processes was killed") as caught:
        write_shards(index, levels(), SPEC, folder, jobs=2, progress=at(2, kill))
    assert "finished shards are kept" in caught.value.hint
    assert multiprocessing.active_children() == []
    finish(index, folder)
    assert len(read_manifest(folder).shards) > 2 * AHEAD


def rewritten(path: Path) -> None:
    """The same size and name, other bytes, as a synchronisation in place does it."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))


def replaced(path: Path) -> None:
    """Another file of the same size and time under the name."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(other, ns=times)
    other.replace(path)


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 9)


def lengthened(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("layout", ["encoded", "raw"])
@pytest.mark.parametrize("change", [Path.unlink, shortened, lengthened, rewritten, replaced])
def test_a_source_that_changes_while_its_shard_is_built(
    index: DatasetIndex, folder: Path, change: Callable[[Path], None], layout: str
) -> None:
    """The first image, after it was read and before its shard is written."""
    raw = {"encoding": "raw", "enlarged": InputSide.of(ResampleSpec.for_input(28))}
    settings = {"target_bytes": 10**9, **(raw if layout == "raw" else {})}
    path = index.root / index.records[0].path
    with pytest.raises(C2FError, match=path.name) as caught:
        write_shards(
            index, levels(), SPEC, folder, progress=at(3, lambda: change(path)), **settings
        )
    assert caught.value.hint
    assert stamps(folder) == {}
    assert not list(folder.glob(".tmp-*"))


@pytest.mark.parametrize("change", [Path.unlink, shortened, lengthened])
def test_a_source_that_changes_before_its_turn(
    index: DatasetIndex, folder: Path, change: Callable[[Path], None]
) -> None:
    train = [record for record in index.records if record.split == "train"]
    path = index.root / train[-1].path
    data = path.read_bytes()
    with pytest.raises(C2FError, match=path.name):
        write_shards(index, levels(), SPEC, folder, progress=at(2, lambda: change(path)))
    assert stamps(folder)
    assert not list(folder.glob(".tmp-*"))
    path.write_bytes(data)
    finish(index, folder)


def test_a_source_of_a_finished_shard_that_changes_makes_just_this_one_anew(
    index: DatasetIndex, folder: Path
) -> None:
    def act() -> None:
        rewritten(index.root / index.records[0].path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(index, levels(), SPEC, folder, progress=at(8, act))
    before = stamps(folder)
    assert len(before) >= 2
    write_shards(index, levels(), SPEC, folder)
    after = stamps(folder)
    assert sum(after[name] != before[name] for name in before) == 1
    assert verify(folder, index=index, rederive=True) == []


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("another", [False, True])
def test_a_folder_that_disappears(
    index: DatasetIndex, folder: Path, jobs: int, another: bool
) -> None:
    def act() -> None:
        folder.rename(folder.with_name("away"))
        if another:
            folder.mkdir()

    with pytest.raises(C2FError, match="shards") as caught:
        write_shards(index, levels(), SPEC, folder, jobs=jobs, progress=at(4, act))
    assert caught.value.hint
    assert not (folder / "manifest.json").exists()
    assert not (folder.with_name("away") / "manifest.json").exists()
    stamps(folder.with_name("away"))
    finish(index, folder)


@posix
def test_a_full_disk_under_raw_shards(index: DatasetIndex, folder: Path) -> None:
    import resource

    settings = {"encoding": "raw", "enlarged": InputSide.of(ResampleSpec.for_input(28))}
    write_shards(index, levels(), SPEC, folder.with_name("right"), **settings)
    right = tree(folder.with_name("right"))
    least = min(entry.bytes for entry in read_manifest(folder.with_name("right")).shards)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (least - 1, hard))
    try:
        with pytest.raises(ArtefactError, match="File too large"):
            write_shards(index, levels(), SPEC, folder, **settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stamps(folder) == {}
    assert not list(folder.glob(".tmp-*"))
    write_shards(index, levels(), SPEC, folder, **settings)
    assert tree(folder) == right


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that this process may read and not write, also where root runs the tests."""
    root = Path(tempfile.mkdtemp())
    (root / "shards").mkdir()
    user = os.geteuid()
    try:
        (root / "shards").chmod(0o555)
        root.chmod(0o555)
        if user == 0:
            try:
                os.seteuid(NOBODY)
            except OSError:
                pytest.skip("root can't become another user here")
        yield root / "shards"
    finally:
        if user == 0:
            os.seteuid(0)
        root.chmod(0o755)
        (root / "shards").chmod(0o755)
        shutil.rmtree(root)


@posix
@pytest.mark.parametrize("below", ["", "new"])
def test_a_folder_without_the_right_to_write(index: DatasetIndex, closed: Path, below: str) -> None:
    with pytest.raises(ArtefactError, match="Permission denied") as caught:
        write_shards(index, levels(), SPEC, closed / below)
    assert "writable" in caught.value.hint
    assert list(closed.iterdir()) == []
