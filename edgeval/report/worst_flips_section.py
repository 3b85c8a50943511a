"""The section about the worst flips: metric against their number, and which they are."""

from __future__ import annotations

from edgeval.records import MetricValue
from edgeval.report.figures import NUMBER, Draw, Figure, Trace
from edgeval.report.markup import Markup, code, element, join, table
from edgeval.report.numbers import FRACTION, count, counted, percent, quantity, sentence
from edgeval.report.sections import section
from edgeval.worst_flips_record import ENDINGS, WorstFlipsRecord


def worst_flips_found(record: WorstFlipsRecord, anchor: str, draw: Draw) -> Markup:
    """What a search for the worst flips found.

    Args:
        record: What ``edgeval worst-flips`` found.
        anchor: Of the section.
        draw: Places a figure.
    """
    limited = "" if record.candidates is None else f" (after the first step the worst {count(record.candidates)} alone)"
    last = record.flips[-1].metric if record.flips else record.metric.value
    lead = (
        f"{counted(len(record.flips), 'flip')} of {count(record.bits)} stored bits take the {record.metric.name} from "
        f"{quantity(record.metric.value, record.metric.unit)} to {quantity(last, record.metric.unit)}; "
        f"{ENDINGS[record.ended]}. Each is the most harmful of all single flips on top of those before it{limited}, "
        "judged exactly; another set of as many may be worse still."
    )
    content = [draw(worst_flips_figure(record)), _table(record)] if record.flips else []
    return section(anchor, "Worst flips", element("p", lead, class_="lead"), _confirmed(record), *content)


def worst_flips_figure(record: WorstFlipsRecord) -> Figure:
    """Metric against the number of flips, with chance level where there is one."""
    metric = record.metric
    number = ".3~%" if metric.unit == FRACTION else NUMBER
    steps = list(range(len(record.flips) + 1))
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "worst flips",
            "x": steps,
            "y": [metric.value, *(row.metric for row in record.flips)],
            "customdata": ["no fault", *(row.site for row in record.flips)],
            "line": {"color": "--critical", "width": 2},
            "hovertemplate": f"%{{x}} flips: %{{y:{number}}}<br>%{{customdata}}<extra></extra>",
        }
    ]
    if record.chance is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "chance level",
                "x": steps,
                "y": [record.chance for _ in steps],
                "line": {"color": "--muted", "width": 1, "dash": "dot"},
                "hovertemplate": f"chance: %{{y:{number}}}<extra></extra>",
            }
        )
    layout = {
        "xaxis": {"title": {"text": "flips, each on top of those before it"}, "rangemode": "tozero"},
        "yaxis": {
            "title": {"text": _named(metric)},
            "tickformat": ".0%" if metric.unit == FRACTION else NUMBER,
            "rangemode": "tozero",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    columns = (("series", "name"), ("flips", "x"), (_named(metric), "y"), ("site", "customdata"))
    return Figure(
        title=f"{sentence(metric.name)} under the worst flips",
        traces=traces,
        layout=layout,
        columns=columns,
        height=320,
        wide=True,
    )


def _confirmed(record: WorstFlipsRecord) -> Markup:
    if record.unconfirmed:
        text = join("A run of the whole network disagrees at ", code(", ".join(record.unconfirmed)), ".")
        return element("p", element("span", "✕", aria_hidden="true"), " ", text, class_="check bad")
    text = join("Every step was confirmed by a run of the whole network.")
    return element("p", element("span", "✓", aria_hidden="true"), " ", text, class_="check good")


def _table(record: WorstFlipsRecord) -> Markup:
    metric = record.metric
    rows = [
        [
            str(number),
            code(row.site),
            count(row.golden_word),
            count(row.faulty_word),
            quantity(row.metric, metric.unit),
            f"{count(row.decisions_changed)} ({percent(row.decisions_changed / record.samples)})",
            count(row.judged),
        ]
        for number, row in enumerate(record.flips, start=1)
    ]
    header = ["Flips", "Site", "Word", "Becomes", metric.name.capitalize(), "Decisions changed", "Flips judged"]
    return table("The worst flips, in the order found", header, rows, text_columns=2)


def _named(metric: MetricValue) -> str:
    return metric.name if metric.unit == FRACTION else f"{metric.name} [{metric.unit}]"
