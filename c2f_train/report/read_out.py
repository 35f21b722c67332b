"""The chart's figures in words: what a reader gets who points at a resolution."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.calibration import CalibrationResult
from c2f_data.camera import Camera
from c2f_data.curve import AccuracyPoint
from c2f_train.report.tables import curve_rows
from c2f_train.report.wording import interval, metres, percent, pixels


@dataclass(frozen=True, slots=True)
class Stop:
    """A measured resolution, as the page reads it out.

    Attributes:
        resolution: shorter side in pixels: its place on the axis.
        name: in words.
        cells: accuracy with interval and n, one a level, fine to coarse; empty where a level was
            not measured there on all images.
    """

    resolution: int
    name: str
    cells: tuple[str, ...]


def stops(calibration: CalibrationResult) -> list[Stop]:
    """Every measured resolution, native first, then descending."""
    return [
        Stop(
            row.resolution,
            where(row.resolution, row.native, calibration.camera),
            tuple("" if cell is None else read_out(cell) for cell in reversed(row.cells)),
        )
        for row in curve_rows(calibration.curves)
    ]


def where(resolution: int, native: bool, camera: Camera | None) -> str:
    """'native images', '56 px', or '56 px, as from 10.7 m'."""
    name = "native images" if native else pixels(resolution)
    return f"{name}, {distance(resolution, camera)}" if camera else name


def distance(resolution: int, camera: Camera | None) -> str:
    """'as from 10.7 m': where the camera sees an object like this; empty without a camera."""
    return f"as from {metres(camera.distance(resolution))}" if camera else ""


def read_out(point: AccuracyPoint) -> str:
    """'80.2 % (78.1–82.3 %), n = 5,794'."""
    share, span = percent(point.accuracy), interval(point.low, point.high)
    return f"{share} ({span}), n = {point.n:,}"
