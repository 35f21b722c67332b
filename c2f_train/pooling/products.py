"""Matrix products of the multi-linear head, each by the library that is fastest at it."""

from __future__ import annotations

import torch
from torch import Tensor


def project(rows: Tensor, weight: Tensor, bias: Tensor, out: Tensor | None = None) -> Tensor:
    """``rows weight' + bias``, (n, k), for (n, c) rows, (k, c) weight, (k,) bias; in ``out``."""
    if _has_onednn(rows):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return product if out is None else out.copy_(product)
    return torch.addmm(bias, rows, weight.t(), out=out)


def accumulate(total: Tensor, left: Tensor, right: Tensor) -> None:
    """``total += left right`` for (n, k) left, (k, m) right; a wider total adds in its own type."""
    wider = total.dtype != left.dtype
    if _has_onednn(left):
        total += torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    elif not wider:
        torch.addmm(total, left, right, out=total)
    elif left.device.type == "cuda" and total.dtype == torch.float32:
        # The library adds to the total itself: no product in memory, and none that is rounded.
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total += left @ right


def _has_onednn(rows: Tensor) -> bool:
    """Whether oneDNN takes this product instead of BLAS.

    PyTorch leaves float32 products on x86 to MKL, which is slow on processors of other makers than
    its own: 120 GFLOP/s on a core of an AMD EPYC with AVX-512, where oneDNN, which PyTorch brings
    for convolutions, makes 264 in the same float32. Its product is an operator that PyTorch keeps
    for its compiler, hence the look whether it is there.
    """
    return (
        rows.device.type == "cpu"
        and rows.dtype == torch.float32
        and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
