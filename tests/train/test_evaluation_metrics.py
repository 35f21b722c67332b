"""Metrics of paths and of mistakes: by hand, against other implementations, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import answered, taxonomies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import precision_score
from train_samples import STRIPED

from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation.hierarchy_metrics import (
    ancestor_heights,
    ancestry,
    consistent,
    distance_of_top,
    full_path,
    macro_precision,
    mistake_severity,
    set_scores,
    weighted_precision,
)

Ids = NDArray[np.int64]
Answered = tuple[Taxonomy, Ids, Ids]

# species 0 and 1 share a genus, 2 and 3 the next one; 0-3 and 4-7 are the families.
TRUE = np.array([0, 0, 0, 0])
NAMED = np.array([0, 1, 2, 7])


def test_heights_by_hand() -> None:
    assert ancestor_heights(STRIPED, 2, TRUE, NAMED).tolist() == [0, 1, 2, 3]
    assert ancestor_heights(STRIPED, 1, TRUE[:3], np.array([0, 1, 3])).tolist() == [0, 1, 2]
    assert ancestor_heights(STRIPED, 0, TRUE[:2], np.array([0, 1])).tolist() == [0, 1]
    top = np.array([[0, 1], [7, 2]])
    heights = ancestor_heights(STRIPED, 2, TRUE[:2], top)
    assert heights.tolist() == [[0, 1], [3, 2]]
    assert distance_of_top(heights) == 1.5


def test_severity_is_of_wrong_answers_alone() -> None:
    heights = ancestor_heights(STRIPED, 2, TRUE, NAMED)
    assert mistake_severity(heights) == 2.0
    assert distance_of_top(heights) == 1.5
    assert mistake_severity(heights[:1]) is None


def test_paths_by_hand() -> None:
    true = STRIPED.codes[[0, 0, 0]]
    # A whole path; a right species under another genus; the path of another species.
    predicted = np.array([[0, 0, 0], [0, 1, 0], [1, 2, 4]])
    assert consistent(STRIPED, predicted).tolist() == [True, False, True]
    assert full_path(true, predicted).tolist() == [True, False, False]
    # Classes named: 3; 4 (two genera), of them 3 right; 3, none right.
    scores = set_scores(STRIPED, true, predicted)
    assert scores.precision == pytest.approx(6 / 10)
    assert scores.recall == pytest.approx(6 / 9)
    assert scores.f1 == pytest.approx(2 * 6 / 19)


@given(taxonomies())
def test_ancestry_has_every_class_with_its_ancestors(taxonomy: Taxonomy) -> None:
    for level, nodes in enumerate(taxonomy.nodes):
        named = [
            tuple(taxonomy.nodes[i].index(node[: i + 1]) for i in range(level + 1))
            for node in nodes
        ]
        assert ancestry(taxonomy, level).tolist() == [list(row) for row in named]


@given(answered())
def test_heights_are_those_of_the_names(case: Answered) -> None:
    taxonomy, true, predicted = case
    for level, nodes in enumerate(taxonomy.nodes):
        heights = ancestor_heights(taxonomy, level, true[:, level], predicted[:, level])
        for height, a, b in zip(heights, true[:, level], predicted[:, level], strict=True):
            one, other = nodes[a], nodes[b]
            common = max(k for k in range(level + 2) if one[:k] == other[:k])
            assert height == level + 1 - common
        severity = mistake_severity(heights)
        assert severity is None or 1 <= severity <= level + 1
        assert 0 <= distance_of_top(heights) <= level + 1
        if severity is not None:
            wrong = float((heights > 0).mean())
            assert distance_of_top(heights) == pytest.approx(severity * wrong)


@given(answered())
def test_answers_of_one_path_are_consistent_and_have_equal_scores(case: Answered) -> None:
    taxonomy, true, predicted = case
    on_path = taxonomy.codes[predicted[:, -1]]
    assert consistent(taxonomy, on_path).all()
    scores = set_scores(taxonomy, true, on_path)
    assert scores.precision == scores.recall == pytest.approx(scores.f1)
    # On a path the finest answer decides.
    assert (full_path(true, on_path) == (true[:, -1] == on_path[:, -1])).all()


@given(answered())
def test_paths_are_those_of_the_table(case: Answered) -> None:
    taxonomy, true, predicted = case
    known = {tuple(row) for row in taxonomy.codes.tolist()}
    good = consistent(taxonomy, predicted)
    assert good.tolist() == [tuple(row) in known for row in predicted.tolist()]
    whole = full_path(true, predicted)
    assert not (whole & ~good).any()
    assert whole.tolist() == [
        a == b for a, b in zip(true.tolist(), predicted.tolist(), strict=True)
    ]


@given(answered())
def test_set_scores_are_those_of_sets(case: Answered) -> None:
    """The definition, with Python's sets; precision is never above recall, L answers given."""
    taxonomy, true, predicted = case
    named, real, both = _sets(taxonomy, predicted), _sets(taxonomy, true), 0
    both = sum(len(a & b) for a, b in zip(named, real, strict=True))
    scores = set_scores(taxonomy, true, predicted)
    assert scores.precision == pytest.approx(both / sum(map(len, named)))
    assert scores.recall == pytest.approx(both / sum(map(len, real)))
    assert 0 <= scores.precision <= scores.recall <= 1
    assert scores.precision <= scores.f1 + 1e-12
    assert scores.f1 <= scores.recall + 1e-12


def _sets(taxonomy: Taxonomy, ids: Ids) -> list[set[tuple[str, ...]]]:
    return [
        {
            taxonomy.nodes[level][node][: i + 1]
            for level, node in enumerate(row)
            for i in range(level + 1)
        }
        for row in ids.tolist()
    ]


@given(answered())
def test_set_scores_agree_with_hiclass(case: Answered) -> None:
    """hiclass takes the union of several paths: here one an answer, from the root down to it."""
    metrics = pytest.importorskip("hiclass.metrics")
    taxonomy, true, predicted = case

    def paths(ids: Ids) -> NDArray[np.str_]:
        depth = len(taxonomy.levels)
        rows = [
            [
                ["/".join(n) for n in _prefixes(taxonomy.nodes[level][node], depth)]
                for level, node in enumerate(row)
            ]
            for row in ids.tolist()
        ]
        return np.array(rows)

    ours = set_scores(taxonomy, true, predicted)
    arguments = paths(true), paths(predicted)
    assert ours.precision == pytest.approx(metrics.precision(*arguments))
    assert ours.recall == pytest.approx(metrics.recall(*arguments))
    if ours.precision > 0:  # hiclass divides by zero
        assert ours.f1 == pytest.approx(metrics.f1(*arguments))


def _prefixes(node: tuple[str, ...], depth: int) -> list[tuple[str, ...]]:
    """The node's ancestors and itself; nothing below, which hiclass takes as no class."""
    return [node[: i + 1] if i < len(node) else () for i in range(depth)]


@given(st.data())
def test_precision_agrees_with_sklearn(data: st.DataObject) -> None:
    taxonomy, true, predicted = data.draw(answered())
    each = []
    for level in range(len(taxonomy.levels)):
        arguments = true[:, level], predicted[:, level]
        wanted = precision_score(*arguments, average="macro", zero_division=0)
        assert macro_precision(*arguments) == pytest.approx(wanted)
        each.append(wanted)
    counts = [taxonomy.count(level) for level in taxonomy.levels]
    assert weighted_precision(taxonomy, true, predicted) == pytest.approx(
        np.average(each, weights=counts)
    )
    assert weighted_precision(taxonomy, true, true) == 1.0
