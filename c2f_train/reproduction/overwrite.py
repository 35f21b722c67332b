"""A reproduction that begins anew: which of its own results are deleted before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from c2f_data.artefacts import disk_error
from c2f_data.open_dataset import open_dataset
from c2f_train.backbones import build_backbone
from c2f_train.reproduction.place import Place
from c2f_train.reproduction.settings import ReproduceConfig
from c2f_train.reproduction.table import FILE
from c2f_train.train import RUN


def deletions(config: ReproduceConfig, place: Place) -> tuple[Path, ...]:
    """What is there of this reproduction's runs, finished or not, and of its table.

    What was measured for a calibration is none of it: it belongs to its images and settings, and
    measuring again would give the same. Runs of other names stay.
    """
    return tuple(path for path in _own(config, place) if path.exists())


def _own(config: ReproduceConfig, place: Place) -> Iterator[Path]:
    for crop in config.crops:
        folder = place.cropped(crop).folder()
        for entry in config.entries(crop):
            yield folder.run(entry.name)
    yield place.folder().folder / FILE


def begin_anew(config: ReproduceConfig, place: Place) -> None:
    """Delete these and say so, once data set, weights and settings were found to be in order.

    Raises:
        C2FError: what is not in order, as the parts of the reproduction would raise it; then
            nothing was deleted.
        ArtefactError: the disk refused.
    """
    for crop in config.crops:
        own = place.cropped(crop)
        index, _, _ = open_dataset(own.workspace, own.choice)
        config.by_hand(index.taxonomy.levels)
    trunk = build_backbone(config.train.backbone, config.train.weights, config.train.taps)
    trunk.check_input(config.train.input_size)
    for path in deletions(config, place):
        try:
            if path.is_dir():
                (path / RUN).unlink(missing_ok=True)  # first: it means that the run is finished
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise disk_error(error, path) from error
        place.progress.note(f"Deleted: {path}")
