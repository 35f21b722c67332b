"""Who made an artefact, from what: command, versions, git commit, device, time."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "c2f-toolkit",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "h5py",
    "scikit-learn",
    "simplejpeg",
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an artefact came to be. Kept beside results, never inside what a fingerprint covers.

    Attributes:
        command: the command line, program name first.
        versions: package name to version, of those that can change a number.
        git_commit: commit of c2f's own checkout, with ``+changes`` if it had any; None outside one.
        device: where the network ran, in words.
        seed: the seed of everything random.
        created: UTC time, ISO 8601, to the second.
    """

    command: tuple[str, ...]
    versions: dict[str, str]
    python: str
    system: str
    git_commit: str | None
    device: str
    seed: int
    created: str


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result; a package that is absent is left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def command() -> tuple[str, ...]:
    """The words of this process's command line, program name first, without its folder."""
    program, *words = sys.argv or ["c2f"]
    return Path(program).name, *words


def command_line() -> str:
    """The same as one line that a shell takes."""
    return shlex.join(command())


def collect(*, device: str, seed: int) -> Provenance:
    """Describe this process, now."""
    return Provenance(
        command=command(),
        versions=package_versions(),
        python=platform.python_version(),
        system=platform.platform(),
        git_commit=_own_commit(),
        device=device,
        seed=seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@cache
def _own_commit() -> str | None:
    """Asked for once: git takes three processes, and the code that runs here stays what it is."""
    return _git_commit(Path(__file__).resolve().parent)


def _git_commit(folder: Path) -> str | None:
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        tracked = _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    # An installed copy may sit inside somebody else's repository: that commit says nothing of us.
    return (f"{commit}+changes" if changed else commit) if tracked else None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()
