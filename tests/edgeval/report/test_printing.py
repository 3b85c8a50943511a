"""The page on paper: all of it, in its width, with figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import needs_chromium
from support.opened_pages import OpenedPage, opened_page
from support.report_records import whole_view

from edgeval.report.page import RunView, render_page

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def opened(browser: Any, view: RunView, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedPage]:
    file = tmp_path_factory.mktemp("print") / "report.html"
    file.write_text(render_page([whole_view(view)]), encoding="utf-8")
    with opened_page(browser, file.as_uri(), scheme="dark") as page:
        yield page


@pytest.mark.parametrize("paper", ["A4", pytest.param("Letter", marks=pytest.mark.slow)])
def test_it_prints_on_as_many_pages_as_its_height_needs(opened: OpenedPage, paper: str, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    opened.page.pdf(path=str(file), format=paper)
    document = file.read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", document))
    assert 10 <= pages <= 40
    assert len(document) > 10_000 * pages  # drawings, not blank sheets


def test_on_paper_no_table_is_cut_and_no_control_is_left(opened: OpenedPage) -> None:
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert (
        opened.page.evaluate(
            """[...document.querySelectorAll(".scroll")].filter((box) => box.scrollWidth > box.clientWidth)
            .map((box) => box.getAttribute("aria-label"))"""
        )
        == []
    )
    assert opened.page.locator("nav, button").filter(visible=True).count() == 0
    widths = opened.page.evaluate("[...document.querySelectorAll('.plot .main-svg')].map((svg) => svg.clientWidth)")
    assert len(widths) > 20
    assert max(widths) <= 680  # the width of A4 and Letter less their margins, in CSS pixels
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    opened.page.emulate_media(media="screen")
