"""Networks that give three feature maps. The only file that knows torchvision's models.

A backbone takes uint8 images, normalises them as its weights expect, and returns X, Y, Z: for
VGG-16 the outputs of relu5_1, relu5_2 and relu5_3 (section 3.2 of the paper).
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from c2f_data.errors import ArtefactError, ConfigError
from c2f_train.fused_trunk import fused_maps
from c2f_train.timm_trunk import PREFIX, timm_input_size, timm_trunk
from c2f_train.weights import load_weights, read_state

Maps = tuple[Tensor, Tensor, Tensor]
Triple = tuple[float, float, float]
RANDOM = "none"
# What a model that c2f saved calls the tensors of its trunk.
OWN_PREFIX = "backbone.body."
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
VGG16_TAPS = (25, 27, 29)
DOWNLOAD_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Trunk:
    """A network whose layers are written here rather than cut out of torchvision's.

    Attributes:
        file: the module of this package that holds it.
        kind: the class in it, built without arguments: a ``torch.nn.Module`` that takes normalised
            (B, 3, H, W) images to three maps of one size, with their ``channels``.
        input_size: the side in pixels that images are cropped to unless the user says more.
        imagenet: torchvision has ImageNet weights under the same name; otherwise it starts from
            random ones.
    """

    file: str
    kind: str
    input_size: int = 448
    imagenet: bool = False


TRUNKS: Mapping[str, Trunk] = {
    "vgg16": Trunk("backbones", "Vgg16", imagenet=True),
    "tiny": Trunk("tiny", "TinyVGG", input_size=128),
}


class Backbone(nn.Module):
    """uint8 images to three maps.

    Attributes:
        name: ``vgg16``, ``tiny``, ``timm:NAME`` or a torchvision name.
        channels: channels of the three maps.
        taps: names of the three maps, where the rule or the user chose them.
        source: where the weights came from, in words.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        name: str,
        body: nn.Module,
        channels: tuple[int, int, int],
        taps: tuple[str, ...] = (),
        source: str = "from scratch",
        normalisation: tuple[Triple, Triple] = (IMAGENET_MEAN, IMAGENET_STD),
    ) -> None:
        super().__init__()
        self.name = name
        self.body = body
        self.channels = channels
        self.taps = taps
        self.source = source
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, images: Tensor) -> Maps:
        """(B, 3, H, W) uint8 to three (B, c, h, w) maps of one size."""
        x = images.float().mul_(self.scale).add_(self.shift)
        first, second, third = self.body(x)
        return first, second, third

    def used_parameters(self) -> list[nn.Parameter]:
        """The parameters that the three maps depend on."""
        unused: Collection[str] = getattr(self.body, "unused", ())
        return [p for name, p in self.body.named_parameters() if name not in unused]

    def check_input(self, side: int) -> None:
        """Refuse a side in pixels that the network can't take, before any long work.

        Raises:
            ConfigError: it is too small, or the network wants another one.
        """
        images = torch.zeros(1, 3, side, side, dtype=torch.uint8)
        training = self.training
        try:
            with torch.no_grad():
                self.eval()(images)
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConfigError(
                f"{self.name} can't take images of {side} px ({reason})",
                "Choose another --input-size; 224 suits most networks.",
            ) from error
        finally:
            self.train(training)


class Vgg16(nn.Module):
    """The convolutions of VGG-16 up to relu5_3, with torchvision's parameter names."""

    channels = (512, 512, 512)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import vgg16

        self.features = vgg16(weights=None).features[: VGG16_TAPS[-1] + 1]

    def forward(self, x: Tensor) -> Maps:
        taken = fused_maps(self.features, x, VGG16_TAPS)
        if taken is None:
            taken = []
            for position, layer in enumerate(self.features):
                x = layer(x)
                if position in VGG16_TAPS:
                    taken.append(x)
        return taken[0], taken[1], taken[2]


class _Extractor(nn.Module):
    """A torchvision model cut at three named nodes."""

    def __init__(self, extractor: nn.Module, taps: Sequence[str]) -> None:
        super().__init__()
        self.extractor = extractor
        self.names = tuple(taps)

    def forward(self, x: Tensor) -> Maps:
        maps = self.extractor(x)
        return maps[self.names[0]], maps[self.names[1]], maps[self.names[2]]


def default_input_size(name: str) -> int:
    """The side in pixels that a backbone's images are cropped to unless the user says more.

    Raises:
        ConfigError: a network of timm that is not there.
    """
    if name.startswith(PREFIX):
        return timm_input_size(name) or 448
    return TRUNKS[name].input_size if name in TRUNKS else 448


def build_backbone(name: str, weights: str | None, taps: Sequence[str] = ()) -> Backbone:
    """Build a backbone with its weights.

    Args:
        name: of a line of ``TRUNKS``, ``timm:NAME``, or a torchvision model name.
        weights: a file (.safetensors, .pth); ``none`` for random ones; None for the usual ones
            (ImageNet by torchvision; timm's own; random for ``tiny``).
        taps: three node names of a torchvision model; of a timm model three names of modules or
            three numbers of feature maps; empty: the last three that share one size.

    Raises:
        ConfigError: no such model, or no three maps in it.
        ArtefactError: the weights are absent, damaged or of another network.
    """
    if taps and name in TRUNKS:
        raise ConfigError(f"--taps with {name}", f"{name} always gives the same three maps.")
    if taps and len(taps) != 3:
        raise ConfigError(f"{len(taps)} taps", "Name three feature maps: --taps A,B,C.")
    if name in TRUNKS:
        trunk = TRUNKS[name]
        body = getattr(import_module(f"c2f_train.{trunk.file}"), trunk.kind)()
        backbone = Backbone(name, body, body.channels)
        usual = None if trunk.imagenet else RANDOM
        return _with_weights(backbone, weights or usual, body, OWN_PREFIX)
    if name.startswith(PREFIX):
        return _of_timm(name, weights, taps)
    backbone, body = _torchvision(name, tuple(taps))
    return _with_weights(backbone, weights, body, f"{OWN_PREFIX}extractor.")


def _of_timm(name: str, weights: str | None, taps: Sequence[str]) -> Backbone:
    """A network of timm with its own normalisation."""
    body = timm_trunk(name, taps, pretrained=weights is None)
    norm = (_triple(body.mean), _triple(body.std))
    backbone = Backbone(name, body, body.channels, body.taps, normalisation=norm)
    if weights is None:
        backbone.source = f"timm {name.removeprefix(PREFIX)}"
        return backbone
    return _with_weights(backbone, weights, body.net, f"{OWN_PREFIX}net.")


def _triple(values: Sequence[float]) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _with_weights(
    backbone: Backbone, weights: str | None, trunk: nn.Module, own_prefix: str
) -> Backbone:
    """Fill the backbone; ``trunk`` is the part of it that has the library's own names."""
    if weights == RANDOM:
        return backbone
    if weights is None:
        state, backbone.source = torchvision_state(backbone.name), "torchvision ImageNet"
    else:
        state, backbone.source = read_state(Path(weights)), Path(weights).name
    load_weights(trunk, state, backbone.source, own_prefix)
    return backbone


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
    from torchvision.models import get_model_weights, list_models

    if name not in list_models(module=_classification_module()):
        raise ConfigError(
            f"torchvision has no classifier {name!r}",
            "Give a name that torchvision.models.list_models() lists: torchvision:resnet50.",
        )
    choices: Any = get_model_weights(name)
    return choices.DEFAULT


def _torchvision(name: str, taps: tuple[str, ...]) -> tuple[Backbone, nn.Module]:
    """A torchvision model cut at three maps, with random weights, and the part to be filled."""
    from torchvision.models import get_model, list_models
    from torchvision.models.feature_extraction import create_feature_extractor

    if name not in list_models(module=_classification_module()):
        raise ConfigError(
            f"no backbone {name!r}",
            f"Use {', '.join(TRUNKS)}, timm:NAME or the name of a torchvision classifier.",
        )
    model = get_model(name, weights=None)
    chosen = taps or _last_three(name, model)
    _, nodes = _node_names(model)
    unknown = [tap for tap in chosen if tap not in nodes]
    if unknown:
        raise ConfigError(
            f"{name} has no feature map {unknown[0]!r}",
            f"Its last nodes: {', '.join(nodes[-12:])}.",
        )
    body = _Extractor(create_feature_extractor(model, list(chosen)), chosen)
    with torch.no_grad():
        maps = body.eval()(torch.zeros(1, 3, 224, 224))
    if any(m.ndim != 4 or m.shape[2:] != maps[0].shape[2:] for m in maps):
        shapes = ", ".join(str(tuple(m.shape)) for m in maps)
        raise ConfigError(
            f"the taps of {name} differ in size: {shapes}", "Choose maps of one size."
        )
    channels = (maps[0].shape[1], maps[1].shape[1], maps[2].shape[1])
    return Backbone(name, body, channels, tuple(chosen)), body.extractor


def _classification_module() -> Any:
    import torchvision.models

    return torchvision.models


def _node_names(model: nn.Module) -> tuple[list[str], list[str]]:
    from torchvision.models.feature_extraction import get_graph_node_names

    train, evaluation = get_graph_node_names(model)
    return list(train), list(evaluation)


_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish)


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
