"""Where the values of options come from: defaults < C2F_* environment < TOML file < flags.

In the environment and in TOML an option has the name of its flag: ``--batch-size`` is
``C2F_BATCH_SIZE`` (of every command that has it), ``C2F_TRAIN_BATCH_SIZE`` (of one) and
``batch_size`` or ``batch-size`` in a file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from c2f_data.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

# Read elsewhere: where data sets, caches and test data are.
OTHER_VARIABLES = ("C2F_DATA", "C2F_CACHE_DIR", "C2F_SHARED", "C2F_SOAK_KILLS", "C2F_FUZZ_MUTANTS")


class Option(click.Option):
    """An option that can also be set in the environment and in a TOML file, which wins."""

    @property
    def words(self) -> tuple[str, ...]:
        """Its names outside the command line: those of its long flags, with underscores."""
        long = (flag for flag in self.opts if flag.startswith("--"))
        return tuple(flag[2:].replace("-", "_") for flag in long)

    def variables(self, prefix: str | None) -> list[str]:
        """The environment variables that set it for a command, the first one found wins."""
        prefixes = [prefix, "C2F"] if prefix else ["C2F"]
        return [f"{each}_{word.upper()}" for each in prefixes for word in self.words]

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of C2F_COMMAND_NAME, else of C2F_NAME; None where neither is set."""
        names = self.variables(ctx.auto_envvar_prefix)
        return next((os.environ[name] for name in names if os.environ.get(name)), None)

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """As click does, but a TOML file's value wins over the environment's."""
        value, source = super().consume_value(ctx, opts)
        from_file = (ctx.default_map or {}).get(self.name or "")
        if source is ParameterSource.ENVIRONMENT and from_file is not None:
            return from_file, ParameterSource.DEFAULT_MAP
        return value, source

    def from_toml(self, value: Any) -> Any:
        """A TOML value as click takes it: a list of one for a text, a text for a list of names."""
        if self.multiple:
            return [str(part) for part in value] if isinstance(value, list) else [str(value)]
        if isinstance(value, list):
            return ",".join(str(part) for part in value)
        return value


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """``click.option`` with the precedence above."""
    return click.option(*names, cls=Option, **settings)


def words_of(command: click.Command) -> dict[str, click.Parameter]:
    """What a TOML table of a command may set, by name."""
    found: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if isinstance(parameter, Option):
            if not parameter.is_eager:  # --config: a file can't name another
                found |= dict.fromkeys(parameter.words, parameter)
        elif isinstance(parameter, click.Argument) and parameter.name:
            found[parameter.name] = parameter
    return found


def read_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Make a TOML file's values the command's defaults.

    A value at the top is for every command that has such an option, one in a table for the command
    that the table is named after.

    Raises:
        ConfigError: no file, not TOML, or a key that no command or not this table's has.
    """
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "Check --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error})", "Correct the file.") from error
    command = ctx.info_name or ""
    known = words_of(ctx.command)
    commands = _commands(ctx)
    top = {_key(key): value for key, value in values.items() if not isinstance(value, dict)}
    anywhere = {word for each in commands.values() for word in words_of(each)}
    _check(top, known.keys() | anywhere, path, "any command")
    tables = {
        key.replace("_", "-"): table for key, table in values.items() if isinstance(table, dict)
    }
    _check(tables, commands.keys() | {command}, path, "c2f (a table's name is a command)")
    for name, table in tables.items():
        words = words_of(commands[name]) if name in commands else known
        _check(map(_key, table), words, path, f"c2f {name}")
    chosen = top | {_key(key): value for key, value in tables.get(command, {}).items()}
    ctx.default_map = {
        parameter.name or "": (
            parameter.from_toml(chosen[word]) if isinstance(parameter, Option) else chosen[word]
        )
        for word, parameter in known.items()
        if word in chosen
    }
    return path


def _key(key: str) -> str:
    return key.replace("-", "_")


def _commands(ctx: click.Context) -> Mapping[str, click.Command]:
    group = ctx.parent.command if ctx.parent is not None else None
    return group.commands if isinstance(group, click.Group) else {}


def _check(keys: Iterable[str], known: Iterable[str], path: Path, whose: str) -> None:
    known = sorted(known)
    for key in keys:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            raise ConfigError(f"{path}: {key!r} is not an option of {whose}", hint)


def unknown_variables(group: click.Group) -> list[str]:
    """A line for each C2F_* variable that sets no option of any command: probably misspelt."""
    known = set(OTHER_VARIABLES)
    for name, command in group.commands.items():
        prefix = f"C2F_{name.replace('-', '_').upper()}"
        options = (p for p in command.params if isinstance(p, Option))
        known |= {variable for each in options for variable in each.variables(prefix)}
    lines = []
    for variable in sorted(set(os.environ) - known):
        if variable.startswith("C2F_"):
            near = get_close_matches(variable, known, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            lines.append(f"{variable} sets no option of any command{meant}")
    return lines
