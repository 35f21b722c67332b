"""The steps of a reproduction, one after the other; what is finished is kept and not done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from c2f_data.errors import ArtefactError, C2FError
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.index import DatasetIndex
from c2f_data.open_dataset import open_dataset
from c2f_data.provenance import collect
from c2f_data.resample_spec import Reduction
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.sources.request import WHOLE
from c2f_data.workspace import DatasetFolder
from c2f_train.backbones import Backbone, build_backbone
from c2f_train.calibrate import calibrate
from c2f_train.device import describe_device
from c2f_train.progress import counting
from c2f_train.reproduction.overwrite import begin_anew
from c2f_train.reproduction.place import Place
from c2f_train.reproduction.settings import Entry, ReproduceConfig
from c2f_train.reproduction.table import Finished, Table, make_table, write_table
from c2f_train.results import RunResult, read_run
from c2f_train.run import Run
from c2f_train.shared_features import missing_features, share_features
from c2f_train.train import open_run, train

SCRATCH = "from scratch"


class NeverCrossedError(C2FError):
    """Some level's accuracy stays on one side of its threshold."""

    exit_code = 3


def carry_out(config: ReproduceConfig, place: Place, *, overwrite: bool = False) -> Table:
    """Do what is left: hierarchy, calibration, shards, features, runs.

    Killed anywhere, the same call goes on: every part keeps what it has finished.

    Args:
        overwrite: delete the reproduction's runs before, see
            :func:`c2f_train.reproduction.overwrite.deletions`, and replace other shards. A call
            that was killed goes on without it.

    Returns:
        The table, which is also written to reproduction.json in the data set's folder.

    Raises:
        NeverCrossedError: the calibration gives no resolution for a level.
        C2FError: what the parts raise.
    """
    whole = place.cropped(WHOLE)
    if overwrite:
        begin_anew(config, place)
    index = _open(whole)
    coarser = config.by_hand(index.taxonomy.levels) or _calibrated(index, config, whole)
    reduction = config.calibrate.reduction
    _shards(index, coarser, reduction, whole, overwrite)
    whole.workspace.set_current(index.dataset)
    runs = _runs(config, whole, WHOLE)
    if config.crop != WHOLE:
        cut = place.cropped(config.crop)
        _shards(_open(cut), coarser, reduction, cut, overwrite)
        runs += _runs(config, cut, config.crop)
    table = make_table(index.dataset, runs, describe_device(place.device))
    write_table(whole.folder().folder, table)
    return table


def _calibrated(index: DatasetIndex, config: ReproduceConfig, place: Place) -> dict[str, int]:
    """Level to pixels for every level but the finest. What was measured is not measured again."""
    folder = place.folder().calibration
    settings = config.calibration(index.taxonomy.levels)
    result = calibrate(index, settings, folder, place.device, place.progress)
    if not result.answered:
        raise NeverCrossedError(
            "some level's accuracy never falls below its threshold",
            "Choose other thresholds: --t-med, --t-low, or --relative; c2f report shows the curve.",
        )
    return result.coarser


def _open(place: Place) -> DatasetIndex:
    """The data set, with its source and hierarchy noted in the workspace."""
    place.workspace.check_writable()
    index, folder, source = open_dataset(place.workspace, place.choice)
    folder.write_source(source)
    write_taxonomy(folder.hierarchy, index.taxonomy)
    return index


def _shards(
    index: DatasetIndex,
    coarser: Mapping[str, int],
    reduction: Reduction,
    place: Place,
    overwrite: bool,
) -> None:
    with place.progress.task("Writing shards", len(index.records)) as task:
        write_shards(
            index,
            plan_levels(index.taxonomy, coarser),
            reduction,
            place.folder().shards,
            jobs=place.jobs,
            overwrite=overwrite,
            progress=counting(task),
            provenance=collect(device="cpu", seed=0),
        )


def finished(entry: Entry, folder: DatasetFolder) -> RunResult | None:
    """A run that was finished with these settings on these shards, or None.

    Raises:
        ArtefactError: it was finished with others.
    """
    path = folder.run(entry.name) / "run.json"
    if not path.exists():
        return None
    result = read_run(path)
    plan = read_manifest(folder.shards).plan_fingerprint
    same = result.config.without_place == entry.config.without_place
    same = same and result.crop in (entry.crop, None)
    if not same or result.plan_fingerprint != plan:
        raise ArtefactError(
            f"{path.parent}: a run with other settings, or of other shards",
            "Begin anew with --overwrite, or choose another --workspace.",
        )
    return result


def _runs(config: ReproduceConfig, place: Place, crop: str) -> list[tuple[Finished, Path]]:
    """Train every system that is not finished; the trunk's passes are shared by all."""
    folder = place.folder()
    entries = list(config.entries(crop))
    results = {entry.name: finished(entry, folder) for entry in entries}
    left = [entry for entry in entries if results[entry.name] is None]
    for entry in _ready(left, place):
        results[entry.name] = train(
            folder.shards, entry.config, folder.run(entry.name), place.device, place.progress
        )
    return [
        ((entry, found), folder.run(entry.name))
        for entry in entries
        if (found := results[entry.name]) is not None
    ]


def _ready(entries: Sequence[Entry], place: Place) -> Iterator[Entry]:
    """Runs whose features are there: those of native images alone before the others."""
    if not entries:
        return
    runs = _opened(entries, place)
    trunk = runs[0].model.backbone
    waiting = list(zip(entries, runs, strict=True))
    for level in sorted({level for run in runs for level in run.levels}, reverse=True):
        # A random trunk is another one under every seed.
        if any(missing_features(runs, level).values()) and trunk.source != SCRATCH:
            share_features(runs, level, place.progress)
        for entry, run in [pair for pair in waiting if level == min(pair[1].levels)]:
            waiting.remove((entry, run))
            yield entry


def _opened(entries: Sequence[Entry], place: Place) -> list[Run]:
    """The runs, with one trunk for all."""
    config, folder = entries[0].config, place.folder()
    trunk: Backbone = build_backbone(config.backbone, config.weights, config.taps)
    trunk.check_input(config.input_size)
    return [
        open_run(
            folder.shards,
            entry.config,
            folder.run(entry.name),
            place.device,
            place.progress,
            backbone=trunk,
        )
        for entry in entries
    ]
