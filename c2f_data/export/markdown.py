"""Text from a data set inside Markdown and YAML: it stays text, whatever signs are in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from c2f_data.hierarchy.formats import visible

# Signs that Markdown or its HTML could take for markup.
_MARKUP = re.compile(r"([\\`*_{}\[\]|~$])")
# What JSON leaves as it is and a YAML reader refuses, or takes for the end of a line.
_NOT_YAML = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def plain(text: str) -> str:
    """The text as Markdown that shows just it, on one line."""
    escaped = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", escaped)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; every cell is plain text."""
    lines = [header, ["---"] * len(header), *([plain(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def yaml_block(values: dict[str, Any]) -> str:
    """A mapping as YAML, one line a key; values are JSON, which YAML reads as well."""
    return "".join(f"{key}: {_yaml(value)}\n" for key, value in values.items())


def _yaml(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
