"""The section about bit error rates: metric against rate with the band of the images, and the numbers."""

from __future__ import annotations

from edgeval.error_rate_record import ErrorRateRecord, ImagesRow
from edgeval.records import MetricValue
from edgeval.report.figures import NUMBER, Draw, Figure, Trace
from edgeval.report.markup import Child, Markup, element, table
from edgeval.report.numbers import FRACTION, count, counted, percent, quantity, sentence, significant
from edgeval.report.sections import section


def error_rates(record: ErrorRateRecord, anchor: str, draw: Draw) -> Markup:
    """What bit error rates do to a run.

    Args:
        record: What ``edgeval error-rate`` found.
        anchor: Of the section.
        draw: Places a figure.
    """
    lead = (
        f"Each of {count(record.bits)} stored bits wrong by itself with some probability, judged on "
        f"{counted(record.samples, 'sample')}. No and one wrong bit are exact, {count(record.draws)} memory images of "
        "more are drawn at each rate; an image stays the same for the whole evaluation set."
    )
    return section(
        anchor, "Bit error rates", element("p", lead, class_="lead"), draw(error_rate_figure(record)), _table(record)
    )


def error_rate_figure(record: ErrorRateRecord) -> Figure:
    """Metric against bit error rate: bands of the images, mean with its interval, plain estimate, fault-free value."""
    rates = [row.rate for row in record.rates]
    points, metric = record.percentiles, record.metric
    outer = f"{points[0]} to {points[-1]} % of the images"
    inner = f"{points[1]} to {points[-2]} % of the images"
    means = [row.metric.mean for row in record.rates]
    bounds = [_bounds(row.metric) for row in record.rates]
    number = ".3~%" if metric.unit == FRACTION else NUMBER
    shown = f"%{{x:.1~e}}: %{{y:{number}}}"
    traces: list[Trace] = [
        *_band(record, (0, -1), outer, "--masked"),
        *_band(record, (1, -2), inner, "--tolerable"),
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "mean",
            "x": rates,
            "y": means,
            "line": {"color": "--critical", "width": 2},
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [high - mean for (_, high), mean in zip(bounds, means, strict=True)],
                "arrayminus": [mean - low for (low, _), mean in zip(bounds, means, strict=True)],
                "color": "--critical",
            },
            "hovertemplate": f"mean at {shown}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "mean, plain draws",
            "x": rates,
            "y": [row.plain_metric.mean for row in record.rates],
            "marker": {"color": "--ink", "symbol": "x-thin-open", "size": 9},
            "hovertemplate": f"plain mean at {shown}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "no fault",
            "x": rates,
            "y": [metric.value for _ in rates],
            "line": {"color": "--good", "width": 1, "dash": "dot"},
            "hovertemplate": f"no fault: %{{y:{number}}}<extra></extra>",
        },
    ]
    layout = {
        "xaxis": {"title": {"text": "bit error rate"}, "type": "log", "exponentformat": "power", "dtick": 1},
        "yaxis": {"title": {"text": _named(metric)}, "tickformat": ".0%" if metric.unit == FRACTION else NUMBER},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return Figure(
        title=f"{sentence(metric.name)} against bit error rate",
        traces=traces,
        layout=layout,
        columns=(("series", "name"), ("bit error rate", "x"), (_named(metric), "y")),
        height=360,
        wide=True,
        note=f"Bars are {record.confidence:.0%} intervals of the mean over memory images, on this evaluation set; "
        "bands are single images, one of which is what a device holds.",
    )


def _band(record: ErrorRateRecord, places: tuple[int, int], name: str, colour: str) -> list[Trace]:
    """Lower edge, then the upper edge filled down to it."""
    rates = [row.rate for row in record.rates]
    edges = [[row.metric.percentiles[place] for row in record.rates] for place in places]
    common: Trace = {"type": "scatter", "mode": "lines", "x": rates, "hoverinfo": "skip", "line": {"width": 0}}
    low = record.percentiles[places[0]]
    return [
        {**common, "name": f"{low} % of the images", "y": edges[0], "showlegend": False},
        {**common, "name": name, "y": edges[1], "fill": "tonexty", "fillcolor": colour},
    ]


def _table(record: ErrorRateRecord) -> Markup:
    metric = record.metric
    first, last = record.percentiles[0], record.percentiles[-1]
    header: list[Child] = ["Bit error rate", "Wrong bits", "No fault in", "One in", f"Mean {metric.name}"]
    header += [f"{record.confidence:.0%} interval", f"{first} to {last} % of images", "Decisions changed", "Plain mean"]
    rows: list[list[Child]] = [
        [
            significant(row.rate, 3),
            significant(record.bits * row.rate, 3),
            percent(row.none),
            percent(row.one),
            quantity(row.metric.mean, metric.unit),
            _interval(row.metric, metric),
            " to ".join(quantity(row.metric.percentiles[place], metric.unit) for place in (0, -1)),
            percent(row.decisions.mean),
            quantity(row.plain_metric.mean, metric.unit),
        ]
        for row in record.rates
    ]
    return table("Bit error rates", header, rows)


def _interval(row: ImagesRow, metric: MetricValue) -> str:
    if row.low is None or row.high is None:
        return "not known: all images agree"
    return f"{quantity(row.low, metric.unit)} to {quantity(row.high, metric.unit)}"


def _bounds(row: ImagesRow) -> tuple[float, float]:
    """The interval, or the mean itself where there is none: then no bar is drawn."""
    return (row.mean, row.mean) if row.low is None or row.high is None else (row.low, row.high)


def _named(metric: MetricValue) -> str:
    return metric.name if metric.unit == FRACTION else f"{metric.name} [{metric.unit}]"
