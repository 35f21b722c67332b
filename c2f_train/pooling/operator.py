"""The sums of multi-linear pooling as one operator of PyTorch, with derivatives.

torch.compile takes an operator as it is, so a compiled model keeps the memory of :mod:`.fused`
instead of that of three unrolled projections. What is kept for the derivatives is an output of the
operator: then the graph holds it, and frees it, like any other tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.library import custom_op

from c2f_train.pooling.head import Head, Kernel, plain_sums
from c2f_train.pooling.kernel_choice import maker_of


def multilinear_sums(head: Head, keep: bool) -> Tensor:
    """p1 .. p4 as (B, parts, d) in ``head.wide``; differentiable, twice if need be.

    Args:
        head: maps, weights and biases of one device.
        keep: keep the projections for the derivatives instead of making them again.
    """
    inputs = list(head.maps), list(head.weights), list(head.biases)
    p: Tensor = _sums(*inputs, head.trilinear, head.compute, head.kernel, keep)[0]
    return p


@custom_op("c2f::multilinear_sums", mutates_args=())
def _sums(
    maps: list[Tensor],
    weights: list[Tensor],
    biases: list[Tensor],
    trilinear: bool,
    compute: torch.dtype,
    kernel: str,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    head = Head(maps, weights, biases, trilinear, compute, cast(Kernel, kernel))
    kept = _empty_kept(head, keep)
    with torch.autocast(maps[0].device.type, enabled=False):
        return maker_of(head, keep).sums(head, kept if keep else None), kept


@_sums.register_fake
def _(
    maps: list[Tensor],
    weights: list[Tensor],
    biases: list[Tensor],
    trilinear: bool,
    compute: torch.dtype,
    kernel: str,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    head = Head(maps, weights, biases, trilinear, compute, cast(Kernel, kernel))
    return maps[0].new_empty(head.sums_shape, dtype=head.wide), _empty_kept(head, keep)


def _empty_kept(head: Head, keep: bool) -> Tensor:
    return head.maps[0].new_empty(head.kept_shape if keep else (0,), dtype=head.compute)


@custom_op("c2f::multilinear_gradients", mutates_args=())
def _gradients(
    g: Tensor,
    maps: list[Tensor],
    weights: list[Tensor],
    biases: list[Tensor],
    p: Tensor,
    kept: Tensor,
    trilinear: bool,
    compute: torch.dtype,
    kernel: str,
    needs: list[bool],
) -> list[Tensor]:
    head = Head(maps, weights, biases, trilinear, compute, cast(Kernel, kernel))
    keep = kept.numel() > 0
    with torch.autocast(g.device.type, enabled=False):
        found = maker_of(head, keep).gradients(head, g, p, kept if keep else None, needs)
    return [g.new_empty(0) if t is None else t for t in found]


@_gradients.register_fake
def _(
    g: Tensor, maps: list[Tensor], weights: list[Tensor], biases: list[Tensor], *rest: Any
) -> list[Tensor]:
    return [
        torch.empty_like(t) if need else g.new_empty(0)
        for t, need in zip((*maps, *weights, *biases), rest[-1], strict=True)
    ]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    maps, weights, biases, ctx.trilinear, ctx.compute, ctx.kernel, _ = inputs
    # Nobody differentiates what is kept: no zeros of its size on the way back.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*maps, *weights, *biases, *output)


def _backward(ctx: Any, g: Tensor | None, _: Tensor | None) -> tuple[Any, ...]:
    *inputs, p, kept = ctx.saved_tensors
    needs = [need for three in ctx.needs_input_grad[:3] for need in three]
    if g is None or not any(needs):
        return *_threes([None] * 9), None, None, None, None
    found = _gradients(g, *_threes(inputs), p, kept, ctx.trilinear, ctx.compute, ctx.kernel, needs)
    needed = [t if need else None for t, need in zip(found, needs, strict=True)]
    return *_threes(needed), None, None, None, None


def _save_twice(ctx: Any, inputs: tuple[Any, ...], **_: Any) -> None:
    g, maps, weights, biases, _, _, ctx.trilinear, ctx.compute, _, ctx.needs = inputs
    ctx.save_for_backward(g, *maps, *weights, *biases)


def _backward_twice(ctx: Any, gradients: Sequence[Tensor]) -> tuple[Any, ...]:
    """Derivatives of the derivatives, from the plain formula and with its memory."""
    with torch.enable_grad():
        g, *inputs = (t.detach().requires_grad_() for t in ctx.saved_tensors)
        maps, weights, biases = _threes(inputs)
        p = plain_sums(Head(maps, weights, biases, ctx.trilinear, ctx.compute))
        needed = [t for t, need in zip(inputs, ctx.needs, strict=True) if need]
        first = torch.autograd.grad(p, needed, g, create_graph=True)
    given = [t for t, need in zip(gradients, ctx.needs, strict=True) if need]
    found = torch.autograd.grad(first, [g, *inputs], given, allow_unused=True)
    return found[0], *_threes(found[1:]), None, None, None, None, None, None


def _threes(nine: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Maps, weights, biases."""
    return list(nine[:3]), list(nine[3:6]), list(nine[6:9])


_sums.register_autograd(_backward, setup_context=_save)
_gradients.register_autograd(_backward_twice, setup_context=_save_twice)
