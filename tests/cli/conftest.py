from __future__ import annotations

from pathlib import Path

import pytest
from birds import CommandLine, finished_work, make_folder


@pytest.fixture
def c2f(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """The command line in a workspace of its own, away from the machine's data sets."""
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("C2F_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path / "ws", capsys)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders, shared by tests that do not change them."""
    return make_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished work, shared by tests that do not change it; see ``finished_work``."""
    return finished_work(tmp_path_factory.mktemp("finished"))
