"""From probabilities to an answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2f_train.prediction.guarantee import Guarantee
from c2f_train.prediction.look import Look
from c2f_train.prediction.network import Network
from c2f_train.prediction.pool import Scores
from c2f_train.prediction.result import LevelAnswers, Node, Prediction, Stop
from c2f_train.prediction.stopping import Descent, ranked


@dataclass(frozen=True, slots=True)
class Judged:
    """How images of one resolution are judged.

    Attributes:
        allowed: finest level that may be named.
        experts: levels whose classifiers are asked. weights: of their log-probabilities.
        threshold: what a node's probability has to reach.
        guarantee: None: nothing was measured.
        promise: the same in a sentence.
    """

    allowed: int
    experts: tuple[int, ...]
    weights: tuple[float, ...]
    threshold: float
    guarantee: Guarantee | None
    promise: str


def answer(
    network: Network,
    look: Look,
    judged: Judged,
    nodes: Sequence[Scores],
    descent: Descent,
    top_k: int,
    usable: int,
) -> Prediction:
    """The answer for one image.

    Args:
        nodes: (1, K_level) probabilities, coarse to fine, down to the allowed level.
        descent: of the same.
        usable: resolution in pixels that decided which level is allowed.
    """
    taxonomy = network.taxonomy
    depth = int(descent.depth(judged.threshold)[0])

    def node(level: int, class_id: int) -> Node:
        share = min(1.0, float(nodes[level][0, class_id]))
        return Node(taxonomy.levels[level], taxonomy.names[level][class_id], class_id, share)

    way = [node(level, int(descent.classes[0, level])) for level in range(len(nodes))]
    stop, why = _stop(network, usable, judged, way, depth)
    return Prediction(
        image=look.name,
        height=look.height,
        width=look.width,
        resolution=look.resolution,
        allowed=taxonomy.levels[judged.allowed],
        path=tuple(way[:depth]),
        stop=stop,
        why=why,
        levels=tuple(
            LevelAnswers(
                taxonomy.levels[level],
                tuple(node(level, int(i)) for i in ranked(shares[0], top_k)),
            )
            for level, shares in enumerate(nodes)
        ),
        guarantee=judged.guarantee,
        promise=judged.promise,
        warnings=look.warnings,
    )


def _stop(
    network: Network, usable: int, judged: Judged, way: Sequence[Node], depth: int
) -> tuple[Stop, str]:
    levels = network.levels
    if depth < len(way):
        best = way[depth]
        return "confidence", (
            f"no {best.level}: {best.name} is the most probable, at {best.confidence:.3f}; "
            f"{judged.threshold:.3f} is needed"
        )
    if depth == len(levels):
        return "finest level", f"{levels[-1].name} is the finest level"
    needed = levels[depth - 1].resolution
    return "resolution", (
        f"no {levels[depth].name}: that takes {needed} px, and {usable} px are usable"
    )
