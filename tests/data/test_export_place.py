"""An export is there as a whole, or not at all; what was there before is never lost."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from export_cases import make_reader, tree, write

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.export import export as export_module
from c2f_data.export.place import SUMMARY, check_free, whole_folder
from c2f_data.shards.reader import ShardReader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("place"))


def fill(folder: Path, text: str) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_text(text, encoding="utf-8")
    (folder / SUMMARY).write_text("{}", encoding="utf-8")


def test_it_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with whole_folder(out, overwrite=False) as folder:
        fill(folder, "new")
        assert not out.exists()
    assert tree(out)["deep/er/file"] == b"new"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("before", [False, True], ids=["new", "replaced"])
def test_a_failure_leaves_what_was_there(
    tmp_path: Path, error: BaseException, before: bool
) -> None:
    out = tmp_path / "out"
    if before:
        fill(out, "old")
    kept = tree(out)
    expected_error = ArtefactError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected_error), whole_folder(out, overwrite=True) as folder:  # noqa: PT012
        fill(folder, "new")
        raise error
    assert tree(out) == kept
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if before else [])


def test_a_rename_that_fails_puts_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    fill(out, "old")
    rename = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ArtefactError), whole_folder(out, overwrite=True) as folder:
        fill(folder, "new")
    assert tree(out)["deep/er/file"] == b"old"


def test_only_exports_are_replaced_and_only_when_asked(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    check_free(photos, overwrite=False)  # empty: nothing to lose
    (photos / "mine.jpg").write_bytes(b"x")
    with pytest.raises(ArtefactError, match="no export of c2f"):
        check_free(photos, overwrite=True)
    with pytest.raises(ArtefactError, match="no export of c2f"):
        check_free(photos / "mine.jpg", overwrite=True)
    fill(photos, "")
    with pytest.raises(ArtefactError, match="earlier export"):
        check_free(photos, overwrite=False)
    check_free(photos, overwrite=True)
    with pytest.raises(ConfigError):
        check_free(Path("/"), overwrite=True)


def test_two_exports_into_one_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out, overwrite=False) as folder:
        fill(folder, "first")
        with (
            pytest.raises(ArtefactError, match="is writing here"),
            whole_folder(out, overwrite=False),
        ):
            pass
    assert tree(out)["deep/er/file"] == b"first"


def test_what_a_killed_one_left_is_cleared(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from c2f_data.export.place import whole_folder\n"
        "with whole_folder(pathlib.Path(sys.argv[1]), overwrite=True) as folder:\n"
        "    (folder / 'half').write_text('x')\n"
        "    print('now', flush=True)\n"
        "    time.sleep(60)\n"
    )
    out = tmp_path / "out"
    fill(out, "old")
    command = [sys.executable, "-c", code, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert tree(out)["deep/er/file"] == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    with whole_folder(out, overwrite=True) as folder:
        assert not list(folder.iterdir())
        fill(folder, "new")
    assert tree(out)["deep/er/file"] == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_killed_between_two_renames_the_old_one_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(tmp_path / ".tmp-export-out" / "before", "old")
    with pytest.raises(ArtefactError), whole_folder(out, overwrite=False) as folder:
        fill(folder, "new")  # there is an earlier export after all
    assert tree(out)["deep/er/file"] == b"old"


@pytest.mark.parametrize("target", ["webdataset", "parquet", "folder"])
def test_an_export_that_is_interrupted_leaves_nothing(
    reader: ShardReader, tmp_path: Path, target: str
) -> None:
    if target == "parquet":
        pytest.importorskip("pyarrow")

    def interrupt(done: int, total: int) -> None:
        assert list(tmp_path.glob(".tmp-export-out/new/*"))
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(reader, target, tmp_path / "out", progress=interrupt)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_summary_comes_last(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    real = export_module.write_json

    def note(path: Path, *rest: object, **more: object) -> None:
        seen.append({p.name for p in path.parent.iterdir()})
        real(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(export_module, "write_json", note)
    write(reader, "webdataset", tmp_path / "out")
    assert seen[0] | {SUMMARY} == {p.name for p in (tmp_path / "out").iterdir()}


def test_memory_does_not_grow_with_the_data_set(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are made one by one: at most one exists before the next is asked for."""
    from c2f_data.export import samples

    alive: list[int] = []
    made = samples.Sample

    def count(*values: object) -> object:
        alive.append(1)
        return made(*values)  # type: ignore[arg-type]

    def check(done: int, _: int) -> None:
        assert len(alive) == done

    monkeypatch.setattr(samples, "Sample", count)
    write(reader, "webdataset", tmp_path / "out", progress=check)
    assert len(alive) == sum(reader.manifest.images.values())


def test_times_are_not_in_it(reader: ShardReader, tmp_path: Path) -> None:
    write(reader, "folder", tmp_path / "a")
    time.sleep(1.1)
    write(reader, "folder", tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
