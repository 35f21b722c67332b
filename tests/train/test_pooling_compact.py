"""The sketches of bilinear features: their algorithms, their expectation, their variance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from pooling_cases import (
    Array,
    estimates,
    gradients_hold,
    one_location,
    random_maps,
    root_and_length,
    rows_of,
)
from torch import Tensor, nn

from c2f_train.pooling.bilinear import gram
from c2f_train.pooling.compact import (
    RandomMaclaurinPooling,
    TensorSketchPooling,
    count_sketch,
)

SHAPES = [(3, (2, 3, 5), 4, 3), (1, (3, 3, 3), 2, 5), (2, (5, 2, 4), 1, 1)]
KINDS = [TensorSketchPooling, RandomMaclaurinPooling]
X = np.array([0.9, -0.2, 0.7, 0.1])
Y = np.array([0.5, 0.4, 0.6, -0.8])


def by_fft(pooling: TensorSketchPooling, z: Tensor) -> Array:
    """Algorithm 2 of the paper: two count sketches a location, multiplied by FFT, then summed."""
    dim = pooling.out_features
    images = []
    for rows in rows_of(z):
        total = np.zeros(dim)
        for x in rows:
            sketches = np.zeros((2, dim))
            for k in range(2):
                for i, value in enumerate(x):
                    sketches[k, int(pooling.hashes[k, i])] += int(pooling.signs[k, i]) * value
            spectra = np.fft.fft(sketches, axis=1)
            total += np.fft.ifft(spectra[0] * spectra[1]).real
        images.append(total / len(rows))
    return np.stack(images)


def by_projections(pooling: RandomMaclaurinPooling, z: Tensor) -> Array:
    """Algorithm 1 of the paper: the products of two random projections a location, summed."""
    first, second = pooling.signs.double().numpy()
    return np.stack(
        [
            np.mean([(first @ x) * (second @ x) for x in rows], axis=0)
            / np.sqrt(pooling.out_features)
            for rows in rows_of(z)
        ]
    )


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("batch", "channels", "height", "width"), SHAPES)
def test_equals_the_papers_algorithms(
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    channels: tuple[int, int, int],
    height: int,
    width: int,
    normalize: bool,
) -> None:
    monkeypatch.setattr("c2f_train.pooling.compact.SLICE", 4)  # 11 is no multiple of it
    torch.manual_seed(4)
    maps = random_maps(batch, channels, height, width)
    sketch = TensorSketchPooling(channels, 11, normalize=normalize)
    maclaurin = RandomMaclaurinPooling(channels, 11, normalize=normalize)
    for pooling, expected in (
        (sketch, by_fft(sketch, maps[2])),
        (maclaurin, by_projections(maclaurin, maps[2])),
    ):
        if normalize:
            # A coordinate that no pair falls on is 0 here and 1e-17 by FFT, a root of 3e-9.
            expected = root_and_length(np.where(np.abs(expected) < 1e-12, 0, expected))
        features = pooling(*maps)
        assert features.shape == (batch, 11)
        np.testing.assert_allclose(features.numpy(), expected, rtol=1e-9, atol=1e-12)
        narrow = pooling(*(m.float() for m in maps))
        assert narrow.dtype == torch.float32
        np.testing.assert_allclose(narrow.numpy(), expected, rtol=1e-3, atol=1e-3)


def every_tensor_sketch(channels: int, dim: int) -> Iterator[TensorSketchPooling]:
    """One pooling, filled with each of its possible hashes in turn."""
    pooling = TensorSketchPooling((channels,) * 3, dim, normalize=False)
    tables = list(product(range(dim), repeat=2 * channels))
    for signs in product((-1, 1), repeat=2 * channels):
        pooling.signs.copy_(torch.tensor(signs).view(2, channels))
        for places in tables:
            pooling.hashes.copy_(torch.tensor(places).view(2, channels))
            yield pooling


def test_the_expectation_over_all_tensor_sketches_is_exact() -> None:
    """All 1296 of two channels and d = 3: mean <x, y>^2, variance within the bound."""
    x, y = X[:2], Y[:2]
    found = [
        float((pooling(*one_location(x)) * pooling(*one_location(y))).sum())
        for pooling in every_tensor_sketch(2, 3)
    ]
    assert len(found) == 6**4
    assert np.mean(found) == pytest.approx((x @ y) ** 2, rel=1e-12)
    assert np.var(found) <= 11 / 3 * (x @ x) ** 2 * (y @ y) ** 2


@pytest.mark.parametrize(("x", "y"), [(X, Y), (X, X)], ids=["two vectors", "a vector's length"])
def test_tensor_sketch_in_expectation(x: Array, y: Array) -> None:
    dim, draws = 24, 1500
    mean, error, variance = estimates(
        lambda: TensorSketchPooling((4, 4, 4), dim, normalize=False), x, y, draws
    )
    assert abs(mean - (x @ y) ** 2) < 4 * error
    assert variance <= (2 + 3**2) / dim * (x @ x) ** 2 * (y @ y) ** 2


@pytest.mark.parametrize(("x", "y"), [(X, Y), (X, X)], ids=["two vectors", "a vector's length"])
def test_random_maclaurin_in_expectation(x: Array, y: Array) -> None:
    dim, draws = 24, 1500
    mean, error, variance = estimates(
        lambda: RandomMaclaurinPooling((4, 4, 4), dim, normalize=False), x, y, draws
    )
    assert abs(mean - (x @ y) ** 2) < 4 * error
    moment = (x @ x) * (y @ y) + 2 * (x @ y) ** 2 - 2 * (x**2 @ y**2)
    # The docstring's variance, which a sample of this size meets within a few tenths.
    assert variance == pytest.approx((moment**2 - (x @ y) ** 4) / dim, rel=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_sketch_is_nearer_to_the_bilinear_feature(kind: type[nn.Module]) -> None:
    """<phi(Z1), phi(Z2)> estimates <Z1'Z1, Z2'Z2>; four times the length halves the error."""
    maps = random_maps(2, (6, 6, 6), 3, 3, seed=5)
    whole = gram(maps[2]).flatten(1)
    truth = float(whole[0] @ whole[1])
    torch.manual_seed(6)
    errors = []
    for dim in (32, 128, 512):
        found = [kind((6, 6, 6), dim, normalize=False)(*maps) for _ in range(200)]
        errors.append(np.sqrt(np.mean([(float(f[0] @ f[1]) - truth) ** 2 for f in found])))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.35)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.35)


def test_count_sketch_adds_signed_numbers_to_their_places() -> None:
    x = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    found = count_sketch(x, torch.tensor([3, 0, 3]), torch.tensor([1, -1, -1]), 4)
    assert found.tolist() == [[-2, 0, 0, -3], [-16, 0, 0, -24]]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: type[nn.Module]) -> None:
    torch.manual_seed(2)
    assert gradients_hold(kind((2, 2, 3), 5), random_maps(2, (2, 2, 3), 2, 2, seed=3))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_computed_in_bfloat16(kind: type[nn.Module]) -> None:
    maps = [m.float() for m in random_maps(2, (8, 8, 8), 10, 10)]
    pooling = kind((8, 8, 8), 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = pooling(*maps)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, pooling(*maps), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_hashes_are_what_the_seed_says_and_are_saved(kind: type[nn.Module]) -> None:
    maps = random_maps(1, (4, 4, 4), 2, 2)

    def built(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return kind((4, 4, 4), 16)

    assert torch.equal(built(1)(*maps), built(1)(*maps))
    assert not torch.equal(built(1)(*maps), built(2)(*maps))
    other = built(2)
    other.load_state_dict(built(1).state_dict())
    assert torch.equal(built(1)(*maps), other(*maps))
    # Halving a model's numbers must not touch its hashes.
    assert torch.equal(built(1).half().double()(*maps), built(1)(*maps))


def test_every_place_and_both_signs_are_drawn() -> None:
    torch.manual_seed(0)
    pooling = TensorSketchPooling((2, 2, 4096), 16)
    assert set(pooling.hashes.flatten().tolist()) == set(range(16))
    assert abs(float(pooling.signs.double().mean())) < 0.05
    assert set(pooling.signs.flatten().tolist()) == {-1, 1}
    assert not torch.equal(pooling.hashes[0], pooling.hashes[1])
