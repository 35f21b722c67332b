"""Weights files of others, read without running any code in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from c2f_data.errors import ArtefactError


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict without running any code in it.

    Raises:
        ArtefactError: absent, or not a file of tensors.
    """
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise ArtefactError(f"{path}: no such weights file", "Check --weights.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtefactError(
            f"{path}: not a weights file ({reason})",
            "Give a .safetensors or .pth file that holds tensors only.",
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ArtefactError(f"{path}: not a state dict", "Save model.state_dict(), not the model.")
    return {str(key): value for key, value in state.items()}


def load_weights(
    module: nn.Module, state: Mapping[str, Tensor], source: str, own_prefix: str
) -> None:
    """Load what the module needs; a classifier that the file also holds is left alone.

    Args:
        source: where the tensors came from, for the error.
        own_prefix: of the module's tensors in a model that c2f saved; torchvision's names have
            none.

    Raises:
        ArtefactError: a tensor is missing or of another shape.
    """
    own = module.state_dict()
    prefix = own_prefix if any(key.startswith(own_prefix) for key in state) else ""
    found = {key: state[prefix + key] for key in own if prefix + key in state}
    wrong = [k for k in own if k not in found or found[k].shape != own[k].shape]
    if wrong:
        raise ArtefactError(
            f"{source}: {len(wrong)} of {len(own)} tensors are missing or of another shape "
            f"(first: {wrong[0]})",
            "Give the weights of this very backbone, with its library's key names.",
        )
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in found.items()})
