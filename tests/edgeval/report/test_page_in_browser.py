"""The page as people get it: opened in headless Chromium, from a file, with the network off."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chromium import needs_chromium
from support.missions import mission_record

from edgeval.report.page import RunView, render_page

MakeView = Callable[..., RunView]

EVIL = "<img src=x onerror=window.harmed=1><script>window.harmed=1</script>"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, make_view: MakeView) -> Path:
    """A report of two runs, one whole and one only trained, whose names try to be markup."""
    whole = make_view(EVIL)
    campaign = whole.campaigns[0]
    damage = tuple(
        msgspec.structs.replace(row, tensor=row.tensor.replace("fc1.weight", "<b>--ink</b>"))
        for row in campaign.record.damage
    )
    record = msgspec.structs.replace(campaign.record, damage=damage)
    whole = dataclasses.replace(
        whole, campaigns=(dataclasses.replace(campaign, record=record),), mission=mission_record()
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_page([whole, RunView(name="trained", run=whole.run)]), encoding="utf-8")
    return path


@dataclasses.dataclass(frozen=True)
class Opened:
    """A page and what happened while it was opened."""

    page: Any
    requests: list[str]
    complaints: list[str]

    def figures(self) -> list[dict[str, Any]]:
        described = self.page.evaluate("JSON.parse(document.getElementById('figures').textContent)")
        assert isinstance(described, list)
        return described


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def open_page(width: int = 1280, scheme: str = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        requests: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-figures=drawn]", state="attached", timeout=60_000)
        return Opened(page, requests, complaints)

    yield open_page
    for context in contexts:
        context.close()


def wait_until(page: Any, condition: str) -> None:
    """Wait for a JavaScript condition; Playwright's own wait needs an eval that the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never became true: {condition}")


def luminance(page: Any, selector: str, style: str) -> float:
    colour = page.eval_on_selector(selector, f"element => getComputedStyle(element).{style}")
    red, green, blue = (float(part) for part in colour.strip("rgba()").split(",")[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_opens_without_a_complaint_and_asks_for_nothing_but_itself(opened: Callable[..., Opened], file: Path) -> None:
    view = opened()
    view.page.wait_for_timeout(300)
    fetched = [url for url in view.requests if not url.startswith(("data:", "blob:"))]
    assert (fetched, view.complaints) == ([file.as_uri()], [])


def test_would_not_be_let_out_if_it_did_ask(opened: Callable[..., Opened]) -> None:
    view = opened()
    blocked = view.page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            new Image().src = "https://edgeval.invalid/pixel.png";
        })"""
    )
    assert blocked == "img-src"


def test_every_figure_is_drawn_with_its_marks(opened: Callable[..., Opened]) -> None:
    view = opened()
    figures = view.figures()
    assert len(figures) == 2 + 4 + 2 + 4 + 1
    marks = {"heatmap": ".heatmaplayer image", "bar": ".barlayer .point path", "scatter": ".scatterlayer .js-line"}
    for figure in figures:
        assert view.page.locator(f"#{figure['id']} {marks[figure['traces'][0]['type']]}").count() > 0, figure["id"]


def test_text_from_outside_stays_text(opened: Callable[..., Opened]) -> None:
    view = opened()
    assert view.page.evaluate("window.harmed") is None
    assert EVIL in view.page.locator("article h2").first.text_content()
    ticks = view.page.locator("#figure-1 .ytick").all_text_contents()
    assert "<b>--ink</b>" in ticks


@pytest.mark.parametrize("width", [320, *(pytest.param(width, marks=pytest.mark.long) for width in (390, 1280))])
def test_nothing_sticks_out_of_the_page(opened: Callable[..., Opened], width: int) -> None:
    view = opened(width)
    view.page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.page.evaluate("document.body.scrollWidth") <= width


def test_wide_tables_scroll_by_themselves_and_by_keyboard(opened: Callable[..., Opened]) -> None:
    view = opened(390)
    region = view.page.locator(".scroll").first
    assert region.evaluate("element => element.scrollWidth > element.clientWidth")
    region.focus()
    view.page.keyboard.press("ArrowRight")
    wait_until(view.page, "document.activeElement.scrollLeft > 0")


def test_dark_mode_applies_to_page_and_figures_and_follows_a_change(opened: Callable[..., Opened]) -> None:
    view = opened(scheme="dark")
    tick = "#figure-1 .ytick text"
    assert luminance(view.page, "body", "backgroundColor") < 0.15
    assert luminance(view.page, tick, "fill") > 0.5
    before = view.page.eval_on_selector(tick, "element => getComputedStyle(element).fill")
    view.page.emulate_media(color_scheme="light")
    wait_until(view.page, f"getComputedStyle(document.querySelector('{tick}')).fill !== '{before}'")
    assert luminance(view.page, "body", "backgroundColor") > 0.9
    assert luminance(view.page, tick, "fill") < 0.5


def test_printing_unfolds_everything_in_light_colours_and_folds_it_again(opened: Callable[..., Opened]) -> None:
    view = opened(scheme="dark")
    view.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert view.page.locator("details:not([open])").count() == 0
    assert luminance(view.page, "body", "backgroundColor") > 0.9
    view.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert view.page.locator("details[open]").count() == 0
    assert luminance(view.page, "body", "backgroundColor") < 0.15


def test_the_first_stop_of_the_keyboard_skips_to_the_report(opened: Callable[..., Opened]) -> None:
    view = opened()
    view.page.keyboard.press("Tab")
    assert view.page.evaluate("document.activeElement.className") == "skip"
    assert view.page.locator(".skip").bounding_box()["y"] >= 0
    view.page.keyboard.press("Enter")
    assert view.page.evaluate("document.activeElement.id") == "report"


def test_figures_of_every_kind_download_the_data_they_show(opened: Callable[..., Opened]) -> None:
    view = opened()
    figures = view.figures()
    kinds = {figure["traces"][0]["type"]: figure for figure in figures}
    assert kinds.keys() == {"heatmap", "bar", "scatter"}
    for figure in (figures[0], *kinds.values()):  # not all: Chromium holds back the eleventh download of a page
        with view.page.expect_download() as download:
            view.page.locator(f"button[data-figure={figure['id']}]").click()
        assert download.value.suggested_filename.endswith(f"{figure['id']}.csv")
        rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
        assert rows[0] == [heading for heading, _ in figure["columns"]]
        assert rows[1:] == [[shown(cell) for cell in row] for row in data_of(figure)]


def data_of(figure: dict[str, Any]) -> Iterator[list[Any]]:
    """What a figure shows, read from its traces a second time and in another language than the page's."""
    for trace in figure["traces"]:
        if trace["type"] == "heatmap":
            for y, line in zip(trace["y"], trace["z"], strict=True):
                for x, z in zip(trace["x"], line, strict=True):
                    values = {"x": x, "y": y, "z": z}
                    if z is not None:
                        yield [values[key] for _, key in figure["columns"]]
        else:
            for position in range(len(trace["x"])):
                keys = [key for _, key in figure["columns"]]
                yield [trace["name"] if key == "name" else trace[key][position] for key in keys]


def shown(cell: Any) -> str | Any:
    """Numbers are compared as numbers: JavaScript and Python write the same ones differently."""
    return Number(cell) if isinstance(cell, int | float) else cell


class Number(float):
    """Equal to any text that reads as the same number."""

    def __eq__(self, other: object) -> bool:
        return float(other) == float(self) if isinstance(other, str) else NotImplemented

    __hash__ = float.__hash__
