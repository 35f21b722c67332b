"""Programs that torch.export saved (``.pt2``).

Reading one can run code. torch.export.load (read in torch 2.15) unpickles weights, constants and
example inputs that the archive marks as pickled, loads compiled libraries that it holds,
evaluates expressions as Python text and calls any function below ``torch`` that a node names. No
check of ours could make that safe for long, so a program is only read where the user vouches for
it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from c2f_data.artefacts import sha256_file
from c2f_data.errors import ConfigError
from c2f_train.external.normalise import Normalisation, given_bytes
from c2f_train.external.source import Source, first_line, square
from c2f_train.external.words import Word


def open_exported(
    word: Word, normalisation: Normalisation | None, device: torch.device, *, trust: bool
) -> Source:
    """Read an exported program and what it says about its input.

    Args:
        normalisation: for a program of float images; None for ImageNet's. One that takes uint8
            gets the bytes.
        trust: the user vouches for the file.

    Raises:
        ConfigError: not trusted, unreadable, or not a program of one batch of images.
    """
    path = word.path
    if not trust:
        raise ConfigError(
            f"{path}: reading an exported program can run code that is in the file",
            "Where you know who made it, add --trust-classifier; an ONNX file needs no trust.",
        )
    program = _load(str(path), path.name)
    shape, dtype = _input(program, path.name)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    if not (dtype is torch.uint8 or dtype.is_floating_point):
        raise ConfigError(
            f"{path.name} takes {dtype}", "Export it for uint8 or float images (B, 3, H, W)."
        )
    network = given_bytes(_Program(program.module()), normalisation, dtype, path.name)
    side = square((shape[2], shape[3]), path.name)
    return Source(
        network=network,
        name=path.stem,
        origin=path.name,
        content=sha256_file(path),
        side=side,
        fixed_side=side is not None,
        batch=shape[0],
    )


def _load(path: str, name: str) -> Any:
    try:
        with _quiet():
            return torch.export.load(path)
    except Exception as error:  # a damaged archive raises nearly anything
        raise ConfigError(
            f"{name}: not a program that this torch ({torch.__version__}) reads "
            f"({first_line(error)})",
            "Save it with torch.export.save, by the same version of torch.",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch logs a traceback before it raises; the message says it in one line."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _input(program: Any, name: str) -> tuple[tuple[int | None, ...], torch.dtype]:
    """Shape (None where it is open) and dtype of the only input."""
    wanted = set(program.graph_signature.user_inputs)
    inputs = [
        node.meta.get("val")
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in wanted
    ]
    given = inputs[0] if len(inputs) == 1 else None
    if not isinstance(given, Tensor) or given.ndim != 4 or given.shape[1] != 3:
        raise ConfigError(
            f"{name}: a program of {len(inputs)} inputs that is not one batch of images",
            "Export a network that takes (B, 3, H, W) alone.",
        )
    return tuple(side if type(side) is int else None for side in given.shape), given.dtype


class _Program(nn.Module):
    """An exported program's module, which refuses train() and eval() itself."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Any:
        # It computes in the number format that it was exported in, and may check that it does.
        with torch.autocast(images.device.type, enabled=False):
            given = self.module(images.contiguous())
        # Of several outputs the first, as of an ONNX file's: finest first in what c2f exports.
        return given[0] if isinstance(given, tuple | list) and given else given

    def train(self, mode: bool = True) -> _Program:  # noqa: ARG002  (it is as it was exported)
        return self
