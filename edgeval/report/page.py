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

from edgeval.fingerprint import identity
from edgeval.records import Fingerprint
from edgeval.report.fault_section import campaign
from edgeval.report.figures import Figure
from edgeval.report.markup import Child, Markup, element, raw_element, table
from edgeval.report.numbers import count, percent, quantity
from edgeval.report.sections import (
    comparison,
    layers,
    missing,
    overview,
    provenance,
    section,
    verdict_badge,
)
from edgeval.report.studies import study_sections
from edgeval.report.view import CampaignView, RunView

__all__ = ["CampaignView", "RunView", "render_page"]

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
        self.described.append({**described, "traces": figure.traces, "layout": figure.layout})
        button = element(
            "button", "CSV", type="button", data_figure=name, aria_label=f"Download as CSV: {figure.title}"
        )
        return element(
            "figure",
            element("figcaption", element("span", figure.title), button),
            element(
                "div", class_="plot", id=name, role="img", aria_label=figure.title, style=f"height:{figure.height}px"
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
    """
    figures = _Figures()
    articles, links = [], []
    for number, view in enumerate(runs, start=1):
        article, inner = _run(view, f"run-{number}", figures)
        articles.append(article)
        links.append(_navigation_entry(view, f"run-{number}", inner))
    summary = _runs_table(runs) if len(runs) > 1 else ""
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
        raw_element("script", _asset("page.js")),
    )
    return f"<!doctype html>\n{element('html', _head(f'{title}: edgeval report'), body, lang='en')}\n"


_NO_SCRIPT = "Figures are drawn by a script in this page. All numbers in tables can be read without it."
_FOOTER = (
    "Written by edgeval. This page is complete: it holds its figures and their data and asks the network for nothing."
)


def _run(view: RunView, anchor: str, figures: _Figures) -> tuple[Markup, list[Link]]:
    parts = [(f"{anchor}-overview", "Overview"), (f"{anchor}-layers", "Layers"), (f"{anchor}-comparison", "Comparison")]
    campaigns = [
        (f"{anchor}-faults-{number}", _campaign_title(one, len(view.campaigns)), one)
        for number, one in enumerate(view.campaigns, start=1)
    ]
    place_figure = partial(figures.place, file_name=view.name)
    faults: Child = [campaign(one, place, title, place_figure) for place, title, one in campaigns]
    parts += [(place, title) for place, title, _ in campaigns] or [(f"{anchor}-faults", "Faults")]
    if not campaigns:
        text = "No faults have been injected yet."
        faults = section(f"{anchor}-faults", "Faults", missing(text, "edgeval inject-faults RUN"))
    studies = study_sections(view, anchor, place_figure)
    parts += [(study.anchor, study.title) for study in studies]
    parts.append((f"{anchor}-provenance", "Provenance"))
    article = element(
        "article",
        element("h2", view.name),
        overview(view, f"{anchor}-overview"),
        layers(view.export, f"{anchor}-layers"),
        comparison(view.compare, f"{anchor}-comparison"),
        faults,
        [study.markup for study in studies],
        provenance([*_fingerprints(view), *((s.of, s.fingerprint) for s in studies)], f"{anchor}-provenance"),
        id=anchor,
    )
    return article, parts


def _campaign_title(view: CampaignView, campaigns: int) -> str:
    return "Faults" if campaigns == 1 else f"Faults, {view.record.fault} {identity(view.record.fingerprint)[:6]}"


def _navigation_entry(view: RunView, anchor: str, parts: Sequence[Link]) -> Markup:
    inner = element("ul", [element("li", element("a", text, href=f"#{place}")) for place, text in parts])
    return element("li", element("a", view.name, href=f"#{anchor}"), inner)


def _fingerprints(view: RunView) -> list[tuple[str, Fingerprint]]:
    found = [("the run", view.run.fingerprint)]
    found += [("the integer network", view.export.fingerprint)] if view.export else []
    found += [("the comparison", view.compare.fingerprint)] if view.compare else []
    return found + [("the faults", one.record.fingerprint) for one in view.campaigns]


def _runs_table(runs: Sequence[RunView]) -> Markup:
    header = ["Run", "Verdict", "Metric", "Float", "Quantized", "Sparsity", "Weight bits", "BOPs", "Words compared"]
    header += ["Faults", "Critical"]
    rows = [_runs_row(view, f"run-{number}") for number, view in enumerate(runs, start=1)]
    inner = table("Runs side by side", header, rows, text_columns=3)
    return element("section", element("h2", "Runs"), inner, id="runs", aria_label="Runs")


def _runs_row(view: RunView, anchor: str) -> list[Child]:
    run, size, compared = view.run, view.run.complexity, view.compare
    faults = sum(one.record.faults for one in view.campaigns)
    critical = sum(one.record.classes.get("critical", 0) for one in view.campaigns)
    return [
        element("a", view.name, href=f"#{anchor}"),
        verdict_badge(compared) if compared else "not compared",
        run.metric,
        *("" if m is None else quantity(m.value, m.unit) for m in (run.float_metric, run.quantized_metric)),
        percent(size.sparsity) if size else "",
        count(size.weight_bits) if size else "",
        count(round(size.bops)) if size else "",
        count(compared.words) if compared else "",
        count(faults) if faults else "",
        percent(critical / faults) if faults else "",
    ]


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        raw_element("style", _asset("page.css")),
    )


def _policy() -> str:
    scripts = " ".join(f"'sha256-{_sha256(script)}'" for script in (get_plotlyjs(), _asset("page.js")))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (files("edgeval.report") / name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True).replace("<", "\\u003c")
