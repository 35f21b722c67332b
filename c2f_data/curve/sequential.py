"""When may one stop counting? A test of a finite set of images that may look after every batch.

n of N images have been drawn at random without replacement, s of them right. Is the share of right
ones among all N below the threshold? The prior-posterior-ratio martingale of Waudby-Smith & Ramdas
(Confidence sequences for sampling without replacement, NeurIPS 2020, section 2): with a uniform
prior on the number K of right images, the ratio prior(K) / posterior(K | s of n) is a martingale
started at 1 where K is the truth, so by Ville's inequality it ever reaches 1/error with a
probability of at most ``error``, however often one looks. Values of K with a larger ratio are
excluded; the images decide once every K on one side of the threshold is.
"""

from __future__ import annotations

import math

from scipy.special import betaln


def is_below(right: int, seen: int, total: int, threshold: float, error: float) -> bool | None:
    """Whether the accuracy on all images is below the threshold; None: more images are needed.

    Args:
        right, seen: images right, among those drawn so far.
        total: number of images.
        threshold: accuracy in (0, 1); accuracies equal to it are not below.
        error: probability of a wrong answer, over any number of looks.
    """
    enough = _smallest_count(total, threshold)
    if right >= enough:
        return False
    if right + total - seen < enough:
        return True
    if seen == 0:
        return None
    # The posterior has one peak, near right / seen: on its far side the nearest count decides.
    if right / seen < threshold:
        return True if _excluded(enough, right, seen, total, error) else None
    return False if _excluded(enough - 1, right, seen, total, error) else None


def _smallest_count(total: int, threshold: float) -> int:
    """The smallest number of right images whose share is not below the threshold."""
    count = math.ceil(threshold * total)
    while count > 0 and (count - 1) / total >= threshold:
        count -= 1
    while count / total < threshold:
        count += 1
    return count


def _excluded(count: int, right: int, seen: int, total: int, error: float) -> bool:
    """Whether prior / posterior of ``count`` right images has reached 1 / error."""
    rest, more = total - seen, count - right
    if more < 0 or more > rest:
        return True
    # Uniform prior: the right ones among the rest are beta-binomial(rest, right + 1, wrong + 1).
    wrong = seen - right
    log_posterior = (
        -math.log(rest + 1)
        - betaln(rest - more + 1, more + 1)
        + betaln(more + right + 1, rest - more + wrong + 1)
        - betaln(right + 1, wrong + 1)
    )
    return bool(-math.log(total + 1) - log_posterior >= -math.log(error))
