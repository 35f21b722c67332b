"""Probabilities over the hierarchy: consistent by construction, whatever the classifiers say."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import taxonomies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax as reference

from c2f_data.calibration import LevelResolution
from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation.hierarchy_metrics import ancestry, consistent
from c2f_train.prediction.pool import (
    equal_weights,
    experts,
    fit_weights,
    log_softmax,
    mean_loss,
    node_probabilities,
    pool,
    spread,
)
from c2f_train.prediction.stopping import allowed_level, descend, ranked
from c2f_train.temperature import fit_temperature

Case = tuple[Taxonomy, int, tuple[int, ...], list[NDArray[np.float64]], tuple[float, ...]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A hierarchy, an allowed level, experts, their log-probabilities of 1 to 6 images, weights."""
    taxonomy = draw(taxonomies())
    allowed = draw(st.integers(0, len(taxonomy.levels) - 1))
    trained = sorted(draw(st.sets(st.integers(0, len(taxonomy.levels) - 1), min_size=1)))
    asked = experts(trained, allowed)
    n, scale = draw(st.integers(1, 6)), draw(st.sampled_from((0.1, 3.0, 300.0)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = [
        log_softmax(
            (scale * random.normal(size=(n, taxonomy.count(taxonomy.levels[i])))).astype(np.float32)
        )
        for i in asked
    ]
    weights = tuple(draw(st.floats(0, 20)) for _ in asked)
    return taxonomy, allowed, asked, scores, weights


@given(cases())
def test_a_node_has_the_sum_of_its_children_and_every_descent_is_a_path(case: Case) -> None:
    taxonomy, allowed, asked, scores, weights = case
    spreads = [
        spread(taxonomy, level, allowed, own) for level, own in zip(asked, scores, strict=True)
    ]
    nodes = node_probabilities(taxonomy, allowed, pool(spreads, weights))
    assert len(nodes) == allowed + 1
    for level, shares in enumerate(nodes):
        assert shares.shape[1] == taxonomy.count(taxonomy.levels[level])
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    for level in range(1, allowed + 1):
        parents = ancestry(taxonomy, level)[:, level - 1]
        sums = np.zeros_like(nodes[level - 1])
        np.add.at(sums.T, parents, nodes[level].T)
        np.testing.assert_allclose(sums, nodes[level - 1], rtol=1e-12)
        assert (nodes[level - 1][:, parents] >= nodes[level]).all()
    descent = descend(taxonomy, nodes)
    part = (
        Taxonomy("part", taxonomy.levels[: allowed + 1], ancestry_paths(taxonomy, allowed))
        if (allowed)
        else None
    )
    if part is not None:
        assert consistent(part, descent.classes).all()
    assert (np.diff(descent.confidence, axis=1) <= 0).all()
    depths = [descent.depth(t) for t in (0.0, 0.3, 0.6, 0.9, 1.1)]
    assert (np.diff(depths, axis=0) <= 0).all()
    assert (depths[0] == allowed + 1).all()
    assert (depths[-1] == 0).all()


def ancestry_paths(taxonomy: Taxonomy, level: int) -> tuple[tuple[str, ...], ...]:
    return taxonomy.nodes[level]


@given(cases())
def test_the_pool_is_the_formula(case: Case) -> None:
    taxonomy, allowed, asked, scores, weights = case
    classes = pool(
        [spread(taxonomy, i, allowed, own) for i, own in zip(asked, scores, strict=True)], weights
    )
    up = ancestry(taxonomy, allowed)
    for row in range(len(classes)):
        total = np.zeros(classes.shape[1])
        for level, own, weight in zip(asked, scores, weights, strict=True):
            for c in range(classes.shape[1]):
                if level <= allowed:
                    total[c] += weight * own[row, up[c, level]]
                else:
                    below = ancestry(taxonomy, level)[:, allowed] == c
                    total[c] += weight * np.log(max(np.exp(own[row, below]).sum(), 1e-300))
        np.testing.assert_allclose(classes[row], np.exp(reference(total)), rtol=1e-9, atol=1e-12)


def test_one_classifier_gets_the_weight_of_its_temperature() -> None:
    random = np.random.default_rng(3)
    true = random.integers(0, 5, 400)
    logits = (4 * (random.normal(size=(400, 5)) + 0.7 * np.eye(5)[true])).astype(np.float32)
    (weight,) = fit_weights([log_softmax(logits)], true)
    assert weight == pytest.approx(1 / fit_temperature(logits, true), abs=2e-3)


def test_weights_are_those_of_the_least_loss() -> None:
    """Three levels that know different things; no neighbour of the fit is better."""
    random = np.random.default_rng(5)
    paths = tuple((f"f{i // 4}", f"g{i // 2}", f"s{i}") for i in range(8))
    taxonomy = Taxonomy("t", ("family", "genus", "species"), paths)
    true = random.integers(0, 8, 600)
    spreads = []
    for level, (count, skill) in enumerate(((2, 1.5), (4, 1.0), (8, 0.5))):
        own = taxonomy.codes[true, level]
        logits = 2 * (random.normal(size=(600, count)) + skill * np.eye(count)[own])
        spreads.append(spread(taxonomy, level, 2, log_softmax(logits.astype(np.float32))))
    weights = fit_weights(spreads, true)
    least = mean_loss(pool(spreads, weights), true)
    assert least < mean_loss(pool(spreads, equal_weights(3)), true)
    for step in (-0.02, 0.02):
        for level in range(3):
            moved = [w + step * (i == level) for i, w in enumerate(weights)]
            assert mean_loss(pool(spreads, moved), true) > least
    best = pool(spreads, weights).argmax(axis=1)
    for level, own in enumerate(spreads):
        alone = taxonomy.codes[own.argmax(axis=1), level] == taxonomy.codes[true, level]
        together = taxonomy.codes[best, level] == taxonomy.codes[true, level]
        assert together.mean() >= alone.mean(), level


def test_a_classifier_that_is_always_right_is_not_believed_for_ever() -> None:
    true = np.arange(30) % 3
    (weight,) = fit_weights([log_softmax((0.2 * np.eye(3)[true]).astype(np.float32))], true)
    assert weight == 20


def test_experts_are_the_classifiers_of_this_level_and_above_else_the_coarsest() -> None:
    assert experts((0, 1, 2), 2) == (0, 1, 2)
    assert experts((0, 1, 2), 0) == (0,)
    assert experts((2,), 0) == (2,)
    assert experts((1, 2), 0) == (1,)


@pytest.mark.parametrize(
    ("resolutions", "usable", "wanted"),
    [
        ((40, 112, 500), 112, 2),
        ((40, 112, 500), 111, 1),
        ((40, 112, 500), 40, 1),
        ((40, 112, 500), 39, 0),
        ((40, 112, 500), 1, 0),
        ((40, 500), 40, 1),
        ((40, 500), 39, 0),
        ((10, 20, 30, 40, 50), 39, 3),
        ((10, 20, 30, 40, 50), 40, 4),
        ((None, None, None), 1, 2),
        ((None, 112, 500), 60, 1),
    ],
)
def test_the_calibration_allows(
    resolutions: tuple[int | None, ...], usable: int, wanted: int
) -> None:
    levels = [LevelResolution(f"l{i}", 2, r) for i, r in enumerate(resolutions)]
    assert allowed_level(levels, usable) == wanted


def test_of_equal_shares_the_first_is_ranked_first() -> None:
    assert ranked(np.array([0.2, 0.4, 0.4]), 5).tolist() == [1, 2, 0]
