"""Classifiers of model libraries: of torchvision (built in torchvision_trunk.py) and of timm."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from c2f_data.errors import ArtefactError, ConfigError, install_hint
from c2f_train.external.normalise import Normalisation, Normalised
from c2f_train.external.source import Source, first_line, square
from c2f_train.torchvision_trunk import (
    torchvision_classifier,
    torchvision_entry,
    torchvision_state,
)
from c2f_train.weights import read_state

IMAGENET_1K = 1000
OTHERWISE = "the weights as a file, with the names of their classes: --weights FILE --labels FILE"
_OLD_NAME = re.compile(r"\.(norm|conv)\.([12])\.")


def torchvision_labels(name: str) -> tuple[str, ...]:
    """What the outputs of torchvision's own weights are called, known before they are here.

    Raises:
        ConfigError: no such model.
    """
    return tuple(torchvision_entry(name).meta["categories"])


def timm_labels(name: str) -> tuple[str, ...] | None:
    """The same of timm's; None: not known before they are here, or no timm."""
    try:
        import timm
    except ImportError:
        return None
    known = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    return None if known is None else _timm_labels(known.num_classes, known.to_dict())


def open_torchvision(name: str, weights: str | None, labels: int | None) -> Source:
    """A torchvision classifier with its ImageNet weights, or with a file of its owner's.

    Args:
        weights: a state dict of the whole classifier; None: torchvision's best.
        labels: number of outputs, for a file of weights.

    Raises:
        ConfigError: no such model; a file of weights without labels.
        ArtefactError: the weights are absent, damaged or of another network.
    """
    network, entry = torchvision_classifier(name, _outputs(weights, labels))
    if weights is None:
        hint = "Delete the file from torch's cache: it will be downloaded again."
        _fill(network, torchvision_state(name, OTHERWISE), f"torchvision's {name}", hint)
    else:
        _fill_from(network, weights, labels)
    preset = entry.transforms()
    return Source(
        network=Normalised(network, Normalisation(tuple(preset.mean), tuple(preset.std))),
        name=name,
        origin=Path(weights).name if weights else f"torchvision {entry.name}",
        content=state_digest(network),
        side=int(preset.crop_size[0]),
        enlarged=int(preset.resize_size[0]),
        labels=None if weights else tuple(entry.meta["categories"]),
    )


def open_timm(name: str, weights: str | None, labels: int | None) -> Source:
    """A timm classifier with its own weights, or with a file of its owner's. See above."""
    try:
        import timm
        from timm.data import resolve_model_data_config
    except ImportError as error:
        raise ConfigError(
            f"--classifier timm:{name}: timm is not installed",
            install_hint("timm"),
        ) from error
    # Only names that timm itself lists: a hub or folder address would bring its own settings.
    if not timm.is_model(name) or ":" in name or "/" in name:
        raise ConfigError(
            f"timm has no model {name!r}",
            "Give a name that timm.list_models() lists, with or without a tag: resnet50.a1_in1k.",
        )
    network = _timm_network(timm, name, weights, _outputs(weights, labels))
    settings = resolve_model_data_config(network)
    own: dict[str, Any] = getattr(network, "pretrained_cfg", {})
    tag = own.get("tag") or "default"
    side = square(tuple(settings["input_size"][1:]), name)
    squashed = settings["crop_mode"] == "squash"
    return Source(
        network=Normalised(network, Normalisation(tuple(settings["mean"]), tuple(settings["std"]))),
        name=name,
        origin=Path(weights).name if weights else f"timm {tag}",
        content=state_digest(network),
        side=side,
        enlarged=int(side / settings["crop_pct"]) if side else None,
        labels=None if weights else _timm_labels(getattr(network, "num_classes", None), own),
        notes=("It was made for squashed images: --fit squash gives it those.",) * squashed,
    )


def _timm_network(timm: Any, name: str, weights: str | None, outputs: int | None) -> nn.Module:
    try:
        if weights is None:
            built: nn.Module = timm.create_model(name, pretrained=True)
        else:
            built = timm.create_model(name, pretrained=False, num_classes=outputs)
    except Exception as error:  # the hub's client has many ways to say that it is offline
        raise ConfigError(
            f"timm:{name} can't be built with its weights ({first_line(error)})",
            "Without a connection, give the weights as a file with their labels: "
            "--weights FILE --labels FILE.",
        ) from error
    if weights is not None:
        _fill_from(built, weights, outputs)
    return built.eval()


def _fill_from(network: nn.Module, weights: str, outputs: int | None) -> None:
    """Load a file that must hold every tensor, the head's included."""
    path = Path(weights)
    _fill(
        network,
        read_state(path),
        path.name,
        f"Give the state dict of the whole classifier, its head of {outputs} classes (the names "
        "in --labels) included, with the library's own key names.",
    )


def _fill(network: nn.Module, state: Mapping[str, Tensor], source: str, hint: str) -> None:
    # DenseNet's weights are older than its module names.
    current = {_OLD_NAME.sub(r".\1\2.", key): value for key, value in state.items()}
    try:
        network.load_state_dict(current)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ArtefactError(
            f"{source}: not the weights of this network ({lines[min(1, len(lines) - 1)][:200]})",
            hint,
        ) from error


def _timm_labels(outputs: int | None, own: dict[str, Any]) -> tuple[str, ...] | None:
    """The names that the weights carry; ImageNet's for 1,000 outputs."""
    from timm.data import ImageNetInfo

    if own.get("label_names"):
        described = own.get("label_descriptions") or {}
        return tuple(str(described.get(name, name)) for name in own["label_names"])
    if outputs == IMAGENET_1K:
        return tuple(ImageNetInfo("imagenet-1k").label_descriptions())
    return None


def _outputs(weights: str | None, labels: int | None) -> int | None:
    if weights is None:
        return None
    if labels is None:
        raise ConfigError(
            f"--weights {weights}: which class each of its scores belongs to is not known",
            "Name the classes in the order of the scores: --labels FILE.",
        )
    return labels


def state_digest(network: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of a network's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
