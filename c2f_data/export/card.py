"""README.md: the data set's card, with a YAML head as the Hugging Face hub reads it.

It says what is known and leaves to the user what is not, the licence above all. Nothing of this
machine is in it: an export is made to be passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from c2f_data.export.citations import CITATIONS
from c2f_data.export.class_folders import level_folders
from c2f_data.export.describe import describe_images, describe_set, version_of
from c2f_data.export.loading import loading_lines
from c2f_data.export.markdown import plain, table, yaml_block
from c2f_data.export.parquet import FOLDER
from c2f_data.export.plan import ExportPlan, Statement
from c2f_data.export.tally import Tally
from c2f_data.hierarchy.formats import counted, root_node
from c2f_data.provenance import package_versions
from c2f_data.resample_spec import Reduction

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult

MOST_BRANCHES = 40
# As the hub names them: (smallest number that is too large, name).
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
UNSTATED = (
    "To be stated by the user. c2f does not know under which terms these images may be used or "
    "passed on; copies of them, reduced ones included, are bound by the terms of the originals."
)

Interval = tuple[int | None, int | None]


def card(
    plan: ExportPlan, tally: Tally, statement: Statement, calibration: CalibrationResult | None
) -> str:
    """The card's text."""
    name = plain(plan.manifest.dataset)
    parts = [
        f"---\n{yaml_block(_head(plan, statement))}---",
        f"# {name}, at the resolution of each level",
        plain(describe_set(plan)),
        f"## Licence\n\n{_licence(statement)}",
        f"## Images\n\n{_counts(plan, tally)}",
        f"## Resolutions\n\n{_resolutions(plan, intervals(plan, calibration))}",
        f"## Hierarchy\n\n{_hierarchy(plan)}",
        f"## Load it\n\n{_loading(plan, tally)}",
        f"## Provenance\n\n{_provenance(plan, statement)}",
    ]
    if plan.manifest.dataset in CITATIONS:
        parts.append(f"## Citation\n\n```bibtex\n{CITATIONS[plan.manifest.dataset]}\n```")
    return "\n\n".join(parts) + "\n"


def intervals(plan: ExportPlan, calibration: CalibrationResult | None) -> dict[str, Interval]:
    """Level to the interval of its resolution; only where the calibration is of these images.

    Resolutions that were chosen by hand have none.
    """
    manifest = plan.manifest
    if calibration is None or (
        calibration.index_fingerprint != manifest.index_fingerprint
        or calibration.taxonomy_fingerprint != manifest.taxonomy_fingerprint
        or Reduction.of(calibration.protocol.spec) != manifest.reduction
    ):
        return {}
    return {
        crossing.next_level: crossing.interval
        for crossing in calibration.crossings
        if crossing.resolution is not None
        and crossing.resolution == plan.resolution(crossing.next_level)
    }


def _licence(statement: Statement) -> str:
    # With a word before it, no sign that it begins with is a heading's or a list's.
    return f"As stated: {plain(statement.licence)}" if statement.licence else UNSTATED


def _head(plan: ExportPlan, statement: Statement) -> dict[str, Any]:
    sizes = (name for limit, name in _SIZES if plan.total < limit)
    head: dict[str, Any] = {"pretty_name": plan.manifest.dataset}
    licence = statement.licence
    if licence and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", licence):
        head["license"] = licence.lower()
    elif licence:
        # The hub knows licences by short names; any other is "other" with a name and a link.
        head |= {"license": "other", "license_name": licence}
        head |= {"license_link": licence} if licence.startswith("http") else {}
    head |= {
        "task_categories": ["image-classification"],
        "size_categories": [next(sizes, "n>1M")],
        "tags": ["fine-grained", "hierarchy", "image resolution"],
        "configs": _configs(plan),
    }
    return head


def _configs(plan: ExportPlan) -> list[dict[str, Any]]:
    """Where the hub's loader finds the splits; folders are one configuration a level."""
    if plan.target != "folder":
        pattern = FOLDER + "/{}-*.parquet" if plan.target == "parquet" else "{}-*.tar"
        files = [{"split": split, "path": pattern.format(split)} for split in plan.splits]
        return [{"config_name": "default", "data_files": files}]
    tops = zip(plan.levels, level_folders(plan), strict=True)
    return [
        {
            "config_name": level,
            "data_files": [{"split": v, "path": f"{top}/{v}/**"} for v in plan.splits],
            "drop_labels": False,
        }
        for level, top in tops
    ]


def _counts(plan: ExportPlan, tally: Tally) -> str:
    """One line a split: its images, and the classes that have any, at each level."""
    header = ["split", "images", *(f"classes: {plain(level)}" for level in plan.all_levels)]
    rows = [
        [split, f"{plan.images(split):,}", *(int((c > 0).sum()) for c in tally.images[split])]
        for split in plan.splits
    ]
    images = f"Each image has one picture for each of: {', '.join(plan.levels)}."
    return f"{table(header, rows)}\n\n{plain(images)}"


def _resolutions(plan: ExportPlan, found: Mapping[str, Interval]) -> str:
    rows = []
    for level in plan.manifest.levels:
        size = "native" if level.resolution is None else f"{level.resolution} px"
        rows.append([level.name, level.count, size, _interval(level.resolution, level.name, found)])
    header = ["level", "classes", "shorter side", "95 % interval"]
    made = "\n".join(f"- {plain(describe_images(plan, level))}" for level in plan.levels)
    return f"{table(header, rows)}\n\n{made}"


def _interval(resolution: int | None, level: str, found: Mapping[str, Interval]) -> str:
    if resolution is None:
        return ""
    if level not in found:
        return "not calibrated on these images"
    low, high = found[level]
    if low is None or high is None:
        return "open" if low == high else f"{low} px or more" if low else f"up to {high} px"
    return f"{low} to {high} px"


def _hierarchy(plan: ExportPlan) -> str:
    """What is below each class of the coarsest level, the largest first."""
    coarsest, *finer = plan.all_levels
    root = root_node(plan.manifest.taxonomy)
    branches = sorted(root.children, key=lambda node: -node.counts[-1] if node.counts else 0)
    rows = [[node.name, *node.counts] for node in branches[:MOST_BRANCHES]]
    header = [plain(coarsest), *(plain(level) for level in finer)]
    levels = zip(plan.all_levels, root.counts, strict=True)
    whole = ", ".join(counted(level, number) for level, number in levels)
    text = f"{plain(whole)}. All of it is in `hierarchy.csv`.\n\n{table(header, rows)}"
    more = len(branches) - MOST_BRANCHES
    return text if more <= 0 else f"{text}\n\nAnd {more} more."


def _loading(plan: ExportPlan, tally: Tally) -> str:
    lines = loading_lines(plan, "FOLDER", tally)
    text = "```python\n" + "\n".join(lines) + "\n```"
    if plan.target == "webdataset":
        return f"{text}\n\nThe images come class after class in most data sets: shuffle them."
    if plan.target == "folder":
        return (
            f"{text}\n\nSuch loaders number the folders by their names; `labels.csv` has the "
            "class ids of `hierarchy.csv`."
        )
    return text


def _provenance(plan: ExportPlan, statement: Statement) -> str:
    manifest = plan.manifest
    facts = [
        ("made by", f"c2f {package_versions().get('c2f-toolkit', '')}".strip()),
        ("version", version_of(plan)),
        ("creator", ", ".join(statement.creators) or "to be stated by the user"),
        ("page", statement.url or "to be stated by the user"),
        ("images listed", manifest.index_fingerprint),
        ("hierarchy", manifest.taxonomy_fingerprint),
        ("shards", manifest.plan_fingerprint),
    ]
    if manifest.plan.enlarged is None:
        copies = f"{manifest.canonical:,} of {sum(manifest.images.values()):,} in the shards"
        told = f"{copies} are lossless copies of the pixels, the others the files as they were"
        facts.append(("native images", told))
    return table(["", ""], facts) + "\n\nThe long numbers are SHA-256 fingerprints."
