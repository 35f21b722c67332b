"""What a word after ``--classifier`` means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from c2f_data.errors import ConfigError

_ATTRIBUTE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_WEIGHTS = (".pt", ".pth", ".safetensors", ".ckpt", ".bin")


class Kind(StrEnum):
    """Where a classifier that c2f did not make comes from."""

    TIMM = "timm"
    TORCHVISION = "torchvision"
    EXPORTED = "exported program"
    ONNX = "ONNX file"
    ENTRY_POINT = "entry point"


@dataclass(frozen=True, slots=True)
class Word:
    """A classifier's kind, and the name, path or ``module:function`` that it is found by."""

    kind: Kind
    target: str

    @property
    def path(self) -> Path:
        """The file of an exported program or ONNX model. Raises ConfigError if it is not there."""
        path = Path(self.target)
        if not path.is_file():
            raise ConfigError(f"{path}: no such file", "Check --classifier.")
        return path


def parse_word(word: str) -> Word | None:
    """The external classifier that a word names; None for c2f's own (``probe``, a folder).

    Raises:
        ConfigError: a prefix without a name, or a file of weights without a network.
    """
    for kind in (Kind.TIMM, Kind.TORCHVISION):
        prefix = f"{kind}:"
        if word.startswith(prefix):
            return Word(kind, _not_empty(word.removeprefix(prefix), word))
    suffix = Path(word).suffix.lower()
    if suffix == ".pt2":
        return Word(Kind.EXPORTED, word)
    if suffix == ".onnx":
        return Word(Kind.ONNX, word)
    if suffix in _WEIGHTS and not Path(word).is_dir():
        raise ConfigError(
            f"--classifier {word}: weights without the network that they belong to",
            f"Name the network: --classifier torchvision:NAME (or timm:NAME) --weights {word}.",
        )
    module, colon, function = word.rpartition(":")
    if colon and module and _ATTRIBUTE.fullmatch(function) and _is_module(module):
        return Word(Kind.ENTRY_POINT, word)
    return None


def _is_module(text: str) -> bool:
    return text.endswith(".py") or _ATTRIBUTE.fullmatch(text) is not None


def _not_empty(name: str, word: str) -> str:
    if not name:
        raise ConfigError(f"--classifier {word} names no model", f"Give {word}resnet50.")
    return name
