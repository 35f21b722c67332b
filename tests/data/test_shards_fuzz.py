"""Mutated shards that their manifest vouches for: an error or the true pixels, and nothing else.

They are read in another process, with a limit on its memory and its time, so that a crash, a hang
or a huge allocation is seen as what it is. The short form runs with every change; the long one
reads C2F_FUZZ_MUTANTS mutants of each kind of shards.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import shard_mutants
from shard_mutants import MUTATIONS
from shards_cases import SPEC, levels, make_index

from c2f_data.resample_spec import ResampleSpec
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.writer import write_shards

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")

LAYOUTS = {
    "encoded": {},
    "raw": {"encoding": "raw", "enlarged": InputSide.of(ResampleSpec.for_input(28))},
}


@pytest.fixture(scope="module", params=LAYOUTS)
def shards(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Two shards, so that little is read and much of it can be mutated."""
    root = tmp_path_factory.mktemp("toy")
    settings = LAYOUTS[request.param]
    write_shards(make_index(root), levels(), SPEC, root / "shards", target_bytes=10**9, **settings)
    return root / "shards"


def read_mutants(shards: Path, where: Path, seed: int, count: int) -> Counter[tuple[str, str]]:
    """How many mutants of each mutation ended how. Raises AssertionError for what must not be."""
    found: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    first = 0
    while first < count:
        arguments = [shards, where, seed, first, count]
        done = subprocess.run(
            [sys.executable, shard_mutants.__file__, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        for number, name, outcome in (line for line in lines if len(line) == 3 and line[2]):
            found[name, outcome] += 1
            if outcome not in ("true", "refused"):
                wrong.append(f"mutant {number} ({name}): {outcome}")
        first = int(lines[-1][0]) + 1
        if done.returncode:
            end = done.stderr.splitlines()[-1:]
            wrong.append(f"mutant {first - 1}: the process ended with {done.returncode} {end}")
    assert not wrong, f"seed {seed}: {wrong}"
    return found


def test_some_mutants(shards: Path, tmp_path: Path) -> None:
    found = read_mutants(shards, tmp_path / "mutant", seed=1, count=48)
    assert sum(found.values()) == 48
    # Otherwise this would be a test of something else than mutants of every kind.
    assert {name for name, _ in found} == {mutate.__name__ for mutate in MUTATIONS}
    assert {outcome for _, outcome in found} == {"true", "refused"}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_mutants(shards: Path, tmp_path: Path) -> None:
    count = int(os.environ.get("C2F_FUZZ_MUTANTS", "3000"))
    found = read_mutants(shards, tmp_path / "mutant", seed=2, count=count)
    sys.stderr.write(f"{dict(found)}\n")
    assert sum(found.values()) == count


def test_a_crash_would_be_seen(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the test itself: a process that dies over a mutant, and one that is wrong about it."""
    script = tmp_path / "reads.py"
    script.write_text(
        "import os, signal, sys\n"
        "first, last = map(int, sys.argv[-2:])\n"
        "for number in range(first, last):\n"
        "    print(number, end=' ', flush=True)\n"
        "    if number == 3:\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    print('flip_bits', 'WRONG: pixels' if number == 5 else 'true', flush=True)\n"
    )
    monkeypatch.setattr(shard_mutants, "__file__", str(script))
    with pytest.raises(AssertionError) as caught:
        read_mutants(shards, tmp_path / "mutant", seed=1, count=8)
    assert "mutant 3: the process ended with -11" in str(caught.value)
    assert "mutant 5 (flip_bits): WRONG: pixels" in str(caught.value)
