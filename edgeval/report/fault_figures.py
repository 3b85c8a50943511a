"""Figures from the per-fault tables: the sorted damage curve, and a map of words × bits for every tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from edgeval.records import MetricValue
from edgeval.report.figures import HEAT, NUMBER, SHARE, Figure, Harm, bit_axis, color_bar
from edgeval.report.numbers import count, counted, percent

CURVE_HEAD = 1_000
CURVE_POINTS = 5_000
"""A damage curve shows every one of the worst ``CURVE_HEAD`` faults and at most this many in all."""

MAP_COLUMNS = 2_000
"""A weight map is drawn one column a word up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultColumns:
    """The columns of an outcome table that the figures use.

    Attributes:
        names: Stored tensors.
        tensor: Position of each fault's tensor in ``names``.
        harm: Metric change in the bad direction, as ``Harm`` shows it.
        decisions: Share of the samples whose decision changes.
    """

    names: tuple[str, ...]
    tensor: np.ndarray
    index: np.ndarray
    bit: np.ndarray
    harm: np.ndarray
    decisions: np.ndarray

    def sites(self, rows: np.ndarray) -> list[str]:
        """Some faults as TENSOR:INDEX:BIT."""
        columns = (self.tensor[rows].tolist(), self.index[rows].tolist(), self.bit[rows].tolist())
        return [f"{self.names[tensor]}:{index}:{bit}" for tensor, index, bit in zip(*columns, strict=True)]


def fault_columns(outcomes: pa.Table, samples: int, metric: MetricValue) -> FaultColumns:
    """Read an outcome table.

    Args:
        outcomes: One row a fault.
        samples: Size of the evaluation set.
        metric: Its direction decides which change is harm.
    """
    tensor = outcomes["tensor"].combine_chunks()
    return FaultColumns(
        names=tuple(tensor.dictionary.to_pylist()),
        tensor=tensor.indices.to_numpy(zero_copy_only=False),
        index=outcomes["index"].to_numpy(),
        bit=outcomes["bit"].to_numpy(),
        harm=Harm(metric).factor * outcomes["metric_change"].to_numpy(),
        decisions=outcomes["decisions_changed"].to_numpy() / samples,
    )


def damage_curve(faults: FaultColumns, metric: MetricValue) -> Figure | None:
    """Harm of every fault, worst first; ``None`` where no fault does any."""
    order = np.argsort(-np.nan_to_num(faults.harm), kind="stable")
    harm = faults.harm[order]
    harmful = int((harm > 0).sum())
    if not harmful:
        return None
    shown = curve_ranks(harmful)
    logarithmic = bool(harm[0] / harm[harmful - 1] >= 20)
    named = Harm(metric).name
    trace = {
        "type": "scatter",
        "mode": "lines" if harmful > 50 else "lines+markers",
        "fill": None if logarithmic else "tozeroy",
        "line": {"color": "--critical", "width": 2, "shape": "hv"},
        "x": (shown + 1).tolist(),
        "y": _rounded(harm[shown]),
        "customdata": faults.sites(order[shown]),
        "hovertemplate": f"rank %{{x:,}}: %{{y:{NUMBER}}}<br>%{{customdata}}<extra></extra>",
    }
    scale = (
        {"type": "log", "dtick": "D2" if harm[0] / harm[harmful - 1] < 1e3 else 1}
        if logarithmic
        else {"rangemode": "tozero"}
    )
    layout = {
        "xaxis": {"title": {"text": "faults, worst first"}, "tickformat": ",d", "rangemode": "tozero"},
        "yaxis": {"title": {"text": named}, "tickformat": NUMBER, **scale},
        "showlegend": False,
    }
    return Figure(
        title=f"Damage curve: {named}, worst fault first",
        traces=[trace],
        layout=layout,
        columns=(("rank", "x"), (named, "y"), ("site", "customdata")),
        height=320,
        wide=True,
        note=_curve_note(harm, harmful, len(shown)),
    )


def curve_ranks(harmful: int) -> np.ndarray:
    """Which ranks a damage curve shows, counted from 0: all, or the worst ones and then every so many."""
    if harmful <= CURVE_POINTS:
        return np.arange(harmful)
    rest = np.linspace(CURVE_HEAD, harmful - 1, CURVE_POINTS - CURVE_HEAD).round().astype(np.int64)
    return np.concatenate([np.arange(CURVE_HEAD), np.unique(rest)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the maps of words and bits show of each fault.

    Attributes:
        values: One a fault, in the order of the faults; larger is worse.
        name: With its unit.
        number_format: Of d3.
    """

    values: np.ndarray
    name: str
    number_format: str


def shown_in_maps(faults: FaultColumns, metric: MetricValue, decision: str) -> Shown:
    """Share of decisions changed where decisions are classes; else the metric, which says more than a tolerance."""
    if decision == "argmax":
        return Shown(values=faults.decisions, name="share of decisions changed", number_format=SHARE)
    return Shown(values=faults.harm, name=Harm(metric).name, number_format=NUMBER)


def weight_maps(faults: FaultColumns, shapes: Mapping[str, tuple[int, ...]], shown: Shown) -> list[Figure]:
    """One figure a tensor, wide ones first: every word and bit, each tensor on a colour scale of its own.

    Args:
        faults: Where.
        shapes: Of the stored tensors, in data order.
        shown: What.
    """
    maps = []
    for name, shape in shapes.items():
        if name not in faults.names:
            continue
        rows = np.flatnonzero(faults.tensor == faults.names.index(name))
        if len(rows):
            words = max(int(np.prod(shape)), int(faults.index[rows].max()) + 1)
            size = " × ".join(count(axis) for axis in shape) + " words" if len(shape) > 1 else counted(words, "word")
            maps.append(_weight_map(faults, rows, shown, f"{name}, {size}", words))
    return sorted(maps, key=lambda figure: not figure.wide)  # small ones share a row


def _weight_map(faults: FaultColumns, rows: np.ndarray, shown: Shown, title: str, words: int) -> Figure:
    per_column = -(-words // MAP_COLUMNS)
    worst = _worst_of_bins(faults, rows, shown, (-(-words // per_column), per_column))
    bits = np.flatnonzero(np.isfinite(worst).any(axis=1)).tolist()
    largest = float(shown.values[rows].max())
    span = "word %{x:,}" if per_column == 1 else f"words %{{x:,}} to +{per_column - 1}, worst"
    trace = {
        "type": "heatmap",
        "x": (np.arange(worst.shape[1]) * per_column).tolist(),
        "y": bits,
        "z": [_rounded(worst[bit]) for bit in bits],
        "zmin": 0,
        "zmax": largest if largest > 0 else 1.0,
        "showscale": largest > 0,
        "colorscale": HEAT,
        "colorbar": color_bar(shown.number_format),
        "hovertemplate": f"{span}, bit %{{y}}<br>%{{z:{shown.number_format}}}<extra></extra>",
    }
    ticks: dict[str, object] = {"dtick": 1} if words <= 10 else {"tickformat": ",d"}
    plain = {"showgrid": False, "zeroline": False}
    edges = [-0.5 * per_column, (worst.shape[1] - 0.5) * per_column]
    layout = {
        "xaxis": {"title": {"text": "word, in C order"}, "range": edges, **ticks, **plain},
        "yaxis": {**bit_axis(bits), "range": [min(bits) - 0.5, max(bits) + 0.5], **plain},
    }
    first = "word" if per_column == 1 else f"first word of {per_column}"
    worst_name = shown.name if per_column == 1 else f"worst {shown.name}"
    note = "" if per_column == 1 else f"Each column is the worst of {per_column} consecutive words."
    if largest <= 0:
        note = f"{note} No bit here does any damage.".strip()
    return Figure(
        title=title,
        traces=[trace],
        layout=layout,
        columns=((first, "x"), ("bit", "y"), (worst_name, "z")),
        height=90 + (16 if len(bits) <= 8 else 10) * len(bits),
        wide=words > 128,
        note=note,
    )


def _worst_of_bins(faults: FaultColumns, rows: np.ndarray, shown: Shown, bins: tuple[int, int]) -> np.ndarray:
    """Largest value at each bit of so many bins of so many words; minus infinity where no fault was."""
    number, words = bins
    worst = np.full((int(faults.bit[rows].max()) + 1, number), -np.inf)
    np.maximum.at(worst, (faults.bit[rows], faults.index[rows] // words), shown.values[rows])
    return worst


def _curve_note(harm: np.ndarray, harmful: int, shown: int) -> str:
    # Exact sums: where the worst 10 % hold all of the harm, their quotient is 1 and not nearly so.
    total = math.fsum(harm[:harmful])
    worst = [math.fsum(harm[: min(harmful, max(1, round(len(harm) * part)))]) / total for part in (0.01, 0.1)]
    helpful = int((harm < 0).sum())
    parts = [
        f"The worst 1 % of the faults do {percent(worst[0])} of all harm, the worst 10 % do {percent(worst[1])}.",
        f"{count(harmful)} of {counted(len(harm), 'fault')} do harm and are on the curve; "
        f"{count(len(harm) - harmful - helpful)} leave the metric as it is, {count(helpful)} improve it.",
    ]
    if shown < harmful:
        parts.append(
            f"Drawn are {count(shown)} points: each of the worst {count(CURVE_HEAD)} faults, "
            "then evenly spaced ranks up to the last."
        )
    return " ".join(parts)


def _rounded(values: np.ndarray) -> list[float | None]:
    """Six significant digits: what a picture can show, and a third of the page's size."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]
