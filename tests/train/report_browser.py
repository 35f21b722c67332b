"""Debian's Chromium, driven by Playwright: pages as their readers see and use them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@dataclass
class Opened:
    """A page, and what it did that it should not.

    Attributes:
        complaints: console messages of any kind, uncaught errors.
        requests: addresses other than the page's own file and data: URIs.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, stop it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    width: int = 1280,
    *,
    dark: bool = False,
    script: bool = True,
    media: str | None = None,
) -> Iterator[Opened]:
    """Load a page at a viewport of ``width`` CSS pixels."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        is_mobile=width < 600,
        has_touch=width < 600,
        reduced_motion="reduce",
    )
    page = context.new_page()
    found = Opened(page)
    page.on("console", lambda message: found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda request: _note(found, request.url, path))
    if media == "print":
        page.emulate_media(media="print")
    page.goto(path.as_uri())
    yield found
    context.close()


def _note(found: Opened, url: str, path: Path) -> None:
    if url != path.as_uri() and not url.startswith("data:"):
        found.requests.append(url)
