"""Several runs side by side: figures of merit, what differs layer by layer, and their curves in one figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgeval.records import LayerRow, MetricValue
from edgeval.report.fault_figures import fault_columns
from edgeval.report.figures import NUMBER, SHARE, Draw, Figure, Harm, Trace
from edgeval.report.markup import Child, Markup, code, element, table
from edgeval.report.numbers import FRACTION, count, counted, percent, quantity, sentence
from edgeval.report.verdicts import badge
from edgeval.report.view import CampaignView, RunView

CURVE_POINTS = 400
"""Points of one run's damage curve, where curves of several share a figure."""

LINES = (
    {"color": "--critical", "dash": "solid"},
    {"color": "--accent", "dash": "dash"},
    {"color": "--good", "dash": "dot"},
    {"color": "--warn", "dash": "dashdot"},
    {"color": "--ink", "dash": "longdash"},
    {"color": "--tolerable", "dash": "longdashdot"},
)
"""One a run, over again behind the sixth; colour is never all that tells two apart."""

_COMPARED = (
    ("form", "form"),
    ("output", "output_format"),
    ("weight", "weight_format"),
    ("bias", "bias_format"),
    ("accumulator bits", "accumulator_bits"),
    ("weights", "weights"),
)
"""What of a layer is held against the same layer of another run, and its name in records."""


def side_by_side(runs: Sequence[RunView], draw: Draw) -> Markup:
    """The section above the runs.

    Args:
        runs: Two or more, in the order they are shown.
        draw: Places a figure.
    """
    figures = [figure for figure in (damage_curves(runs), error_rate_curves(runs)) if figure is not None]
    return element(
        "section",
        element("h2", "Runs"),
        _runs_table(runs),
        _layers_table(runs),
        _verdicts_table(runs),
        [draw(figure) for figure in figures],
        id="runs",
    )


def _runs_table(runs: Sequence[RunView]) -> Markup:
    header = ["Run", "Verdict", "Metric", "Float", "Quantized", "Zero weights", "Weight bits", "BOPs", "Words compared"]
    header += ["Faults", "Critical"]
    rows = [_runs_row(view, f"run-{number}") for number, view in enumerate(runs, start=1)]
    return table("Runs side by side", header, rows, text_columns=3)


def _runs_row(view: RunView, anchor: str) -> list[Child]:
    run, size, compared = view.run, view.run.complexity, view.compare
    faults = sum(one.record.faults for one in view.campaigns)
    critical = sum(one.record.classes.get("critical", 0) for one in view.campaigns)
    return [
        element("a", view.name, href=f"#{anchor}"),
        badge(compared.verdict) if compared else "not compared",
        run.metric,
        *("" if m is None else quantity(m.value, m.unit) for m in (run.float_metric, run.quantized_metric)),
        percent(size.sparsity) if size else "",
        count(size.weight_bits) if size else "",
        count(round(size.bops)) if size else "",
        count(compared.words) if compared else "",
        count(faults) if faults else "",
        percent(critical / faults) if faults else "",
    ]


def _layers_table(runs: Sequence[RunView]) -> Child:
    """Where layers of the same name are not the same."""
    layers = [{row.name: row for row in view.export.layers} if view.export else {} for view in runs]
    shared = _shared([list(rows) for rows in layers])
    if not shared:
        return ""
    rows = [row for name in shared for row in _differences(name, [found.get(name) for found in layers])]
    if not rows:
        return element(
            "p", f"{counted(len(shared), 'layer')} of the same name, all of the same formats.", class_="note"
        )
    header: list[Child] = ["Layer", "What", *(view.name for view in runs)]
    caption = f"Layers of the same name that are not the same ({count(len(shared))} are shared)"
    return table(caption, header, rows, text_columns=len(header))


def _differences(name: str, rows: Sequence[LayerRow | None]) -> Iterator[list[Child]]:
    for what, field in _COMPARED:
        values = [None if row is None else getattr(row, field) for row in rows]
        if len({value for value in values if value is not None}) > 1:
            shown = ["–" if value is None else count(value) if isinstance(value, int) else value for value in values]
            yield [code(name), what, *(code(text) if text else "none" for text in shown)]


def _verdicts_table(runs: Sequence[RunView]) -> Child:
    """Differing words of layers of the same name, where any run has some."""
    layers = [{row.value: row for row in view.compare.layers} if view.compare else {} for view in runs]
    names = [
        name
        for name in _shared([list(rows) for rows in layers])
        if any(rows[name].differing for rows in layers if name in rows)
    ]
    if not names:
        return ""
    cells = [
        [f"{count(rows[name].differing)} of {count(rows[name].words)}" if name in rows else "–" for rows in layers]
        for name in names
    ]
    header: list[Child] = ["Layer", *(view.name for view in runs)]
    body = [[code(name), *row] for name, row in zip(names, cells, strict=True)]
    return table("Words that differ from the exact engine", header, body)


def _shared(names: Sequence[Sequence[str]]) -> list[str]:
    """Names that more than one run has, in the order in which they first come."""
    every = dict.fromkeys(name for one in names for name in one)
    return [name for name in every if sum(name in one for one in names) > 1]


def damage_curves(runs: Sequence[RunView]) -> Figure | None:
    """Harm of every fault, worst first, one line a run; of runs with the same metric and fault, two or more."""
    found = [(view.name, one) for view in runs for one in view.campaigns[:1] if one.outcomes is not None]
    if not found:
        return None
    kind = _kind(found[0][1])
    curves = [(name, one) for name, one in found if _kind(one) == kind]
    if len(curves) < 2:
        return None
    harm = Harm(curves[0][1].record.metric)
    traces = [_damage_trace(name, one, number) for number, (name, one) in enumerate(curves)]
    return Figure(
        title=f"Damage curves: {harm.name}, worst fault first",
        traces=traces,
        layout={
            "xaxis": {"title": {"text": "share of the faults"}, "type": "log", "tickformat": "~%", "dtick": 1},
            "yaxis": {"title": {"text": harm.name}, "tickformat": NUMBER, "rangemode": "tozero"},
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        columns=(("run", "name"), ("share of faults", "x"), (harm.name, "y")),
        height=340,
        wide=True,
        note=f"Each line is the first campaign of a run ({kind[2]}), at most {count(CURVE_POINTS)} ranks of it.",
    )


def _kind(view: CampaignView) -> tuple[str, str, str]:
    return view.record.metric.name, view.record.metric.unit, view.record.fault


def _damage_trace(name: str, view: CampaignView, number: int) -> Trace:
    assert view.outcomes is not None
    record = view.record
    harm = np.sort(np.nan_to_num(fault_columns(view.outcomes, record.samples, record.metric).harm))[::-1]
    ranks = np.unique(np.geomspace(1, len(harm), CURVE_POINTS).round().astype(np.int64))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [float(f"{rank / len(harm):.6g}") for rank in ranks],
        "y": [float(f"{harm[rank - 1]:.6g}") for rank in ranks],
        "line": {**LINES[number % len(LINES)], "width": 2},
        "hovertemplate": f"worst %{{x:{SHARE}}} of the faults: %{{y:{NUMBER}}}<extra></extra>",
    }


def error_rate_curves(runs: Sequence[RunView]) -> Figure | None:
    """Mean metric against bit error rate, one line a run; of runs with the same metric, two or more."""
    found = [(view.name, view.error_rates) for view in runs if view.error_rates is not None]
    found = [(name, one) for name, one in found if _same(one.metric, found[0][1].metric)]
    if len(found) < 2:
        return None
    metric = found[0][1].metric
    number_format = ".3~%" if metric.unit == FRACTION else NUMBER
    named = metric.name if metric.unit == FRACTION else f"{metric.name} [{metric.unit}]"
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [row.rate for row in record.rates],
            "y": [row.metric.mean for row in record.rates],
            "line": {**LINES[number % len(LINES)], "width": 2},
            "hovertemplate": f"%{{x:.1~e}}: %{{y:{number_format}}}<extra></extra>",
        }
        for number, (name, record) in enumerate(found)
    ]
    return Figure(
        title=f"{sentence(metric.name)} against bit error rate, mean over memory images",
        traces=traces,
        layout={
            "xaxis": {"title": {"text": "bit error rate"}, "type": "log", "exponentformat": "power", "dtick": 1},
            "yaxis": {"title": {"text": named}, "tickformat": ".0%" if metric.unit == FRACTION else NUMBER},
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        columns=(("run", "name"), ("bit error rate", "x"), (named, "y")),
        height=340,
        wide=True,
    )


def _same(one: MetricValue, other: MetricValue) -> bool:
    return (one.name, one.unit) == (other.name, other.unit)
