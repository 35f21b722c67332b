"""docs/cli.md is what the commands say."""

from __future__ import annotations

from tools.cli_page import PAGE, page


def test_the_page_is_that_of_the_help() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make pages"
