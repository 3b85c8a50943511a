"""How much of a campaign's damage the worst bits do: the cumulative curve, beside two orders that need no campaign."""

from __future__ import annotations

import math

import numpy as np

from edgeval.report.fault_figures import FaultColumns, Shown
from edgeval.report.figures import SHARE, Figure, Trace
from edgeval.report.numbers import count, percent

ORACLE_POINTS = 400
"""A worst-first curve has at most this many points: it is concave, so that few of them show it."""

Curve = tuple[np.ndarray, np.ndarray]
"""(share of the bits, share of the damage), both from 0 to 1."""


def cumulative_damage(faults: FaultColumns, shown: Shown, noun: str = "bits") -> Figure | None:
    """Share of all damage against share of the faults; ``None`` where there is no damage.

    Args:
        faults: Where.
        shown: What counts as damage; improvements count as none.
        noun: What the faults are called: bits, where each is the flip of one.
    """
    damage = np.nan_to_num(shown.values).clip(min=0)
    if not damage.any():
        return None
    oracle, planes = worst_first(damage), top_bits_first(damage, _below_top(faults))
    kept = _oracle_points(len(damage))
    curves: list[tuple[str, Curve, dict[str, object]]] = [
        ("worst first", (oracle[0][kept], oracle[1][kept]), {"color": "--critical", "width": 2}),
        ("top bits first", planes, {"color": "--tolerable", "width": 2}),
        ("in no order", (np.array([0.0, 1.0]), np.array([0.0, 1.0])), {"color": "--muted", "width": 1, "dash": "dash"}),
    ]
    traces = [_trace(name, curve, line, noun) for name, curve, line in curves]
    traces[1] |= {"mode": "lines+markers", "marker": {"size": 6, "color": "--tolerable"}}
    return Figure(
        title=f"Cumulative damage: {shown.name}, summed over the {noun}",
        traces=traces,
        layout={
            "xaxis": {
                "title": {"text": f"share of the {noun}"},
                "tickformat": ".0%",
                "range": [0, 1.01],
                "zeroline": False,
                "tickvals": [0, 0.25, 0.5, 0.75, 1],
            },
            "yaxis": {"title": {"text": "share of all damage"}, "tickformat": ".0%", "range": [0, 1.03], "nticks": 6},
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        columns=(("order", "name"), (f"share of {noun}", "x"), ("share of damage", "y")),
        height=340,
        wide=True,
        note=_note(oracle, planes, len(kept), noun),
    )


def worst_first(damage: np.ndarray) -> Curve:
    """The steepest curve there is: bits by their exact damage."""
    total = np.concatenate([[0.0], np.cumsum(np.sort(damage)[::-1])])
    return np.linspace(0, 1, len(total)), total / total[-1]


def top_bits_first(damage: np.ndarray, below_top: np.ndarray) -> Curve:
    """Bit planes from the top bit of every word down; inside a plane the mean over all orders, a straight line.

    Args:
        damage: One a fault.
        below_top: How far each fault's bit lies below the top bit of its word.
    """
    bits = np.bincount(below_top)
    harm = np.bincount(below_top, weights=damage)
    present = bits > 0
    shares = np.concatenate([[0.0], np.cumsum(bits[present]) / len(damage)])
    reached = np.concatenate([[0.0], np.cumsum(harm[present])])
    return shares, reached / reached[-1]


def area(curve: Curve) -> float:
    """Area under a curve: 0.5 for no order at all.

    Example:
        >>> area((np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 1.0])))
        0.75
    """
    return float(np.trapezoid(curve[1], curve[0]))


def _below_top(faults: FaultColumns) -> np.ndarray:
    """Distance of each bit from the highest one that was judged in its tensor."""
    top = np.zeros(len(faults.names), np.int64)
    np.maximum.at(top, faults.tensor, faults.bit)
    below: np.ndarray = top[faults.tensor] - faults.bit
    return below


def _oracle_points(bits: int) -> np.ndarray:
    """Which of the ``bits + 1`` points are drawn: all, or more of them where the curve bends, and both ends."""
    if bits < ORACLE_POINTS:
        return np.arange(bits + 1)
    spread = np.geomspace(1, bits, ORACLE_POINTS // 2)
    return np.unique(np.concatenate([[0], spread, np.linspace(0, bits, ORACLE_POINTS // 2)]).round().astype(np.int64))


def _trace(name: str, curve: Curve, line: dict[str, object], noun: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [float(f"{share:.6g}") for share in curve[0]],
        "y": [float(f"{share:.6g}") for share in curve[1]],
        "line": line,
        "hovertemplate": f"{name}: %{{x:{SHARE}}} of the {noun}, %{{y:{SHARE}}} of the damage<extra></extra>",
    }


def _note(oracle: Curve, planes: Curve, drawn: int, noun: str) -> str:
    number = len(oracle[0]) - 1
    reached = [float(oracle[1][max(1, math.floor(number * part))]) for part in (0.01, 0.1)]
    areas = f"{area(oracle):.3f} worst first, {area(planes):.3f} top bits first, 0.5 in no order"
    parts = [
        f"The worst 1 % of the {noun} do {percent(reached[0])} of the damage, the worst 10 % do {percent(reached[1])}; "
        f"those in the top bit of a word, {percent(float(planes[0][1]))} of the {noun}, do "
        f"{percent(float(planes[1][1]))}.",
        f"Area under the curves: {areas}. Markers stand where a bit position is complete.",
    ]
    if drawn <= number:
        parts.append(f"Of the worst-first curve {count(drawn)} of {count(number + 1)} points are drawn.")
    return " ".join(parts)
