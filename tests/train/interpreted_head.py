"""The Triton kernels of the head in Triton's interpreter, without a GPU, against float64.

Run by test_triton_head.py in a process of its own: Triton reads TRITON_INTERPRET when it is
imported. The interpreter multiplies bfloat16 as if it were integers, so float16 stands for it, and
float32, which the kernels are never given on a GPU, shows what rounding hides.
"""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "1"

import itertools
from collections.abc import Sequence

import torch

from c2f_train.pooling import fused, triton_head
from c2f_train.pooling.head import Head, plain_sums
from c2f_train.pooling.triton_head import Tile

SMALL = Tile(16, 16, 16, 4, 1)
EVERYTHING = (True,) * 9


def check(
    batch: int,
    channels: Sequence[int],
    size: tuple[int, int],
    dim: int,
    *,
    trilinear: bool = True,
    compute: torch.dtype = torch.float32,
    keep: bool = False,
    tile: Tile = SMALL,
    needs: Sequence[bool] = EVERYTHING,
    block: tuple[int, int, int] = (1, 16, 16),
) -> None:
    torch.manual_seed(0)
    maps = [torch.randn(batch, c, *size) for c in channels]
    maps[0] = maps[0].contiguous(memory_format=torch.channels_last)
    weights = [torch.randn(dim, c) / c**0.5 for c in channels]
    inputs = [*maps, *weights, *(torch.randn(dim) for _ in channels)]
    inputs = [t.to(compute).float() for t in inputs]
    head = Head(inputs[:3], inputs[3:6], inputs[6:], trilinear, compute)
    kept = torch.full(head.kept_shape, torch.nan, dtype=compute) if keep else None
    fused.block_shape = lambda *_: block
    p = triton_head.sums(head, kept, tile)
    g = torch.randn(p.shape[::-1]).permute(2, 1, 0)
    found = fused.gradients(head, g, p, kept, needs, triton_head.blocks_of(tile))

    exact = [t.double().requires_grad_() for t in inputs]
    plain = plain_sums(Head(exact[:3], exact[3:6], exact[6:], trilinear, torch.float64))
    expected = torch.autograd.grad(plain, exact, g.double())
    tolerance = {torch.float32: 1e-5, torch.float16: 3e-3}[compute]
    close = {"rtol": tolerance, "check_dtype": False}
    torch.testing.assert_close(p, plain, atol=tolerance * float(plain.abs().max()), **close)
    for one, other, need in zip(found, expected, needs, strict=True):
        assert (one is not None) == need
        if one is not None:
            torch.testing.assert_close(
                one, other, atol=tolerance * float(other.abs().max()), **close
            )


def main() -> None:
    for trilinear, keep, compute in itertools.product(
        (True, False), (True, False), (torch.float32, torch.float16)
    ):
        # Ragged everywhere: channels of their own, locations and columns that fill no tile.
        sizes = 3, (8, 16, 40), (3, 7), 40
        check(*sizes, trilinear=trilinear, keep=keep, compute=compute)
    check(1, (8, 8, 8), (1, 1), 8)
    check(1, (8, 8, 8), (1, 1), 8, keep=True)
    check(2, (16, 16, 16), (4, 4), 32, tile=Tile(32, 16, 32, 4, 1), block=(2, 32, 32), keep=True)
    wanted = [False, True, True, True, False, True, True, False, True]
    check(2, (8, 8, 8), (3, 3), 24, needs=wanted)
    check(2, (8, 8, 8), (3, 3), 24, needs=[True] * 3 + [False] * 6, keep=True)


if __name__ == "__main__":
    main()
