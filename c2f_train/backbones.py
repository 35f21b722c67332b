"""Networks that give three feature maps.

A backbone takes uint8 images, normalises them as its weights expect, and returns X, Y, Z: for
VGG-16 the outputs of relu5_1, relu5_2 and relu5_3 (section 3.2 of the paper).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from c2f_data.errors import ConfigError
from c2f_train.fused_trunk import fused_maps
from c2f_train.timm_trunk import PREFIX, timm_input_size, timm_trunk
from c2f_train.torchvision_trunk import (
    torchvision_names,
    torchvision_state,
    torchvision_trunk,
    vgg16_features,
)
from c2f_train.weights import load_weights, read_state

Maps = tuple[Tensor, Tensor, Tensor]
Triple = tuple[float, float, float]
RANDOM = "none"
# What a model that c2f saved calls the tensors of its trunk.
OWN_PREFIX = "backbone.body."
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
VGG16_TAPS = (25, 27, 29)


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
        self.features = vgg16_features(VGG16_TAPS[-1])

    def forward(self, x: Tensor) -> Maps:
        taken = fused_maps(self.features, x, VGG16_TAPS)
        if taken is None:
            taken = []
            for position, layer in enumerate(self.features):
                x = layer(x)
                if position in VGG16_TAPS:
                    taken.append(x)
        return taken[0], taken[1], taken[2]


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
    return _of_torchvision(name, weights, taps)


def _of_torchvision(name: str, weights: str | None, taps: Sequence[str]) -> Backbone:
    """A classifier of torchvision's cut at three maps."""
    if name not in torchvision_names():
        raise ConfigError(
            f"no backbone {name!r}",
            f"Use {', '.join(TRUNKS)}, timm:NAME or the name of a torchvision classifier.",
        )
    body = torchvision_trunk(name, taps)
    backbone = Backbone(name, body, body.channels, body.taps)
    return _with_weights(backbone, weights, body.extractor, f"{OWN_PREFIX}extractor.")


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
