"""benchmarks/gpu.sh: its syntax, its plan, and that a finished check is not run again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from c2f_cli.main import c2f

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(BASH is None, reason="no bash")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    assert BASH is not None
    command = [BASH, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_its_syntax_is_sound() -> None:
    assert BASH is not None
    subprocess.run([BASH, "-n", str(SCRIPT)], check=True)
    checker = shutil.which("shellcheck")
    if checker:
        subprocess.run([checker, str(SCRIPT)], check=True)


def test_a_dry_run_prints_every_command_and_runs_none(tmp_path: Path) -> None:
    (tmp_path / "bounding_boxes.txt").write_text("1 0 0 1 1\n", encoding="utf-8")
    out = tmp_path / "out"
    done = run("--cub", tmp_path, "--weights", "w.pth", "--out", out, "--seeds", 2, "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    names = [line.partition(":")[0] for line in lines]
    assert names == [
        "machine",
        "tests",
        "head",
        "train",
        "train-compiled",
        "head-batch32",
        "calibration",
        "calibration-relative",
        "calibration-retrained",
        "table-stage1",
        "table-stage2",
        "table-boxes",
    ]
    assert not out.exists()
    for line in lines:
        if "c2f_cli" in line:
            words = line.split("c2f_cli ")[1].split()
            command = c2f.commands[words[0]]
            context = click.Context(command, info_name=words[0])
            command.parse_args(context, words[1:])  # every option is one that the command has
    assert f"--root {tmp_path} --device cuda --weights {Path.cwd()}/w.pth" in done.stdout
    assert "--seeds 2 --stages 2 --crop bbox" in lines[-1]


def test_a_finished_check_is_not_run_again_and_a_failed_one_is(tmp_path: Path) -> None:
    python = tmp_path / "python"
    out = tmp_path / "out"
    python.write_text(f'#!/bin/sh\necho "{{}}"; exit "$(cat {tmp_path}/code)"\n', encoding="utf-8")
    python.chmod(0o755)
    words = ("--out", out, "--python", python, "--only", "head,train")
    (tmp_path / "code").write_text("1", encoding="utf-8")
    assert run(*words).returncode == 1
    assert not list(out.glob("*.done"))
    (tmp_path / "code").write_text("0", encoding="utf-8")
    assert run(*words).returncode == 0
    assert (out / "head.json").read_text(encoding="utf-8") == "{}\n"
    again = run(*words)
    assert "head: done before" in again.stdout
    assert (out / "summary.txt").read_text(encoding="utf-8").count("head: exit") == 2


def test_usage() -> None:
    assert run("--cube", "x").returncode == 2
    assert run("--cub").returncode == 2
    assert "--dry-run" in run("-h").stdout
