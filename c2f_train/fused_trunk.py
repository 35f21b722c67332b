"""The convolutions of a trunk on a CPU: the same numbers and derivatives in less time.

oneDNN can end a convolution with the activation while the output is at hand, which PyTorch leaves
to its compiler. PyTorch's max-pooling also finds the places of the maxima, which nobody needs
without derivatives; with them it is the places alone that are needed, not what was pooled, so the
activations before a pooling are not kept, and their derivatives are taken a quarter as often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

WINDOW = [2, 2]


def fused_maps(layers: nn.Sequential, x: Tensor, taps: Sequence[int]) -> list[Tensor] | None:
    """What the tapped layers give, or None where only the layers themselves can tell.

    Args:
        layers: convolutions, each with a ReLU after it, and max-poolings of 2 x 2, each after a
            ReLU that is not tapped.
        x: normalised (B, 3, H, W) images, float32.
        taps: positions of ReLUs in ``layers``.
    """
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    if not _can_fuse(x, kind):
        return None
    taken = []
    with torch.autocast("cpu", enabled=False):
        x = x.to(kind)
        for position, layer, pools in _steps(layers):
            weight = layer.weight.to(kind)
            bias = None if layer.bias is None else layer.bias.to(kind)
            x = _Fused.apply(x, weight, bias, layer, pools, torch.is_grad_enabled())
            if position in taps:
                taken.append(x)
    return taken


def _can_fuse(x: Tensor, kind: torch.dtype) -> bool:
    """oneDNN is there for this format, and nobody asks for a graph."""
    compiler = torch.compiler
    mkldnn = torch.ops.mkldnn
    if compiler.is_compiling() or compiler.is_exporting() or torch.onnx.is_in_onnx_export():
        return False
    there = (
        x.device.type == "cpu"
        and x.is_contiguous(memory_format=torch.channels_last)
        and kind in (torch.float32, torch.bfloat16)
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(mkldnn, "_convolution_pointwise")
    )
    if there and kind == torch.bfloat16:
        supported = getattr(mkldnn, "_is_mkldnn_bf16_supported", None)
        return supported is not None and bool(supported())
    return there


def _steps(layers: nn.Sequential) -> Iterator[tuple[int, nn.Conv2d, bool]]:
    """Convolutions, each at the position of its ReLU, and whether a pooling follows."""
    for position, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            convolution = layers[position - 1]
            assert isinstance(convolution, nn.Conv2d)
            after = layers[position + 1 : position + 2]
            yield position, convolution, any(isinstance(one, nn.MaxPool2d) for one in after)


class _Fused(torch.autograd.Function):
    """A convolution, the ReLU after it, and the max-pooling after that where there is one."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        layer: nn.Conv2d,
        pools: bool,
        trained: bool,
    ) -> Tensor:
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x,
            weight,
            bias,
            layer.padding,
            layer.stride,
            layer.dilation,
            layer.groups,
            "relu",
            [],
            "",
        )
        ctx.layer, ctx.size = layer, made.shape
        if not trained:
            return max_pool(made) if pools else made
        places = []
        if pools:
            made, *places = torch.ops.aten.max_pool2d_with_indices(made, WINDOW, WINDOW)
        ctx.save_for_backward(x, weight, made, *places)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, made, *places = ctx.saved_tensors
        # What the activation does to the greatest of four it does to what is made of them.
        gradient = torch.ops.aten.threshold_backward(gradient, made, 0)
        if places:
            # The shape of what was pooled is all that counts, so nobody has kept it.
            shaped = torch.empty(ctx.size, dtype=made.dtype, memory_format=torch.channels_last)
            gradient = torch.ops.aten.max_pool2d_with_indices_backward(
                gradient, shaped, WINDOW, WINDOW, [0, 0], [1, 1], False, *places
            )
        layer = ctx.layer
        found = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight,
            [len(weight)],
            layer.stride,
            layer.padding,
            layer.dilation,
            False,  # nothing is transposed,
            [0, 0],  # so no output padding
            layer.groups,
            ctx.needs_input_grad[:3],
        )
        return *found, None, None, None


def max_pool(x: Tensor) -> Tensor:
    """Maxima of 2 x 2 of (B, C, H, W), channels last; an odd last row or column is left out."""
    rows = x.permute(0, 2, 3, 1)
    height, width = (side // 2 * 2 for side in rows.shape[1:3])
    rows = rows[:, :height, :width]
    pairs = torch.maximum(rows[:, 0::2], rows[:, 1::2])
    return torch.maximum(pairs[:, :, 0::2], pairs[:, :, 1::2]).permute(0, 3, 1, 2)
