"""Figures of the report as plain plotly.js descriptions, and the columns each is downloaded as.

Traces hold the data once: the page draws it and writes the CSV file from the same arrays. Text stays as it is here;
``page.js`` escapes it for plotly. Colours are names of CSS variables, so that light, dark and print share one figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeval.records import MetricValue
from edgeval.report.markup import Markup
from edgeval.report.numbers import FRACTION, counted, sentence
from fault_injection.damage import DamageRow

Trace = dict[str, Any]

HEAT = [[step / 4, f"--heat-{step}"] for step in range(5)]
"""Colour scale of every heat map; its lightness is monotone, so it needs no colour vision."""

SHARE = ".1~%"
NUMBER = ",.3~g"
"""How d3 writes shares and other numbers."""

CLASSES = ("masked", "tolerable", "critical")
DECISION_CLASSES = ("kept", "critical")
_PATTERNS = {"critical": {"shape": "/", "fillmode": "overlay", "fgcolor": "--pattern", "size": 7, "solidity": 0.2}}
"""Critical is hatched, not only coloured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the page.

    Attributes:
        title: What is shown, in words.
        traces: Of plotly.js.
        layout: Of plotly.js, on top of the page's own.
        columns: CSV heading and the trace's key for it, in order.
        height: In CSS pixels.
        wide: Takes the whole width of the page.
        note: How to read it, what was left out.
    """

    title: str
    traces: list[Trace]
    layout: dict[str, Any]
    columns: tuple[tuple[str, str], ...]
    height: int
    wide: bool = False
    note: str = ""


Draw = Callable[[Figure], Markup]
"""Describes a figure once for the page's script and gives the place it is drawn in."""


@dataclass(frozen=True, slots=True)
class Harm:
    """Changes of a metric in its bad direction, as figures show them: shares in percentage points."""

    metric: MetricValue

    @property
    def factor(self) -> float:
        """From a change of the metric to what is shown; positive is worse."""
        sign = -1 if self.metric.direction == "higher" else 1
        return sign * (100.0 if self.metric.unit == FRACTION else 1.0)

    @property
    def unit(self) -> str:
        """Of what is shown."""
        return "points" if self.metric.unit == FRACTION else self.metric.unit

    @property
    def name(self) -> str:
        """What is shown, with its unit."""
        word = "drop" if self.metric.direction == "higher" else "rise"
        return f"{word} of {self.metric.name} [{self.unit}]"


def damage_maps(damage: Sequence[DamageRow], metric: MetricValue) -> tuple[Figure, Figure]:
    """Layer × bit: mean share of decisions changed, and mean harm to the metric."""
    harm = Harm(metric)
    decisions = _layer_bit(damage, [row.mean_decisions_changed for row in damage])
    means = _layer_bit(damage, [harm.factor * row.mean_metric_change for row in damage])
    return (
        _heat_map(
            "Decisions changed, mean of all faults of a tensor and bit", decisions, "share of decisions changed", SHARE
        ),
        _heat_map(f"{sentence(harm.name)}, mean of the same faults", means, harm.name, NUMBER),
    )


def class_bars(damage: Sequence[DamageRow]) -> list[Figure]:
    """One figure a tensor: shares of masked, tolerable and critical faults at each bit."""
    figures = []
    classes = classes_of(damage)
    for tensor in dict.fromkeys(row.tensor for row in damage):
        rows = [row for row in damage if row.tensor == tensor]
        bits = [row.bit for row in rows]
        traces = [
            {
                "type": "bar",
                "name": name,
                "x": bits,
                "y": [share_of(row, name) for row in rows],
                "marker": {"color": f"--{name}", "pattern": _PATTERNS.get(name, {})},
                "hovertemplate": f"bit %{{x}}: %{{y:.1%}} {name}<extra></extra>",
            }
            for name in reversed(classes)  # critical stands on the axis, where its share can be read off
        ]
        layout = {
            "barmode": "stack",
            "bargap": 0.12,
            "showlegend": False,
            "xaxis": bit_axis(bits),
            "yaxis": {"tickformat": ".0%", "range": [0, 1], "nticks": 5},
        }
        columns = (("outcome", "name"), ("bit", "x"), ("share of faults", "y"))
        faults = counted(sum(row.faults for row in rows), "fault")
        figures.append(Figure(title=f"{tensor}, {faults}", traces=traces, layout=layout, columns=columns, height=210))
    return figures


def classes_of(damage: Sequence[DamageRow]) -> tuple[str, ...]:
    """Classes that a campaign tells apart: where only decisions are known, masked and tolerable are both kept."""
    return DECISION_CLASSES if any(row.masked is None for row in damage) else CLASSES


def share_of(row: DamageRow, name: str) -> float:
    """Share of a row's faults that are of a class."""
    return 1 - row.critical if name == "kept" else float(getattr(row, name))


def _layer_bit(damage: Sequence[DamageRow], values: Sequence[float]) -> Trace:
    tensors = list(dict.fromkeys(row.tensor for row in damage))
    bits = sorted({row.bit for row in damage}, reverse=True)
    found = {(row.tensor, row.bit): value for row, value in zip(damage, values, strict=True)}
    return {"x": bits, "y": tensors, "z": [[found.get((tensor, bit)) for bit in bits] for tensor in tensors]}


def _heat_map(title: str, cells: Trace, quantity: str, number_format: str) -> Figure:
    trace = {
        "type": "heatmap",
        **cells,
        "zmin": 0,  # plotly heeds it only beside a zmax; improvements look like no harm
        "zmax": max((z for row in cells["z"] for z in row if z is not None and z > 0), default=1.0),
        "xgap": 2,
        "ygap": 2,
        "colorscale": HEAT,
        "colorbar": color_bar(number_format),
        "hovertemplate": f"%{{y}}, bit %{{x}}<br>%{{z:{number_format}}}<extra></extra>",
    }
    layout = {
        "xaxis": {**bit_axis(cells["x"]), "showgrid": False},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False, "ticklabelstandoff": 4},
    }
    columns = (("tensor", "y"), ("bit", "x"), (f"mean {quantity}", "z"))
    height = 90 + 30 * len(cells["y"])
    return Figure(title=title, traces=[trace], layout=layout, columns=columns, height=height)


def bit_axis(bits: Sequence[int]) -> dict[str, Any]:
    """An axis of bit positions."""
    return {
        "title": {"text": "bit"},
        "tickvals": bit_ticks(min(bits), max(bits)),
        "range": [max(bits) + 0.5, min(bits) - 0.5],  # the most significant bit stands left, as in a written number
        "zeroline": False,
    }


def bit_ticks(lowest: int, highest: int) -> list[int]:
    """Bits that are labelled: all of a few, else the highest and every third.

    Example:
        >>> bit_ticks(0, 5), bit_ticks(0, 15), bit_ticks(0, 11)
        ([0, 1, 2, 3, 4, 5], [0, 3, 6, 9, 12, 15], [0, 3, 6, 9, 11])
    """
    if highest - lowest < 8:
        return list(range(lowest, highest + 1))
    return [bit for bit in range(lowest, highest - 1) if bit % 3 == 0] + [highest]


def color_bar(number_format: str) -> dict[str, Any]:
    """The key of a heat map; numbers as d3 formats them."""
    return {"thickness": 10, "outlinewidth": 0, "tickformat": number_format, "nticks": 4, "len": 1, "xpad": 6}
