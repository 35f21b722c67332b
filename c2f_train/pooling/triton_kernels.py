"""The multi-linear head in Triton: projections, products and sums without leaving the chip.

A program holds one tile of the projections, transposed: ``width`` columns of d by ``depth``
locations of one image. So the locations lie along a thread's own numbers, and adding over them
needs next to no exchange between threads. A, B and C are made one after the other and rounded to
the number format of the products, as matrix products of PyTorch round theirs: two of them in half
the bytes and one in float32 fit in the registers, three in float32 would not.

Matrices come as tensor descriptors, which fill with zeros what lies beyond an edge and write
nothing there: maps (B, N, c), weights (d, c), kept projections (3, B, N, d).

This module needs the package ``triton``; :mod:`c2f_train.pooling.triton_head` looks for it.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def projection(
    rows, weight, bias, image, location, column, dim,
    channels: tl.constexpr, width: tl.constexpr, depth: tl.constexpr, step: tl.constexpr,
):  # fmt: skip
    """A tile (width, depth) of ``(rows weight' + bias)'`` from a location and a column on."""
    total = tl.zeros((width, depth), dtype=tl.float32)
    for start in range(0, channels, step):
        left = weight.load([column, start])
        right = rows.load([image, location, start]).reshape(depth, step)
        total = tl.dot(left, right.T, total, input_precision="ieee")
    columns = column + tl.arange(0, width)
    offset = tl.load(bias + columns, mask=columns < dim, other=0.0).to(tl.float32)
    return (total + offset[:, None]).to(rows.dtype)


@triton.jit
def sums_kernel(
    x, y, z, u, v, w, of_u, of_v, of_w, p, kept,
    locations, dim,
    x_channels: tl.constexpr, y_channels: tl.constexpr, z_channels: tl.constexpr,
    trilinear: tl.constexpr, keep: tl.constexpr,
    width: tl.constexpr, depth: tl.constexpr, step: tl.constexpr,
):  # fmt: skip
    """p1 .. p4 (B, parts, d) in ``width`` columns of an image; ``keep``: A, B, C go to ``kept``."""
    column = tl.program_id(0) * width
    image = tl.program_id(1)
    p1 = tl.zeros((width,), dtype=tl.float32)
    p2 = tl.zeros((width,), dtype=tl.float32)
    p3 = tl.zeros((width,), dtype=tl.float32)
    p4 = tl.zeros((width,), dtype=tl.float32)
    for location in range(0, locations, depth):
        a = projection(x, u, of_u, image, location, column, dim, x_channels, width, depth, step)
        b = projection(y, v, of_v, image, location, column, dim, y_channels, width, depth, step)
        c = projection(z, w, of_w, image, location, column, dim, z_channels, width, depth, step)
        if keep:
            kept.store([0, image, location, column], a.T.reshape(1, 1, depth, width))
            kept.store([1, image, location, column], b.T.reshape(1, 1, depth, width))
            kept.store([2, image, location, column], c.T.reshape(1, 1, depth, width))
        # Beyond the last location stand the biases: with A and B 0 all products are.
        inside = (location + tl.arange(0, depth) < locations)[None, :]
        wide_a = tl.where(inside, a.to(tl.float32), 0.0)
        wide_b = tl.where(inside, b.to(tl.float32), 0.0)
        wide_c = c.to(tl.float32)
        p1 += tl.sum(wide_a * wide_b, 1)
        p2 += tl.sum(wide_a * wide_c, 1)
        p3 += tl.sum(wide_b * wide_c, 1)
        if trilinear:
            p4 += tl.sum(wide_a * wide_b * wide_c, 1)
    columns = column + tl.arange(0, width)
    to = p + image.to(tl.int64) * (4 if trilinear else 3) * dim + columns
    there = columns < dim
    tl.store(to, p1, mask=there)
    tl.store(to + dim, p2, mask=there)
    tl.store(to + 2 * dim, p3, mask=there)
    if trilinear:
        tl.store(to + 3 * dim, p4, mask=there)


@triton.jit
def derivatives_kernel(
    x, y, z, u, v, w, of_u, of_v, of_w, g, kept, of_a, of_b, of_c,
    dim, first_column,
    x_channels: tl.constexpr, y_channels: tl.constexpr, z_channels: tl.constexpr,
    trilinear: tl.constexpr, keep: tl.constexpr,
    need_a: tl.constexpr, need_b: tl.constexpr, need_c: tl.constexpr,
    width: tl.constexpr, depth: tl.constexpr, step: tl.constexpr,
):  # fmt: skip
    """A tile of dA, dB and dC of a block, each (images, N, columns of the block).

    Maps, g and what is kept are those of the block's images; all columns of d are there.
    """
    to = tl.program_id(0) * width
    column = first_column + to
    location = tl.program_id(1) * depth
    image = tl.program_id(2)
    if keep:
        a = kept.load([0, image, location, column]).reshape(depth, width).T
        b = kept.load([1, image, location, column]).reshape(depth, width).T
        c = kept.load([2, image, location, column]).reshape(depth, width).T
    else:
        a = projection(x, u, of_u, image, location, column, dim, x_channels, width, depth, step)
        b = projection(y, v, of_v, image, location, column, dim, y_channels, width, depth, step)
        c = projection(z, w, of_w, image, location, column, dim, z_channels, width, depth, step)
    columns = column + tl.arange(0, width)
    there = columns < dim
    of_sums = g + image.to(tl.int64) * (4 if trilinear else 3) * dim + columns
    g1 = tl.load(of_sums, mask=there, other=0.0)[:, None]
    g2 = tl.load(of_sums + dim, mask=there, other=0.0)[:, None]
    g3 = tl.load(of_sums + 2 * dim, mask=there, other=0.0)[:, None]
    wide_a, wide_b, wide_c = a.to(tl.float32), b.to(tl.float32), c.to(tl.float32)
    if trilinear:
        g4 = tl.load(of_sums + 3 * dim, mask=there, other=0.0)[:, None]
        with_c = g1 + g4 * wide_c
        with_b = g2 + g4 * wide_b
    else:
        with_c = g1
        with_b = g2
    if need_a:
        d_a = (wide_b * with_c + g2 * wide_c).to(a.dtype)
        of_a.store([image, location, to], d_a.T.reshape(1, depth, width))
    if need_b:
        d_b = (wide_a * with_c + g3 * wide_c).to(a.dtype)
        of_b.store([image, location, to], d_b.T.reshape(1, depth, width))
    if need_c:
        d_c = (wide_a * with_b + g3 * wide_b).to(a.dtype)
        of_c.store([image, location, to], d_c.T.reshape(1, depth, width))
