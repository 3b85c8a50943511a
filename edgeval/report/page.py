"""One self-contained HTML page about one or several runs: everything is inside, nothing is fetched.

The page carries a content security policy that forbids every network request and every script but its own two, so
text from a record could do nothing even where it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from edgeval.report.figures import Figure
from edgeval.report.markup import Markup, element, raw_element
from edgeval.report.numbers import count
from edgeval.report.run_sections import run_sections
from edgeval.report.side_by_side import side_by_side
from edgeval.report.view import CampaignView, RunView
from hls.errors import RunDirectoryError

__all__ = ["CampaignView", "RunView", "asset", "content_policy", "render_page"]

Link = tuple[str, str]
"""Anchor and text."""


class _Figures:
    """Figures in page order: each is placed where it belongs, and described once for the script."""

    def __init__(self) -> None:
        self.described: list[dict[str, Any]] = []

    def place(self, figure: Figure, file_name: str) -> Markup:
        """Describe a figure and return the place it is drawn in."""
        name = f"figure-{len(self.described) + 1}"
        described = {"id": name, "file": f"{file_name}-{name}.csv", "columns": figure.columns}
        self.described.append({**described, "traces": figure.traces, "layout": figure.layout, "height": figure.height})
        button = element(
            "button", "CSV", type="button", data_figure=name, aria_label=f"Download as CSV: {figure.title}"
        )
        return element(
            "figure",
            element("figcaption", element("span", figure.title), button),
            element(
                "div", class_="plot", id=name, role="group", aria_label=figure.title, style=f"height:{figure.height}px"
            ),
            element("p", figure.note, class_="note") if figure.note else "",
            class_="wide" if figure.wide else None,
        )


def render_page(runs: Sequence[RunView]) -> str:
    """Write the report.

    Args:
        runs: In the order they are shown; several are compared in a table at the top.

    Returns:
        A whole HTML document. Equal views give equal pages.

    Raises:
        RunDirectoryError: records whose parts contradict each other, which no command writes.
    """
    try:
        return _rendered(runs)
    except (LookupError, ValueError, ArithmeticError) as error:
        raise RunDirectoryError(
            found=f"records whose parts contradict each other ({type(error).__name__}: {error})",
            allowed="records as their commands wrote them",
            where=", ".join(view.name for view in runs),
            remedy="run the commands that write the records again; if nobody changed them, please report it",
        ) from error


def _rendered(runs: Sequence[RunView]) -> str:
    figures = _Figures()
    summary = side_by_side(runs, partial(figures.place, file_name="runs")) if len(runs) > 1 else ""
    articles, links = [], []
    for number, view in enumerate(runs, start=1):
        article, inner = _run(view, f"run-{number}", figures)
        articles.append(article)
        links.append(_navigation_entry(view, f"run-{number}", inner))
    title = runs[0].name if len(runs) == 1 else f"{count(len(runs))} runs"
    body = element(
        "body",
        element("a", "Skip to the report", href="#report", class_="skip"),
        element("header", element("p", "edgeval", class_="brand"), element("h1", title)),
        element("nav", element("ul", links), aria_label="Sections"),
        element("main", element("noscript", element("p", _NO_SCRIPT)), summary, articles, id="report", tabindex=-1),
        element("footer", element("p", _FOOTER)),
        raw_element("script", _json(figures.described), type="application/json", id="figures"),
        raw_element("script", get_plotlyjs()),
        raw_element("script", asset("page.js")),
    )
    return f"<!doctype html>\n{element('html', _head(f'{title}: edgeval report'), body, lang='en')}\n"


_NO_SCRIPT = "Figures are drawn by a script in this page. All numbers in tables can be read without it."
_FOOTER = (
    "Written by edgeval. This page is complete: it holds its figures and their data and asks the network for nothing."
)


def _run(view: RunView, anchor: str, figures: _Figures) -> tuple[Markup, list[Link]]:
    sections = run_sections(view, anchor, partial(figures.place, file_name=view.name))
    article = element("article", element("h2", view.name), [one.markup for one in sections], id=anchor)
    return article, [(one.anchor, one.title) for one in sections]


def _navigation_entry(view: RunView, anchor: str, parts: Sequence[Link]) -> Markup:
    inner = element("ul", [element("li", element("a", text, href=f"#{place}")) for place, text in parts])
    return element("li", element("a", view.name, href=f"#{anchor}"), inner)


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        raw_element("style", asset("page.css")),
    )


def content_policy() -> str:
    """What the page may load and run: its own two scripts and nothing else."""
    scripts = " ".join(f"'sha256-{_sha256(script)}'" for script in (get_plotlyjs(), asset("page.js")))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def asset(name: str) -> str:
    """The text of a file that lies beside this module."""
    return (files("edgeval.report") / name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True).replace("<", "\\u003c")
