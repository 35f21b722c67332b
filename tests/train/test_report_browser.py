"""The page in a real browser: fits desktop and phone, text is large enough, nothing is fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import report_samples as samples
from report_browser import CHROMIUM, browser

from c2f_data.camera import Camera
from c2f_data.resample import ResampleSpec
from c2f_train.report import build_report, find_failures, make_strip, write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
]

OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"
SMALLEST_TEXT = """
Math.min(...[...document.querySelectorAll('body *')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .filter(e => e.checkVisibility() && !e.closest('title'))
  .map(e => parseFloat(getComputedStyle(e).fontSize)
    * (e.ownerSVGElement ? e.ownerSVGElement.getScreenCTM().a : 1)))
"""
LEAST_CONTRAST = """
(() => {
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => {
    const [r, g, b] = c.map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  return Math.min(...[...document.querySelectorAll('body *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => e.checkVisibility() && !e.closest('title'))
    .map(e => {
      const style = getComputedStyle(e);
      const a = light(rgb(e.ownerSVGElement ? style.fill : style.color)), b = light(back(e));
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
})()
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = samples.taxonomy()
    whole = samples.calibration(table, floor=0.6)
    measured = replace(samples.searched(whole), camera=Camera(3000.0, 0.2))
    report = build_report(
        samples.facts(warnings=("a warning",)),
        table,
        measured,
        [samples.run(measured.levels)],
        samples.provenance("report"),
        find_failures(measured, samples.predictions(table), table),
    )
    strip = make_strip(samples.photograph(), report.levels, ResampleSpec(), image_id="a/b.jpg" * 12)
    return write_report(tmp_path_factory.mktemp("report"), report, [strip])[0]


def test_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    with browser() as chromium:
        for width in (1280, 861, 820, 390, 320):
            for dark in (False, True):
                chromium.open(page, width, dark=dark)
                chromium.evaluate(OPEN_ALL)
                assert chromium.evaluate("document.documentElement.scrollWidth") <= width
                assert chromium.evaluate(SMALLEST_TEXT) >= 11.99
                assert chromium.evaluate(LEAST_CONTRAST) >= 4.5
            charts = "[...document.querySelectorAll('.chart')].filter(c => c.checkVisibility())"
            assert chromium.evaluate(f"{charts}.length") == 2
        chromium.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert {url.split(":")[0] for url in chromium.requests} <= {"file", "data"}
