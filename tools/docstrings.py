"""Docstrings and signatures as Markdown."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

WIDTH = 88
SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:")
_ENTRY = re.compile(r"    [\w.*]+(?:, [\w.*]+)*: ")


def markdown(docstring: str) -> list[str]:
    """The lines of a docstring in the project's style, its sections as lists."""
    lines: list[str] = []
    inside = False
    for line in inspect.cleandoc(docstring).splitlines():
        text = _inline(line)
        if line in SECTIONS:
            inside = True
            lines += [f"**{line[:-1]}**", ""]
        elif not inside or (line and not line.startswith("    ")):
            inside = False
            lines.append(text)
        elif _ENTRY.match(line):
            name, _, rest = text.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}")
        elif line:
            first = lines[-1] == ""
            lines.append(f"{'- ' if first else '  '}{text.strip()}")
        else:
            lines.append("")
    return [line.rstrip() for line in lines]


def first_sentence(docstring: str) -> str:
    """What stands before the first blank line, on one line."""
    return " ".join(_inline(inspect.cleandoc(docstring).split("\n\n")[0]).split())


def _inline(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    # What introduces an indented block in a docstring needs one colon on a page.
    return re.sub("::$", ":", text.replace("``", "`"))


def signature(name: str, thing: Any) -> str:
    """A call as one would write it, in one line or one parameter a line."""
    parameters, returns = _parts(thing)
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"{name}(\n{inner}){returns}"


def _parts(thing: Any) -> tuple[list[str], str]:
    if dataclasses.is_dataclass(thing):
        return [_field(field) for field in dataclasses.fields(thing) if field.init], ""
    found = inspect.signature(thing)
    parameters = []
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in parameters:
            parameters.append("*")
        parameters.append(_parameter(parameter))
    empty = inspect.Signature.empty
    returns = found.return_annotation
    return parameters, "" if returns in (empty, "None", None) else f" -> {returns}"


def _parameter(parameter: inspect.Parameter) -> str:
    empty = inspect.Parameter.empty
    known = parameter.annotation is not empty
    text = parameter.name + (f": {parameter.annotation}" if known else "")
    if parameter.default is not empty:
        text += f" = {_value(parameter.default)}"
    return text


def _field(field: dataclasses.Field[Any]) -> str:
    text = f"{field.name}: {field.type}"
    if field.default is not dataclasses.MISSING:
        return f"{text} = {_value(field.default)}"
    if field.default_factory is not dataclasses.MISSING:
        return f"{text} = {_value(field.default_factory())}"
    return text


def _value(value: object) -> str:
    """A default as it is written in code; a function by its name, an object by its class."""
    if inspect.isfunction(value):
        return value.__name__
    text = repr(value)
    return f"{type(value).__name__}()" if "(" in text and len(text) > 30 else text
