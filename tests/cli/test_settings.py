"""Where values of options come from, and what is said about names that no option has."""

from __future__ import annotations

from pathlib import Path

import pytest
from birds import CommandLine, one_line_error

from c2f_cli.main import c2f as group
from c2f_cli.main import main
from c2f_cli.settings import Option


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "c2f.toml"


def hierarchies(folder: Path) -> list[str]:
    return sorted(path.parent.parent.name for path in folder.glob("*/cub/hierarchy.csv"))


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_each_place_wins_over_those_before_it(
    tmp_path: Path, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "build-hierarchy", "cub") == 0
    monkeypatch.setenv("C2F_WORKSPACE", "everywhere")
    assert run(monkeypatch, "build-hierarchy", "cub") == 0
    monkeypatch.setenv("C2F_BUILD_HIERARCHY_WORKSPACE", "here")
    assert run(monkeypatch, "build-hierarchy", "cub") == 0
    toml.write_text('workspace = "top"\n', encoding="utf-8")
    assert run(monkeypatch, "build-hierarchy", "cub", "--config", str(toml)) == 0
    toml.write_text(
        'workspace = "top2"\n[build-hierarchy]\nworkspace = "table"\n', encoding="utf-8"
    )
    assert run(monkeypatch, "build-hierarchy", "cub", "--config", str(toml)) == 0
    words = ("build-hierarchy", "cub", "--config", str(toml), "--workspace", "flag")
    assert run(monkeypatch, *words) == 0
    assert hierarchies(tmp_path) == sorted(
        ["c2f_workspace", "everywhere", "here", "top", "table", "flag"]
    )


def test_a_file_serves_several_commands(c2f: CommandLine, toml: Path) -> None:
    toml.write_text(
        'levels = ["family", "genus", "species"]\nseed = 3\n'
        '[build-hierarchy]\ntable = "cars"\njson = true\n[train]\nbatch-size = 4\n',
        encoding="utf-8",
    )
    assert c2f("build-hierarchy", "--config", toml).json["species"] == 196


def test_the_file_can_be_named_in_the_environment(
    c2f: CommandLine, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("json = true\n", encoding="utf-8")
    monkeypatch.setenv("C2F_CONFIG", str(toml))
    assert c2f("build-hierarchy", "cub").json["species"] == 200


@pytest.mark.parametrize(
    ("text", "said", "advised"),
    [
        ("batch_sise = 4", "'batch_sise' is not an option of any command", "batch_size?"),
        ("[train]\nbatch_sise = 4", "'batch_sise' is not an option of c2f train", "batch_size?"),
        ("[train]\nt_med = 0.5", "'t_med' is not an option of c2f train", "Known: "),
        ("[trian]\nseed = 1", "'trian' is not an option of c2f", "Did you mean train?"),
        ("config = 'other.toml'", "'config' is not an option", ""),
        ("as_json = true", "'as_json' is not an option", ""),
        ("seed =", "not valid TOML", "Correct the file."),
    ],
)
def test_keys_that_no_option_has(
    c2f: CommandLine, toml: Path, text: str, said: str, advised: str
) -> None:
    """Also in the tables of other commands: a mistake there is found before it is needed."""
    toml.write_text(text, encoding="utf-8")
    answer = c2f("build-hierarchy", "cub", "--config", toml)
    assert answer.code == 1
    assert said in one_line_error(answer)
    assert advised in answer.err.splitlines()[-1]


def test_a_value_of_the_wrong_kind_is_a_usage_error(c2f: CommandLine, toml: Path) -> None:
    toml.write_text('[train]\nseed = "first"\n', encoding="utf-8")
    answer = c2f("train", "--config", toml)
    assert answer.code == 2
    assert "--seed" in answer.err


def test_a_variable_that_no_option_reads_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("C2F_WORKSPASE", "elsewhere")
    monkeypatch.setenv("C2F_SHARED", "known")
    assert run(monkeypatch, "build-hierarchy", "cub", "--quiet") == 0
    said = capsys.readouterr().err
    assert said == (
        "Warning: C2F_WORKSPASE sets no option of any command: did you mean C2F_WORKSPACE?\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trian",), "Did you mean 'train'?"),
        (("train", "--bacth-size", "3"), "'--batch-size'"),
        (("calibrate", "--t-mde", "0.5"), "'--t-med'"),
    ],
)
def test_near_matches_on_the_command_line(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("-vv", "train"),
        ("train", "-vv"),
        ("train", "-v", "-v"),
        ("train", "--verbose", "--verbose"),
    ],
)
def test_vv_shows_the_traceback(
    c2f: CommandLine,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.splitlines()[-2].startswith("Error: ")
    assert run(monkeypatch, "train", "-v") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_every_option_of_a_command_can_be_set_in_a_file() -> None:
    """But for the file's name, the number of v and --help."""
    for command in group.commands.values():
        for parameter in command.params:
            if not isinstance(parameter, Option) and parameter.param_type_name == "option":
                assert parameter.name == "verbose", f"{command.name}: {parameter.name}"
