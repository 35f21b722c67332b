"""evaluation.json: what a finished run is worth on the images of a split."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import read_json, write_json
from c2f_data.calibration import LevelResolution
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST
from c2f_data.provenance import Provenance
from c2f_train.evaluation.matrix import ClassifierScore, PathScore
from c2f_train.evaluation.paired import RollUp

SCHEMA = "c2f-evaluation"
SCHEMA_VERSION = 1
FOLDER = "evaluation"
_KEY = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A run, evaluated at every resolution of a set of shards.

    Attributes:
        run: its name.
        split: of the images.
        n: number of images.
        levels: of the shards, coarse to fine.
        trained: levels that have a classifier of their own.
        scores: the matrix, see :func:`c2f_train.evaluation.matrix.matrix`.
        paths: see :func:`c2f_train.evaluation.matrix.paths`.
        key: of the model, the shards, the split and the number format; names the answers' folder.
        precision: number format of the network.
        images_fingerprint: of the ids of the images, in order.
        taxonomy_fingerprint: of the hierarchy.
        plan_fingerprint: of the shards.
        warnings: one line each.
        roll_ups: own classifiers against the finest one's rolled-up answers, image by image.
        crop: what the images were cut to, see :class:`c2f_train.results.RunResult`.
    """

    run: str
    dataset: str
    split: str
    n: int
    levels: tuple[LevelResolution, ...]
    trained: tuple[str, ...]
    scores: tuple[ClassifierScore, ...]
    paths: tuple[PathScore, ...]
    key: str
    precision: str
    images_fingerprint: str
    taxonomy_fingerprint: str
    plan_fingerprint: str
    warnings: tuple[str, ...]
    provenance: Provenance
    roll_ups: tuple[RollUp, ...] = ()
    crop: str | None = None

    def score(self, level: str, images: str, answers: str = "own") -> ClassifierScore | None:
        """A cell of the matrix, or None where there is no such classifier."""
        wanted = (level, images, answers)
        return next((s for s in self.scores if (s.level, s.images, s.answers) == wanted), None)


def result_path(run: Path, split: str = TEST) -> Path:
    """evaluation.json of a run's folder; for another split evaluation-SPLIT.json."""
    return run / ("evaluation.json" if split == TEST else f"evaluation-{split}.json")


def answers_folder(run: Path, split: str, key: str) -> Path:
    """Where a run's answers are kept."""
    return run / FOLDER / f"{split}-{key}"


def answers_file(level: LevelResolution) -> str:
    """Name of the file of a resolution's answers; levels of one resolution share it."""
    return "native.h5" if level.native else f"r{level.resolution:05d}.h5"


def write_evaluation(run: Path, result: EvaluationResult) -> None:
    """Write evaluation.json into a run's folder. Raises ArtefactError as the disk does."""
    path = result_path(run, result.split)
    write_json(path, result, schema=SCHEMA, version=SCHEMA_VERSION)


def read_evaluation(run: Path, split: str = TEST) -> EvaluationResult:
    """Read evaluation.json. Raises ArtefactError: absent, damaged, of another version."""
    path = result_path(run, split)
    result = read_json(
        path, EvaluationResult, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f evaluate"
    )
    # The key becomes the name of a folder.
    if result.split != split or not _KEY.fullmatch(result.key):
        raise ArtefactError(
            f"{path}: of split {result.split!r} with key {result.key!r}",
            "Run `c2f evaluate` to write it again.",
        )
    return result
