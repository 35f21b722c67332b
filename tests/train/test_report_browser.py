"""The page in a real browser: fits every screen, can be read and used, asks the network nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import report_samples as samples
from report_browser import CHROMIUM, Opened, chromium, opened

from c2f_data.camera import Camera
from c2f_data.resample import ResampleSpec
from c2f_train.report import (
    build_report,
    choose_images,
    choose_resolutions,
    class_map,
    find_failures,
    make_samples,
    write_report,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (Debian: apt install chromium)"),
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
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = c => {
    if (!known.has(c)) known.set(c, painted(c));
    return known.get(c);
  };
  const painted = c => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = c;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    [r, g, b] = [r, g, b].map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = e => {
    for (; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  return Math.min(...[...document.querySelectorAll('body *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => e.checkVisibility() && !e.closest('title, option, script'))
    .map(e => {
      const style = getComputedStyle(e);
      const a = light(rgba(e.ownerSVGElement ? style.fill : style.color)), b = light(back(e));
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
})()
"""
NAMES = {("species", 7): "<b>a'\"</b> 鳥", ("species", 8): "\u05d0\u05d1\u05d2 \u05d3"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright")
    with chromium() as one:
        yield one


def written(folder: Path, table: Any, *, searched: bool = False) -> Path:
    predictions = samples.predictions(table)
    measured = samples.calibration(table, floor=0.6)
    if searched:
        measured = samples.searched(measured)
    measured = replace(measured, camera=Camera(3000.0, 0.2))
    report = build_report(
        samples.facts(warnings=("a warning",)),
        table,
        measured,
        [samples.run(measured.levels)],
        samples.provenance("report"),
        find_failures(measured, predictions, table),
        classes=class_map(predictions, table),
    )
    shown = [predictions[i] for i in choose_resolutions(predictions, measured)]
    strips = [
        make_samples(samples.photograph(), shown, row, table, ResampleSpec())
        for row in choose_images(predictions, 0)[:2]
    ]
    return write_report(folder, report, strips)[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = samples.taxonomy()
    paths = tuple(
        (*path[:-1], NAMES.get(("species", i), path[-1])) for i, path in enumerate(table.paths)
    )
    return written(tmp_path_factory.mktemp("report"), replace(table, paths=paths))


def in_order(found: Opened) -> None:
    assert found.complaints == []
    assert found.requests == []


@pytest.mark.parametrize("width", [1280, 861, 820, 390, 320])
def test_fits_and_can_be_read(browser: Browser, page: Path, width: int) -> None:
    with opened(browser, page, width, dark=width in (861, 390)) as found:
        found.evaluate(OPEN_ALL)
        assert found.evaluate("document.documentElement.scrollWidth") <= width
        assert found.evaluate(SMALLEST_TEXT) >= 11.99
        assert found.evaluate(LEAST_CONTRAST) >= 4.5
        charts = "[...document.querySelectorAll('.chart')].filter(c => c.checkVisibility())"
        assert found.evaluate(f"{charts}.length") == 2
        in_order(found)


@pytest.mark.parametrize("media", [None, "print"])
def test_without_a_script_everything_is_there(
    browser: Browser, page: Path, media: str | None
) -> None:
    with opened(browser, page, script=False, media=media) as found:
        body = found.page.locator("body")
        assert "All classes as a table" in body.inner_text()
        assert found.page.locator("#map").is_visible() is False
        assert found.page.locator("svg.chart.wide").first.is_visible()
        found.page.get_by_text("All classes as a table").click()
        row = found.page.locator(".tree tr", has_text="species 199")
        assert row.is_visible()
        if media is None:  # the style sheet alone switches levels and unit
            found.page.locator("#show-0").uncheck()
            assert found.page.locator(".wide [data-level='0']").first.is_visible() is False
            found.page.locator("#unit-m").check()
            assert found.page.locator(".wide .in-m").is_visible()
            assert found.page.locator(".wide .in-px").is_visible() is False
        in_order(found)


def test_chart_reads_out_what_is_pointed_at(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:
        chart = found.page.locator("svg.chart.wide[role=slider]")
        tip = found.page.locator(".tip")
        assert tip.is_hidden()
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        found.page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 80)
        assert "native images, as from 1.60\N{NO-BREAK SPACE}m" in tip.inner_text()
        assert "n = 5,794" in tip.inner_text()
        found.page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 80)
        low = tip.inner_text()
        assert low.startswith("12\N{NO-BREAK SPACE}px, as from 50.0")
        found.page.mouse.move(5, 5)
        assert tip.is_hidden()
        chart.focus()
        assert tip.inner_text() == low
        # To the right there is more detail; native images are the last stop.
        for key, value in (("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("End", 27)):
            chart.press(key)
            assert chart.get_attribute("aria-valuenow") == str(value)
            spoken = chart.get_attribute("aria-valuetext") or ""
            assert spoken.startswith(tip.locator("b").inner_text())
            assert "; genus " in spoken
        chart.press("Escape")
        assert tip.is_hidden()
        in_order(found)


def test_levels_can_be_hidden(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:
        genus = found.page.locator(".wide [data-level='1'] .line").first
        assert genus.is_visible()
        found.page.get_by_label("genus").first.uncheck()
        assert genus.is_hidden()
        chart = found.page.locator("svg.chart.wide[role=slider]")
        chart.focus()
        assert found.page.locator(".tip .l1").is_hidden()
        assert found.page.locator(".tip .l0").is_visible()


def test_slider_moves_the_map(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:
        slider = found.page.locator("#map-at")
        first = found.page.locator("[role=treeitem]").first
        slider.press("End")
        assert found.page.locator("output").inner_text().startswith("native images")
        native = first.get_attribute("aria-label")
        shares = found.page.locator(".heads").inner_text()
        assert "none of 124 genera" in found.page.locator(".sum").inner_text()
        slider.press("Home")
        assert first.get_attribute("aria-label") != native
        assert found.page.locator(".heads").inner_text() != shares
        assert "200 of 200 species are lost" in found.page.locator(".sum").inner_text()
        assert found.page.locator(".icicle .lost").count() > 200
        assert "at 12\N{NO-BREAK SPACE}px" in found.page.locator(".siblings h3").inner_text()
        in_order(found)


def test_map_by_keyboard(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:

        def at() -> str:
            return str(found.evaluate("document.activeElement.getAttribute('aria-label')"))

        keys = found.page.keyboard
        found.page.locator("[role=treeitem][tabindex='0']").focus()
        assert at().startswith("family 0, family")
        keys.press("ArrowDown")
        assert at().startswith("family 1, family")
        keys.press("End")
        assert at().startswith("family 36, family")
        keys.press("ArrowRight")
        assert at().startswith("genus 36, genus")
        keys.press("ArrowLeft")
        keys.press("Enter")
        crumbs = found.page.locator(".crumbs li")
        assert crumbs.all_inner_texts() == ["All", "family 36"]
        assert at().startswith("genus 36, genus")
        keys.press("Escape")
        assert at().startswith("family 36, family")
        assert crumbs.all_inner_texts() == ["All"]
        keys.press("Escape")
        assert at().startswith("family 36, family")
        in_order(found)


def test_map_by_mouse_and_search(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:
        found.page.locator("[role=treeitem][aria-label^='family 36,']").click()
        assert "family 36" in found.page.locator(".crumbs").inner_text()
        assert "family 36" in found.page.locator(".siblings h3").inner_text()
        found.page.get_by_role("button", name="All").click()
        assert found.page.locator(".crumbs button").count() == 0
        found.page.locator("#map-find").fill("<B>A'")
        found.page.locator("#map-find").press("Enter")
        about = found.page.locator(".about").inner_text()
        assert about.startswith("<b>a'\"</b> 鳥 species")
        assert "of 29 right" in about
        found.page.locator("#map-find").fill("nobody")
        found.page.locator("#map-find").press("Enter")
        assert found.evaluate("document.querySelector('#map-find').validity.customError")
        in_order(found)


def test_confusions_follow_place_and_level(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:
        panel = found.page.locator(".siblings")
        assert "species named as another species of the same genus" in panel.inner_text()
        panel.locator("select").select_option(label="families")
        assert "families named as another family" in panel.inner_text()
        assert found.evaluate("document.activeElement.tagName") == "SELECT"
        found.page.locator("#map-find").fill("genus 123")
        found.page.locator("#map-find").press("Enter")
        assert "What images in family 36 are named as" in panel.inner_text()
        in_order(found)


def test_every_class_can_be_reached_among_many(browser: Browser, tmp_path: Path) -> None:
    table = samples.taxonomy(counts=(60, 400, 1200))  # the last family has nearly all
    native = samples.predictions(table, n=2400)[:1]
    report = build_report(
        samples.facts(),
        table,
        samples.calibration(table, n=2400),
        [],
        samples.provenance("report"),
        classes=class_map(native, table),
    )
    with opened(browser, write_report(tmp_path, report)[0]) as found:
        items = found.page.locator("[role=treeitem]")
        assert found.page.locator("[role=treeitem][aria-level='1']").count() == 60
        assert items.count() < 700
        for depth, last in ((1, "family 59"), (2, "genus 399")):
            found.page.locator(f"[role=treeitem][aria-label^='{last},']").focus()
            found.page.keyboard.press("Enter")
            assert found.page.locator(".crumbs li").count() == depth + 1
        assert found.page.locator("[role=treeitem][aria-label^='species 1199,']").count() == 1
        assert items.count() == 801
        in_order(found)


def test_five_levels_of_native_images_alone(browser: Browser, tmp_path: Path) -> None:
    levels = ("order", "family", "tribe", "genus", "species")
    table = samples.taxonomy(levels, (4, 9, 12, 20, 40))
    middles, tops = (5, 9, 14, 20, 46), (0.99, 0.98, 0.97, 0.96, 0.885)
    thresholds = (0.8, 0.8, 0.75, 0.7)
    measured = samples.calibration(table, middles=middles, tops=tops, thresholds=thresholds, n=600)
    native = samples.predictions(table, middles=middles, tops=tops, n=600)[:1]
    made = samples.provenance("report")
    report = build_report(
        samples.facts(), table, measured, [], made, classes=class_map(native, table)
    )
    path = write_report(tmp_path, report)[0]
    # As many levels side by side as can be read; the others come when a class is gone into.
    for width, columns in ((1280, 5), (390, 3)):
        with opened(browser, path, width) as found:
            heads = found.page.locator(".heads div")
            assert heads.count() == columns
            found.page.locator("[role=treeitem]").first.click()
            assert heads.first.inner_text().split()[1].startswith("famil")
            assert found.evaluate("document.documentElement.scrollWidth") <= width
            in_order(found)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_accessible(browser: Browser, page: Path, width: int, dark: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with opened(browser, page, width, dark=dark) as found:
        # The rows of long tables are alike, and slow to look at.
        found.evaluate(OPEN_ALL)
        found.evaluate(
            "document.querySelectorAll('tbody tr:nth-child(n + 6)').forEach(r => r.remove())"
        )
        for step in ("0", "document.querySelector('[aria-label^=\"family 36,\"]').click()"):
            found.evaluate(step)
            faults = axe.run(found.page).response["violations"]
            assert [
                (fault["id"], fault["help"], [node["html"][:200] for node in fault["nodes"]][:3])
                for fault in faults
            ] == []


def test_fast_with_200_species(browser: Browser, page: Path) -> None:
    with opened(browser, page) as found:
        moved = """(() => {
          const slider = document.querySelector('#map-at'), start = performance.now();
          for (let i = 0; i < 20; i++) {
            slider.value = String(i);
            slider.dispatchEvent(new Event('input'));
            document.body.getBoundingClientRect();
          }
          return (performance.now() - start) / 20;
        })()"""
        assert found.evaluate(moved) < 250  # ms a step on a busy machine
