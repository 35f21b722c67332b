"""The head on a GPU that is not there: tensors without numbers, whose bytes are counted.

What the kernels compute is tested elsewhere; here their launches do nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from c2f_train.pooling import triton_head
from c2f_train.pooling.head import Head
from c2f_train.pooling.kernel_choice import PYTORCH, Maker
from c2f_train.pooling.multilinear import l2_normalize, signed_sqrt
from c2f_train.pooling.triton_head import TILES

BATCH, CHANNELS, DIM, SIDE = 8, 512, 8192, 28


class Peak(TorchDispatchMode):
    """The most bytes that tensors made inside it, or given, have taken at one time."""

    def __init__(self, known: Sequence[Tensor]) -> None:
        super().__init__()
        self.now = self.bytes = 0
        self._seen = WeakIdKeyDictionary({t.untyped_storage(): True for t in known})

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.untyped_storage() not in self._seen:
                storage = tensor.untyped_storage()
                self._seen[storage] = True
                self._add(storage.nbytes())
                weakref.finalize(storage, self._add, -storage.nbytes())
        return out

    def _add(self, count: int) -> None:
        self.now += count
        self.bytes = max(self.bytes, self.now)


def maps_of(device: str, dtype: torch.dtype) -> list[Tensor]:
    shape = BATCH, CHANNELS, SIDE, SIDE
    return [
        torch.empty(shape, dtype=dtype, device=device).to(memory_format=torch.channels_last)
        for _ in range(3)
    ]


def naive_bytes(dtype: torch.dtype) -> int:
    """Of three 1x1 convolutions and four products; sums are float32, as under CUDA's autocast."""
    maps = [m.requires_grad_() for m in maps_of("cpu", dtype)]
    convolutions = [torch.nn.Conv2d(CHANNELS, DIM, 1) for _ in maps]
    g = torch.empty(BATCH, 4 * DIM)
    parameters = [p for c in convolutions for p in c.parameters()]
    with Peak([*maps, *parameters, g]) as peak:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            a, b, c = (f(m) for f, m in zip(convolutions, maps, strict=True))
            ab = a * b
            products = [ab, a * c, b * c, ab * c]
            parts = [product.sum((2, 3), dtype=torch.float32) for product in products]
            features = torch.cat([l2_normalize(signed_sqrt(part)) for part in parts], 1)
        torch.autograd.backward(features, g)
    return peak.bytes


def own_bytes(maker: Maker, dtype: torch.dtype, keep: bool) -> int:
    """Of the sums and of all derivatives, by one who computes them on CUDA."""
    maps = maps_of("cuda", dtype)
    weights = [torch.empty(DIM, CHANNELS, device="cuda") for _ in maps]
    biases = [torch.empty(DIM, device="cuda") for _ in maps]
    head = Head(maps, weights, biases, True, dtype)
    with Peak([*maps, *weights, *biases]) as peak:
        kept = torch.empty(head.kept_shape, dtype=dtype, device="cuda") if keep else None
        p = maker.sums(head, kept)
        found = maker.gradients(head, torch.empty_like(p), p, kept, (True,) * 9)
    assert p.shape == (BATCH, 4, DIM)
    for one, other in zip(found, (*maps, *weights, *biases), strict=True):
        assert one is not None
        assert (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
    return peak.bytes


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that were launched; none is."""
    found: list[str] = []
    launch: Callable[..., None] = lambda name, *_, **__: found.append(name)  # noqa: E731
    monkeypatch.setattr(triton_head, "_launch", launch)
    monkeypatch.setattr(triton_head, "describe", lambda tensor, _: tensor)
    return found


# Parts of the naive head's memory that are promised at most.
@pytest.mark.parametrize(
    ("maker", "dtype", "recompute", "keep"),
    [
        (Maker(TILES[0]), torch.bfloat16, 0.15, 0.45),
        (PYTORCH, torch.bfloat16, 0.25, 0.50),
        (PYTORCH, torch.float32, 0.15, 0.50),
    ],
)
def test_memory_beside_the_naive_head(
    launches: list[str], maker: Maker, dtype: torch.dtype, recompute: float, keep: float
) -> None:
    with FakeTensorMode():
        naive = naive_bytes(dtype)
        assert own_bytes(maker, dtype, keep=False) <= recompute * naive
        assert own_bytes(maker, dtype, keep=True) <= keep * naive
    # The sums in one launch; 2 blocks of images times 8 of columns, each in one.
    once = ["sums_kernel"] + 16 * ["derivatives_kernel"]
    assert launches == ([] if maker == PYTORCH else 2 * once)
