"""JSON schemas (draft 2020-12) from types: dataclasses become objects with all their fields."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from .docstrings import first_sentence, markdown

Schema = dict[str, Any]
# Key to type; a key that ends in "?" may be absent.
Keys = Mapping[str, Any]
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


class Types:
    """Schemas of types, and the definitions that they refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type's values in JSON."""
        if kind is Any:
            return {}
        if isinstance(kind, dict):
            return self.of_keys(kind)
        if isinstance(kind, list):
            return {"type": "array", "items": self.of(kind[0])}
        if isinstance(kind, tuple):
            return self.with_keys(*kind)
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
        if inspect.isclass(kind):
            return self._of_class(kind)
        origin, given = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Annotated:
            return self.of(given[0])
        if origin is typing.Literal:
            return {"enum": list(given)}
        if origin in (typing.Union, types.UnionType):
            return _one_of([self.of(each) for each in given])
        if origin is tuple and Ellipsis not in given:
            parts = [self.of(each) for each in given]
            return {"type": "array", "prefixItems": parts, "minItems": len(parts), "items": False}
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(given[1])}
        if inspect.isclass(origin) and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(given[0])}
        message = f"no JSON for {kind!r}"
        raise TypeError(message)

    def of_keys(self, keys: Keys) -> Schema:
        """An object with just these keys."""
        return {
            "type": "object",
            "properties": {key.rstrip("?"): self.of(kind) for key, kind in keys.items()},
            "required": [key for key in keys if not key.endswith("?")],
            "additionalProperties": False,
        }

    def with_keys(self, kind: type, more: Keys) -> Schema:
        """A dataclass's object with further keys."""
        name = self.of(kind)["$ref"].rpartition("/")[2]
        base, added = self.definitions[name], self.of_keys(more)
        return {
            **base,
            "properties": {**base["properties"], **added["properties"]},
            "required": [*base["required"], *added["required"]],
        }

    def _of_class(self, kind: type) -> Schema:
        if issubclass(kind, Path):
            return {"type": "string"}
        if issubclass(kind, Enum):
            return {"enum": [member.value for member in kind]}
        if not dataclasses.is_dataclass(kind):
            message = f"no JSON for {kind!r}"
            raise TypeError(message)
        name = kind.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # a class that holds itself finds this one
            self.definitions[name] = self._of_dataclass(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _of_dataclass(self, kind: Any) -> Schema:
        hints = typing.get_type_hints(kind, include_extras=True)
        names = (field.name for field in dataclasses.fields(kind))
        schema = self.of_keys({f"{name}{_optional(hints[name])}": hints[name] for name in names})
        said = _attributes(kind.__doc__ or "")
        for key, about in schema["properties"].items():
            if key in said:
                about["description"] = said[key]
        return {"description": first_sentence(kind.__doc__ or ""), **schema}


def _optional(hint: Any) -> str:
    """``?`` for a field that is left out of JSON where it has its default."""
    said = getattr(hint, "__metadata__", ())
    return "?" if any(getattr(each, "omit_if_default", None) for each in said) else ""


def _one_of(schemas: list[Schema]) -> Schema:
    plain = [each["type"] for each in schemas if each.keys() == {"type"}]
    if len(plain) == len(schemas):
        return {"type": plain}
    return {"anyOf": schemas}


def _attributes(docstring: str) -> dict[str, str]:
    """What a docstring says about each attribute."""
    said: dict[str, str] = {}
    text = "\n".join(markdown(docstring)).partition("**Attributes**\n")[2].partition("\n**")[0]
    for names, about in re.findall(r"^- `([^`]+)`: ((?:.|\n(?!- |\n))*)", text, re.MULTILINE):
        words = " ".join(about.split())
        said |= dict.fromkeys(names.split(", "), words)
    return said
