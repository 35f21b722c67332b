"""The Predictor: images in, paths through the hierarchy out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from c2f_data.errors import C2FError, ConfigError, ImageError
from c2f_data.resample import Pixels
from c2f_train.device import pick_device, pick_precision
from c2f_train.loader import in_order, threads_of
from c2f_train.prediction.answer import Judged, answer
from c2f_train.prediction.guarantee import Guarantee, check_confidence
from c2f_train.prediction.look import (
    ImageLike,
    Look,
    is_one,
    look,
    name_of,
    pixels_of,
    resolved,
)
from c2f_train.prediction.network import Network, ViewLogits, model_folder
from c2f_train.prediction.pool import (
    Scores,
    equal_weights,
    experts,
    log_softmax,
    node_probabilities,
    pool,
    spread,
)
from c2f_train.prediction.result import Failure, Prediction
from c2f_train.prediction.sequence import Frames
from c2f_train.prediction.stopping import allowed_level, descend
from c2f_train.prediction.stored import Condition, PredictionFit, SequenceFit, read_fit
from c2f_train.prediction.views import View, views

DEFAULT_CONFIDENCE = 0.9
DEFAULT_TOP = 5
# Images at once: their crops, up to one a level, are held in memory.
BATCH = 16


@dataclass(frozen=True)
class _Prepared:
    look: Look
    judged: Judged
    views: tuple[View, ...]


class Predictor:
    """Answers as fine as an image allows, and no finer than it is sure.

    Attributes:
        folder: of the model.
        confidence: C: a node is named while its probability is at least that, or more where
            held-out images showed that this is not enough.
        fit: what was found on held-out images; None: nothing, so confidences are not calibrated
            and nothing is promised.
        network: the model, and where it runs.
    """

    def __init__(
        self, folder: Path, network: Network, fit: PredictionFit | None, confidence: float
    ) -> None:
        check_confidence(confidence)
        self.folder = folder
        self.network = network
        self.fit = fit
        self.confidence = confidence
        self._judged = {
            allowed: self._judge(allowed, None) for allowed in range(len(network.levels))
        }
        self._measured = {
            condition.from_side: self._judge(
                network.taxonomy.level_index(condition.allowed), condition
            )
            for condition in (fit.conditions if fit else ())
        }

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str = "auto",
        precision: str = "auto",
        confidence: float = DEFAULT_CONFIDENCE,
    ) -> Predictor:
        """Load a run's folder or a model's.

        Args:
            device: auto, cuda, mps or cpu.
            precision: auto, float32 or bfloat16.
            confidence: see :class:`Predictor`.

        Raises:
            ArtefactError: no model there, or a damaged one.
            ConfigError, DeviceError: the confidence, the device or the precision.
        """
        check_confidence(confidence)
        model = model_folder(Path(folder))
        chosen = pick_device(device)
        network = Network.load(model, chosen, pick_precision(precision, chosen))
        return cls(model, network, read_fit(model), confidence)

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """What is promised, highest resolution first; empty: nothing was measured."""
        fit = self.fit
        if fit is None:
            return ()
        return tuple(each.guarantee(self.confidence, fit.images) for each in fit.conditions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be known before an answer is believed, whatever the image; one line each."""
        return self.network.warnings

    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        resolution: int | None = None,
        top_k: int = DEFAULT_TOP,
    ) -> tuple[Prediction, ...]:
        """The answers for some images, in their order.

        Args:
            images: one or several: paths, encoded files' bytes, Pillow images, or uint8 arrays
                (height, width), (height, width, 3) or (height, width, 4).
            resolution: judge every image at this shorter side in pixels: it is reduced to it, and
                never enlarged. None: at its own, or at what its spectrum says is resolved.
            top_k: most probable nodes of each level to tell.

        Raises:
            ImageError: an image can't be decoded.
            ConfigError: the resolution or the number of nodes.
        """
        several = cast("Iterable[ImageLike]", [images] if is_one(images) else images)
        found = []
        for each in self.stream(several, resolution=resolution, top_k=top_k):
            if isinstance(each, Failure):
                raise ImageError(each.error, each.hint)
            found.append(each)
        return tuple(found)

    def stream(
        self,
        images: Iterable[ImageLike],
        *,
        resolution: int | None = None,
        top_k: int = DEFAULT_TOP,
        batch_size: int = BATCH,
        workers: int = 0,
    ) -> Iterator[Prediction | Failure]:
        """The same one after another, as they are made; an image that can't be read is a Failure.

        However many there are, a few batches are in memory.

        Args:
            batch_size: images that go through the network together.
            workers: threads that read and resize; 0: one a core.

        Raises:
            ConfigError: the resolution, the number of nodes or the size of a batch.
        """
        self._check(top_k=top_k, batch_size=batch_size)
        if resolution is not None and resolution < 1:
            raise ConfigError(f"resolution {resolution} px", "Give at least 1 px.")

        batch: list[_Prepared | Failure] = []
        for each in self._prepared(images, resolution, workers):
            batch.append(each)
            if len(batch) == batch_size:
                yield from self._answers(batch, top_k)
                batch = []
        yield from self._answers(batch, top_k)

    def sequence(
        self,
        images: Iterable[ImageLike],
        *,
        top_k: int = DEFAULT_TOP,
        workers: int = 0,
    ) -> Iterator[Prediction | Failure]:
        """Frames of one object that comes nearer: after each, the answer from all frames so far.

        A frame that can't be read is a Failure and counts for nothing. See
        :mod:`c2f_train.prediction.sequence` for the rule and what it assumes.

        Args:
            images: frames in the order of time, as for :meth:`predict`.

        Raises:
            ConfigError: the number of nodes.
        """
        self._check(top_k=top_k)
        fit = self.fit.sequence if self.fit else None
        taxonomy = self.network.taxonomy
        frames = Frames(taxonomy, fit.kappa, fit.others) if fit else Frames(taxonomy, 0.0, 1)
        best: Judged | None = None
        usable = 0
        for each in self._prepared(images, None, workers):
            if isinstance(each, Failure):
                yield each
                continue
            (logits,) = self.network.logits([each.views])
            classes = self._classes(each.judged, logits)
            if frames.add(each.look.resolution.usable, each.judged.allowed, classes):
                best, usable = self._of_sequence(each.judged, fit), each.look.resolution.usable
            assert best is not None  # the first frame is the best of one
            nodes = node_probabilities(taxonomy, best.allowed, frames.fused())
            descent = descend(taxonomy, nodes)
            yield answer(self.network, each.look, best, nodes, descent, top_k, usable)

    def _of_sequence(self, judged: Judged, fit: SequenceFit | None) -> Judged:
        """As a sequence is judged whose best frame is judged so."""
        finest = len(self.network.levels) - 1
        native = judged.guarantee is not None and judged.guarantee == self.guarantees[0]
        if fit is None or self.fit is None or judged.allowed != finest or not native:
            return replace(judged, guarantee=None, promise="no promise of these frames together")
        found = fit.guarantee(self.confidence, self.fit.images)
        return replace(judged, threshold=found.threshold, guarantee=found, promise=found.statement)

    def _check(self, **values: int) -> None:
        for name, value in values.items():
            if value < 1:
                raise ConfigError(f"{name} {value}", "It must be at least 1.")

    def _prepared(
        self, images: Iterable[ImageLike], resolution: int | None, workers: int
    ) -> Iterator[_Prepared | Failure]:
        """Read, look at and resize by threads, in the images' order."""

        def prepare(numbered: tuple[int, ImageLike]) -> _Prepared | Failure:
            number, image = numbered
            name = name_of(image, number)
            try:
                return self._prepare(pixels_of(image, name), name, resolution)
            except C2FError as error:
                return Failure(name, error.message, error.hint)

        return in_order(prepare, enumerate(images, start=1), threads_of(workers))

    def _prepare(self, pixels: Pixels, name: str, resolution: int | None) -> _Prepared:
        network = self.network
        seen, judged_at = look(pixels, name, network.meta.spec, resolution, resolved)
        judged = self._condition(seen.resolution.usable)
        asked = {0: (judged_at, judged.experts)}
        return _Prepared(seen, judged, views(asked, network.levels, network.meta.spec))

    def _answers(
        self, batch: list[_Prepared | Failure], top_k: int
    ) -> Iterator[Prediction | Failure]:
        readable = [each for each in batch if isinstance(each, _Prepared)]
        scores = iter(self.network.logits([each.views for each in readable]))
        for each in batch:
            yield each if isinstance(each, Failure) else self._answer(each, next(scores), top_k)

    def _answer(self, image: _Prepared, logits: ViewLogits, top_k: int) -> Prediction:
        taxonomy, judged = self.network.taxonomy, image.judged
        nodes = node_probabilities(taxonomy, judged.allowed, self._classes(judged, logits))
        usable = image.look.resolution.usable
        descent = descend(taxonomy, nodes)
        return answer(self.network, image.look, judged, nodes, descent, top_k, usable)

    def _classes(self, judged: Judged, logits: ViewLogits) -> Scores:
        """(1, K) probabilities of the classes of the allowed level."""
        taxonomy = self.network.taxonomy
        spreads = [
            spread(taxonomy, level, judged.allowed, log_softmax(logits[0, level][None]))
            for level in judged.experts
        ]
        return pool(spreads, judged.weights)

    def _condition(self, usable: int) -> Judged:
        allowed = allowed_level(self.network.levels, usable)
        found = self.fit.condition(usable) if self.fit else None
        measured = self._measured.get(found.from_side) if found else None
        if measured is not None and measured.allowed == allowed:
            return measured
        return self._judged[allowed]

    def _judge(self, allowed: int, condition: Condition | None) -> Judged:
        network = self.network
        if condition is None:
            asked = experts(network.trained, allowed)
            weights, promise = equal_weights(len(asked)), self._nothing()
            return Judged(allowed, asked, weights, self.confidence, None, promise)
        found = condition.guarantee(self.confidence, self.fit.images if self.fit else "")
        return Judged(
            allowed=allowed,
            experts=tuple(network.taxonomy.level_index(level) for level in condition.experts),
            weights=condition.weights,
            threshold=found.threshold,
            guarantee=found,
            promise=found.statement,
        )

    def _nothing(self) -> str:
        """Why there is no promise where nothing was measured."""
        if self.fit is None:
            return (
                "no promise, and confidences are not calibrated: no images, or too few, were held "
                "out of training (c2f train --held-out 0.1)"
            )
        lowest = min((each.from_side for each in self.fit.conditions), default=0)
        return f"no promise below {lowest} px: nothing was measured there"
