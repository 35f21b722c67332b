"""One distribution over the hierarchy from the classifiers of its levels.

Each level's classifier looks at the image at its own level's resolution and gives probabilities
of its own classes. Over the classes c of the finest level that may be named they are combined by
a logarithmic opinion pool:

    log p(c) = sum over levels l of w_l log p_l(ancestor of c at l) - log Z

(Genest and Zidek 1986, Statistical Science 1:114, section 3; a product of experts.) A node has the
sum of its children's probability, so no child is more probable than its parent and the answers of
all levels agree, whatever the classifiers say.

The weights are found by maximum likelihood on images that were held out of training; the
likelihood is concave in them. With one classifier the weight is 1 / T of temperature scaling (Guo
et al. 2017, ICML, section 4.2). Nothing to fit on: equal weights that add up to 1, which never
make the pool surer than the surest classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation.hierarchy_metrics import ancestry
from c2f_train.temperature import LOWEST

Scores = NDArray[np.float64]
Ids = NDArray[np.int64]

# 1 / T of the lowest temperature: where every answer is right, the likelihood grows for ever.
HIGHEST_WEIGHT = 1 / LOWEST
# Numbers of images x classes x classifiers that a fit holds at once: 160 MB.
MOST_NUMBERS = 20_000_000


def experts(trained: Sequence[int], allowed: int) -> tuple[int, ...]:
    """Which levels' classifiers are asked when ``allowed`` is the finest level to be named.

    Those of this level and of the coarser ones. A model without them (trained on I_high alone)
    is asked for the coarsest level that it has; its probabilities are summed up.

    Args:
        trained: levels that have a classifier, ascending, at least one; 0 is the coarsest.
    """
    coarse = tuple(level for level in trained if level <= allowed)
    return coarse or tuple(trained[:1])


def log_softmax(logits: NDArray[np.float32]) -> Scores:
    """(n, K) logits to log-probabilities in float64."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), np.float64)


def spread(taxonomy: Taxonomy, level: int, allowed: int, scores: Scores) -> Scores:
    """One level's log-probabilities (n, K_level) for each class of the level ``allowed``.

    A finer level's are summed up to it; a coarser level's are those of the class's ancestor.
    """
    if level <= allowed:
        return np.asarray(scores[:, ancestry(taxonomy, allowed)[:, level]], np.float64)
    parents = ancestry(taxonomy, level)[:, allowed]
    sums = _sums(np.exp(scores), parents, int(parents.max()) + 1)
    return np.asarray(np.log(np.maximum(sums, 1e-300)), np.float64)


def pool(spreads: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Probabilities (n, classes) from what :func:`spread` gave of each classifier."""
    total = np.zeros_like(spreads[0])
    for weight, scores in zip(weights, spreads, strict=True):
        total += weight * scores
    total -= total.max(axis=1, keepdims=True)
    shares = np.exp(total)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def node_probabilities(taxonomy: Taxonomy, allowed: int, classes: Scores) -> tuple[Scores, ...]:
    """Probabilities (n, K_level) of the nodes of every level down to ``allowed``, coarse to fine.

    Args:
        classes: (n, K_allowed) from :func:`pool`.
    """
    found = [classes]
    for level in range(allowed, 0, -1):
        # Level by level: rounded sums of non-negative numbers are no smaller than any of them, so
        # a parent is at least as probable as its child, to the last bit.
        parents = ancestry(taxonomy, level)[:, level - 1]
        found.append(_sums(found[-1], parents, taxonomy.count(taxonomy.levels[level - 1])))
    return tuple(reversed(found))


def equal_weights(count: int) -> tuple[float, ...]:
    """The weights of ``count`` classifiers of which nothing is known."""
    return (1 / count,) * count


def fit_weights(spreads: Sequence[Scores], true: Ids) -> tuple[float, ...]:
    """The weights of maximum likelihood, to four decimals, between 0 and 20.

    Args:
        spreads: (n, classes) of each classifier, see :func:`spread`.
        true: (n,) the right columns.
    """
    each = np.stack(spreads)
    own = each[:, np.arange(true.size), true]

    def loss(weights: Scores) -> tuple[float, Scores]:
        total = np.tensordot(weights, each, axes=1)
        top = total.max(axis=1, keepdims=True)
        shares = np.exp(total - top)
        sums = shares.sum(axis=1, keepdims=True)
        value = float((np.log(sums[:, 0]) + top[:, 0] - weights @ own).mean())
        shares /= sums
        slope = (np.einsum("lnk,nk->ln", each, shares) - own).mean(axis=1)
        return value, np.asarray(slope, np.float64)

    start = np.array(equal_weights(len(spreads)))
    bounds = [(0.0, HIGHEST_WEIGHT)] * len(spreads)
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    return tuple(round(float(weight), 4) for weight in found.x)


def mean_loss(classes: Scores, true: Ids) -> float:
    """Mean negative log-likelihood of the right classes, in nats."""
    own = classes[np.arange(true.size), true]
    return float(-np.log(np.maximum(own, 1e-300)).mean())


def _sums(shares: Scores, parents: Ids, count: int) -> Scores:
    """(n, K) to (n, count): the columns of one parent added up. Every parent has a child."""
    order = np.argsort(parents, kind="stable")
    starts = np.searchsorted(parents[order], np.arange(count))
    return np.asarray(np.add.reduceat(shares[:, order], starts, axis=1), np.float64)
