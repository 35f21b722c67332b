"""What a person sees: colours and bars on a terminal, plain lines elsewhere, completion."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from birds import CommandLine

C2F = Path(sys.executable).with_name("c2f")
HOMONYMS = "family,genus,species\nF,G,a\nE,G,b\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A hierarchy that c2f warns of: one genus name in two families."""
    path = tmp_path / "birds.csv"
    path.write_text(HOMONYMS, encoding="utf-8")
    return path


def on_a_terminal(*words: object, **environment: str) -> str:
    """What a command writes to a terminal that is its stderr."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    if "NO_COLOR" not in environment:
        env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [C2F, *map(str, words)], stdout=subprocess.PIPE, stderr=theirs, env=env
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:  # Linux: the other side is closed
        pass
    process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


def test_colours_on_a_terminal_and_none_with_no_color(table: Path, tmp_path: Path) -> None:
    words = ("build-hierarchy", table, "--workspace", tmp_path / "ws")
    assert "\x1b[33mWarning: " in on_a_terminal(*words)
    plain = on_a_terminal(*words, NO_COLOR="1")
    assert "Warning: " in plain
    assert "\x1b[3" not in plain


def test_no_control_sequence_in_a_pipe(table: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [C2F, "build-hierarchy", table, "--workspace", tmp_path / "ws"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout + done.stderr
    assert b"Warning: " in done.stderr


def test_quiet_leaves_warnings_and_results(c2f: CommandLine, table: Path) -> None:
    loud = c2f("build-hierarchy", table)
    quiet = c2f("build-hierarchy", table, "--quiet")
    assert quiet.out == loud.out
    assert [line for line in loud.err.splitlines() if line.startswith("Next: ")]
    assert all(line.startswith("Warning: ") for line in quiet.err.splitlines())
    assert quiet.err


def test_work_in_a_log_is_plain_lines(c2f: CommandLine, images: Path) -> None:
    words = ("shard", "--dataset", "folder", "--root", images, "--med", 20, "--low", 10)
    answer = c2f(*words, "--jobs", 1)
    assert answer.code == 0
    assert any(line.startswith("Writing shards: 48/48, ") for line in answer.err.splitlines())
    assert "\x1b" not in answer.err
    assert c2f(*words, "--overwrite", "--quiet", "--jobs", 1).err == ""


def completed(*words: str) -> list[str]:
    """What bash offers for these words, with the line of docs/cli.md in its start file."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        'eval "$(_C2F_COMPLETE=bash_source c2f)"; '
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        '_c2f_completion c2f; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{C2F.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PATH": path},
        timeout=60,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_options_and_choices() -> None:
    assert completed("c2f", "ca") == ["calibrate"]
    assert {"--batch-size", "--backbone"} <= set(completed("c2f", "train", "--ba"))
    assert completed("c2f", "calibrate", "--protocol", "") == ["fixed", "retrained"]


@pytest.mark.parametrize(
    ("shell", "said"),
    [("bash", "complete -o nosort"), ("zsh", "compdef"), ("fish", "complete ")],
)
def test_the_other_shells_get_their_script(shell: str, said: str) -> None:
    env = {**os.environ, "_C2F_COMPLETE": f"{shell}_source"}
    done = subprocess.run([C2F], capture_output=True, encoding="utf-8", env=env, timeout=60)
    assert done.returncode == 0
    assert said in done.stdout
    assert f"_C2F_COMPLETE={shell}_complete" in done.stdout
