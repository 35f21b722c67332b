"""The multi-linear head on a GPU by the kernels of :mod:`c2f_train.pooling.triton_kernels`.

Projections that are not kept never leave the chip: the sums are made in one launch, and of a block
of dA, dB and dC in one more. The matrix products with these are the GPU library's, as in
:mod:`c2f_train.pooling.fused`, which decides what a block is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from c2f_train.pooling.fused import Blocks
from c2f_train.pooling.head import Head

if TYPE_CHECKING:
    from triton.tools.tensor_descriptor import TensorDescriptor

# Tensor cores with bfloat16: Ampere and later.
LEAST_CAPABILITY = (8, 0)
# Bytes that the rows of whatever is read or written as a tensor descriptor must be a multiple of.
ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class Tile:
    """How a kernel divides its work.

    Attributes:
        width, depth: columns of d and locations that a program holds at once.
        step: channels that are multiplied at once.
        warps, stages: of a program; loads that are under way at once.
    """

    width: int
    depth: int
    step: int
    warps: int
    stages: int


# Which is fastest depends on the GPU. By ptxas they fit Hopper's registers without spilling, but
# for the last one where the projections are kept.
TILES = (Tile(128, 128, 64, 8, 4), Tile(128, 64, 64, 8, 3), Tile(256, 64, 64, 8, 3))
BLACKWELL = (10, 0)


@cache
def is_installed() -> bool:
    """Whether there is a Triton that knows tensor descriptors; PyTorch for CUDA brings one."""
    try:
        return importlib.util.find_spec("triton.tools.tensor_descriptor") is not None
    except ModuleNotFoundError:
        return False


def can_run(head: Head) -> bool:
    """Whether the kernels can compute this head where its tensors are."""
    device = head.maps[0].device
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY
        and fits(head)
        and is_installed()
    )


def tiles(capability: tuple[int, int], keep: bool) -> list[Tile]:
    """Those that compile for a GPU.

    With kept projections Triton 3.9 gives up on 128 columns for Blackwell, after pages of its
    intermediate language; 256 it compiles.
    """
    return [t for t in TILES if capability < BLACKWELL or not keep or t.width == 256]


def fits(head: Head) -> bool:
    """Whether number format and sizes suit the kernels."""
    sizes = [head.weights[0].shape[0], *(m.shape[1] for m in head.maps)]
    return head.compute in (torch.bfloat16, torch.float16) and all(
        size * head.compute.itemsize % ALIGNMENT == 0 for size in sizes
    )


def sums(head: Head, kept: Tensor | None, tile: Tile) -> Tensor:
    """p1 .. p4 as (B, parts, d); ``kept``, (3, B N d), takes A, B and C where it is given."""
    blocks = TritonBlocks(head, tile)
    batch, _, dim = head.sums_shape
    all_images = slice(0, batch)
    p = head.maps[0].new_empty(head.sums_shape, dtype=head.wide)
    _launch(
        "sums_kernel",
        p,
        (-(-dim // tile.width), batch),
        *blocks.maps(all_images, blocks.rows(all_images)),
        *blocks.parameters,
        p,
        blocks.kept_of(all_images, kept),
        head.locations,
        dim,
        **blocks.constants(keep=kept is not None),
    )
    return p


def blocks_of(tile: Tile) -> Callable[[Head], Blocks]:
    """Who makes dA, dB and dC, for :func:`c2f_train.pooling.fused.gradients`."""
    return lambda head: TritonBlocks(head, tile)


class TritonBlocks(Blocks):
    """The blocks of a head whose dA, dB and dC one launch makes.

    Describing a tensor takes the processor longer than a small block takes the GPU, so weights are
    described once, maps and what is kept once for their images, and what is written once for its
    shape.
    """

    def __init__(self, head: Head, tile: Tile) -> None:
        super().__init__(head)
        self.tile = tile
        box = tile.width, tile.step
        self.parameters = [*(describe(w.contiguous(), box) for w in self.weights), *self.biases]
        self._maps: tuple[slice, list[TensorDescriptor]] | None = None
        self._kept: tuple[slice, TensorDescriptor] | None = None
        self._targets: dict[tuple[int, ...], TensorDescriptor] = {}

    def derivatives(
        self,
        images: slice,
        columns: slice,
        rows: Sequence[Tensor],
        kept: Tensor | None,
        g: Tensor,
        needed: Sequence[int],
    ) -> dict[int, Tensor]:
        """See :meth:`c2f_train.pooling.fused.Blocks.derivatives`."""
        tile, locations = self.tile, self.head.locations
        count, width = images.stop - images.start, columns.stop - columns.start
        shape = count, locations, width
        found = {i: self.scratch(f"d {i}", shape, self.head.compute) for i in needed}
        _launch(
            "derivatives_kernel",
            g,
            (-(-width // tile.width), -(-locations // tile.depth), count),
            *self.maps(images, rows),
            *self.parameters,
            g.contiguous(),
            self.kept_of(images, kept),
            *(self._target(found[i], i) if i in found else None for i in range(3)),
            self.dim,
            columns.start,
            need_a=0 in found,
            need_b=1 in found,
            need_c=2 in found,
            **self.constants(keep=kept is not None),
        )
        return {i: d.view(-1, width) for i, d in found.items()}

    def maps(self, images: slice, rows: Sequence[Tensor]) -> list[TensorDescriptor]:
        """X, Y, Z of some images, each (images, N, c)."""
        if self._maps is None or self._maps[0] != images:
            box = 1, self.tile.depth, self.tile.step
            by_image = (r.contiguous().view(-1, self.head.locations, r.shape[1]) for r in rows)
            self._maps = images, [describe(r, box) for r in by_image]
        return self._maps[1]

    def kept_of(self, images: slice, kept: Tensor | None) -> TensorDescriptor | None:
        """The kept projections of some images, (3, images, N, d); None: there are none."""
        if kept is None:
            return None
        if self._kept is None or self._kept[0] != images:
            matrices = kept.view(3, self.batch, self.head.locations, self.dim)
            box = 1, 1, self.tile.depth, self.tile.width
            self._kept = images, describe(matrices[:, images], box)
        return self._kept[1]

    def _target(self, d: Tensor, which: int) -> TensorDescriptor:
        key = which, *d.shape
        if key not in self._targets:
            self._targets[key] = describe(d, (1, self.tile.depth, self.tile.width))
        return self._targets[key]

    def constants(self, *, keep: bool) -> dict[str, int | bool]:
        """What a kernel is compiled for."""
        tile = self.tile
        x, y, z = (m.shape[1] for m in self.head.maps)
        return {
            "x_channels": x,
            "y_channels": y,
            "z_channels": z,
            "trilinear": self.head.trilinear,
            "keep": keep,
            "width": tile.width,
            "depth": tile.depth,
            "step": tile.step,
            "num_warps": tile.warps,
            "num_stages": tile.stages,
            # Said, since its default changes between versions of Triton.
            "enable_fp_fusion": True,
        }


def describe(tensor: Tensor, box: Sequence[int]) -> TensorDescriptor:
    """A tensor of which boxes of this shape are read or written."""
    from triton.tools.tensor_descriptor import TensorDescriptor

    return TensorDescriptor.from_tensor(tensor, list(box))


def _launch(
    name: str, of: Tensor, grid: tuple[int, ...], *arguments: Any, **constants: int | bool
) -> None:
    from c2f_train.pooling import triton_kernels

    # Triton launches on the current GPU, which need not be the one with the tensors.
    with torch.cuda.device_of(of):  # type: ignore[no-untyped-call]
        getattr(triton_kernels, name)[grid](*arguments, **constants)
