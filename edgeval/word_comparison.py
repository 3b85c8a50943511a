"""Words against words → what agreed, with evidence; outputs against a float reference → error statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from edgeval.metrics import Metric
from edgeval.records import ErrorStatistics, MetricValue
from fault_injection.outcomes import Decision
from hls.engine import before_clipping
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.nodes import Node, Requantize, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first word, in data order, that two executors computed differently.

    Attributes:
        value: Name of the value, i.e. of the layer that produces it.
        index: Sample, then position in the layer.
    """

    value: str
    index: tuple[int, ...]
    csim: int
    engine: int


def first_difference(
    order: tuple[str, ...], csim: Mapping[str, Words], engine: Mapping[str, Words]
) -> Difference | None:
    """The first differing word: first layer in data order, then first sample, then first position."""
    for value in order:
        differs = np.argwhere(csim[value] != engine[value])
        if len(differs):
            index = tuple(int(i) for i in differs[0])
            return Difference(value=value, index=index, csim=int(csim[value][index]), engine=int(engine[value][index]))
    return None


def saturations(graph: IntegerGraph, node: Node, inputs: Words) -> int:
    """Clipping events of one node: values in front of the clipping that lie outside its range.

    A ReLU's own zero is its function and does not count; neither do formats of one or two bits, which clip by design.
    """
    if not isinstance(node, Shift | Requantize) or node.format.width_bits <= 2:
        return 0
    before = before_clipping(graph, node, inputs)
    assert before is not None
    above = int((before > node.high).sum())
    return above + (int((before < node.low).sum()) if node.low != 0 else 0)


def no_evidence(graph: IntegerGraph, output: Words) -> str | None:
    """Why equal outputs would prove nothing, ``None`` when they would: empty, constant or fully clipped."""
    if output.size == 0:
        return "the final output is empty"
    if np.unique(output).size == 1 or (len(output) > 1 and (output == output[:1]).all()):
        return "the final output is the same for every sample"
    last = graph.compute_nodes[-1]
    if isinstance(last, Shift | Requantize) and last.format.width_bits > 2:
        clipped = (output == last.low) | (output == last.high)
        if clipped.all():
            return "every final output word sits at the edge of its format"
    return None


def error_statistics(  # noqa: PLR0913  # what is compared, with what, and how it is judged
    reference: str,
    expected: Float64[np.ndarray, "samples outputs"],
    computed: Float64[np.ndarray, "samples outputs"],
    *,
    unit: float,
    decision: Decision,
    metric: Metric,
    labels: np.ndarray | None,
) -> ErrorStatistics:
    """Compare real outputs with those of a float reference.

    Args:
        reference: Name of the reference.
        expected: Its outputs.
        computed: The integer network's outputs as real values.
        unit: Real value of one unit of the output words; errors are also given in it (LSB).
        decision: What counts as another decision.
        metric: Task metric of both.
        labels: One a sample, ``None`` for no metric.
    """
    error = np.abs(expected - computed)
    equal = float((~decision.differs(expected, computed)).mean()) if decision.kind == "argmax" else None
    return ErrorStatistics(
        reference=reference,
        max_error=float(error.max()),
        mean_error=float(error.mean()),
        max_error_lsb=float(error.max() / unit),
        decisions_equal=equal,
        reference_metric=None if labels is None else metric_value(metric, metric.value(expected, labels)),
        network_metric=None if labels is None else metric_value(metric, metric.value(computed, labels)),
    )


def metric_value(metric: Metric, value: float) -> MetricValue:
    """A metric's value as it stands in records."""
    return MetricValue(name=metric.name, unit=metric.unit, direction=metric.direction, value=value)
