"""The page of ``c2f serve`` in a real browser: upload, slide, keyboard, dark, narrow."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from birds import train_workspace
from test_serve_command import server

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
from report_browser import CHROMIUM, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
]
TABLES = "document.querySelectorAll('#tops table').length"


def until(page: Any, condition: str, seconds: float = 30.0) -> None:
    """Wait for a condition of the page; its CSP forbids what Playwright's own waiting does."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_workspace(tmp_path_factory.mktemp("seen"), ("--name", "one"))


@pytest.fixture(scope="module")
def url(work: Path) -> Iterator[str]:
    with server(work, "--confidence", "0.4") as (_, found, _):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@contextmanager
def visit(browser: Browser, url: str, width: int = 1280, *, dark: bool = False) -> Iterator[Page]:
    """The page; it must complain of nothing and ask nobody else."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page, complaints = context.new_page(), []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    until(page, "model !== null")
    yield page
    context.close()
    assert not complaints
    assert all(request.startswith((url, "blob:", "data:")) for request in requests)


def upload(page: Page, image: Path) -> None:
    page.set_input_files("#file", image)


def image_of(work: Path) -> Path:
    return next((work.parent / "images/test").rglob("*.png"))


def test_the_path_changes_with_the_slider(browser: Browser, url: str, work: Path) -> None:
    with visit(browser, url) as page:
        upload(page, image_of(work))
        until(page, f"{TABLES} === 3")
        named = page.locator("#path .named").count()
        page.evaluate("$('side').value = 0; slide()")
        until(page, f"{TABLES} === 1")
        assert page.text_content("#pixels") == "8 px"
        assert page.evaluate("$('picture').height") == 8
        assert page.locator("#path .named").count() <= min(named, 1)
        assert page.text_content("#why")


def test_a_bad_file_is_said_and_the_page_goes_on(
    browser: Browser, url: str, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with visit(browser, url) as page:
        upload(page, tmp_path / "a.png")
        page.wait_for_selector("#error:not([hidden])")
        assert "not an image" in (page.text_content("#error") or "")
        upload(page, image_of(work))
        until(page, f"$('error').hidden && {TABLES} > 0")


def test_names_are_text(browser: Browser, url: str) -> None:
    name = "<img src=x onerror=document.title=1>"
    node = f"{{level: 'species', name: '{name}', class_id: 0, confidence: 0.5}}"
    with visit(browser, url) as page:
        page.evaluate(
            f"show({{answer: {node}, path: [{node}], why: '<b>', promise: 'p', guarantee: null, "
            f"warnings: ['<i>'], levels: [{{level: 'species', top: [{node}]}}]}})"
        )
        assert page.locator("main img, main b, main i").count() == 0
        assert page.title().startswith("c2f")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_it_fits_and_can_be_read(
    browser: Browser, url: str, work: Path, width: int, dark: bool
) -> None:
    """No text below 12 px, nothing beside the window, no fault that axe-core finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with visit(browser, url, width, dark=dark) as page:
        upload(page, image_of(work))
        until(page, f"{TABLES} === 3 && $('result').ariaBusy === 'false'")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = (
            "Math.min(...[...document.querySelectorAll('body *')].filter(e => e.innerText)"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert page.evaluate(sizes) >= 12
        page.wait_for_timeout(300)  # the answer's opacity
        faults = axe.run(page).response["violations"]
        assert not faults, [(fault["id"], fault["nodes"][0]["html"]) for fault in faults]


def test_the_keyboard_reaches_everything(browser: Browser, url: str, work: Path) -> None:
    with visit(browser, url) as page:
        upload(page, image_of(work))
        until(page, f"{TABLES} === 3")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "side"
        before = page.text_content("#pixels")
        page.keyboard.press("ArrowLeft")
        assert page.text_content("#pixels") != before
