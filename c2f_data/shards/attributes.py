"""What a shard says about itself in its HDF5 attributes: enough to know its plan without any
other file, and to see whether the plan is the one that its fingerprint names."""

from __future__ import annotations

import json
from dataclasses import dataclass

import h5py
import numpy as np

from c2f_data.artefacts import from_plain, to_plain
from c2f_data.errors import ArtefactError
from c2f_data.shards import schema
from c2f_data.shards.schema import LevelPlan, ShardPlan
from c2f_data.storage import Place
from c2f_data.tables import checked_dataset


@dataclass(frozen=True, slots=True)
class About:
    """A shard's attributes.

    Attributes:
        plan: put together from the attributes.
        plan_fingerprint: as the shard names it; it should be the plan's.
        number: 0-based, within the split.
        of: number of shards of the split.
    """

    plan: ShardPlan
    plan_fingerprint: str
    split: str
    number: int
    of: int


def write_attributes(file: h5py.File, about: About) -> None:
    """Write what :func:`read_attributes` reads, but for the levels' own attributes."""
    plan = about.plan
    file.attrs["schema"] = schema.SCHEMA
    file.attrs["schema_version"] = schema.SCHEMA_VERSION
    file.attrs["dataset"] = plan.dataset
    file.attrs["split"] = about.split
    file.attrs["shard"] = about.number
    file.attrs["shards"] = about.of
    file.attrs["levels"] = [level.name for level in plan.levels]
    file.attrs["layout"] = plan.layout
    file.attrs["encoding"] = plan.encoding
    file.attrs["resample"] = json.dumps(to_plain(plan.reduction), sort_keys=True)
    if plan.enlarged is not None:
        file.attrs["enlarged"] = json.dumps(to_plain(plan.enlarged), sort_keys=True)
    file.attrs["target_bytes"] = plan.target_bytes
    file.attrs["plan_fingerprint"] = about.plan_fingerprint
    file.attrs["index_fingerprint"] = plan.index_fingerprint
    file.attrs["taxonomy_fingerprint"] = plan.taxonomy_fingerprint


def write_level_attributes(group: h5py.Group, plan: ShardPlan, level: LevelPlan) -> None:
    """Write the attributes of ``/images/LEVEL``."""
    group.attrs["resolution"] = level.resolution or 0
    group.attrs["encoding"] = plan.encoding_of(level.name)


def read_attributes(file: h5py.File, path: Place) -> About:
    """Read and check a shard's attributes.

    Raises:
        ArtefactError: another schema, another version, or JSON that makes no sense.
        ValueError, TypeError, KeyError, ConfigError: an attribute is absent, of another type,
            or contradicts another.
    """
    check_schema(file, path)
    attributes = file.attrs
    names = np.asarray(attributes["levels"]).ravel().tolist()
    if len(set(names)) != len(names):
        raise ValueError("two levels have one name")
    plain = {
        "dataset": _text(file, "dataset"),
        "index_fingerprint": _text(file, "index_fingerprint"),
        "taxonomy_fingerprint": _text(file, "taxonomy_fingerprint"),
        "levels": [to_plain(_level(file, name)) for name in names],
        "reduction": json.loads(_text(file, "resample")),
        "encoding": _text(file, "encoding"),
        "enlarged": json.loads(_text(file, "enlarged")) if "enlarged" in attributes else None,
        "target_bytes": _whole(file, "target_bytes"),
    }
    plan = from_plain(plain, ShardPlan, str(path))
    if _text(file, "layout") != plan.layout:
        raise ValueError("its layout and its enlarged side contradict each other")
    for level in plan.levels:
        if _text(_images(file, level.name), "encoding") != plan.encoding_of(level.name):
            raise ValueError(f"the encoding of {level.name} is not that of its layout")
    number, of = _whole(file, "shard"), _whole(file, "shards")
    if not 0 <= number < of:
        raise ValueError(f"shard {number} of {of}")
    return About(plan, _text(file, "plan_fingerprint"), _text(file, "split"), number, of)


def check_schema(file: h5py.File, path: Place) -> None:
    """Raise ArtefactError for a file that is no shard, or one of another version."""
    found = file.attrs.get("schema")
    if not isinstance(found, str) or found != schema.SCHEMA:
        other = f", but a {found} file" if isinstance(found, str) and found.isprintable() else ""
        raise ArtefactError(
            f"{path}: not a {schema.SCHEMA} file{other}", "Name a shard that `c2f shard` wrote."
        )
    version = file.attrs.get("schema_version")
    if np.ndim(version) or version != schema.SCHEMA_VERSION:
        raise ArtefactError(
            f"{path}: schema version {version}, this c2f reads version {schema.SCHEMA_VERSION}",
            "Run `c2f shard --overwrite`, or use the c2f that wrote it.",
        )


def _level(file: h5py.File, name: object) -> LevelPlan:
    if not isinstance(name, str):
        raise TypeError("a level's name is no text")
    # The name becomes part of a path inside the file: LevelPlan refuses one that leads elsewhere.
    LevelPlan(_clean(name), 0, None)
    classes = checked_dataset(file, f"{schema.CLASSES}/{name}", "S", None)
    resolution = _whole(_images(file, name), "resolution")
    return LevelPlan(name, int(classes.shape[0]), resolution or None)


def _images(file: h5py.File, name: str) -> h5py.Group:
    place = f"{schema.IMAGES}/{name}"
    for part in (schema.IMAGES, place):
        if not isinstance(file.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{part} is absent or a link to elsewhere")
    group = file[place]
    if not isinstance(group, h5py.Group):
        raise TypeError(f"{place} is no group")
    return group


def _text(place: h5py.Group, name: str) -> str:
    value = place.attrs[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return _clean(value)


def _clean(text: str) -> str:
    """Raises ValueError for what h5py makes of bytes that are no text: nothing else takes it."""
    text.encode()
    return text


def _whole(place: h5py.Group, name: str) -> int:
    value = place.attrs[name]
    if not isinstance(value, np.integer):
        raise TypeError(f"{name} is no whole number")
    return int(value)
