"""checkup.json: what a check-up found, kept for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import read_json, write_json
from c2f_data.checkup.findings import Finding
from c2f_data.errors import ArtefactError
from c2f_data.provenance import Provenance

SCHEMA = "c2f-checkup"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptCheckUp:
    """The findings of the last check-up of a data set.

    Attributes:
        index_fingerprint: of the images, labels and splits that were looked at.
    """

    dataset: str
    index_fingerprint: str
    findings: tuple[Finding, ...]
    provenance: Provenance


def write_check_up(path: Path, kept: KeptCheckUp) -> None:
    """Write checkup.json, atomically. Raises ArtefactError as the disk does."""
    write_json(path, kept, schema=SCHEMA, version=SCHEMA_VERSION)


def read_check_up(path: Path) -> KeptCheckUp | None:
    """The last check-up; None: there is none, or it can't be read and has to be made again."""
    if not path.exists():
        return None
    try:
        return read_json(
            path,
            KeptCheckUp,
            schema=SCHEMA,
            version=SCHEMA_VERSION,
            maker="c2f doctor --dataset NAME",
        )
    except ArtefactError:
        return None
