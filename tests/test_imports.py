"""What a command loads: no network and no data frames where a hierarchy is built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "pandas", "scipy", "sklearn", "h5py")
CODE = """
import sys
from c2f_cli.main import run
code = run(sys.argv[2:])
print(code, *sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


def loaded(*words: object) -> list[str]:
    """Exit code and heavy packages of one command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(HEAVY), *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize(
    "words",
    [
        ("cub", "--json"),
        ("cars", "--json"),
        ("cub", "--edition", "aou2016", "--diff", "aou2005"),
        ("cars", "--format", "tree"),
        ("TABLE",),
        ("--from-folder", "ROOT"),
    ],
    ids=" ".join,
)
def test_building_a_hierarchy_loads_no_heavy_package(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("family,genus,species\nF,G,a\nF,G,b\n", encoding="utf-8")
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "0.jpg").touch()
    places = {"TABLE": table, "ROOT": tmp_path / "images"}
    given = [places.get(word, word) for word in words]
    assert loaded("build-hierarchy", *given, "--workspace", tmp_path / "ws") == ["0"]


def test_help_loads_no_heavy_package() -> None:
    assert loaded("--help") == ["0"]
    assert loaded("calibrate", "--help") == ["0"]


def test_the_check_sees_what_is_loaded() -> None:
    assert "torch" in loaded("doctor", "--json")
