"""The linear probe: scikit-learn's own answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from train_samples import changed, small_model, state_of

from c2f_train.model import HierarchicalClassifier
from c2f_train.probe import ITERATIONS, PENALTY_C, fit_probe

N, WIDTH = 60, 6


def features(seed: int = 0, count: int = N) -> NDArray[np.float32]:
    """Columns of different mean and spread."""
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, WIDTH)) * [1, 2, 0.1, 1, 1, 1] + [0, 1, 3, -2, 2, 0]).astype(
        np.float32
    )


def labels(counts: tuple[int, ...]) -> NDArray[np.int64]:
    """Every class in turn, shifted by what the first column says."""
    shift = (features()[:, 0] > 0.5).astype(np.int64)
    return np.stack([(np.arange(N) + shift) % count for count in counts], axis=1)


def probabilities(
    model: HierarchicalClassifier, level: int, rows: NDArray[np.float32]
) -> NDArray[np.float32]:
    with torch.no_grad():
        return model.classify(torch.from_numpy(rows), level).softmax(dim=1).numpy()


def by_sklearn(
    y: NDArray[np.int64], rows: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    fitted = LogisticRegression(C=PENALTY_C, max_iter=ITERATIONS).fit(features(), y)
    return fitted.predict_proba(rows), fitted.classes_


@pytest.mark.parametrize("counts", [(2, 4, 8), (2, 3), (2, 2)])
def test_probabilities_are_those_of_scikit_learn(counts: tuple[int, ...]) -> None:
    y = labels(counts)
    fitted = fit_probe(small_model("average", counts=counts), features(), y)
    unseen = features(seed=1, count=20)
    for level in range(len(counts)):
        expected, _ = by_sklearn(y[:, level], unseen)
        assert expected.std() > 0.01
        np.testing.assert_allclose(probabilities(fitted, level, unseen), expected, atol=1e-5)


def test_a_class_without_images_gets_no_probability() -> None:
    y = labels((4, 5))
    y[y == 2] = 1  # in neither level is there an image of class 2
    fitted = fit_probe(small_model("average", counts=(4, 5)), features(), y)
    unseen = features(seed=1, count=20)
    for level in range(2):
        found = probabilities(fitted, level, unseen)
        expected, classes = by_sklearn(y[:, level], unseen)
        assert 2 not in classes
        assert not found[:, 2].any()
        np.testing.assert_allclose(found[:, classes], expected, atol=1e-5)


def test_a_single_class_is_certain() -> None:
    fitted = fit_probe(
        small_model("average", counts=(3,)), features(), np.full((N, 1), 1, np.int64)
    )
    np.testing.assert_array_equal(
        probabilities(fitted, 0, features(1)), np.tile([0, 1, 0], (N, 1)).astype(np.float32)
    )


def test_a_constant_column_is_no_division_by_zero() -> None:
    rows = features()
    rows[:, 2] = 0.7
    fitted = fit_probe(small_model("average", counts=(2,)), rows, labels((2,)))
    assert np.isfinite(probabilities(fitted, 0, rows)).all()


def test_the_trunk_is_shared_and_the_given_model_stays() -> None:
    model = small_model("average")
    before = state_of(model)
    fitted = fit_probe(model, features(), labels((2, 4, 8)))
    assert fitted.backbone is model.backbone
    assert not changed(before, state_of(model))
    moved = changed(before, state_of(fitted))
    assert moved == {n for n in before if n.startswith("classifiers.")}
