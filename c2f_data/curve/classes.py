"""Each class's own curve, and which classes of a level are lost first on the way down.

One class has few images, often six or thirty, so its measured curve is mostly luck. Three things
keep luck out of the ranking:

- A class's accuracy is taken towards that of the other classes with the same parent (its
  siblings), and theirs towards that of the whole level. With k of n images right, the siblings'
  K of N, and Q the accuracy of all images of the level, at one resolution:

      q = (K + m Q) / (N + m)        what is expected of a class with this parent
      a = (k + m q) / (n + m)        the class's accuracy: mean of a Beta(m q, m (1 - q)) prior
                                     after n images

  with m = :data:`PRIOR_IMAGES`. All are accuracies of this level's answers; a parent's own
  accuracy is that of an easier question.
- Accuracies that rise as r falls are pooled with their neighbours (isotonic regression by adjacent
  violators, Barlow et al. 1972), so every class falls below a threshold once.
- Classes with fewer than :data:`FEW_IMAGES` images are named and not ranked.

A classifier that can't see much any more often gives one class as its answer for everything. That
class's accuracy stays high although nothing is recognised, so its curve also counts how often it
was answered, and the ranking marks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from c2f_data.curve.comparable import check_predictions, parents
from c2f_data.curve.margins import CONFIDENCE, wilson
from c2f_data.errors import ConfigError
from c2f_data.predictions import Predictions
from c2f_data.taxonomy import Taxonomy

PRIOR_IMAGES = 5
FEW_IMAGES = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassCurve:
    """One class of any level, at every measured resolution.

    Attributes:
        level: the class's level.
        name: the class's name, unique at its level.
        parent: name of its class at the next coarser level; None at the coarsest.
        n: measured images of the class, the same ones at every resolution; at least 1.
        correct: of these, how many were right at each resolution.
        answered: measured images, of any class, that got this class as their answer.
        resolutions: shorter side in pixels, native first, then descending. The native one is
            nominal (the cap of the sweep), so a second one may equal it.
    """

    level: str
    name: str
    parent: str | None
    n: int
    correct: tuple[int, ...]
    answered: tuple[int, ...]
    resolutions: tuple[int, ...]

    @property
    def accuracy(self) -> tuple[float, ...]:
        """Share of right images at each resolution."""
        return tuple(k / self.n for k in self.correct)

    @property
    def precision(self) -> tuple[float | None, ...]:
        """Share of the images that got this answer that are of the class; None where none did."""
        pairs = zip(self.correct, self.answered, strict=True)
        return tuple(k / answered if answered else None for k, answered in pairs)

    def intervals(self, confidence: float = CONFIDENCE) -> tuple[tuple[float, float], ...]:
        """Wilson interval of the accuracy at each resolution."""
        known = {k: wilson(k, self.n, confidence) for k in set(self.correct)}
        return tuple(known[k] for k in self.correct)


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """Where one class is lost.

    Attributes:
        name, parent, n: see :class:`ClassCurve`.
        resolution: highest measured resolution in pixels from which down the smoothed accuracy
            stays below the threshold; None: it never falls below.
        at_native: that is native resolution: the untouched images are already below.
        by_default: at the lowest resolution at which it still holds, most images that get its
            name are of other classes. It may then hold only because the classifier falls back on
            it, and not because it is still recognised.
        area: mean of the smoothed accuracy over log2 r, from the lowest resolution to native.
        native: smoothed accuracy at native resolution.
    """

    name: str
    parent: str | None
    n: int
    resolution: int | None
    at_native: bool
    by_default: bool
    area: float
    native: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The classes of a level, the first lost first.

    Attributes:
        level: whose classes.
        threshold: accuracy in (0, 1), or with ``relative`` a share of each class's own smoothed
            accuracy at native resolution.
        ranked: by resolution, highest first; equal ones by area, smallest first, then by name.
        too_few: classes with fewer than ``few`` images, by name; theirs is a guess.
        few: images that a class needs to be ranked.
        prior_images: m, the weight of the siblings, in images.
    """

    level: str
    threshold: float
    relative: bool
    ranked: tuple[ClassLoss, ...]
    too_few: tuple[ClassLoss, ...]
    few: int = FEW_IMAGES
    prior_images: float = PRIOR_IMAGES


def class_curves(
    predictions: Sequence[Predictions], taxonomy: Taxonomy, level: str
) -> tuple[ClassCurve, ...]:
    """The curve of every class of a level that has images, in the order of its class ids.

    Args:
        predictions: native first, then descending, of the same images in the same order.
        level: any level of the hierarchy.

    Raises:
        ConfigError: no predictions, in another order, or of different images.
        ArtefactError: the predictions are of another hierarchy.
        TaxonomyError: the hierarchy has no such level.
    """
    position = taxonomy.level_index(level)
    check_predictions(predictions, taxonomy)
    names = taxonomy.names[position]
    above = parents(taxonomy, level)
    true = predictions[0].classes(level)
    n = np.bincount(true, minlength=len(names))

    def counts(chosen: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        return np.stack([np.bincount(ids, minlength=len(names)) for ids in chosen], axis=1)

    right = counts([true[p.correct(level)] for p in predictions])
    answered = counts([p.predicted[:, position] for p in predictions])
    resolutions = tuple(int(p.resolution) for p in predictions)
    return tuple(
        ClassCurve(
            level=level,
            name=names[c],
            parent=None if above is None else taxonomy.names[position - 1][above[c]],
            n=int(n[c]),
            correct=tuple(right[c].tolist()),
            answered=tuple(answered[c].tolist()),
            resolutions=resolutions,
        )
        for c in np.flatnonzero(n)
    )


def fails_first(
    curves: Sequence[ClassCurve],
    threshold: float,
    *,
    relative: bool = False,
    few: int = FEW_IMAGES,
    prior_images: float = PRIOR_IMAGES,
) -> Ranking:
    """Rank the classes of one level by the resolution at which each is lost.

    Args:
        curves: all of one level's, see :func:`class_curves`; their order is no matter.
        threshold: accuracy in (0, 1), or a share of each class's accuracy at native resolution.
        few: images that a class needs to be ranked.
        prior_images: weight of the siblings, in images; 0: every class speaks for itself.

    Raises:
        ConfigError: a threshold outside (0, 1), a negative weight, no curves, or curves of
            different levels or resolutions.
    """
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold {threshold:g}", "Give a number between 0 and 1.")
    if prior_images < 0:
        raise ConfigError(f"prior_images {prior_images:g}", "Give 0 or more images.")
    if len({(curve.level, curve.resolutions) for curve in curves}) != 1:
        raise ConfigError(
            "class curves of no level, or of several, or with different resolutions",
            "Rank the classes of one level, measured at the same resolutions.",
        )
    curves = sorted(curves, key=lambda curve: curve.name)
    smoothed = [_falling(row) for row in _shrunk(curves, prior_images)]
    losses = [
        _loss(curve, accuracy, threshold * float(accuracy[0]) if relative else threshold)
        for curve, accuracy in zip(curves, smoothed, strict=True)
    ]
    return Ranking(
        level=curves[0].level,
        threshold=threshold,
        relative=relative,
        ranked=tuple(sorted((loss for loss in losses if loss.n >= few), key=_first_lost_first)),
        too_few=tuple(loss for loss in losses if loss.n < few),
        few=few,
        prior_images=prior_images,
    )


def _first_lost_first(loss: ClassLoss) -> tuple[bool, int, float, str]:
    return not loss.at_native, -(loss.resolution or 0), loss.area, loss.name


def _shrunk(curves: Sequence[ClassCurve], m: float) -> Floats:
    """(classes, resolutions) accuracies, taken towards the siblings' (see the top of the file)."""
    n = np.asarray([[curve.n] for curve in curves], np.float64)
    right = np.asarray([curve.correct for curve in curves], np.float64)
    families = {name: i for i, name in enumerate(dict.fromkeys(c.parent for c in curves))}
    family = np.asarray([families[curve.parent] for curve in curves])
    family_n, family_right = np.zeros((len(families), 1)), np.zeros((len(families), right.shape[1]))
    np.add.at(family_n, family, n)
    np.add.at(family_right, family, right)
    level = right.sum(axis=0) / n.sum()
    # A class is no sibling of its own: one image must not be counted twice.
    siblings_n, siblings_right = family_n[family] - n, family_right[family] - right
    with np.errstate(invalid="ignore"):  # 0 / 0: without a weight, an only child expects nothing
        expected = (siblings_right + m * level) / (siblings_n + m)
    return np.asarray((right + m * np.nan_to_num(expected)) / (n + m))


def _falling(accuracy: Floats) -> Floats:
    """The nearest accuracies (least squares) that never rise as the resolution falls."""
    return np.asarray(isotonic_regression(accuracy, increasing=False).x)


def _loss(curve: ClassCurve, accuracy: Floats, threshold: float) -> ClassLoss:
    # Where nothing is right, a share of native accuracy can be 0, too, and is not met.
    below = np.flatnonzero((accuracy < threshold) | (accuracy <= 0))
    first = int(below[0]) if below.size else None
    precision = curve.precision[(len(accuracy) if first is None else first) - 1]
    octaves = np.log2(np.asarray(curve.resolutions, np.float64))
    span = float(octaves[0] - octaves[-1])
    area = float(-np.trapezoid(accuracy, octaves)) / span if span else float(np.mean(accuracy))
    return ClassLoss(
        name=curve.name,
        parent=curve.parent,
        n=curve.n,
        resolution=None if first is None else curve.resolutions[first],
        at_native=first == 0,
        by_default=first != 0 and precision is not None and precision < 0.5,
        area=area,
        native=float(accuracy[0]),
    )
