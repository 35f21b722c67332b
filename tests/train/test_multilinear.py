"""MultiLinearPooling against the formula of the paper, written out in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.errors import ConfigError
from c2f_train.pooling import fused, make_pooling
from c2f_train.pooling.multilinear import (
    MultiLinearPooling,
    Root,
    damped_sqrt,
    l2_normalize,
    signed_sqrt,
)


def by_formula(pooling: MultiLinearPooling, maps: list[Tensor]) -> NDArray[np.float64]:
    """(B, parts * d): one image, one location, one part after the other."""
    projections = [
        (linear.weight.detach().double().numpy().T, linear.bias.detach().double().numpy())
        for linear in (pooling.u, pooling.v, pooling.w)
    ]
    rows = []
    for image in range(len(maps[0])):
        flat = [m[image].double().numpy().reshape(m.shape[1], -1).T for m in maps]
        a, b, c = (x @ weight + bias for x, (weight, bias) in zip(flat, projections, strict=True))
        sums = [np.zeros(pooling.dim) for _ in range(4)]
        for n in range(len(a)):
            sums[0] += a[n] * b[n]
            sums[1] += a[n] * c[n]
            sums[2] += b[n] * c[n]
            sums[3] += a[n] * b[n] * c[n]
        parts = []
        for p in sums if pooling.trilinear else sums[:3]:
            s = p if pooling.root == "off" else np.sign(p) * np.sqrt(np.abs(p))
            parts.append(s / np.sqrt((s * s).sum() + 1e-7) if pooling.l2 else s)
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def random_maps(
    batch: int, channels: tuple[int, int, int], height: int, width: int, seed: int = 0
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(batch, c, height, width, generator=generator) for c in channels]


def with_biases(pooling: MultiLinearPooling) -> MultiLinearPooling:
    """Biases start at 0, where a formula without them would pass too."""
    for linear in (pooling.u, pooling.v, pooling.w):
        torch.nn.init.normal_(linear.bias)
    return pooling


@pytest.mark.parametrize("trilinear", [True, False])
@pytest.mark.parametrize(("root", "l2"), [("exact", True), ("off", False), ("damped", False)])
@pytest.mark.parametrize(
    ("batch", "channels", "height", "width", "dim"),
    [(3, (5, 5, 5), 4, 3, 10), (1, (3, 6, 4), 2, 5, 7), (2, (4, 2, 5), 1, 1, 4)],
    ids=["equal channels", "B = 1", "N = 1"],
)
def test_equals_the_formula(
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    channels: tuple[int, int, int],
    height: int,
    width: int,
    dim: int,
    root: Root,
    l2: bool,
    trilinear: bool,
) -> None:
    monkeypatch.setattr(fused, "block_shape", lambda *_: (2, 4, 3))  # 3, 10 and 7 are no multiples
    torch.manual_seed(1)
    pooling = with_biases(MultiLinearPooling(channels, dim, trilinear=trilinear, root=root, l2=l2))
    maps = random_maps(batch, channels, height, width)
    expected = by_formula(pooling, maps)
    assert expected.shape == (batch, pooling.out_features)

    features = pooling(*maps)
    assert features.dtype == torch.float32
    np.testing.assert_allclose(features.detach().numpy(), expected, rtol=2e-4, atol=2e-6)

    exact = pooling.double()(*[m.double() for m in maps])
    assert exact.dtype == torch.float64
    np.testing.assert_allclose(exact.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_dead_maps_give_zero_features_and_finite_gradients() -> None:
    pooling = MultiLinearPooling(4, 6)
    maps = [torch.zeros(2, 4, 3, 3, requires_grad=True) for _ in range(3)]
    features = pooling(*maps)
    assert not features.any()
    features.sum().backward()
    for tensor in (*maps, *pooling.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


def test_signed_sqrt_has_the_exact_derivative_but_at_zero() -> None:
    p = torch.tensor([-4.0, 0.0, 9.0], requires_grad=True)
    root = signed_sqrt(p)
    root.sum().backward()
    assert root.tolist() == [-2.0, 0.0, 3.0]
    assert p.grad is not None
    torch.testing.assert_close(p.grad, torch.tensor([1 / 4, 0.0, 1 / 6]))


def test_damped_sqrt_has_the_derivative_of_hbp() -> None:
    p = torch.tensor([-4.0, 0.0, 9.0], requires_grad=True)
    root = damped_sqrt(p)
    (2 * root).sum().backward()
    assert root.tolist() == [-2.0, 0.0, 3.0]
    assert p.grad is not None
    torch.testing.assert_close(p.grad, torch.tensor([1 / 2.03, 1 / 0.03, 1 / 3.03]))


def test_l2_keeps_the_sign_and_survives_zero() -> None:
    torch.testing.assert_close(
        l2_normalize(torch.tensor([[3.0, -4.0], [0.0, 0.0]])),
        torch.tensor([[0.6, -0.8], [0.0, 0.0]]),
    )


def test_initialised_as_hbp_does() -> None:
    torch.manual_seed(0)
    pooling = MultiLinearPooling((8, 32, 512), 256)
    for linear in (pooling.u, pooling.v, pooling.w):
        bound = math.sqrt(3 / linear.in_features)
        largest = float(linear.weight.detach().abs().max())
        assert 0.99 * bound < largest <= bound
        assert abs(float(linear.weight.detach().mean())) < 0.03 * bound
        assert not linear.bias.any()


@pytest.mark.parametrize(("trilinear", "parts"), [(True, 4), (False, 3)])
def test_bfloat16_gives_float32_features_of_unit_parts(trilinear: bool, parts: int) -> None:
    torch.manual_seed(0)
    pooling = MultiLinearPooling(16, 64, trilinear=trilinear)
    maps = random_maps(3, (16, 16, 16), 5, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = pooling(*maps)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.full((3,), math.sqrt(parts)))
    # Two decimal digits of bfloat16 are left after its square root.
    torch.testing.assert_close(features, pooling(*maps), rtol=0, atol=0.02)


def test_poolings_by_name() -> None:
    channels = (3, 4, 5)
    widths = {"average": 5, "root": 5, "hbp": 3 * 7, "multilinear": 4 * 7}
    for name, width in widths.items():
        pooling = make_pooling(name, channels, 7)
        maps = random_maps(2, channels, 3, 3)
        assert pooling(*maps).shape == (2, width)
        assert pooling.out_features == width
    torch.testing.assert_close(make_pooling("average", channels, 7)(*maps), maps[2].mean((2, 3)))
    with pytest.raises(ConfigError, match=r"no pooling 'max'\nChoose one of average, root, hbp"):
        make_pooling("max", channels, 7)
