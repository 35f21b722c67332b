"""Kernel pooling: the composition, the kernel that it stands for, and its coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pooling_cases import (
    Array,
    estimates,
    gradients_hold,
    random_maps,
    root_and_length,
    rows_of,
)
from torch import Tensor

from c2f_train.pooling.kernel import KernelPooling, rbf_coefficients

X = np.array([0.9, -0.2, 0.7, 0.1])
Y = np.array([0.5, 0.4, 0.6, -0.3])


def by_formula(pooling: KernelPooling, z: Tensor) -> Array:
    """(B, F): one location after the other, tensor powers by circular convolution, no FFT."""
    a = pooling.coefficients.detach().double().numpy()
    dim = pooling.dim
    images = []
    for rows in rows_of(z):
        total = np.zeros(pooling.out_features)
        for row in rows:
            x = row / np.linalg.norm(row)
            sketches = np.zeros((len(a) - 1, dim))
            for t, (places, signs) in enumerate(zip(pooling.hashes, pooling.signs, strict=True)):
                for i, value in enumerate(x):
                    sketches[t, int(places[i])] += int(signs[i]) * value
            orders = [np.ones(1), x]
            power = sketches[0]
            for sketch in sketches[1:]:
                power = np.array(
                    [sum(power[j] * sketch[k - j] for j in range(dim)) for k in range(dim)]
                )
                orders.append(power)
            total += np.concatenate([weight * part for weight, part in zip(a, orders, strict=True)])
        images.append(total / len(rows))
    return np.stack(images)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("order", "dim"), [(2, 5), (4, 6)], ids=["odd d", "even d"])
def test_equals_the_formula(order: int, dim: int, normalize: bool) -> None:
    torch.manual_seed(1)
    channels = (2, 3, 4)
    maps = random_maps(2, channels, 2, 3)
    pooling = KernelPooling(channels, dim, order=order, gamma=0.7, normalize=normalize)
    expected = by_formula(pooling, maps[2])
    if normalize:
        expected = root_and_length(expected)
    features = pooling(*maps)
    assert features.shape == (2, pooling.out_features) == (2, 1 + 4 + (order - 1) * dim)
    # The coefficients are float32; what is left is rounding of theirs.
    np.testing.assert_allclose(features.detach().numpy(), expected, rtol=1e-6, atol=1e-6)
    narrow = pooling(*(m.float() for m in maps))
    assert narrow.dtype == torch.float32
    np.testing.assert_allclose(narrow.detach().numpy(), expected, rtol=1e-3, atol=1e-3)


def test_the_papers_length_for_vgg16() -> None:
    """512 channels, order 4, d = 4096."""
    assert KernelPooling((512, 512, 512)).out_features == 1 + 512 + 3 * 4096


def test_coefficients_are_the_taylor_series_of_the_gaussian_kernel() -> None:
    a = rbf_coefficients(0.8, 30).double().numpy()
    x, y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    series = sum(a[t] ** 2 * (x @ y) ** t for t in range(31))
    assert series == pytest.approx(math.exp(-0.8 * ((x - y) ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_each_order_in_expectation(order: int) -> None:
    """<phi_t(x), phi_t(y)> has the mean <x, y>^t and at most the variance (2 + 3^t) / d."""
    dim, draws = 16, 800
    x, y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)

    def alone() -> KernelPooling:
        pooling = KernelPooling((4, 4, 4), dim, order=order, normalize=False).double()
        with torch.no_grad():
            pooling.coefficients.zero_()[order] = 1
        return pooling

    mean, error, variance = estimates(alone, x, y, draws)
    assert abs(mean - (x @ y) ** order) < 4 * error
    assert variance <= (2 + 3**order) / dim


def test_all_orders_together_approximate_the_gaussian_kernel() -> None:
    gamma, order = 0.5, 4
    x, y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    mean, error, _ = estimates(
        lambda: KernelPooling((4, 4, 4), 64, order=order, gamma=gamma, normalize=False).double(),
        X,  # the pooling brings every location to unit length
        Y,
        400,
    )
    kernel = math.exp(-gamma * ((x - y) ** 2).sum())
    rest = 1 - sum(math.exp(-2 * gamma) * (2 * gamma) ** t / math.factorial(t) for t in range(5))
    assert rest < 0.004
    assert abs(mean - kernel) < 4 * error + rest


def test_coefficients_are_learned_or_fixed() -> None:
    maps = random_maps(1, (3, 3, 3), 2, 2)
    learned = KernelPooling((3, 3, 3), 8)
    learned(*maps).sum().backward()
    assert [name for name, _ in learned.named_parameters()] == ["coefficients"]
    assert learned.coefficients.grad is not None
    assert learned.coefficients.grad.all()
    fixed = KernelPooling((3, 3, 3), 8, learned=False)
    assert not list(fixed.parameters())
    assert torch.equal(fixed.coefficients, learned.coefficients)
    assert fixed.state_dict().keys() == learned.state_dict().keys()


def test_gradients() -> None:
    torch.manual_seed(2)
    pooling = KernelPooling((2, 2, 3), 4, gamma=0.5).double()
    assert gradients_hold(pooling, random_maps(2, (2, 2, 3), 2, 2, seed=3))


def test_transforms_stay_in_float32_under_autocast() -> None:
    maps = [m.float() for m in random_maps(2, (8, 8, 8), 5, 5)]
    pooling = KernelPooling((8, 8, 8), 12)
    for given in (maps, [m.bfloat16() for m in maps]):
        expected = pooling(*(m.float() for m in given))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = pooling(*given)
        assert features.dtype == torch.float32
        torch.testing.assert_close(features, expected, rtol=0, atol=1e-6)


def test_dead_maps_leave_the_constant_and_finite_gradients() -> None:
    pooling = KernelPooling((4, 4, 4), 6)
    maps = [torch.zeros(2, 4, 3, 3, requires_grad=True) for _ in range(3)]
    features = pooling(*maps)
    assert features[:, 0].tolist() == [1, 1]
    assert not features[:, 1:].any()
    features.sum().backward()
    assert maps[2].grad is not None
    assert torch.isfinite(maps[2].grad).all()


def test_hashes_are_what_the_seed_says_and_are_saved() -> None:
    maps = random_maps(1, (4, 4, 4), 2, 2)

    def built(seed: int) -> KernelPooling:
        torch.manual_seed(seed)
        return KernelPooling((4, 4, 4), 16)

    assert torch.equal(built(1)(*maps), built(1)(*maps))
    assert not torch.equal(built(1)(*maps), built(2)(*maps))
    other = built(2)
    other.load_state_dict(built(1).state_dict())
    assert torch.equal(built(1)(*maps), other(*maps))
