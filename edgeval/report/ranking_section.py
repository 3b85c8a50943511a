"""The section about ranked bits: how near each ranking comes to the measured truth, and the bits that come first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from edgeval.ranking_record import MethodScore, RankRecord
from edgeval.report.figures import SHARE, Draw, Figure
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import count, counted, percent, quantity, significant
from edgeval.report.sections import section
from edgeval.report.view import RankingView
from fault_injection.ranking_score import cumulative, harm

CURVE_POINTS = 400
"""Points of one cumulative curve: half of them in the first tenth, where rankings differ."""

_LINES: dict[str, dict[str, Any]] = {
    "oracle": {"color": "--ink", "width": 2.5},
    "fisher": {"color": "--critical", "width": 2.5},
    "finite-difference": {"color": "--critical", "width": 1.5, "dash": "dot"},
    "hessian": {"color": "--accent", "width": 2},
    "gradient": {"color": "--accent", "width": 1.5, "dash": "dash"},
    "taylor": {"color": "--accent", "width": 1.5, "dash": "dot"},
    "gradient-delta": {"color": "--tolerable", "width": 1.5, "dash": "dashdot"},
    "adaptive": {"color": "--good", "width": 2},
    "delta": {"color": "--warn", "width": 1.5},
    "msb-first": {"color": "--warn", "width": 1.5, "dash": "dash"},
    "random": {"color": "--muted", "width": 1.5, "dash": "dot"},
}
"""One line a ranking; colour is never all that tells two apart."""


def ranked(view: RankingView, anchor: str, title: str, draw: Draw) -> Markup:
    """Everything ``edgeval rank-bits`` found.

    Args:
        view: The ranking.
        anchor: Of the section.
        title: Of the section.
        draw: Places a figure.
    """
    record = view.record
    return section(
        anchor,
        title,
        element("p", _lead(record), class_="lead"),
        definitions(_facts(record), "facts"),
        _scores(view, draw),
        element("h4", "First bits"),
        _top(record),
    )


def curves(columns: pa.Table, scores: tuple[MethodScore, ...]) -> Figure | None:
    """Cumulative harm of every ranking against the share of the bits; ``None`` where no flip does harm.

    Args:
        columns: ``damage`` and ``rank_<method>`` of every site.
        scores: Which methods, best first.
    """
    harms = harm(columns["damage"].to_numpy())
    total = float(harms.sum())
    if not total:
        return None
    points = curve_points(len(harms))
    traces = []
    for score in scores:
        order = np.argsort(columns[f"rank_{score.method}"].to_numpy())
        shares = cumulative(harms, order)[points] / total
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": score.method,
                "line": _LINES[score.method],
                "x": [float(f"{x:.6g}") for x in points / len(harms)],
                "y": [float(f"{y:.6g}") for y in shares],
                "hovertemplate": f"{score.method}: first %{{x:{SHARE}}} of the bits, %{{y:{SHARE}}}<extra></extra>",
            }
        )
    layout = {
        "xaxis": {"title": {"text": "share of the bits, as ranked"}, "tickformat": ".0%"},
        "yaxis": {"title": {"text": "share of all harm"}, "tickformat": ".0%", "range": [0, 1.02]},
        "showlegend": True,
    }
    return Figure(
        title="Cumulative damage of each ranking against the oracle",
        traces=traces,
        layout=layout,
        columns=(("ranking", "name"), ("share of the bits", "x"), ("share of all harm", "y")),
        height=420,
        wide=True,
        note="The oracle sorts by measured damage; no order lies above it. Flips that lower the loss count as no harm.",
    )


def curve_points(bits: int) -> np.ndarray:
    """How many first bits a curve is drawn at, from none to all, denser in the first tenth."""
    half = CURVE_POINTS // 2
    points = [np.linspace(0, bits / 10, half, endpoint=False), np.linspace(bits / 10, bits, half)]
    return np.unique(np.concatenate(points).round().astype(np.int64))


def _lead(record: RankRecord) -> str:
    text = (
        f"{counted(record.sites, 'stored bit')} in the order in which {record.method} expects their flips to do harm."
    )
    if record.oracle is None:
        return text
    return f"{text} Each was also flipped: {count(record.oracle.harmful)} flips raise the {record.loss.name}."


def _facts(record: RankRecord) -> list[tuple[Child, Child]]:
    unit = record.loss.unit
    relative = "labels" if record.label_relative else "fault-free answers, for want of labels"
    facts: list[tuple[Child, Child]] = [
        (f"{record.loss.name}, fault-free", quantity(record.loss.value, unit)),
        ("Loss against", relative),
        ("Damage measured on", counted(record.samples, "sample")),
        ("Derivatives taken on", f"{counted(record.calibration_samples, 'sample')}, {record.calibration}"),
        ("All sites", code(record.ranking)),
    ]
    if record.oracle is not None:
        facts.insert(3, ("Harm of all flips", quantity(record.oracle.harm, unit)))
        facts.insert(4, ("Given back by the others", quantity(record.oracle.improvement, unit)))
    return facts


def _scores(view: RankingView, draw: Draw) -> Markup:
    record = view.record
    if record.oracle is None:
        text = "Not scored against the measured damage. Do it with "
        return element("p", text, code("edgeval rank-bits RUN --score"), ".", class_="missing")
    figure = None if view.columns is None else curves(view.columns, record.scores)
    rows = [
        [
            row.method,
            *("" if area is None else f"{area:.3f}" for area in (row.area, row.area_as_measured)),
            percent(row.worst_1),
            percent(row.worst_10),
        ]
        for row in record.scores
    ]
    header = ["Ranking", "Area", "Area, as measured", "Worst 1 % found", "Worst 10 % found"]
    left_out = [element("p", f"Left out: {reason}", class_="note") for reason in record.left_out]
    return join(
        element("h4", "Rankings against the measured truth"),
        draw(figure) if figure else element("p", "No flip does harm, or the file of the ranking was not kept."),
        table("Areas are relative to the oracle's", header, rows),
        left_out,
    )


def _top(record: RankRecord) -> Markup:
    header = ["Site", "Word", "Δ of the flip", "Score"]
    rows = [[code(row.site), count(row.word), count(row.delta), significant(row.score)] for row in record.top]
    return table(f"The first {count(len(rows))} bits by {record.method}", header, rows)
