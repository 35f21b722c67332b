"""The sums of multi-linear pooling and their derivatives, block by block.

A block is some images times some columns of the projections. Whatever has N x d numbers exists for
one block at a time, unless the projections are kept for the derivatives; so neither the batch nor d
decides how much memory is needed. Matrices are multiplied in one number format, all that is
multiplied or added element by element is in a wider one, tile after tile of the block's columns: a
matrix product wants to be large, and what is done number by number wants to stay in a core's cache.

With the gradients g1 .. g4 of the sums p1 .. p4 (:mod:`c2f_train.pooling.multilinear`)::

    dA = B (g1 + g4 C) + g2 C    dB = A (g1 + g4 C) + g3 C    dC = A (g2 + g4 B) + g3 B
    dX = dA U'    dU = X' dA                                       (Y, V and Z, W alike)
    da = sum_n dA = g1 sum_n B + g2 sum_n C + g4 p3    db, dg alike, with p2 and with p1
    sum_n A = (sum_n X) U + N a                                    (Y, V, b and Z, W, g alike)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from c2f_train.pooling.head import Head
from c2f_train.pooling.products import accumulate, project

# Numbers in a block's projection, which keep a matrix product busy, and in a tile of it.
CPU_BLOCK, GPU_BLOCK = 2**20, 2**22
CPU_TILE = 2**18
# Rows that suffice for a fast matrix product, and the fewest columns anywhere.
CPU_ROWS, GPU_ROWS, LEAST_COLUMNS = 2048, 4096, 64


def block_shape(device: torch.device, batch: int, locations: int, dim: int) -> tuple[int, int, int]:
    """Images and columns of a block, and columns of a tile."""
    on_cpu = device.type == "cpu"
    images = max(1, min(batch, (CPU_ROWS if on_cpu else GPU_ROWS) // locations))
    if not on_cpu:
        # Blocks of one size: the last one of 5 + 3 images would keep a GPU less busy than 4 + 4.
        images = math.ceil(batch / math.ceil(batch / images))
    rows = images * locations
    columns = min(dim, _columns((CPU_BLOCK if on_cpu else GPU_BLOCK) // rows))
    return images, columns, min(columns, _columns(CPU_TILE // rows)) if on_cpu else columns


def _columns(at_most: int) -> int:
    """A power of two."""
    return max(LEAST_COLUMNS, 1 << max(0, at_most.bit_length() - 1))


def sums(head: Head, kept: Tensor | None) -> Tensor:
    """p1 .. p4 as (B, parts, d); the projections are written to ``kept`` where it is given."""
    blocks = Blocks(head)
    p = head.maps[0].new_empty(head.sums_shape, dtype=head.wide)
    for images in blocks.images():
        rows = blocks.rows(images)
        for columns in blocks.columns():
            places = None if kept is None else blocks.kept(images, columns, kept)
            made = blocks.project(columns, rows, places)
            for tile in blocks.tiles(made):
                a, b, c = blocks.widen(images, made, tile)
                product = blocks.scratch("product", a.shape, head.wide)
                out = p[images, :, columns][..., tile]
                torch.sum(torch.mul(a, c, out=product), 1, out=out[:, 1])
                torch.sum(torch.mul(b, c, out=product), 1, out=out[:, 2])
                torch.sum(torch.mul(a, b, out=product), 1, out=out[:, 0])
                if head.trilinear:
                    torch.sum(product.mul_(c), 1, out=out[:, 3])
    return p


def gradients(
    head: Head,
    g: Tensor,
    p: Tensor,
    kept: Tensor | None,
    needs: Sequence[bool],
    make: Callable[[Head], Blocks] | None = None,
) -> list[Tensor | None]:
    """The derivatives that are needed, None for the others.

    Args:
        head: as it was given to :func:`sums`.
        g: gradients of the sums, (B, parts, d).
        p: the sums, (B, parts, d).
        kept: what :func:`sums` has written; None: the projections are made again.
        needs: for x, y, z, their weights and their biases, in the order of the answer.
        make: who makes dA, dB and dC of a block; None: PyTorch.
    """
    of_weights = [
        torch.zeros_like(weight, dtype=head.wide) if need else None
        for weight, need in zip(head.weights, needs[3:6], strict=True)
    ]
    of_maps = [
        torch.empty_like(m) if need else None for m, need in zip(head.maps, needs[:3], strict=True)
    ]
    if any(needs[:6]):
        _fill((make or Blocks)(head), g, kept, of_maps, of_weights)
    of_biases = _bias_gradients(head, g, p) if any(needs[6:]) else [None] * 3
    totals = [
        *of_weights,
        *(t if need else None for t, need in zip(of_biases, needs[6:], strict=True)),
    ]
    return of_maps + [
        None if total is None else total.to(tensor.dtype)
        for total, tensor in zip(totals, (*head.weights, *head.biases), strict=True)
    ]


def _fill(
    blocks: Blocks,
    g: Tensor,
    kept: Tensor | None,
    of_maps: Sequence[Tensor | None],
    of_weights: Sequence[Tensor | None],
) -> None:
    """Put the gradients by maps and weights into these, where they are not None."""
    needed = [i for i in range(3) if of_maps[i] is not None or of_weights[i] is not None]
    for images in blocks.images():
        rows = blocks.rows(images)
        totals = [
            None
            if m is None
            else blocks.scratch(f"total {i}", rows[i].shape, blocks.head.wide).zero_()
            for i, m in enumerate(of_maps)
        ]
        for columns in blocks.columns():
            found = blocks.derivatives(images, columns, rows, kept, g[images], needed)
            for i, d in found.items():
                if (weight := of_weights[i]) is not None:
                    accumulate(weight[columns], d.t(), rows[i])
                if (total := totals[i]) is not None:
                    accumulate(total, d, blocks.weights[i][columns])
        for gradient, total in zip(of_maps, totals, strict=True):
            if gradient is not None and total is not None:
                target = gradient[images].movedim(1, -1)
                target.copy_(total.view(target.shape))


def _bias_gradients(head: Head, g: Tensor, p: Tensor) -> list[Tensor]:
    """da, db, dg, each (d,), from the sums of X, Y, Z: nothing here has N x d numbers."""
    a, b, c = (
        (m.sum((2, 3), dtype=head.wide).to(weight.dtype) @ weight.t()).to(head.wide)
        + head.locations * bias
        for m, weight, bias in zip(head.maps, head.weights, head.biases, strict=True)
    )
    g1, g2, g3 = g[:, 0], g[:, 1], g[:, 2]
    found = [g1 * b + g2 * c, g1 * a + g3 * c, g2 * a + g3 * b]
    if head.trilinear:
        found = [d + g[:, 3] * p[:, part] for d, part in zip(found, (2, 1, 0), strict=True)]
    return [d.sum(0) for d in found]


class Blocks:
    """The blocks of a head, and the memory that they use one after the other.

    Fresh memory costs more than the arithmetic that is done in it, so the big tensors of a block
    lie where those of the block before have been.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.batch, _, self.dim = head.sums_shape
        self.image_step, self.column_step, self.tile_step = block_shape(
            head.maps[0].device, self.batch, head.locations, self.dim
        )
        # In the format of the products once, not once a block.
        self.weights = [weight.to(head.compute) for weight in head.weights]
        self.biases = [bias.to(head.compute) for bias in head.biases]
        self._memory: dict[str, Tensor] = {}

    def images(self) -> Iterator[slice]:
        return _slices(self.batch, self.image_step)

    def columns(self) -> Iterator[slice]:
        return _slices(self.dim, self.column_step)

    def tiles(self, made: Sequence[Tensor]) -> Iterator[slice]:
        """Tiles of a block's projections, counted from its first column."""
        return _slices(made[0].shape[1], self.tile_step)

    def scratch(self, name: str, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of this shape; what was in it under this name is lost."""
        size = math.prod(shape)
        # The first block is the largest.
        if name not in self._memory:
            self._memory[name] = self.head.maps[0].new_empty(size, dtype=dtype)
        return self._memory[name][:size].view(*shape)

    def rows(self, images: slice) -> list[Tensor]:
        """The maps of some images as (images * N, c), ready to be multiplied."""
        return [
            m[images].movedim(1, -1).reshape(-1, m.shape[1]).to(self.head.compute)
            for m in self.head.maps
        ]

    def project(
        self, columns: slice, rows: Sequence[Tensor], places: Sequence[Tensor] | None = None
    ) -> list[Tensor]:
        """A, B, C of a block, (images * N, columns); made in ``places`` where these are given."""
        return [
            project(row, weight[columns], bias[columns], None if places is None else places[i])
            for i, (row, weight, bias) in enumerate(
                zip(rows, self.weights, self.biases, strict=True)
            )
        ]

    def kept(self, images: slice, columns: slice, kept: Tensor) -> list[Tensor]:
        """Where A, B, C of a block are kept, (images * N, columns).

        On a CPU block after block, so that a block is one piece of memory; elsewhere each as a
        matrix (B * N, d), which whoever makes them on a GPU can write and read.
        """
        if kept.device.type != "cpu":
            rows = slice(*(self.head.locations * i for i in (images.start, images.stop)))
            return [matrix.view(-1, self.dim)[rows, columns] for matrix in kept]
        count, width = images.stop - images.start, columns.stop - columns.start
        start = self.head.locations * (images.start * self.dim + count * columns.start)
        size = self.head.locations * count * width
        return [row.narrow(0, start, size).view(-1, width) for row in kept]

    def widen(self, images: slice, made: Sequence[Tensor], tile: slice) -> list[Tensor]:
        """A, B, C of a tile as (images, N, columns) in the wide format."""
        shape = images.stop - images.start, self.head.locations, tile.stop - tile.start
        if self.head.wide == self.head.compute:
            return [t[:, tile].view(shape) for t in made]
        return [
            self.scratch(f"wide {i}", shape, self.head.wide).copy_(t[:, tile].view(shape))
            for i, t in enumerate(made)
        ]

    def derivatives(
        self,
        images: slice,
        columns: slice,
        rows: Sequence[Tensor],
        kept: Tensor | None,
        g: Tensor,
        needed: Sequence[int],
    ) -> dict[int, Tensor]:
        """Those of dA, dB, dC (0, 1, 2) of a block that are needed, each (images * N, columns).

        Args:
            images, columns: the block.
            rows: its maps, see :meth:`rows`.
            kept: what :func:`sums` has written; None: the projections are made again.
            g: of its images, (images, parts, d).
            needed: which.
        """
        made = self.project(columns, rows) if kept is None else self.kept(images, columns, kept)
        found = {i: self.scratch(f"d {i}", made[i].shape, self.head.compute) for i in needed}
        for tile in self.tiles(made):
            a, b, c = self.widen(images, made, tile)
            own = slice(columns.start + tile.start, columns.start + tile.stop)
            g1, g2, g3, *g4 = g[:, :, None, own].unbind(1)
            out = {i: d[:, tile].view(a.shape) for i, d in found.items()}
            if 0 in out or 1 in out:
                factor = self._factor(g1, g4, c)
                if 0 in out:
                    self._combine(out[0], b, factor, g2, c)
                if 1 in out:
                    self._combine(out[1], a, factor, g3, c)
            if 2 in out:
                self._combine(out[2], a, self._factor(g2, g4, b), g3, b)
        return found

    def _factor(self, g: Tensor, g4: Sequence[Tensor], other: Tensor) -> Tensor:
        """``g + g4 other``; there is no g4 without the trilinear part."""
        if not g4:
            return g
        return torch.addcmul(g, g4[0], other, out=self.scratch("factor", other.shape, g.dtype))

    def _combine(
        self, out: Tensor, first: Tensor, factor: Tensor, g: Tensor, second: Tensor
    ) -> None:
        """``out = first factor + g second``, computed in the wide format."""
        if out.dtype == first.dtype:
            torch.mul(first, factor, out=out).addcmul_(g, second)
            return
        wide = torch.mul(first, factor, out=self.scratch("product", first.shape, first.dtype))
        out.copy_(wide.addcmul_(g, second))


def _slices(total: int, step: int) -> Iterator[slice]:
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
