"""Geometry of the charts and the pixels of the strip."""

from __future__ import annotations

import base64
import io
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import report_samples as samples
from PIL import Image

from c2f_data.calibration import LevelResolution
from c2f_data.resample import ResampleSpec, reduce, to_input
from c2f_train.report import make_strip
from c2f_train.report.charts import training_figure
from c2f_train.report.figures import accuracy_figure
from c2f_train.report.svg import NARROW, SIZES, WIDE, linear_ticks, log_ticks, tag


def drawings(markup: str) -> list[ET.Element]:
    return list(ET.fromstring(f"<all>{markup}</all>"))


def test_curve_points_lie_at_their_values() -> None:
    measured = samples.calibration(samples.taxonomy(), n=600)
    wide, _ = drawings(accuracy_figure(measured))
    marks = [m for m in wide.iter("circle") if m.get("class") == "mark"]
    points = measured.curve("species").points
    assert len(marks) == len(points)
    x = [float(m.get("cx", "")) for m in marks]
    y = [float(m.get("cy", "")) for m in marks]
    logs = np.log([p.resolution for p in points])
    slope, offset = np.polyfit(logs, x, 1)
    assert slope > 0
    np.testing.assert_allclose(x, slope * logs + offset, atol=0.02)
    expected = [WIDE.height - p.accuracy * (WIDE.height - WIDE.top) for p in points]
    np.testing.assert_allclose(y, expected, atol=0.01)


def test_everything_lies_inside_the_drawing() -> None:
    measured = samples.calibration(samples.taxonomy(), n=600)
    markup = accuracy_figure(measured) + training_figure(samples.run(measured.levels))
    for drawing in drawings(markup):
        _, _, width, height = map(float, drawing.get("viewBox", "").split())
        for element in drawing.iter():
            for name in ("x", "x1", "x2", "cx"):
                assert -1 <= float(element.get(name, 0)) <= width + 1
            for name in ("y", "y1", "y2", "cy"):
                assert -1 <= float(element.get(name, 0)) <= height + 1


def test_one_point_and_one_crossing_draw() -> None:
    table = samples.taxonomy(("make", "model"), (2, 4))
    measured = samples.calibration(
        table, middles=(6, 20), tops=(0.99, 0.97), thresholds=(0.8,), n=50, cap=64
    )
    assert len(drawings(accuracy_figure(measured))) == len(SIZES)


@pytest.mark.parametrize(("low", "high"), [(11, 400), (12, 64), (50, 60), (33, 47), (2, 5000)])
@pytest.mark.parametrize("size", SIZES)
def test_log_ticks(low: float, high: float, size: object) -> None:
    width = WIDE.width if size is WIDE else NARROW.width

    def x(value: float) -> float:
        return width * math.log(value / low) / math.log(high / low)

    ticks = log_ticks(low, high, x, 36)
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize("high", [0.0, 0.003, 0.7, 1.0, 5.3, 60, 999])
def test_linear_ticks(high: float) -> None:
    ticks = linear_ticks(high)
    assert ticks[0] == 0
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 7


def test_tag_escapes() -> None:
    drawn = tag("text", "<b>", class_='"x"')
    assert drawn == '<text class="&#34;x&#34;">&lt;b&gt;</text>'


def test_strip_shows_what_the_network_sees() -> None:
    pixels = samples.photograph()
    spec = ResampleSpec.for_input(64)
    levels = (
        LevelResolution("family", 3, 20),
        LevelResolution("genus", 9, None),
        LevelResolution("species", 30, 375, native=True),
    )
    strip = make_strip(pixels, levels, spec, image_id="a.jpg", classes=("F", "G", "S"))
    assert [(f.level, f.class_name, f.resolution, f.reduced) for f in strip.frames] == [
        ("species", "S", 375, False),
        ("family", "F", 20, True),
    ]
    assert strip.missing == ("genus",)
    kind, data = strip.frames[1].uri.split(",")
    assert kind == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(shown, to_input(reduce(pixels, 20, spec), spec))


def test_large_inputs_are_stored_small() -> None:
    levels = (LevelResolution("family", 3, 20), LevelResolution("species", 30, 375, native=True))
    spec = ResampleSpec.for_input(1024)
    strip = make_strip(samples.photograph(), levels, spec, image_id="a.jpg")
    assert {frame.side for frame in strip.frames} == {448}
    assert all(len(frame.uri) < 400_000 for frame in strip.frames)


def test_an_image_smaller_than_the_resolution_is_not_reduced() -> None:
    levels = (LevelResolution("family", 3, 100), LevelResolution("species", 30, 375, native=True))
    strip = make_strip(samples.photograph(60, 80), levels, ResampleSpec(), image_id="a.jpg")
    assert [(frame.resolution, frame.reduced) for frame in strip.frames] == [(60, False)] * 2
