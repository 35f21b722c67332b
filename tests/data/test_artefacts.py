"""A file or folder is whole or not there, whatever the disk does."""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import pickle
from pathlib import Path

import pytest

from c2f_data import errors
from c2f_data.artefacts import (
    atomic_folder,
    atomic_path,
    remove_leftovers,
    sha256_file,
    write_text,
)
from c2f_data.errors import ArtefactError, C2FError


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_new_text_replaces_the_old_one_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "old\n")
    write_text(path, "new ✓\n")
    assert path.read_bytes() == "new ✓\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_while_writing_leaves_the_earlier_file_alone(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("earlier")
    with pytest.raises(failure), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_a_full_disk_keeps_the_earlier_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"earlier")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full_disk)
        with pytest.raises(ArtefactError) as caught:
            write_text(path, "new")
    assert str(path) in caught.value.message
    assert "No space left" in caught.value.message
    assert "Free some space" in caught.value.hint
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_clean_up_that_fails_does_not_hide_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArtefactError, match="file"):
        write_text(tmp_path / "file" / "a.txt", "text")
    monkeypatch.setattr(os, "fsync", full_disk)
    monkeypatch.setattr(Path, "unlink", full_disk)
    with pytest.raises(ArtefactError, match="No space left"):
        write_text(tmp_path / "a.txt", "text")


def test_a_text_that_is_not_unicode_is_refused_with_the_name_in_it(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"not UTF-8.*bird\\udcff\.jpg"):
        write_text(tmp_path / "a.txt", "a line\nbird\udcff.jpg\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    final = tmp_path / "model"
    for text in ("one", "two"):
        with atomic_folder(final) as folder:
            (folder / text).write_text(text)
            assert folder != final
        assert [p.name for p in final.iterdir()] == [text]
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_keeps_the_earlier_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    final = tmp_path / "model"
    with atomic_folder(final) as folder:
        (folder / "a").write_text("earlier")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full_disk)
        with pytest.raises(ArtefactError, match="No space left"), atomic_folder(final) as folder:
            (folder / "a").write_text("new")
    assert (final / "a").read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [final]


def test_a_rename_that_fails_half_way_brings_the_earlier_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "model"
    with atomic_folder(final) as folder:
        (folder / "a").write_text("earlier")
    real, calls = Path.replace, []

    def second_fails(self: Path, target: Path) -> Path:
        calls.append(target)
        return real(self, target) if len(calls) != 2 else full_disk()  # type: ignore[return-value]

    monkeypatch.setattr(Path, "replace", second_fails)
    with pytest.raises(ArtefactError), atomic_folder(final) as folder:
        (folder / "a").write_text("new")
    assert (final / "a").read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [final]


def test_leftovers_of_a_killed_run_go_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".tmp-12ab-a.txt").write_text("half")
    (tmp_path / ".tmp-34cd-model").mkdir()
    (tmp_path / ".tmp-34cd-model" / "weights").write_text("half")
    (tmp_path / "kept.tmp").write_text("whole")
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.tmp"]


def test_the_hash_of_a_file_is_sha256(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_every_error_survives_the_way_back_from_a_worker_process() -> None:
    kinds = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, C2FError)]
    assert len(kinds) == 7
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("what is wrong", "what to do")))
        assert type(error) is kind
        assert (error.message, error.hint) == ("what is wrong", "what to do")
        assert str(error) == "what is wrong\nwhat to do"
