"""The page on a desk, a tablet and a phone, in both colour schemes: drawn, inside its width, and for everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import needs_chromium
from support.opened_pages import OpenedPage, accessibility_faults, opened_page
from support.report_records import whole_view

from edgeval.report.page import RunView, render_page

pytestmark = needs_chromium

SEEN = [
    (1440, "light"),
    pytest.param((1440, "dark"), marks=pytest.mark.slow),
    pytest.param((800, "light"), marks=pytest.mark.slow),
    pytest.param((800, "dark"), marks=pytest.mark.slow),
    pytest.param((390, "light"), marks=pytest.mark.slow),
    (390, "dark"),
]

WITH_CONTRAST = {(1440, "light"), (390, "dark")}
"""One for each scheme: colours do not depend on the width."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, make_view: Callable[..., RunView]) -> Path:
    """A report of a run with a record of every kind, and of another one."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_page([whole_view(make_view()), make_view("other", (8, 5, 3), 1)]), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=SEEN, ids=lambda seen: f"{seen[0]}-{seen[1]}")
def seen(request: pytest.FixtureRequest) -> tuple[int, str]:
    width, scheme = request.param
    return width, scheme


@pytest.fixture(scope="module")
def opened(browser: Any, file: Path, seen: tuple[int, str]) -> Iterator[OpenedPage]:
    with opened_page(browser, file.as_uri(), width=seen[0], scheme=seen[1]) as page:
        yield page


def test_it_complains_of_nothing_and_asks_for_nothing_but_itself(opened: OpenedPage, file: Path) -> None:
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("data:", "blob:"))] == [file.as_uri()]


def test_every_figure_is_drawn_and_none_is_blank(opened: OpenedPage) -> None:
    figures = opened.figures()
    assert len(figures) > 25
    marks = {"heatmap": ".heatmaplayer image", "bar": ".barlayer .point path", "scatter": ".scatterlayer .trace path"}
    blank = [
        figure["title"] if "title" in figure else figure["id"]
        for figure in figures
        if opened.page.evaluate(
            """([id, marks]) => {
                const found = [...document.querySelectorAll(`#${id} ${marks}`)];
                const boxes = found.map((mark) => mark.getBoundingClientRect());
                return !boxes.some((box) => box.width + box.height > 4);
            }""",
            [figure["id"], marks[figure["traces"][0]["type"]]],
        )
    ]
    assert blank == []


def test_nothing_sticks_out_of_the_page(opened: OpenedPage, seen: tuple[int, str]) -> None:
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= seen[0]


def test_no_figure_sticks_out_of_its_place(opened: OpenedPage) -> None:
    assert (
        opened.page.evaluate(
            """[...document.querySelectorAll(".plot")].filter((place) => {
            const frame = place.getBoundingClientRect();
            return [...place.querySelectorAll(".legend, .gtitle, .xtitle, .ytitle, .colorbar")].some((part) => {
                const box = part.getBoundingClientRect();
                return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1
                    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
            });
        }).map((place) => place.getAttribute("aria-label"))"""
        )
        == []
    )


def test_labels_of_an_axis_do_not_lie_on_each_other(opened: OpenedPage) -> None:
    assert (
        opened.page.evaluate(
            """[...document.querySelectorAll(".plot")].filter((place) => {
            const boxes = [...place.querySelectorAll(".xtick text")].map((tick) => tick.getBoundingClientRect())
                .sort((one, other) => one.left - other.left);
            return boxes.some((box, i) => i && boxes[i - 1].right > box.left + 1 && boxes[i - 1].bottom > box.top + 1);
        }).map((place) => place.getAttribute("aria-label"))"""
        )
        == []
    )


@pytest.mark.slow
def test_axe_core_finds_no_serious_fault(opened: OpenedPage, seen: tuple[int, str]) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert accessibility_faults(opened.page, contrast=seen in WITH_CONTRAST) == []


def test_axe_core_finds_a_fault_that_is_there(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<!doctype html><html><title>t</title><img src='data:,'>", encoding="utf-8")
    with opened_page(browser, (tmp_path / "bad.html").as_uri()) as bad:
        assert any("image-alt" in fault for fault in accessibility_faults(bad.page))
