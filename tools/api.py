"""Write docs/api.md from the docstrings of the public names; what stands above the mark stays.

Usage: python -m tools.api
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from c2f_data.lazy import homes_of

from .docstrings import markdown, signature
from .public_names import PACKAGES, ROOT

PAGE = ROOT / "docs/api.md"
MARK = "<!-- Below: written by python -m tools.api from the docstrings. -->\n"


def page() -> str:
    """The text that docs/api.md should have."""
    head, found, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    if not found:
        message = f"{PAGE}: no line {MARK!r}"
        raise SystemExit(message)
    lines = [line for package in PACKAGES for line in _package(package)]
    text = "\n".join(lines).rstrip() + "\n"
    return head + MARK + "\n" + re.sub(r"\n{3,}", "\n\n", text)


def _package(name: str) -> Iterator[str]:
    package = import_module(name)
    yield from [f"# {name}", "", *markdown(package.__doc__ or ""), ""]
    for title, homes in package.PUBLIC.items():
        yield from [f"## {title}", ""]
        for public in homes_of({title: homes}):
            yield from _entry(f"{name}.{public}", getattr(package, public))


def _entry(name: str, thing: Any) -> Iterator[str]:
    yield from [f"### {name}", ""]
    short = name.rpartition(".")[2]
    if inspect.isclass(thing):
        yield from _class(short, thing)
    elif inspect.isfunction(thing):
        yield from _code(signature(short, thing))
        yield from [*markdown(thing.__doc__ or ""), ""]
    else:
        yield from [f"A `{type(thing).__name__}`.", ""]


def _class(name: str, kind: type) -> Iterator[str]:
    if issubclass(kind, Exception):
        yield from [*markdown(kind.__doc__ or ""), ""]
        return
    made = not getattr(kind, "_is_protocol", False)
    yield from _code(f"class {signature(name, kind) if made else name}")
    yield from [*markdown(kind.__doc__ or ""), ""]
    constructor = vars(kind).get("__init__")
    if made and getattr(constructor, "__doc__", None) and not dataclasses.is_dataclass(kind):
        yield from [*markdown(constructor.__doc__), ""]
    for member, value in vars(kind).items():
        if member.startswith("_") or not (inspect.isfunction(value) or _is_property(value)):
            continue
        function = value if inspect.isfunction(value) else getattr(value, "fget", None)
        function = function or value.func
        head = f".{member}" if _is_property(value) else f".{signature(member, function)}"
        first, *rest = markdown(function.__doc__ or "") or [""]
        yield f"- `{' '.join(head.split())}`: {first}"
        yield from [f"  {line}".rstrip() for line in rest]
    yield ""


def _is_property(value: object) -> bool:
    return isinstance(value, property) or type(value).__name__ == "cached_property"


def _code(text: str) -> list[str]:
    return ["```python", *text.splitlines(), "```", ""]


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
