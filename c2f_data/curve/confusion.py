"""What is taken for what as r falls, and whether only the fine level is lost.

Both questions compare a level's own answers. Parents are those of the hierarchy: an error stays
inside a genus if the species that was answered belongs to it, whatever the genus classifier says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, false_discovery_control

from c2f_data.curve.comparable import ancestors, check_predictions, parents
from c2f_data.curve.margins import wilson
from c2f_data.errors import ConfigError
from c2f_data.predictions import Predictions
from c2f_data.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Confused:
    """A class that is taken for another one more often than at native resolution.

    Attributes:
        level: whose classes.
        true, predicted: their names.
        siblings: they have one parent; None at the coarsest level.
        n: images of the true class.
        native: of these, how many were taken for the other class at native resolution.
        reduced: how many at ``resolution``.
        resolution: shorter side in pixels.
        gained, lost: images taken for it only at ``resolution``, only at native resolution.
        p_value: exact one-sided test on these two counts (McNemar's): with no change, each of
            them would be as likely to be the one as the other.
        p_adjusted: after Benjamini & Hochberg (1995, JRSS B 57:289), over all pairs whose images
            changed: of the pairs below 0.05, one in twenty or fewer is expected to be luck.
    """

    level: str
    true: str
    predicted: str
    siblings: bool | None
    n: int
    native: int
    reduced: int
    resolution: int
    gained: int
    lost: int
    p_value: float
    p_adjusted: float

    @property
    def growth(self) -> int:
        """Images more than at native resolution."""
        return self.reduced - self.native


@dataclass(frozen=True, slots=True)
class ErrorShare:
    """How many of a level's errors at one resolution stay inside a coarser class.

    Attributes:
        level: whose errors.
        within: the coarser level.
        resolution: shorter side in pixels.
        native: measured on the untouched images.
        n: images measured.
        errors: wrong answers.
        inside: wrong answers with the right class at the level ``within``.
        low, high: 95 % Wilson interval of ``inside / errors``; None without errors.
        by_chance: the share to expect if each error were any other class with equal probability;
            None without errors.
    """

    level: str
    within: str
    resolution: int
    native: bool
    n: int
    errors: int
    inside: int
    low: float | None
    high: float | None
    by_chance: float | None

    @property
    def share(self) -> float | None:
        """``inside / errors``; None without errors."""
        return self.inside / self.errors if self.errors else None


def growing(
    native: Predictions, reduced: Predictions, level: str, taxonomy: Taxonomy
) -> tuple[Confused, ...]:
    """Pairs of classes that are confused more often at r than at native resolution.

    Args:
        native, reduced: predictions of the same images in the same order.
        level: whose classes.

    Returns:
        Ordered pairs (true, predicted) by growth, largest first; equal ones by p-value, then by
        their place in the hierarchy.

    Raises:
        ConfigError: ``native`` is not native, ``reduced`` is, or their images differ.
        ArtefactError: the predictions are of another hierarchy.
        TaxonomyError: the hierarchy has no such level.
    """
    column = taxonomy.level_index(level)
    check_predictions((native, reduced), taxonomy)
    names, above = taxonomy.names[column], parents(taxonomy, level)
    true, before, after = native.true[:, column], native.predicted[:, column], reduced.predicted
    pairs, counts = _pair_counts(true, before, after[:, column], len(names))
    kept, gained, lost = counts
    p = binom.sf(gained - 1, gained + lost, 0.5)
    adjusted = false_discovery_control(p) if p.size else p
    images = np.bincount(true, minlength=len(names))
    order = np.lexsort((pairs, p, lost - gained))
    return tuple(
        Confused(
            level=level,
            true=names[a],
            predicted=names[b],
            siblings=None if above is None else bool(above[a] == above[b]),
            n=int(images[a]),
            native=int(kept[i] + lost[i]),
            reduced=int(kept[i] + gained[i]),
            resolution=int(reduced.resolution),
            gained=int(gained[i]),
            lost=int(lost[i]),
            p_value=float(p[i]),
            p_adjusted=float(adjusted[i]),
        )
        for i in order[gained[order] > lost[order]]
        for a, b in [divmod(int(pairs[i]), len(names))]
    )


def _pair_counts(
    true: NDArray[np.int64], before: NDArray[np.int64], after: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs true * classes + predicted with a changed image, and their images.

    Returns:
        (pairs,) ascending, and (3, pairs): wrong this way both times, only after, only before.
    """
    old, new = true * classes + before, true * classes + after
    was_wrong, is_wrong = before != true, after != true
    same = before == after
    groups = (old[same & was_wrong], new[~same & is_wrong], old[~same & was_wrong])
    pairs = np.unique(np.concatenate(groups[1:]))
    counts = np.zeros((3, pairs.size), np.int64)
    for row, group in zip(counts, groups, strict=True):
        # A pair that kept all its images is in the first group alone, and is no candidate.
        place = np.searchsorted(pairs, group)
        found = place < pairs.size
        found[found] = pairs[place[found]] == group[found]
        row += np.bincount(place[found], minlength=pairs.size)
    return pairs, counts


def error_shares(
    predictions: Sequence[Predictions],
    level: str,
    taxonomy: Taxonomy,
    within: str | None = None,
) -> tuple[ErrorShare, ...]:
    """The share of a level's errors that stay inside the right coarser class, at each resolution.

    While it stays high and far above ``by_chance``, what is lost is the fine level alone.

    Args:
        predictions: native first, then descending, of the same images in the same order.
        level: whose errors.
        within: a coarser level; None: the next one.

    Raises:
        ConfigError: no level is coarser, ``within`` is not, or the predictions don't go together.
        ArtefactError: the predictions are of another hierarchy.
        TaxonomyError: the hierarchy has no such level.
    """
    column = taxonomy.level_index(level)
    coarser = taxonomy.levels[:column]
    within = within or (coarser[-1] if coarser else level)
    if taxonomy.level_index(within) >= column:
        raise ConfigError(
            f"errors of level {level!r} inside level {within!r}",
            f"Choose one that is coarser: {', '.join(coarser)}."
            if coarser
            else f"Choose a level below {level!r}.",
        )
    check_predictions(predictions, taxonomy)
    above = ancestors(taxonomy, level, within)
    sizes = np.bincount(above)
    others = max(len(above) - 1, 1)
    shares = []
    for p in predictions:
        wrong = ~p.correct(level)
        branch = above[p.true[wrong, column]]
        inside = int(np.sum(branch == above[p.predicted[wrong, column]]))
        low, high = wilson(inside, branch.size) if branch.size else (None, None)
        shares.append(
            ErrorShare(
                level=level,
                within=within,
                resolution=int(p.resolution),
                native=p.native,
                n=wrong.size,
                errors=branch.size,
                inside=inside,
                low=low,
                high=high,
                by_chance=float(np.mean(sizes[branch] - 1)) / others if branch.size else None,
            )
        )
    return tuple(shares)
