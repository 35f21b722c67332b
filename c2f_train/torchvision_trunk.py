"""Networks of torchvision: cut at three of their maps, or whole; and their ImageNet weights.

The only file that knows torchvision, which is imported when a network is built, and not before.
Networks keep torchvision's own names of their tensors, so a weights file of its fits as it is.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from c2f_data.errors import ArtefactError, ConfigError

DOWNLOAD_TIMEOUT = 20.0
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish)


class TorchvisionTrunk(nn.Module):
    """A torchvision model cut at three named nodes.

    Attributes:
        extractor: the model up to the last of them.
        taps: names of the three nodes.
        channels: of the three maps.
    """

    def __init__(
        self, extractor: nn.Module, taps: Sequence[str], channels: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.taps = tuple(taps)
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised (B, 3, H, W) images to three (B, c, h, w) maps of one size."""
        maps = self.extractor(x)
        return maps[self.taps[0]], maps[self.taps[1]], maps[self.taps[2]]


def torchvision_names() -> list[str]:
    """Names of torchvision's classifiers."""
    import torchvision.models

    return list(torchvision.models.list_models(module=torchvision.models))


def vgg16_features(last: int) -> nn.Sequential:
    """VGG-16's convolutions up to a position, with random weights.

    Drawn as torchvision draws them, but without the 124 million weights of its classifier, which
    take longer than all else and would be thrown away.
    """
    from torchvision.models import vgg16

    with torch.device("meta"):
        whole = vgg16(weights=None, init_weights=False)
    features = cast("nn.Sequential", whole.features[: last + 1]).to_empty(device="cpu")
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return features


def torchvision_trunk(name: str, taps: Sequence[str]) -> TorchvisionTrunk:
    """A torchvision model cut at three maps, with random weights.

    Args:
        name: one of :func:`torchvision_names`.
        taps: names of three nodes; empty: chosen by rule, see :func:`_last_three`.

    Raises:
        ConfigError: it has no such maps, or they differ in size.
    """
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    model = get_model(name, weights=None)
    chosen = tuple(taps) or _last_three(name, model)
    _, nodes = _node_names(model)
    unknown = [tap for tap in chosen if tap not in nodes]
    if unknown:
        raise ConfigError(
            f"{name} has no feature map {unknown[0]!r}",
            f"Its last nodes: {', '.join(nodes[-12:])}.",
        )
    extractor = create_feature_extractor(model, list(chosen)).eval()
    with torch.no_grad():
        found = extractor(torch.zeros(1, 3, 224, 224))
    maps = [found[tap] for tap in chosen]
    if any(m.ndim != 4 or m.shape[2:] != maps[0].shape[2:] for m in maps):
        shapes = ", ".join(str(tuple(m.shape)) for m in maps)
        raise ConfigError(
            f"the taps of {name} differ in size: {shapes}", "Choose maps of one size."
        )
    channels = (maps[0].shape[1], maps[1].shape[1], maps[2].shape[1])
    return TorchvisionTrunk(extractor, chosen, channels)


def _node_names(model: nn.Module) -> tuple[list[str], list[str]]:
    from torchvision.models.feature_extraction import get_graph_node_names

    train, evaluation = get_graph_node_names(model)
    return list(train), list(evaluation)


def _last_three(name: str, model: nn.Module) -> tuple[str, ...]:
    """The last three activations whose maps have the size of the network's last maps.

    Networks whose activations are hidden inside larger modules (EfficientNet) or computed
    channels-last (ConvNeXt) give their last three block outputs, or any three last maps.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    modules = dict(model.named_modules())
    _, nodes = _node_names(model)
    with torch.no_grad():
        # Two images: what does not grow with the batch is a table of the network, not a map.
        maps = create_feature_extractor(model.eval(), nodes)(torch.zeros(2, 3, 224, 224))
    sizes = {n: _spatial_size(maps[n]) for n in nodes}
    for size in sorted({size for size in sizes.values() if size > 1}):
        same = [n for n in nodes if sizes[n] == size]
        kinds = (
            [n for n in same if isinstance(_module_of(n, modules), _ACTIVATIONS)],
            [n for n in same if n.rpartition(".")[2].startswith("add")],
            same,
        )
        for candidates in kinds:
            if len(candidates) >= 3:
                return tuple(candidates[-3:])
    raise ConfigError(
        f"{name} has no three maps of one size at its end",
        f"Name three feature maps: --taps A,B,C (its last nodes: {', '.join(nodes[-8:])}).",
    )


def _spatial_size(value: Any) -> int:
    """Side of the square maps (2, C, h, h) of two images; 0 for anything else."""
    if isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] == 2:
        return value.shape[2] if value.shape[2] == value.shape[3] else 0
    return 0


def _module_of(node: str, modules: Mapping[str, nn.Module]) -> nn.Module | None:
    """The module behind a graph node; a module used again is called ``name_1``, ``name_2``."""
    if node in modules:
        return modules[node]
    base, _, number = node.rpartition("_")
    return modules.get(base) if number.isdigit() else None


def torchvision_classifier(name: str, classes: int | None) -> tuple[nn.Module, Any]:
    """A whole torchvision classifier, its head included, not yet filled with weights.

    Args:
        classes: outputs of the head; None: as torchvision's weights have it.

    Returns:
        The network of normalised float images, and torchvision's entry of its weights (how its
        images are prepared, what its outputs are called).

    Raises:
        ConfigError: no such model.
    """
    from torchvision.models import get_model

    entry = torchvision_entry(name)
    head = {} if classes is None else {"num_classes": classes}
    with warnings.catch_warnings():
        # Two old models warn of a slow start that their weights then overwrite.
        warnings.simplefilter("ignore", FutureWarning)
        network = get_model(name, weights=None, **head)
    if hasattr(network, "transform_input"):
        # GoogLeNet and Inception were trained on another normalisation and convert to it.
        network.transform_input = True
    return network.eval(), entry


def torchvision_entry(name: str) -> Any:
    """Torchvision's entry of a classifier's weights, which are not read or downloaded for that.

    Raises:
        ConfigError: no such model.
    """
    from torchvision.models import get_model_weights

    if name not in torchvision_names():
        raise ConfigError(
            f"torchvision has no classifier {name!r}",
            "Give a name that torchvision.models.list_models() lists: torchvision:resnet50.",
        )
    choices: Any = get_model_weights(name)
    return choices.DEFAULT


def torchvision_state(
    name: str, otherwise: str = "a file: --weights FILE (--weights none: random)"
) -> dict[str, Tensor]:
    """ImageNet weights from torch's cache, downloaded by torch where that is possible.

    Args:
        otherwise: what else the user can give, for the error.

    Raises:
        ArtefactError: they are in neither place.
    """
    import socket

    from torchvision.models import get_model_weights

    choices: Any = get_model_weights(name)
    url = cast("str", choices.DEFAULT.url)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)  # torch.hub sets none: offline it may wait forever
    try:
        state = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError, HTTPException, pickle.UnpicklingError) as error:
        file = url.rsplit("/", 1)[-1]
        raise ArtefactError(
            f"the ImageNet weights of {name} are not here and can't be downloaded ({error})",
            f"Put {file} into {folder}, or give {otherwise}.",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return cast("dict[str, Tensor]", state)
