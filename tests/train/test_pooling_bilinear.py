"""Bilinear, factorised and average pooling against their formulas, written out with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pooling_cases import gradients_hold, random_maps, root_and_length, rows_of
from torch import nn

from c2f_train.pooling.average import AveragePooling
from c2f_train.pooling.bilinear import ROOT_FLOOR, BilinearPooling, normalize_features, signed_root
from c2f_train.pooling.factorised import FactorisedPooling

SHAPES = [(3, (2, 3, 5), 4, 3), (1, (3, 3, 3), 2, 5), (2, (5, 2, 4), 1, 1)]
IDS = ["three images", "B = 1", "N = 1"]


def with_biases(pooling: nn.Module) -> nn.Module:
    """Biases start at 0, where a formula without them would pass too."""
    for linear in (pooling.u, pooling.v):
        nn.init.normal_(linear.bias)
    return pooling


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("batch", "channels", "height", "width"), SHAPES, ids=IDS)
def test_bilinear_is_all_products_of_two_channels(
    batch: int, channels: tuple[int, int, int], height: int, width: int, normalize: bool
) -> None:
    maps = random_maps(batch, channels, height, width)
    pooling = BilinearPooling(channels, normalize=normalize)
    rows = rows_of(maps[2])
    expected = np.zeros((batch, channels[2], channels[2]))
    for image in range(batch):
        for n in range(height * width):
            expected[image] += np.outer(rows[image, n], rows[image, n]) / (height * width)
    expected = expected.reshape(batch, -1)
    if normalize:
        expected = root_and_length(expected)
    features = pooling(*maps)
    assert features.shape == (batch, pooling.out_features)
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-10, atol=1e-13)
    narrow = pooling(*(m.float() for m in maps))
    assert narrow.dtype == torch.float32
    np.testing.assert_allclose(narrow.numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("batch", "channels", "height", "width"), SHAPES, ids=IDS)
def test_factorised_is_a_product_of_two_projections(
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    channels: tuple[int, int, int],
    height: int,
    width: int,
    normalize: bool,
) -> None:
    monkeypatch.setattr("c2f_train.pooling.factorised.SLICE", 3)  # 7 is no multiple of it
    torch.manual_seed(1)
    pooling = with_biases(FactorisedPooling(channels, 7, normalize=normalize)).double()
    maps = random_maps(batch, channels, height, width)
    u, v = (linear.weight.detach().numpy() for linear in (pooling.u, pooling.v))
    a, b = (linear.bias.detach().numpy() for linear in (pooling.u, pooling.v))
    expected = np.zeros((batch, 7))
    for image, rows in enumerate(rows_of(maps[2])):
        for x in rows:
            expected[image] += (u @ x + a) * (v @ x + b) / (height * width)
    if normalize:
        expected = root_and_length(expected)
    features = pooling(*maps)
    assert features.shape == (batch, pooling.out_features)
    np.testing.assert_allclose(features.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_factorised_is_a_bilinear_feature_of_low_rank() -> None:
    """Without biases, coordinate k is u_k' (Z'Z / N) v_k, a linear map of B-CNN's feature."""
    maps = random_maps(2, (3, 3, 3), 4, 4)
    factorised = FactorisedPooling((3, 3, 3), 6, normalize=False).double()
    whole = BilinearPooling((3, 3, 3), normalize=False)(*maps).view(2, 3, 3)
    u, v = factorised.u.weight, factorised.v.weight
    torch.testing.assert_close(factorised(*maps), torch.einsum("ki,bij,kj->bk", u, whole, v))


def test_average_of_unit_length() -> None:
    maps = random_maps(2, (2, 3, 4), 3, 3)
    means = rows_of(maps[2]).mean(axis=1)
    features = AveragePooling((2, 3, 4), unit=True)(*maps)
    assert features.dtype == torch.float32
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-5)


def test_gradients() -> None:
    channels = (2, 2, 3)
    maps = random_maps(2, channels, 2, 2, seed=3)
    torch.manual_seed(2)
    assert gradients_hold(BilinearPooling(channels), maps)
    assert gradients_hold(with_biases(FactorisedPooling(channels, 4)).double(), maps)


def test_the_signed_root_is_exact_and_its_slope_is_bounded() -> None:
    p = torch.tensor([-4.0, -1e-7, -1e-9, 0.0, 1e-20, 9.0], dtype=torch.float64)
    p.requires_grad_()
    root = signed_root(p)
    exact = torch.tensor([-2.0, -(1e-7**0.5), -1e-5, 0.0, 1e-16, 3.0], dtype=torch.float64)
    torch.testing.assert_close(root, exact, rtol=1e-12, atol=0)
    root.sum().backward()
    assert p.grad is not None
    assert p.grad[0] == pytest.approx(1 / 4)
    assert p.grad[5] == pytest.approx(1 / 6)
    assert float(p.grad.max()) == pytest.approx(ROOT_FLOOR**-0.5)


@pytest.mark.parametrize("kind", [BilinearPooling, FactorisedPooling])
def test_dead_maps_give_zeros_and_finite_gradients(kind: type[nn.Module]) -> None:
    pooling = kind((4, 4, 4))
    maps = [torch.zeros(2, 4, 3, 3, requires_grad=True) for _ in range(3)]
    features = pooling(*maps)
    assert not features.any()
    features.sum().backward()
    assert maps[2].grad is not None
    assert torch.isfinite(maps[2].grad).all()


def test_channels_that_hardly_fire_together_do_not_drown_the_rest() -> None:
    """Two channels of 1, one of 1e-12, whose gradient would be a million times theirs."""
    z = torch.tensor([1.0, 1.0, 1e-12], dtype=torch.float64).view(1, 3, 1, 1).requires_grad_()
    weights = torch.arange(9.0, dtype=torch.float64)
    (BilinearPooling((3, 3, 3))(z, z, z) @ weights).sum().backward()
    assert z.grad is not None
    bounded = z.grad.abs().max()
    bare = z.detach().requires_grad_()
    products = (bare.flatten(2) @ bare.flatten(2).mT).flatten(1)
    (nn.functional.normalize(products.sqrt(), dim=1) @ weights).sum().backward()
    assert bare.grad is not None
    assert float(bare.grad.abs().max()) > 10 * float(bounded)


def test_normalised_features_of_tiny_numbers_have_unit_length() -> None:
    features = normalize_features(torch.full((1, 4), 1e-12))
    torch.testing.assert_close(features.norm(), torch.tensor(1.0))


def test_bfloat16_products_are_added_in_float32() -> None:
    maps = [m.float() for m in random_maps(3, (16, 16, 16), 20, 20)]
    torch.manual_seed(0)
    for pooling, tolerance in (
        (BilinearPooling((16, 16, 16)), 1e-6),  # in float32 throughout
        (FactorisedPooling((16, 16, 16), 64), 0.02),  # two digits are left of its projections
    ):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = pooling(*maps)
        assert features.dtype == torch.float32
        torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
        torch.testing.assert_close(features, pooling(*maps), rtol=0, atol=tolerance)


def test_bfloat16_maps_are_widened_first() -> None:
    maps = [m.bfloat16() for m in random_maps(1, (4, 4, 4), 20, 20)]
    expected = BilinearPooling((4, 4, 4))(*(m.float() for m in maps))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(BilinearPooling((4, 4, 4))(*maps), expected)
