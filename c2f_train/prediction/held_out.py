"""The images of a run that were held out of its training, and what is fitted on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from c2f_data.artefacts import read_json
from c2f_data.errors import ArtefactError
from c2f_data.index import TRAIN
from c2f_data.resample import Pixels
from c2f_data.shards.reader import ShardReader
from c2f_data.splits import HELD_OUT, read_split
from c2f_train.config import CONFIG, CONFIG_SCHEMA, CONFIG_VERSION, TrainConfig
from c2f_train.evaluation.measure import Compute
from c2f_train.prediction.fit import fit_prediction
from c2f_train.prediction.network import Network
from c2f_train.prediction.pool import Ids
from c2f_train.prediction.stored import PredictionFit, read_fit, write_fit
from c2f_train.progress import Progress
from c2f_train.validation import RECORD, SCHEMA, SCHEMA_VERSION, UNSEEN, ValidationRecord

# What the images are, in words, by the file that names them; the cleaner ones first.
KINDS = {
    UNSEEN: "images held out of training",
    RECORD: "images held out of training, though early stopping chose the epoch by them",
}
# A training that starts from a calibration's classifier starts from what that has learnt.
BEFORE = ", some of which the network that training started from may have seen"
FEWEST = 10


@dataclass(frozen=True)
class HeldOut:
    """Images of the training split that a run was not trained on, from its shards.

    Attributes:
        positions: in the split, ascending.
        kind: what they are, in words.
    """

    reader: ShardReader
    positions: Ids
    kind: str

    def __len__(self) -> int:
        return self.positions.size

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8 at native resolution. Raises ArtefactError: damaged."""
        return self.reader.pixels(TRAIN, int(self.positions[position]), self.reader.levels[-1])

    @property
    def labels(self) -> Ids:
        """(n, levels) class ids."""
        return np.asarray(self.reader.labels(TRAIN)[self.positions], np.int64)


def held_out(run: Path, reader: ShardReader) -> HeldOut | None:
    """The images that a run's folder names as held out; None: it names none.

    Raises:
        ArtefactError: the record is damaged, or names images that the shards don't have.
    """
    name = next((name for name in KINDS if (run / name).exists()), None)
    if name is None:
        return None
    record = read_json(
        run / name, ValidationRecord, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f train"
    )
    place = {image_id: i for i, image_id in enumerate(reader.image_ids(TRAIN))}
    absent = [image_id for image_id in record.image_ids if image_id not in place]
    if absent:
        raise ArtefactError(
            f"{run / name}: held-out image {absent[0]!r} is not in {reader.folder}",
            "Use the shards that the run was trained on, or train it again.",
        )
    positions = np.array(sorted(place[i] for i in record.image_ids), np.int64)
    seen = _seen_before(run, frozenset(record.image_ids))
    return HeldOut(reader, positions, KINDS[name] + BEFORE * seen)


def _seen_before(run: Path, image_ids: frozenset[str]) -> bool:
    """Whether the backbone's first weights may have been trained on some of these images.

    They may where they are another model of c2f, but not a calibration's classifier that these
    images were held out of, too.
    """
    # The model's own record has the weights' name alone, the run's settings where they were.
    config = read_json(
        run / CONFIG,
        TrainConfig,
        schema=CONFIG_SCHEMA,
        version=CONFIG_VERSION,
        maker="c2f train",
    )
    weights = config.weights
    if weights in (None, "none") or Path(weights or "").suffix != "":
        return False
    split = read_split(Path(weights or "").parent)
    return split is None or split.scheme != HELD_OUT or not image_ids <= set(split.image_ids)


def fit_held_out(
    run: Path, reader: ShardReader, compute: Compute, progress: Progress
) -> PredictionFit | None:
    """Fit a finished model's prediction.json on the images that were held out of its training.

    What is there already for these tensors is kept.

    Args:
        run: folder of the run, with its model.

    Returns:
        What is stored; None: nothing was held out, or next to nothing.

    Raises:
        ArtefactError: a record, a shard or the model is damaged, or they don't belong together.
    """
    model = run / "model"
    images = held_out(run, reader)
    if images is None or len(images) < FEWEST:
        return None
    try:
        found = read_fit(model)
    except ArtefactError as error:
        progress.note(f"Fitted again: {error.message}")
        found = None
    if found is not None:
        return found
    fit = fit_prediction(
        Network.load(model, compute.device, compute.precision),
        images,
        images.labels,
        images.kind,
        progress,
        workers=compute.workers,
    )
    write_fit(model, fit)
    return fit
