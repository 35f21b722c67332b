"""Evaluate a finished run: measure what is not kept yet, compute, write evaluation.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import fingerprint, remove_leftovers, sha256_file
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST, TRAIN
from c2f_data.provenance import collect
from c2f_data.shards.reader import ShardReader
from c2f_data.sources.request import other_images
from c2f_train.checkpoint import MODEL_FILE, ModelMeta, load_models, read_meta
from c2f_train.evaluate import level_resolutions
from c2f_train.evaluation.answers import Answers, read_answers, write_answers
from c2f_train.evaluation.matrix import matrix, paths
from c2f_train.evaluation.measure import Compute, measure
from c2f_train.evaluation.paired import roll_ups
from c2f_train.evaluation.result import (
    EvaluationResult,
    answers_file,
    answers_folder,
    write_evaluation,
)
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress
from c2f_train.results import RunResult, read_run


@dataclass(frozen=True)
class _Work:
    """A run, the images it is asked about, and where its answers are kept."""

    folder: Path
    run: RunResult
    meta: ModelMeta
    reader: ShardReader
    split: str
    compute: Compute
    progress: Progress
    key: str

    @property
    def answers(self) -> Path:
        return answers_folder(self.folder, self.split, self.key)


def evaluate_run(
    folder: Path,
    reader: ShardReader,
    compute: Compute,
    progress: Progress,
    *,
    split: str = TEST,
) -> EvaluationResult:
    """Evaluate every classifier of a finished run at every resolution of a set of shards.

    Answers are kept in ``evaluation/SPLIT-KEY/``, a file a resolution, as soon as it is measured.
    What is there already is read, so an evaluation goes on after an interrupt, and a second one
    runs no network.

    Args:
        folder: of the run.

    Raises:
        ArtefactError: the run is not finished or damaged, its hierarchy is not that of the
            shards, or a shard is damaged.
        ConfigError: the shards have no such split, or hold images of another input size.
        C2FError: the model's scores are not numbers.
    """
    work = _prepare(folder, reader, compute, progress, split)
    levels = level_resolutions(reader)
    taxonomy = reader.manifest.taxonomy
    kept: dict[str, Answers] = {}
    model: HierarchicalClassifier | None = None
    for level in reversed(levels):
        # Levels of one resolution have the same images.
        name = answers_file(level)
        found = kept.get(name) or _kept(work, work.answers / name)
        if found is None:
            model = model or load_models(folder / "model")[0][0].to(compute.device)
            found = measure(model, work.meta, reader, split, level, compute, progress)
            write_answers(work.answers / name, found)
        kept[name] = found
    answers = [kept[answers_file(level)] for level in levels]
    devices = dict.fromkeys(each.device for each in answers)
    result = EvaluationResult(
        run=folder.name,
        dataset=reader.manifest.dataset,
        split=split,
        n=reader.length(split),
        levels=levels,
        trained=work.meta.trained,
        scores=matrix(taxonomy, levels, answers),
        paths=paths(taxonomy, levels, answers),
        key=work.key,
        precision=compute.precision,
        images_fingerprint=fingerprint(list(reader.image_ids(split))),
        taxonomy_fingerprint=taxonomy.fingerprint,
        plan_fingerprint=reader.manifest.plan_fingerprint,
        warnings=_warnings(work),
        provenance=collect(device=", ".join(devices), seed=work.run.config.seed),
        roll_ups=roll_ups(levels, answers),
        crop=reader.manifest.crop,
    )
    write_evaluation(folder, result)
    return result


def _prepare(
    folder: Path, reader: ShardReader, compute: Compute, progress: Progress, split: str
) -> _Work:
    reader.length(split)
    run = read_run(folder / "run.json")
    meta = read_meta(folder / "model")
    manifest = reader.manifest
    if meta.hierarchy().fingerprint != manifest.taxonomy_fingerprint:
        raise ArtefactError(
            f"{folder}: trained on another hierarchy than that of {reader.folder}",
            "Write shards of its hierarchy again (c2f shard --overwrite), or train another run on "
            "these: c2f train --name NAME.",
        )
    manifest.plan.check_input(meta.spec)
    try:
        weights = sha256_file(folder / "model" / MODEL_FILE)
    except OSError as error:
        raise ArtefactError(
            f"{folder / 'model' / MODEL_FILE}: {error.strerror}",
            "Train again, or restore the file.",
        ) from error
    # Of all that can change an answer but the kind of device.
    made_of = [weights, meta, manifest.plan_fingerprint, split, compute.precision]
    key = fingerprint(made_of)[:12]
    work = _Work(folder, run, meta, reader, split, compute, progress, key)
    remove_leftovers(work.answers)
    return work


def _kept(work: _Work, path: Path) -> Answers | None:
    """Answers that are there and sound, or None. They can always be made again."""
    if not path.exists():
        return None
    counts = tuple(level.count for level in work.reader.manifest.levels)
    try:
        found = read_answers(path, counts)
    except ArtefactError as error:
        work.progress.note(f"Measured again: {error.message}")
        return None
    same = found.image_ids == work.reader.image_ids(work.split)
    if not same or found.levels != work.reader.levels:
        work.progress.note(f"Measured again: {path} has other images")
        return None
    return found


def _warnings(work: _Work) -> tuple[str, ...]:
    found = []
    manifest = work.reader.manifest
    if work.run.plan_fingerprint != manifest.plan_fingerprint:
        found.append(
            "these are not the shards that the run was trained on: a level may have another "
            "resolution"
        )
    other = other_images(work.run.crop, manifest.crop)
    if other is not None:
        found.append(f"the run was {other}")
    if work.split == TEST and not _same_training_images(work):
        found.append(
            "the run was trained on other images than the train images of these shards: some of "
            "its own may be among the test images"
        )
    if work.split != TEST:
        found.append(f"measured on {work.split} images: not what the run is worth on new ones")
    return tuple(found)


def _same_training_images(work: _Work) -> bool:
    reader = work.reader
    train = list(reader.image_ids(TRAIN)) if TRAIN in reader.splits else []
    return fingerprint(train) == work.meta.train_fingerprint
