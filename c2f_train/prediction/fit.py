"""Fit what a prediction needs besides a model, on images that were held out of its training.

Held-out images are split at random: the weights of the classifiers are fitted on one half, wrong
answers are counted on the other, so that the promise is about images that nothing was fitted on.
This is done for images as they are and for the same images reduced to every level's resolution,
because a classifier is less to be believed on fewer pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from c2f_data.calibration import LevelResolution
from c2f_data.errors import ConfigError
from c2f_data.provenance import collect
from c2f_data.resample import reduce
from c2f_data.taxonomy import Taxonomy
from c2f_train.data import Pictures
from c2f_train.device import describe_device
from c2f_train.loader import in_order, threads_of
from c2f_train.prediction.bands import Band, band_of, bands
from c2f_train.prediction.guarantee import risk_curve
from c2f_train.prediction.look import Effective, look, resolved
from c2f_train.prediction.network import Network, ViewLogits
from c2f_train.prediction.pool import (
    MOST_NUMBERS,
    Ids,
    Scores,
    equal_weights,
    experts,
    fit_weights,
    log_softmax,
    mean_loss,
    node_probabilities,
    pool,
    spread,
)
from c2f_train.prediction.sequence import fit_kappa, fuse
from c2f_train.prediction.stopping import descend
from c2f_train.prediction.stored import Condition, PredictionFit, SequenceFit
from c2f_train.prediction.views import View, views
from c2f_train.progress import Progress

# More tell hardly more about a share of wrong answers, and each costs several passes.
MOST_IMAGES = 2000
FEWEST_TO_FIT = 20
BATCH = 16


@dataclass
class _Rows:
    """What was measured in one band: positions among the held-out images, and their scores."""

    positions: list[int] = field(default_factory=list)
    logits: dict[int, list[Scores]] = field(default_factory=dict)


def fit_prediction(
    network: Network,
    pictures: Pictures,
    labels: Ids,
    images: str,
    progress: Progress,
    *,
    effective: Effective = resolved,
    workers: int = 0,
    seed: int = 0,
) -> PredictionFit:
    """Measure a model on held-out images and find weights and wrong answers.

    Args:
        pictures: the images at native resolution; none of them may have been trained on.
        labels: (n, levels) their class ids.
        images: where they come from, in words.
        effective: estimates what is resolved, see :func:`c2f_train.prediction.look.look`.

    Raises:
        ConfigError: fewer than two images.
        ImageError, ArtefactError: an image can't be read.
    """
    if len(pictures) < 2:
        raise ConfigError(
            f"{len(pictures)} held-out image", "Hold out more: a promise needs some hundred."
        )
    levels = network.levels
    order = np.random.default_rng([seed, 0xF17]).permutation(len(pictures))[:MOST_IMAGES]
    chosen = np.sort(order)
    first = frozenset(order[: order.size // 2].tolist())
    planned = bands(levels, _sides(pictures, chosen, workers))
    rows = _measure(network, levels, pictures, chosen, planned, progress, effective, workers)
    fitted = [
        found
        for band, measured in zip(planned, rows, strict=True)
        if (found := _condition(network, band, measured, labels, first)) is not None
    ]
    return PredictionFit(
        model_sha256=network.key,
        levels=network.taxonomy.levels,
        images=images,
        n=chosen.size,
        seed=seed,
        precision=network.precision,
        conditions=tuple(each.condition for each in fitted),
        sequence=_sequence(network, fitted, labels, first),
        provenance=collect(device=describe_device(network.device), seed=seed),
    )


def _sides(pictures: Pictures, chosen: Ids, workers: int) -> Ids:
    def side(position: int) -> int:
        height, width = pictures.pixels(position).shape[:2]
        return int(min(height, width))

    return np.array(list(in_order(side, chosen.tolist(), threads_of(workers))), np.int64)


def _measure(
    network: Network,
    levels: Sequence[LevelResolution],
    pictures: Pictures,
    chosen: Ids,
    planned: Sequence[Band],
    progress: Progress,
    effective: Effective,
    workers: int,
) -> list[_Rows]:
    spec, trained = network.meta.spec, network.trained

    def prepare(position: int) -> tuple[int, tuple[View, ...]]:
        native = pictures.pixels(position)
        asked = {}
        for number, band in enumerate(planned):
            if not band.native and min(native.shape[:2]) <= band.resolution:
                continue
            pixels = native if band.native else reduce(native, band.resolution, spec)
            seen, _ = look(pixels, "", spec, None, effective)
            if band_of(planned, seen.resolution.usable) == number:
                asked[number] = (pixels, experts(trained, band.allowed))
        return position, views(asked, levels, spec)

    rows = [_Rows() for _ in planned]
    with progress.task("Measuring held-out images", chosen.size) as task:
        prepared = in_order(prepare, chosen.tolist(), threads_of(workers))
        for batch in _chunks(prepared):
            scores = network.logits([image for _, image in batch])
            for (position, _), own in zip(batch, scores, strict=True):
                _keep(rows, position, own)
            task.advance(len(batch))
    return rows


def _keep(rows: Sequence[_Rows], position: int, logits: ViewLogits) -> None:
    for (band, level), own in logits.items():
        here = rows[band]
        if not here.positions or here.positions[-1] != position:
            here.positions.append(position)
        here.logits.setdefault(level, []).append(log_softmax(own[None])[0])


def _chunks(
    prepared: Iterator[tuple[int, tuple[View, ...]]],
) -> Iterator[list[tuple[int, tuple[View, ...]]]]:
    batch = []
    for each in prepared:
        batch.append(each)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(frozen=True)
class _Fitted:
    """A condition, and what it says of every image that was measured in its band.

    Attributes:
        classes: by position among the held-out images, (K_allowed,) probabilities.
    """

    condition: Condition
    band: Band
    classes: dict[int, Scores]


def _condition(
    network: Network, band: Band, rows: _Rows, labels: Ids, first: frozenset[int]
) -> _Fitted | None:
    """Fit on one half, count on the other; None: too few images of this resolution."""
    fitted = np.array([position in first for position in rows.positions], np.bool_)
    if fitted.sum() < 1 or (~fitted).sum() < 1:
        return None
    taxonomy = network.taxonomy
    asked = experts(network.trained, band.allowed)
    spreads = [
        spread(taxonomy, level, band.allowed, np.stack(rows.logits[level])) for level in asked
    ]
    true = labels[np.array(rows.positions)]
    column = true[:, band.allowed]
    equal = equal_weights(len(asked))
    weights, used = equal, np.flatnonzero(fitted)
    if used.size >= FEWEST_TO_FIT:
        used = used[: MOST_NUMBERS // (len(spreads) * spreads[0].shape[1])]
        weights = fit_weights([each[used] for each in spreads], column[used])
    classes = pool(spreads, weights)
    others = [each[~fitted] for each in spreads]
    confidence, right = _walked(taxonomy, band.allowed, classes[~fitted], true[~fitted])
    found = Condition(
        resolution=band.resolution,
        native=band.native,
        from_side=band.from_side,
        allowed=taxonomy.levels[band.allowed],
        experts=tuple(taxonomy.levels[level] for level in asked),
        weights=weights,
        n_fit=used.size if weights is not equal else 0,
        loss_equal=round(mean_loss(pool(others, equal), column[~fitted]), 6),
        loss_fitted=round(mean_loss(classes[~fitted], column[~fitted]), 6),
        confidence=tuple(tuple(c.tolist()) for c in confidence.T),
        right=tuple(right.tolist()),
        curve=risk_curve(confidence, right),
    )
    return _Fitted(found, band, dict(zip(rows.positions, classes, strict=True)))


def _walked(taxonomy: Taxonomy, allowed: int, classes: Scores, true: Ids) -> tuple[Scores, Ids]:
    """Probabilities along the descent of each image, and how many levels of it are right."""
    descent = descend(taxonomy, node_probabilities(taxonomy, allowed, classes))
    # What is stored is what is promised: rounded first, then counted.
    return np.minimum(np.round(descent.confidence, 6), 1.0), descent.right(true)


def _sequence(
    network: Network, fitted: Sequence[_Fitted], labels: Ids, first: frozenset[int]
) -> SequenceFit | None:
    """Fuse the same image at every measured resolution; None: nothing to fuse, or too few."""
    taxonomy = network.taxonomy
    positions = sorted(set.intersection(*(set(each.classes) for each in fitted)) if fitted else ())
    half = np.array([position in first for position in positions], np.bool_)
    if len(fitted) < 2 or not fitted[0].band.native or min(half.sum(), (~half).sum()) < 1:
        return None
    if half.sum() < FEWEST_TO_FIT:
        return None
    allowed = [each.band.allowed for each in fitted]
    frames = [np.stack([each.classes[i] for i in positions]) for each in fitted]
    true = labels[np.array(positions)]
    column = true[:, allowed[0]]
    kappa = fit_kappa(taxonomy, allowed, [each[half] for each in frames], column[half])
    others = [each[~half] for each in frames]
    fused = fuse(taxonomy, allowed, others, kappa)
    confidence, right = _walked(taxonomy, allowed[0], fused, true[~half])
    return SequenceFit(
        kappa=kappa,
        others=len(fitted) - 1,
        resolution=fitted[0].band.resolution,
        loss_best=round(mean_loss(others[0], column[~half]), 6),
        loss_fused=round(mean_loss(fused, column[~half]), 6),
        confidence=tuple(tuple(c.tolist()) for c in confidence.T),
        right=tuple(right.tolist()),
    )
