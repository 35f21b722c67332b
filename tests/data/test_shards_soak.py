"""Builds killed by signal 9 at random moments, resumed, killed again: never torn, never lost.

The short form runs with every change; `make soak` runs the long one, of C2F_SOAK_KILLS kills.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from killed_builds import Soak

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def test_a_few_kills(tmp_path: Path) -> None:
    """One of one process, one of two."""
    soak = Soak(tmp_path, wanted=2, early=False)
    soak.run()
    assert soak.counted == 2
    assert soak.jobs == {1, 2}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_kills(tmp_path: Path) -> None:
    wanted = int(os.environ.get("C2F_SOAK_KILLS", "30"))
    soak = Soak(tmp_path, wanted=wanted, seed=1)
    soak.run()
    said = f"{soak.counted} kills of {soak.killed} counted, {soak.finished} builds\n"
    sys.stderr.write(said)
    assert soak.counted >= wanted
    assert soak.jobs == {1, 2, 3}
