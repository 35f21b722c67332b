"""Every option of every command reaches the library, by flag, variable and file alike."""

from __future__ import annotations

import inspect
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from option_cases import CASES, TWO, USUAL, Case
from PIL import Image

from c2f_cli.main import c2f, run
from c2f_cli.settings import Option
from c2f_data.index import DatasetIndex
from c2f_data.provenance import Provenance
from c2f_data.shards.reader import ShardReader
from c2f_data.taxonomy import Taxonomy


def _flag(option: Option) -> str:
    return next(flag[2:] for flag in option.opts if flag.startswith("--"))


OPTIONS = [
    (name, _flag(parameter))
    for name, command in c2f.commands.items()
    for parameter in command.params
    if isinstance(parameter, Option) and not parameter.is_eager
]


# What tells of a value that does not show itself.
SHOWN = {
    ("format", "tree"): "├── Diomedeidae",
    ("engine", "ray"): "RayEngine(",
    ("max-mb", "0.7125"): "bytes=712500,",
}


@dataclass(frozen=True)
class Course:
    """What a command did: how it ended, what it said, and what the library was given."""

    code: int
    out: str
    err: str
    calls: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join((self.out, self.err, *self.calls))


class Watched:
    """Finished work, in which a command is run and watched."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._results: dict[str, Any] = {}
        self._before = _stamps(work)
        self._kept = {path: (work / path).read_bytes() for path in self._before}

    def course(self, name: str, case: Case, words: tuple[str, ...]) -> Course:
        calls: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            for target, give in case.calls.items():
                if target not in self._results:
                    self._results[target] = give(self.work)
                patch.setattr(target, _recorder(target, self._results[target], calls))
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                code = run([name, *words])
        wrote = self._restore()
        return Course(code, out.getvalue(), _timeless(err.getvalue()), (*calls, *wrote))

    def _restore(self) -> list[str]:
        """The files that a command wrote, and what they hold; they are removed again."""
        wrote = []
        for path, stamp in _stamps(self.work).items():
            if self._before.get(path) == stamp:
                continue
            place = self.work / path
            content = place.read_bytes()
            if path not in self._kept:
                place.unlink()
            elif content != self._kept[path]:
                place.write_bytes(self._kept[path])
            if content != self._kept.get(path):
                wrote.append(f"{path}: {content!r:.2000}")
        return sorted(wrote)


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Path to size and time of every file that a command could write."""
    found = {}
    folders = [""]  # by os.scandir: this looks at some hundred files a thousand times
    for place in folders:
        with os.scandir(folder / place) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(f"{place}{entry.name}/")
                elif not entry.name.endswith((".h5", ".safetensors")):
                    stat = entry.stat()
                    found[place + entry.name] = stat.st_size, stat.st_mtime_ns
    return found


def _recorder(target: str, result: Any, calls: list[str]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        given = [_said(each) for each in args]
        given += [f"{name}={_said(each)}" for name, each in kwargs.items()]
        calls.append(f"{target}({', '.join(given)})")
        return result

    return called


def _said(value: Any) -> str:
    if isinstance(value, (DatasetIndex, Taxonomy, ShardReader, Provenance)) or inspect.isroutine(
        value
    ):
        return type(value).__name__
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", "a time", repr(value))
    return re.sub(r"<([\w.]+) object at 0x[0-9a-f]+>", r"\1", text)


def _timeless(text: str) -> str:
    return re.sub(r"\d+(\.\d+)? s\b", "... s", text)


@pytest.fixture(scope="module")
def watched(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    work = tmp_path_factory.mktemp("watched")
    shutil.copytree(finished, work, dirs_exist_ok=True)
    space = work / "c2f_workspace"
    shutil.copytree(space / "folder", space / TWO)
    shutil.copytree(space, work / "other_workspace")
    shutil.copytree(work / "images", work / "other_images")
    (work / "own.csv").write_text("family,genus,species\nF,G,a\nF,G,b\nF,H,c\n", encoding="utf-8")
    (work / "there.csv").write_text("another\n", encoding="utf-8")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(work / "there.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.setenv("C2F_CACHE_DIR", str(work / "cache"))
        patch.setattr("c2f_data.provenance.command_line", lambda: "c2f")
        patch.setattr("c2f_cli.calibrate.command_line", lambda: "c2f")
        patch.setattr("c2f_cli.demo.time.monotonic", lambda: 0.0)
        yield Watched(work)


def option_of(name: str, word: str) -> Option:
    for parameter in c2f.commands[name].params:
        if isinstance(parameter, Option) and f"--{word}" in parameter.opts:
            return parameter
    raise AssertionError(word)


def value_for(option: Option, case: Case, word: str) -> str:
    """A value that the option takes and that is not its default."""
    kind, default = option.type, option.default
    values = {**USUAL, **case.values}
    if word in values:
        return values[word]
    if option.is_flag:
        return "true"
    if isinstance(kind, click.Choice):
        return next(str(choice) for choice in kind.choices if choice != default)
    if isinstance(kind, click.IntRange):
        lowest = kind.min if kind.min is not None else 1
        usual = default if isinstance(default, int) else lowest
        return str(usual - 1 if usual == kind.max else usual + 1)
    if isinstance(kind, click.FloatRange):
        return "0.7125"
    if kind in (click.INT, click.FLOAT):
        return "17"
    return {"workspace": "other_workspace", "device": "cuda"}.get(word, f"some_{word}")


@pytest.mark.parametrize(("name", "word"), OPTIONS, ids=[" --".join(pair) for pair in OPTIONS])
def test_an_option_arrives(
    watched: Watched, name: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, option = CASES[name], option_of(name, word)
    words = (*case.instead.get(word, case.words), *case.with_.get(word, ()))
    if f"--{word}" in words:
        at = words.index(f"--{word}")
        words = words[:at] + words[at + 2 :]
    value = value_for(option, case, word)

    flag = (f"--{word}",) if option.is_flag else (f"--{word}", value)
    flag = (f"--no-{word}",) if value == "false" else flag
    by_flag = watched.course(name, case, (*words, *flag))
    assert by_flag.code in (0, 1, 3), by_flag.err
    assert "Traceback" not in by_flag.err

    if not option.required:
        without = watched.course(name, case, words)
        assert by_flag != without, f"{name} --{word} {value} changes nothing:\n{without.text}"
    if not option.is_flag:
        first = value.split("=")[-1].split(",")[0]
        assert SHOWN.get((word, value), first) in by_flag.text

    # One of the two ways of either kind: the other options of a command prove the other one.
    key, first = word.replace("-", "_"), len(word) % 2 == 0
    own = f"C2F_{name.replace('-', '_').upper()}_{key.upper()}"
    monkeypatch.setenv(f"C2F_{key.upper()}", value if first else "unheard of")
    if not first:
        monkeypatch.setenv(own, value)
    assert watched.course(name, case, words) == by_flag, "by a variable"

    monkeypatch.setenv(own, "unheard of")
    text = value if option.is_flag or is_number(value) else f'"{value}"'
    file = f"{word} = {text}\n" if first else f"[{name}]\n{key} = {text}\n"
    (watched.work.parent / "options.toml").write_text(file, encoding="utf-8")
    config = ("--config", str(watched.work.parent / "options.toml"))
    assert watched.course(name, case, (*words, *config)) == by_flag, file


def is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def test_every_command_is_watched() -> None:
    assert set(CASES) == set(c2f.commands), "tests/cli/option_cases.py lacks a command"
