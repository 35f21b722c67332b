"""Write docs/cli.md from the commands' help; what stands above the mark stays.

Usage: python -m tools.cli_page
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from c2f_cli.main import c2f

from .public_names import ROOT

PAGE = ROOT / "docs/cli.md"
# Parameters that every command has, by their names in the code.
COMMON = ("workspace", "as_json", "config", "quiet", "verbose")
MARK = "<!-- Below: written by python -m tools.cli_page from the commands' help. -->\n"


def page() -> str:
    """The text that docs/cli.md should have."""
    head, found, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    if not found:
        message = f"{PAGE}: no line {MARK!r}"
        raise SystemExit(message)
    lines = list(_common(next(iter(c2f.commands.values()))))
    lines += [line for command in c2f.commands.values() for line in _command(command)]
    return head + MARK + "\n" + "\n".join(lines).rstrip() + "\n"


def _common(command: click.Command) -> Iterator[str]:
    yield from ["## Options of every command", ""]
    yield from _table(command, [p for p in command.params if p.name in COMMON])


def _command(command: click.Command) -> Iterator[str]:
    context = _context(command)
    text, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:\n")
    yield from [f"## c2f {command.name}", "", *text.rstrip().splitlines(), ""]
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield from ["```text", usage, "```", "", "Examples:", "", "```text"]
    yield from inspect.cleandoc(example).splitlines()
    yield from ["```", ""]
    own = [p for p in command.params if p.name not in COMMON]
    if any(isinstance(p, click.Option) for p in own):
        yield from _table(command, own)


def _context(command: click.Command) -> click.Context:
    # As c2f makes it: a command keeps the names of its help option from the first context.
    return click.Context(
        command,
        info_name=command.name,
        parent=click.Context(c2f, info_name="c2f", **c2f.context_settings),
    )


def _table(command: click.Command, parameters: Sequence[click.Parameter]) -> Iterator[str]:
    context = _context(command)
    yield from ["| option | meaning |", "|---|---|"]
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            names, said = record
            yield f"| `{_cell(names)}` | {_cell(said)} |"
    yield ""


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "\\<").strip()


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
