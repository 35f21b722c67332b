"""Networks of timm as backbones: three of their maps, of one size.

timm is imported when one is built, and nowhere before. Networks keep timm's own names of their
tensors, so a weights file of timm's fits as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from c2f_data.errors import ConfigError, install_hint
from c2f_train.timm_maps import intermediates, last_three, spatial_size

PREFIX = "timm:"
# Where a network takes images of any side: of the look at its maps.
USUAL_SIDE = 224


class TimmTrunk(nn.Module):
    """A network of timm cut at three places.

    Attributes:
        net: the network without its classifier.
        taps: the three places: names of modules, or numbers of ``net``'s feature maps.
        channels: of the three maps.
        mean, std: of the normalisation that its weights expect, on the scale from 0 to 1.
        side: of the images that its maps were looked at with, in pixels.
    """

    def __init__(
        self,
        net: nn.Module,
        taps: Sequence[str],
        side: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """Raises ConfigError: it has no such maps."""
        super().__init__()
        self.net = net
        self.side, self.mean, self.std = side, tuple(mean), tuple(std)
        self._keep = _Keep()
        self.taps = tuple(taps) or last_three(net, self.side)
        self._numbers = [int(tap) for tap in self.taps if tap.isdigit()]
        if self._numbers and len(self._numbers) < len(self.taps):
            raise ConfigError(
                f"--taps {','.join(self.taps)}",
                "Name three modules, or give three numbers of feature maps.",
            )
        if not self._numbers:
            self._keep.watch(net, self.taps)
        self.channels = self._look()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised (B, 3, H, W) images to three (B, c, h, w) maps of one size."""
        first, second, third = self._maps(x)
        size = second.shape[2:]
        return _brought_to(first, size), second, _brought_to(third, size)

    def _maps(self, x: Tensor) -> list[Tensor]:
        if self._numbers:
            return intermediates(self.net, x, self._numbers)
        with self._keep.kept() as maps:
            self.net.forward_features(x)  # type: ignore[operator]
            return [maps[tap] for tap in self.taps]

    def _look(self) -> tuple[int, int, int]:
        """The channels of the three maps."""
        training = self.training
        try:
            with torch.no_grad():
                first, second, third = self.eval()._maps(torch.zeros(2, 3, self.side, self.side))
        except (KeyError, IndexError, AssertionError, RuntimeError) as error:
            raise ConfigError(
                f"the network gives no maps at {', '.join(self.taps)} ({error})",
                "Choose others: --taps A,B,C.",
            ) from error
        finally:
            self.train(training)
        for tap, found in zip(self.taps, (first, second, third), strict=True):
            if spatial_size(found) == 0:
                raise ConfigError(
                    f"{tap} gives {tuple(found.shape)}, not a map",
                    "Choose places with (B, channels, height, width): --taps A,B,C.",
                )
        return first.shape[1], second.shape[1], third.shape[1]

    @property
    def unused(self) -> frozenset[str]:
        """Names of the parameters that no map depends on: what lies behind the last one."""
        parameters = dict(self.named_parameters())
        before = {name: p.requires_grad for name, p in parameters.items()}
        training, device = self.training, next(iter(parameters.values())).device
        try:
            self.requires_grad_(True)
            maps = self.eval()(torch.zeros(1, 3, self.side, self.side, device=device))
            total = torch.stack([m.float().sum() for m in maps]).sum()
            found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        finally:
            self.train(training)
            for name, wanted in before.items():
                parameters[name].requires_grad_(wanted)
        return frozenset(n for n, g in zip(parameters, found, strict=True) if g is None)


class _Keep:
    """Keeps what modules give, for each thread that runs the network."""

    def __init__(self) -> None:
        self._maps: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)

    def watch(self, net: nn.Module, names: Sequence[str]) -> None:
        """Keep what these modules give. Raises ConfigError: there is no such module."""
        modules = dict(net.named_modules())
        for name in names:
            if name not in modules:
                raise ConfigError(
                    f"no module {name!r} in the network",
                    f"Its last ones: {', '.join(list(modules)[-8:])}. Or give three numbers of its "
                    "feature maps.",
                )
            modules[name].register_forward_hook(_Hook(self, name))

    def take(self, name: str, value: object) -> None:
        """Called by the hook of a module."""
        if isinstance(value, Tensor):
            self._maps[_caller()][name] = value

    @contextmanager
    def kept(self) -> Iterator[dict[str, Tensor]]:
        """What this thread's modules give while this is open."""
        maps = self._maps[_caller()]
        try:
            yield maps
        finally:
            self._maps.pop(_caller(), None)


def _caller() -> int:
    # A compiled network is traced once, and a thread's number means nothing in it.
    return 0 if torch.compiler.is_compiling() else get_ident()


class _Hook:
    """An object and not a function: a copy of the network has hooks of its own."""

    def __init__(self, keep: _Keep, name: str) -> None:
        self._keep, self._name = keep, name

    def __call__(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._keep.take(self._name, output)


def timm_trunk(name: str, taps: Sequence[str], *, pretrained: bool) -> TimmTrunk:
    """Build a network by timm's name, such as ``resnet50.a1_in1k``.

    Args:
        name: with or without the prefix ``timm:``.
        taps: three names of modules or three numbers of feature maps; empty: chosen by rule, see
            :func:`c2f_train.timm_maps.last_three`.
        pretrained: with timm's weights, downloaded where they are not in its cache.

    Raises:
        ConfigError: timm is not installed or has no such model, the weights can't be had, or the
            network has no such maps.
    """
    timm, plain = _timm(name), name.removeprefix(PREFIX)
    try:
        net = timm.create_model(plain, pretrained=pretrained, num_classes=0)
    except Exception as error:  # the hub's client has many ways to say that it is offline
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"{PREFIX}{plain} can't be built with its weights ({reason})",
            "Without a connection, give them as a file: --weights FILE (--weights none: random).",
        ) from error
    settings = timm.data.resolve_model_data_config(net)
    fixed = getattr(net, "pretrained_cfg", {}).get("fixed_input_size", False)
    side = int(settings["input_size"][-1]) if fixed else USUAL_SIDE
    return TimmTrunk(net, taps, side, settings["mean"], settings["std"])


def timm_input_size(name: str) -> int | None:
    """The side in pixels that a network insists on; None: it takes any. Raises as above."""
    timm = _timm(name)
    settings = timm.get_pretrained_cfg(name.removeprefix(PREFIX), allow_unregistered=True)
    fixed = settings is not None and settings.fixed_input_size
    return int(settings.input_size[-1]) if fixed else None


def _timm(name: str) -> Any:
    plain = name.removeprefix(PREFIX)
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise ConfigError(
            f"--backbone {PREFIX}{plain}: timm is not installed", install_hint("timm")
        ) from error
    # Only names that timm itself lists: a hub or folder address would bring its own settings.
    if ":" in plain or "/" in plain or not timm.is_model(plain):
        raise ConfigError(
            f"timm has no model {plain!r}",
            "Give a name that timm.list_models() lists, with or without a tag: resnet50.a1_in1k.",
        )
    return timm


def _brought_to(x: Tensor, size: torch.Size) -> Tensor:
    """A finer map is averaged, a coarser one interpolated."""
    if x.shape[2:] == size:
        return x
    if x.shape[2] > size[0]:
        return adaptive_avg_pool2d(x, (size[0], size[1]))
    return interpolate(x, size=list(size), mode="bilinear", align_corners=False)
