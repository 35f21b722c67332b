"""Public names of a package that are loaded when they are first asked for.

``import c2f_train`` must not cost the seconds that torch takes, so the packages say where their
public names are and load a module when one of its names is used (PEP 562).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

# Module to its public names; "name=attribute" where the public name is another one.
Homes = Mapping[str, tuple[str, ...]]
# Title of a section to its names.
Sections = Mapping[str, Homes]


def homes_of(sections: Sections) -> dict[str, tuple[str, str]]:
    """Each public name to (module, attribute), in the order of the sections."""
    found: dict[str, tuple[str, str]] = {}
    for homes in sections.values():
        for module, words in homes.items():
            for word in words:
                name, _, attribute = word.partition("=")
                found[name] = module, attribute or name
    return found


def loader_of(package: str, homes: Mapping[str, tuple[str, str]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package: loads a public name; AttributeError for any other."""

    def load(name: str) -> Any:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        module, attribute = homes[name]
        return getattr(import_module(module), attribute)

    return load
