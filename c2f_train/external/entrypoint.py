"""A function of the user's own: ``module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from c2f_data.artefacts import sha256_file
from c2f_data.errors import ConfigError
from c2f_train.external.source import Source, first_line
from c2f_train.external.words import Word


def open_entry_point(word: Word) -> Source:
    """Import the module and find the function, which takes uint8 RGB and gives scores.

    Modules are looked for where Python looks, then in the current folder; those beside a file,
    then beside that file.

    Raises:
        ConfigError: no such module or function, or the module fails.
    """
    place, _, function = word.target.rpartition(":")
    module = _module(place)
    try:
        found: Any = reduce(getattr, function.split("."), module)
    except AttributeError as error:
        raise ConfigError(
            f"{place} has no {function!r}", f"Give {place}:FUNCTION, as it is named in the file."
        ) from error
    if inspect.isclass(found) or not callable(found):
        raise ConfigError(
            f"{word.target} is no function",
            "Name a function that takes (B, 3, H, W) uint8 images and returns (B, classes) scores.",
        )
    file = getattr(module, "__file__", None)
    return Source(
        network=found if isinstance(found, nn.Module) else _Function(found),
        name=word.target,
        origin=str(file or place),
        content=sha256_file(Path(file)) if file else place,
        # Its weights and the modules that it imports are not in its own file.
        partial_content=True,
    )


def _module(place: str) -> ModuleType:
    is_file = place.endswith(".py")
    if is_file and not Path(place).is_file():
        raise ConfigError(f"{place}: no such file", "Check --classifier.")
    folder = str(Path(place).resolve().parent if is_file else Path.cwd())
    if folder not in sys.path:
        # Last, and for good: what it imports later is found, and nothing of Python's is hidden.
        sys.path.append(folder)
    try:
        with redirect_stdout(sys.stderr):
            return _from_file(Path(place)) if is_file else importlib.import_module(place)
    except (Exception, SystemExit) as error:  # someone else's code: it may raise anything
        raise ConfigError(
            f"{place} can't be imported ({first_line(error)})",
            "Run it with Python to see where it fails.",
        ) from error


def _from_file(path: Path) -> ModuleType:
    name = f"c2f_entry_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class _Function(nn.Module):
    """A function as a module; what it prints does not mix with c2f's results."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Any:
        with redirect_stdout(sys.stderr):
            return self.function(images.contiguous())
