"""Who made an artefact: this process, these versions, this commit."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from c2f_data import provenance
from c2f_data.artefacts import read_json, write_json
from c2f_data.provenance import Provenance, collect, command_line, package_versions


def test_it_describes_this_process_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/c2f", "calibrate", "--seed", "3"])
    found = collect(device="cpu (2 cores)", seed=3)
    assert found.command == ("c2f", "calibrate", "--seed", "3")
    assert (found.device, found.seed) == ("cpu (2 cores)", 3)
    assert found.python == ".".join(str(part) for part in sys.version_info[:3])
    created = datetime.fromisoformat(found.created)
    assert timedelta(0) <= datetime.now(UTC) - created < timedelta(minutes=1)
    assert created.microsecond == 0


def test_the_command_line_can_be_pasted_into_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/c2f", "calibrate", "--root", "my birds"])
    assert command_line() == "c2f calibrate --root 'my birds'"


@pytest.mark.parametrize("argv", [[], [""]])
def test_a_process_without_a_command_line_is_described_too(
    monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert len(collect(device="cpu", seed=0).command) == 1


def test_versions_are_those_installed_and_absent_packages_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert package_versions()["numpy"] == version("numpy")
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert package_versions() == {"numpy": version("numpy")}


def test_it_comes_back_from_json(tmp_path: Path) -> None:
    found = collect(device="cpu", seed=1)
    write_json(tmp_path / "p.json", found, schema="p", version=1)
    assert read_json(tmp_path / "p.json", Provenance, schema="p", version=1, maker="x") == found


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout_with_a_mark_for_changes(tmp_path: Path) -> None:
    own = Path(provenance.__file__).name
    (tmp_path / own).write_text("1")
    assert provenance._git_commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "other").write_text("1")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-q", "-m", "x")
    # Inside somebody else's repository, untracked: not our commit.
    assert provenance._git_commit(tmp_path) is None
    git(tmp_path, "add", own)
    git(tmp_path, "commit", "-q", "-m", "y")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert provenance._git_commit(tmp_path) == commit
    (tmp_path / "other").write_text("2")
    assert provenance._git_commit(tmp_path) == f"{commit}+changes"


@pytest.mark.parametrize(
    "failure", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 10)], ids=repr
)
def test_a_machine_without_a_working_git_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance._git_commit(tmp_path) is None
