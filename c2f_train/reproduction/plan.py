"""What a reproduction would do, before it does anything: its steps, their time and their room."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch

from c2f_data.calibration import CalibrationResult, read_result
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.open_dataset import open_dataset
from c2f_data.shards.estimate import estimate
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.schema import ShardPlan, make_plan, plan_levels
from c2f_data.shards.tasks import plan_shards
from c2f_data.sources.request import WHOLE
from c2f_train.backbones import build_backbone
from c2f_train.calibrate import USUAL_SHARE
from c2f_train.calibration_plan import make_plan as plan_calibration
from c2f_train.device import autocast
from c2f_train.features import stored_type
from c2f_train.inference import to_device
from c2f_train.pooling import MODELS, Channels, make_pooling
from c2f_train.reproduction.carry_out import finished
from c2f_train.reproduction.overwrite import deletions
from c2f_train.reproduction.place import Place
from c2f_train.reproduction.settings import Entry, ReproduceConfig
from c2f_train.shared_features import Heads

State = Literal["done", "to do"]
# A training step costs about three forward passes.
STEP = 3
# Numbers a second that the fit of a linear classifier multiplies and adds, for a rough estimate.
FIT_RATE = 2e10


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a reproduction.

    Attributes:
        name: ``overwrite``, ``hierarchy``, ``calibration``, ``shards``, ``features``, ``run NAME``.
        what: it does, in words.
        state: ``done`` steps are skipped.
        why: it is skipped; empty otherwise.
        seconds: that it will take, estimated; None: not known before the steps before it.
        bytes: that it will write, estimated; None: little, or not known yet.
    """

    name: str
    what: str
    state: State
    why: str = ""
    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Speed:
    """Seconds of an image, forward: through the trunk, and through all ``kinds`` of heads."""

    trunk: float
    heads: float
    kinds: int
    channels: Channels


def plan(config: ReproduceConfig, place: Place, *, overwrite: bool = False) -> tuple[Step, ...]:
    """The steps in their order. Nothing is written; a few images' worth of computing is timed.

    Args:
        overwrite: as in :func:`c2f_train.reproduction.carry_out.carry_out`.

    Raises:
        C2FError: data set, weights or settings are not in order: what the steps would raise.
    """
    whole = place.cropped(WHOLE)
    index, folder, _ = open_dataset(whole.workspace, whole.choice)
    taxonomy = index.taxonomy
    there = folder.hierarchy.exists()
    counts = ", ".join(f"{taxonomy.count(level)} {level}" for level in taxonomy.levels)
    old = deletions(config, place) if overwrite else ()
    steps = (
        [Step("overwrite", f"delete {', '.join(map(str, old))}", "to do", "", 0.0)] if old else []
    )
    steps += [
        Step(
            "hierarchy",
            f"{len(index.records)} images; {counts}",
            "done" if there else "to do",
            f"{folder.hierarchy} is there" if there else "",
            0.0,
        )
    ]
    speed = _measure(config, whole)
    by_hand = config.by_hand(taxonomy.levels)
    result = None if by_hand else _stored(config, index, whole)
    steps.append(_calibration(config, index, by_hand, result, speed))
    coarser = by_hand or (result.coarser if result else {})
    steps += _part(config, whole, WHOLE, index, coarser, speed, overwrite)
    if config.crop != WHOLE:
        cut = place.cropped(config.crop)
        cropped, _, _ = open_dataset(cut.workspace, cut.choice)
        steps += _part(config, cut, config.crop, cropped, coarser, speed, overwrite)
    return tuple(steps)


def _stored(config: ReproduceConfig, index: DatasetIndex, place: Place) -> CalibrationResult | None:
    """The stored calibration, where it is one of these settings and has answered."""
    path = place.folder().result
    if not path.exists():
        return None
    settings = config.calibration(index.taxonomy.levels)
    result = read_result(path)
    own = plan_calibration(index, settings, place.device).folder_name
    asked = dict(settings.thresholds)
    same = all(
        (c.factor, c.relative) == (asked.get(c.level), settings.relative) for c in result.crossings
    )
    return result if result.predictions.startswith(own) and same and result.answered else None


def _calibration(
    config: ReproduceConfig,
    index: DatasetIndex,
    by_hand: dict[str, int],
    result: CalibrationResult | None,
    speed: _Speed,
) -> Step:
    size = config.calibrate.input_size or config.train.input_size
    what = f"{config.calibrate.points} resolutions by bisection, {size} px input"
    if by_hand:
        chosen = ", ".join(f"{level} {pixels} px" for level, pixels in by_hand.items())
        return Step("calibration", what, "done", f"resolutions chosen by hand: {chosen}", 0.0)
    if result is not None:
        found = ", ".join(f"{level} {pixels} px" for level, pixels in result.coarser.items())
        return Step("calibration", what, "done", f"found before: {found}", 0.0)
    images = int(index.positions(TRAIN if config.calibrate.images == "val" else TEST).size)
    passes = images * config.calibrate.points * USUAL_SHARE + index.positions(TRAIN).size
    scale = (size / config.train.input_size) ** 2
    return Step("calibration", what, "to do", "", passes * speed.trunk * scale)


def _part(
    config: ReproduceConfig,
    place: Place,
    crop: str,
    index: DatasetIndex,
    coarser: dict[str, int],
    speed: _Speed,
    overwrite: bool,
) -> Iterator[Step]:
    """Shards, features and runs, of whole images or of a crop."""
    cut = "" if crop == WHOLE else f", cut to {crop}"
    yield _shards(config, place, index, coarser, cut)
    there = place.folder().manifest.exists() and not overwrite
    entries = list(config.entries(crop))
    left = [e for e in entries if not there or finished(e, place.folder()) is None]
    if config.train.stage1 == "softmax" and config.train.cache:
        yield _features(index, left, cut, speed)
    for entry in entries:
        yield _run(entry, index, entry in left, cut, speed)


def _shards(
    config: ReproduceConfig, place: Place, index: DatasetIndex, coarser: dict[str, int], cut: str
) -> Step:
    name, folder = "shards", place.folder()
    if not coarser:
        return Step(name, f"at the calibrated resolutions{cut}", "to do")
    what = "native, " + ", ".join(f"{level} {r} px" for level, r in coarser.items()) + cut
    made = make_plan(index, plan_levels(index.taxonomy, coarser), config.calibrate.reduction)
    if folder.manifest.exists() and _same_plan(folder.shards, made):
        return Step(name, what, "done", f"{folder.manifest} is there", 0.0)
    found = estimate(index, made, plan_shards(index, made, folder.shards), place.jobs)
    return Step(name, what, "to do", "", found.seconds, found.bytes)


def _same_plan(shards: Path, plan: ShardPlan) -> bool:
    return read_manifest(shards).plan_fingerprint == plan.fingerprint


def _features(index: DatasetIndex, entries: Sequence[Entry], cut: str, speed: _Speed) -> Step:
    """One pass for each level that some run needs."""
    train, test = (int(index.positions(split).size) for split in (TRAIN, TEST))
    if not entries:
        return Step("features", f"of stage 1{cut}", "done", "every run is finished", 0.0)
    every = any(not entry.config.finest_only for entry in entries)
    passes = len(index.taxonomy.levels) if every else 1
    frozen = entries[0].config.frozen
    images = passes * (2 * train + (test if frozen else 0))
    size = 0
    for entry in entries:
        width, own = _width(entry, speed.channels), 1 if entry.config.finest_only else passes
        for rows in (2 * train, test if frozen else 0):
            size += own * rows * width * stored_type(rows, width).itemsize
    what = f"of stage 1 for {len(entries)} runs from {passes} passes of the trunk{cut}"
    return Step("features", what, "to do", "", images * (speed.trunk + speed.heads), size)


def _run(entry: Entry, index: DatasetIndex, left: bool, cut: str, speed: _Speed) -> Step:
    config, name = entry.config, f"run {entry.name}{cut}"
    levels = 1 if config.finest_only else len(index.taxonomy.levels)
    train = int(index.positions(TRAIN).size)
    what = f"{MODELS[entry.model].title}, seed {config.seed}"
    if not left:
        return Step(name, what, "done", "it is finished", 0.0)
    width, classes = _width(entry, speed.channels), index.taxonomy.count(index.taxonomy.levels[-1])
    fit = 6 * 2 * train * width * classes * config.stage1_epochs / FIT_RATE
    image = STEP * (speed.trunk + speed.heads / speed.kinds)
    steps = train * config.stage2_epochs * image
    return Step(name, what, "to do", "", levels * (fit + steps))


def _width(entry: Entry, channels: Channels) -> int:
    """Features of a model; nothing is drawn for it."""
    with torch.device("meta"):
        pooling = make_pooling(MODELS[entry.model].pooling, channels, entry.config.dim)
    return cast("int", pooling.out_features)


def _measure(config: ReproduceConfig, place: Place) -> _Speed:
    """The time of an image: the second of two, for the first pays for much that others don't."""
    settings, device = config.train, place.device
    trunk = build_backbone(settings.backbone, settings.weights, settings.taps)
    trunk.check_input(settings.input_size)
    trunk = trunk.to(device).to(memory_format=torch.channels_last).eval()
    entries = list(config.entries())
    poolings = [
        make_pooling(MODELS[e.model].pooling, trunk.channels, e.config.dim).to(device).eval()
        for e in entries
    ]
    heads = Heads(poolings)
    side = settings.input_size
    images = to_device(torch.zeros(1, 3, side, side, dtype=torch.uint8), device)
    with torch.inference_mode(), autocast(device, settings.precision):
        heads(trunk(images))
        started = time.perf_counter()
        maps = trunk(images)
        if device.type == "cuda":
            torch.cuda.synchronize()
        between = time.perf_counter()
        heads(maps)  # their results are brought to the CPU, so they are there
    ended = time.perf_counter()
    return _Speed(between - started, ended - between, len(poolings), trunk.channels)
