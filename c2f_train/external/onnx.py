"""ONNX files, run by onnxruntime (extra ``[onnx]``). Nothing in one is unpickled or executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from c2f_data.artefacts import sha256_file
from c2f_data.errors import ConfigError, install_hint
from c2f_train.external.normalise import Normalisation, given_bytes
from c2f_train.external.source import Source, first_line, square
from c2f_train.external.words import Word

_DTYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(uint8)": torch.uint8,
}
ERRORS_ONLY = 3


def open_onnx(word: Word, normalisation: Normalisation | None, device: torch.device) -> Source:
    """Read an ONNX file and what it says about its input.

    Raises:
        ConfigError: onnxruntime is missing, the file is damaged, or its input is no batch of
            images.
    """
    path = word.path
    session = _session(str(path), path.name, device)
    name, shape, dtype = _input(session, path.name)
    last = shape[3] == 3 and shape[1] != 3
    network = given_bytes(
        _Session(session, name, channels_last=last), normalisation, dtype, path.name
    )
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    side = square((height, width), path.name)
    return Source(
        network=network,
        name=path.stem,
        origin=path.name,
        content=sha256_file(path),
        side=side,
        fixed_side=side is not None,
        batch=shape[0],
        # Large models keep their weights in a second file.
        partial_content=True,
    )


def _session(path: str, name: str, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"--classifier {name}: onnxruntime is not installed",
            install_hint("onnx"),
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    present = onnxruntime.get_available_providers()
    providers = [p for p in wanted if p in present] + ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # its errors share no base class of their own
        raise ConfigError(
            f"{name}: not an ONNX model that onnxruntime {onnxruntime.__version__} reads "
            f"({first_line(error)})",
            "Check the file with onnx.checker; weights in a second file must lie beside it.",
        ) from error


def _input(session: Any, owner: str) -> tuple[str, list[int | None], torch.dtype]:
    """Name, shape (None where it is open) and dtype of the only input."""
    inputs = session.get_inputs()
    if len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].type in _DTYPES:
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
        if shape[1] in (3, None) or shape[3] == 3:
            return inputs[0].name, shape, _DTYPES[inputs[0].type]
    described = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs) or "nothing"
    raise ConfigError(
        f"{owner} takes {described}, not one batch of images",
        "Export a network that takes (B, 3, H, W) uint8 or float alone.",
    )


class _Session(nn.Module):
    """A session as a module: tensors in, the first output back."""

    def __init__(self, session: Any, name: str, *, channels_last: bool) -> None:
        super().__init__()
        self.session = session
        self.name = name
        self.channels_last = channels_last

    def forward(self, images: Tensor) -> Tensor:
        ordered = images.permute(0, 2, 3, 1) if self.channels_last else images
        array = np.ascontiguousarray(ordered.cpu().numpy())
        outputs: Sequence[Any] = self.session.run(None, {self.name: array})
        return torch.from_numpy(np.asarray(outputs[0])).to(images.device)
