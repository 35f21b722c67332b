"""The feature maps of a network of timm, and which three of them a backbone takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from c2f_data.errors import ConfigError

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Mish)


def intermediates(net: nn.Module, x: Tensor, numbers: Sequence[int] | None) -> list[Tensor]:
    """Feature maps (B, c, h, w) by their numbers; None: all.

    Raises:
        ConfigError: the network does not give any.
    """
    give = getattr(net, "forward_intermediates", None)
    if give is None:
        raise ConfigError(
            f"{type(net).__name__} gives no feature maps by number",
            "Name three of its modules: --taps A,B,C.",
        )
    stop = numbers is not None
    return list(
        give(x, indices=numbers, intermediates_only=True, output_fmt="NCHW", stop_early=stop)
    )


def last_three(net: nn.Module, side: int) -> tuple[str, ...]:
    """The rule: three maps as near to the end, and as much of one kind, as the network has.

    The last three of its numbered feature maps where these have one size (the blocks of a vision
    transformer). Else, as for torchvision's networks, modules that give maps of the size of the
    last one: three activations, or three neighbours, such as the blocks of the last stage. Else
    the last three numbered maps, of three sizes.
    """
    x = torch.zeros(2, 3, side, side)
    with torch.no_grad():
        numbered = intermediates(net.eval(), x, None) if _has_numbers(net) else []
        sizes = [spatial_size(m) for m in numbered]
        last = tuple(str(i) for i in range(len(sizes))[-3:])
        if len(last) == 3 and len(set(sizes[-3:])) == 1 and sizes[-1] > 0:
            return last
        found = _by_module(net, x, sizes[-1] if sizes else 0)
    if found:
        return found
    if len(last) < 3:
        raise ConfigError(
            f"{type(net).__name__} has no three feature maps", "Name three: --taps A,B,C."
        )
    return last


def _has_numbers(net: nn.Module) -> bool:
    return hasattr(net, "forward_intermediates")


def _by_module(net: nn.Module, x: Tensor, size: int) -> tuple[str, ...]:
    """Three modules that give maps of a size (0: the smallest above 1), or none."""
    order: list[tuple[str, int]] = []
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, out, name=name: order.append((name, spatial_size(out)))
        )
        for name, module in net.named_modules()
        if name
    ]
    try:
        net.forward_features(x)  # type: ignore[operator]
    finally:
        for hook in hooks:
            hook.remove()
    size = size or min((s for _, s in order if s > 1), default=0)
    same = [name for name, s in order if s == size]
    modules = dict(net.named_modules())
    activations = [n for n in same if isinstance(modules[n], _ACTIVATIONS)]
    if len(activations) >= 3:
        return tuple(activations[-3:])
    groups: dict[str, list[str]] = {}
    for name in same:
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    rows = [names for parent, names in groups.items() if _is_row(modules.get(parent), names)]
    return tuple(rows[-1][-3:]) if rows else ()


def _is_row(parent: nn.Module | None, names: Sequence[str]) -> bool:
    """Whether these are three or more in a row: the blocks of a stage, not parts of a block."""
    return isinstance(parent, nn.Sequential | nn.ModuleList) and len(names) >= 3


def spatial_size(value: object) -> int:
    """Side of square maps (B, C, h, h); 0 for anything else."""
    if isinstance(value, Tensor) and value.ndim == 4 and value.shape[2] == value.shape[3]:
        return value.shape[2]
    return 0
