"""The section about a mission: its figures, and wrong decisions against the time between two rewritings."""

from __future__ import annotations

import numpy as np

from edgeval.mission_record import MissionRecord
from edgeval.report.figures import Draw, Figure, Trace
from edgeval.report.markup import Markup, element, table
from edgeval.report.mission_rows import mission_rows, not_modelled_text, scope_text, verdict_text
from edgeval.report.numbers import duration, percent, sentence
from edgeval.report.sections import section
from fault_injection.mission import SEVERAL_UPSETS_LIMIT, Mission, Sensitivity, outlook

DECADES_BESIDE = 3
"""The figure reaches so many powers of ten below and above the record's own period."""
POINTS_A_DECADE = 10


def mission_section(record: MissionRecord, anchor: str, draw: Draw) -> Markup:
    """Everything a mission was found to be.

    Args:
        record: What ``edgeval mission`` found.
        anchor: Of the section.
        draw: Places a figure.
    """
    holds = record.device.single_faults_hold
    sign = element("span", "✓" if holds else "✕", aria_hidden="true")
    return section(
        anchor,
        "Mission",
        element("p", sentence(scope_text(record)), ".", class_="lead"),
        element("p", sign, " ", sentence(verdict_text(record)), ".", class_="check good" if holds else "check bad"),
        table("What one device has to expect", ["Figure", "Value", "Meaning"], mission_rows(record), text_columns=3),
        element("p", not_modelled_text(record)),
        draw(scrub_figure(record)) if record.changed else "",
    )


def scrub_figure(record: MissionRecord) -> Figure:
    """Share of wrong decisions against the time between two rewritings, with its bounds."""
    middle = np.log10(record.period)
    span = np.linspace(middle - DECADES_BESIDE, middle + DECADES_BESIDE, 2 * DECADES_BESIDE * POINTS_A_DECADE + 1)
    bits = Sensitivity(bits=record.bits, changed=record.changed, right_to_wrong=None, harmful=record.harmful_bits)
    periods = [float(f"{period:.6g}") for period in 10.0**span]
    devices = [outlook(_mission(record, period), bits) for period in periods]
    # Beyond a share of one the first-order figure means nothing, and the bounds take over.
    first = [one.wrong_decisions if one.wrong_decisions <= 1 else None for one in devices]
    lines = (
        ("at least", [one.wrong_decisions_lowest for one in devices], None),
        ("at most", [one.wrong_decisions_highest for one in devices], "tonexty"),
        ("to first order", first, None),
    )
    traces = [_line(name, periods, values, fill) for name, values, fill in lines]
    own = record.device.wrong_decisions if record.device.wrong_decisions <= 1 else record.device.wrong_decisions_lowest
    traces.append(
        {
            **_line("this mission", [record.period], [own], None),
            "mode": "markers",
            "marker": {"size": 10, "color": "--critical"},
        }
    )
    holding = [period for period, one in zip(periods, devices, strict=True) if one.single_faults_hold]
    limit = f"up to {duration(holding[-1])}" if holding else "nowhere here"
    return Figure(
        title="Wrong decisions against the time between two rewritings",
        traces=traces,
        layout={
            "xaxis": {"type": "log", "title": {"text": "time between two rewritings [s]"}, "dtick": 1},
            "yaxis": {
                "type": "log",
                "title": {"text": "share of all decisions"},
                "dtick": 2,
                "exponentformat": "power",
            },
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        columns=(("line", "name"), ("period [s]", "x"), ("share of all decisions", "y")),
        height=340,
        wide=True,
        note=(
            f"Two or more upsets in a period are rarer than {percent(SEVERAL_UPSETS_LIMIT)} {limit}. "
            "Between the bounds lies whatever upsets beyond the first in a period do."
        ),
    )


def _mission(record: MissionRecord, period: float) -> Mission:
    return Mission(
        cross_section=record.cross_section,
        flux=record.flux,
        period=period,
        multi_bit_share=record.multi_bit_share,
    )


def _line(name: str, periods: list[float], shares: list[float] | list[float | None], fill: str | None) -> Trace:
    rounded = [None if share is None else float(f"{share:.6g}") for share in shares]
    main = name == "to first order"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": periods,
        "y": rounded,
        "fill": fill,
        "fillcolor": "--band",
        "line": {"color": "--critical" if main else "--tolerable", "width": 2 if main else 1},
        "hovertemplate": f"{name}, every %{{x:.3~g}} s: %{{y:.3~g}}<extra></extra>",
    }
