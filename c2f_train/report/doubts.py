"""What may make the figures look better than they are: images seen before, and few images."""

from __future__ import annotations

import re
from collections.abc import Sequence

from c2f_data.calibration import CalibrationResult
from c2f_data.checkup.counts import FEW_IMAGES, count_images
from c2f_data.checkup.kept import KeptCheckUp
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import DatasetIndex
from c2f_data.splits import MINIMUM_IMAGES
from c2f_data.taxonomy import Taxonomy
from c2f_train.report.wording import listed, plural
from c2f_train.results import RunResult

# Findings of a check-up that concern what an accuracy means.
SHOWN = ("leak", "labels", "repeats", "colour")
_IMAGENET = re.compile(r"imagenet|in(1|12|21|22)k", re.IGNORECASE)
# As torchvision names the files of its ImageNet weights: vgg16-397923af.pth.
_TORCHVISION = re.compile(r"[a-z0-9_]+-[0-9a-f]{8}\.(pth|safetensors)")


def overlap(
    dataset: str,
    taxonomy: Taxonomy,
    calibration: CalibrationResult | None,
    runs: Sequence[RunResult],
) -> tuple[str, ...]:
    """Said where images of CUB meet a backbone that has seen ImageNet; else nothing."""
    if dataset != "cub" and not like_cub(taxonomy):
        return ()
    who = []
    if calibration is not None and from_imagenet(calibration.protocol.weights):
        who.append("the calibration")
    named = [f"“{run.name}”" for run in runs if from_imagenet(run.weights)]
    if named:
        who.append(f"{'run' if len(named) == 1 else 'runs'} {listed(named)}")
    if not who:
        return ()
    return (
        "Some images of CUB-200-2011 are ImageNet images, too (its authors warn of it; 22 to 23 of "
        "its 5,794 test images were found by hash, guopei.github.io, 2016), and the first weights "
        f"of {listed(who)} were trained on ImageNet: accuracies can be too high by that share. "
        "--exclude-list FILE leaves images out.",
    )


def like_cub(taxonomy: Taxonomy) -> bool:
    """Whether at least half of the finest classes are birds of CUB-200-2011."""
    birds = {_plain(name) for name in builtin_taxonomy("cub").names[-1]}
    names = taxonomy.names[-1]
    return 2 * sum(_plain(name) in birds for name in names) >= len(names)


def _plain(name: str) -> str:
    """Without a leading number, punctuation and case: 001.Black_footed_Albatross."""
    return re.sub(r"[^a-z]", "", name.casefold())


def from_imagenet(weights: str) -> bool:
    """Whether the words that a backbone gives for its first weights mean ImageNet's."""
    return bool(_IMAGENET.search(weights) or _TORCHVISION.fullmatch(weights))


def leakage(kept: KeptCheckUp | None, fingerprint: str | None) -> tuple[str, ...]:
    """What a stored check-up of these very images found; nothing without one."""
    if kept is None or kept.index_fingerprint != fingerprint:
        return ()
    return tuple(
        f"{finding.message}. {finding.hint}".strip()
        for finding in kept.findings
        if finding.topic in SHOWN
    )


def few_measured(calibration: CalibrationResult) -> tuple[str, ...]:
    """Said of a calibration on fewer images than validation images should be."""
    n = calibration.protocol.n
    if n >= MINIMUM_IMAGES:
        return ()
    return (f"Measured on {n:,} images only: read the intervals, not the answers alone.",)


def few_images(index: DatasetIndex) -> tuple[str, ...]:
    """Said where classes have few images."""
    few = [one for one in count_images(index, None).per_class if one.few]
    if not few:
        return ()
    finest = index.taxonomy.finest
    return (
        f"{len(few):,} of {index.taxonomy.count(finest):,} {plural(finest)} have fewer than "
        f"{FEW_IMAGES} training or test images: their own accuracies are hardly known.",
    )
