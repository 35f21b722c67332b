"""Images that a training does not see: carved from train, so that the test images stay unseen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from c2f_data.artefacts import write_json
from c2f_data.errors import ConfigError
from c2f_data.index import TRAIN
from c2f_data.resample import Pixels
from c2f_data.splits import stratified
from c2f_train.data import CenterImages, Pictures
from c2f_train.device import autocast
from c2f_train.inference import BATCH, to_device
from c2f_train.loader import loader, threads_of
from c2f_train.meters import LevelSums
from c2f_train.run import Run

RECORD = "validation.json"
UNSEEN = "held-out.json"
SCHEMA = "c2f-validation"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Held:
    """Which training images are held out, by position among them.

    Attributes:
        train: ascending; trained on.
        validation: ascending; early stopping is judged on them.
        unseen: ascending; for the promise about predictions alone.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    unseen: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ValidationRecord:
    """What is written down about them.

    Attributes:
        share: of each class's images.
        seed: of the draw.
        image_ids: of the images that are held out.
    """

    share: float
    seed: int
    image_ids: tuple[str, ...]


@dataclass(frozen=True)
class SomePictures:
    """Some of the pictures, in the order of their positions."""

    pictures: Pictures
    positions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8."""
        return self.pictures.pixels(self.positions[position])


def hold_out(run: Run) -> Held | None:
    """The images that are not trained on; None: all are.

    Stratified by the finest level's classes and drawn from the seed. The unseen ones are drawn
    first, as :func:`c2f_data.splits.make_evaluation` draws a calibration's validation images: of
    the same data set and seed they are among those, which the calibration's classifier has not
    seen either.

    Raises:
        ConfigError: every class has a single image.
    """
    config = run.config
    finest = run.labels(TRAIN, len(run.names) - 1).numpy()
    validation = unseen = np.zeros(finest.size, np.bool_)
    if config.held_out:
        unseen = _marked(finest, config.held_out, config.seed, "--held-out")
    if config.patience:
        # Of what is left, so that the two shares have no image in common.
        left = np.flatnonzero(~unseen)
        chosen = _marked(finest[left], config.validation, config.seed + 1, "--patience")
        validation = np.zeros(finest.size, np.bool_)
        validation[left[chosen]] = True
    if not (validation | unseen).any():
        return None
    return Held(*(_positions(part) for part in (~validation & ~unseen, validation, unseen)))


def _marked(labels: NDArray[np.int64], share: float, seed: int, option: str) -> NDArray[np.bool_]:
    marked = stratified(labels, share, seed)
    if not marked.any():
        raise ConfigError(
            f"no images for {option}: every class has a single training image left",
            f"It needs two a class: leave {option} out.",
        )
    return marked


def _positions(marked: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(marked))


def record(run: Run, held: Held) -> None:
    """Write down which images are not trained on, and for what."""
    ids, config = run.reader.image_ids(TRAIN), run.config
    for name, share, positions in (
        (RECORD, config.validation, held.validation),
        (UNSEEN, config.held_out, held.unseen),
    ):
        if positions:
            kept = ValidationRecord(share, config.seed, tuple(ids[i] for i in positions))
            write_json(run.folder / name, kept, schema=SCHEMA, version=SCHEMA_VERSION)


@torch.inference_mode()
def validate(run: Run, held: Held, features: dict[int, Tensor] | None) -> tuple[LevelSums, ...]:
    """Loss and hits of every trained level on the held-out images at that level's resolution.

    Args:
        features: level to (2 n, F) cached features of all training images; None: from the images.
    """
    run.model.eval()
    own = tuple(run.world.share(held.validation))
    found = []
    for level in run.levels:
        loss, right = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
        truth = torch.split(run.labels(TRAIN, level)[list(own)], BATCH) if own else ()
        batches = _logits(run, level, own, None if features is None else features[level])
        for logits, labels in zip(batches, truth, strict=True):
            losses = nn.functional.cross_entropy(logits, labels, reduction="sum")
            loss += float(losses)
            right += int((logits.argmax(dim=1) == labels).sum())
        total, hits = run.world.total(loss), run.world.total(right)
        found.append(LevelSums(level, float(total), int(hits), len(held.validation)))
    return tuple(found)


def _logits(run: Run, level: int, own: tuple[int, ...], features: Tensor | None) -> list[Tensor]:
    """Batches of (B, classes) logits on the CPU, as the test makes them."""
    if not own:
        return []
    if features is not None:
        rows = (features[list(own)[i : i + BATCH]].float() for i in range(0, len(own), BATCH))
        return [_classified(run, level, x.to(run.device)) for x in rows]
    pictures = SomePictures(run.pictures(TRAIN, level), own)
    found = []
    for images, _ in loader(
        CenterImages(pictures, run.spec), BATCH, threads_of(run.config.workers)
    ):
        with autocast(run.device, run.config.precision):
            rows_of = run.model.features(to_device(images, run.device))
        found.append(_classified(run, level, rows_of))
    return found


def _classified(run: Run, level: int, features: Tensor) -> Tensor:
    with autocast(run.device, run.config.precision):
        return run.model.classify(features, level).float().cpu()
