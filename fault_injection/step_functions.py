"""The word-by-word nodes between two dense layers, as the compiled kernels take them.

One Shift or one Requantize is computed as it stands; anything else becomes a table over every sum that the formats
allow. A step function also has *steps*: the smallest sum at which its word is at least a given one, which is what
turns a question about words into a comparison of sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16, Int32

from fault_injection.kernel_library import Activation, pointer
from hls.engine import kernel_of
from hls.graph import IntegerGraph
from hls.intervals import Interval, largest_intermediate
from hls.nodes import Activation as ActivationNode
from hls.nodes import Lookup, Requantize, Shift, Threshold

LARGEST_WORD = (1 << 14) - 1
"""Hidden words the kernels take: the difference of two of them still fits 16 bits."""

_LARGEST_TABLE = 1 << 22
_LARGEST_EXACT = 1 << 53
_KINDS = {"none": 0, "shift": 1, "multiply": 2, "lookup": 3}
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepFunction:
    """What the kernels compute between two layers.

    Attributes:
        kind: ``none``, ``shift``, ``multiply`` or ``lookup``.
        nodes: The nodes it stands for, in data order; none for ``none``.
        low, high: Smallest and largest word it can produce.
        parameters: Multiplier, offset and unit of each channel, padded with channels that give 0.
        table: [1 or channels, entries] of ``lookup``; first entry at sum ``first``.
        steps: [1 or channels, high - low + 2]: smallest sum whose word is at least ``low + j``; ``None`` where words do
            not rise with sums.
    """

    kind: str
    nodes: tuple[ActivationNode, ...]
    low: int
    high: int
    parameters: Float64[np.ndarray, "3 padded"]
    table: Int16[np.ndarray, "tables entries"]
    first: int
    steps: Int32[np.ndarray, "rows values"] | None

    def struct(self) -> Activation:
        """As the kernels take it; the arrays have to outlive it."""
        node = self.nodes[0] if self.nodes else None
        multiplier, offset, unit = (pointer(row) for row in self.parameters)
        return Activation(
            kind=_KINDS[self.kind],
            shift_bits=node.shift if self.kind == "shift" and isinstance(node, Shift) else 0,
            half_even=int(isinstance(node, Shift) and node.rounding == "half_even"),
            low=self.low,
            high=self.high,
            table_first=self.first,
            table_stride=self.table.shape[1] if len(self.table) > 1 else 0,
            multiplier=multiplier,
            offset=offset,
            unit=unit,
            table=pointer(self.table),
        )

    def steps_of(self, channel: int) -> Int32[np.ndarray, " values"] | None:
        """Steps of one channel."""
        return None if self.steps is None else self.steps[channel if len(self.steps) > 1 else 0]


def step_function(
    graph: IntegerGraph, nodes: Sequence[ActivationNode], sums: Interval, channels: int, padded: int
) -> StepFunction | None:
    """Nodes as one function of the sum, ``None`` where the kernels cannot take them.

    Args:
        graph: The network.
        nodes: Word-by-word nodes, one behind the other; none at all for two layers without an activation.
        sums: Every sum that can come in.
        channels: Of the layer in front.
        padded: Channels with padding.
    """
    parameters, table, first = np.zeros((3, padded)), np.zeros((1, 1), np.int16), 0
    if not nodes:
        low, high, kind = sums.minimum, sums.maximum, "none"
        return StepFunction(
            kind=kind, nodes=(), low=low, high=high, parameters=parameters, table=table, first=first, steps=None
        )
    (*_, last) = nodes
    low, high = (last.low, last.high) if isinstance(last, Shift | Requantize) else _ends(last)
    if len(nodes) == 1 and isinstance(last, Shift) and _fits_int32(graph, last):
        kind = "shift"
    elif len(nodes) == 1 and isinstance(last, Requantize) and _exact_in_double(graph, last):
        kind = "multiply"
        scale = [2.0**-shift for shift in last.shifts]
        parameters[:, :channels] = [np.broadcast_to(row, channels) for row in (last.multipliers, last.offsets, scale)]
    else:
        made = _table(graph, nodes, sums, channels)
        if made is None:
            return None
        kind, table, first = "lookup", made, sums.minimum
        low, high = int(table.min()), int(table.max())
    if max(-low, high) > LARGEST_WORD:
        return None
    steps = _steps(graph, nodes, sums, (low, high), channels) if _rises(nodes, table) else None
    return StepFunction(
        kind=kind, nodes=tuple(nodes), low=low, high=high, parameters=parameters, table=table, first=first, steps=steps
    )


def _ends(node: Threshold | Lookup) -> tuple[int, int]:
    return node.format.minimum, node.format.maximum


def _fits_int32(graph: IntegerGraph, node: Shift) -> bool:
    # The kernel adds half a unit before it shifts.
    return abs(node.shift) < 31 and largest_intermediate(graph, node) + (1 << max(0, node.shift)) <= _INT32.max


def _exact_in_double(graph: IntegerGraph, node: Requantize) -> bool:
    return largest_intermediate(graph, node) < _LARGEST_EXACT and max(node.shifts) < 1000


def _per_channel(graph: IntegerGraph, nodes: Sequence[ActivationNode]) -> bool:
    for node in nodes:
        if isinstance(node, Requantize) and len(node.multipliers) > 1:
            return True
        if isinstance(node, Threshold) and max(len(node.offsets), len(graph.tensors[node.thresholds].words)) > 1:
            return True
        if isinstance(node, Lookup) and len(graph.tensors[node.table].words) > 1:
            return True
    return False


def _run(graph: IntegerGraph, nodes: Sequence[ActivationNode], sums: np.ndarray) -> np.ndarray:
    words = sums
    for node in nodes:
        words = kernel_of(graph, node)([words])
    return words.astype(np.int64)


def _table(
    graph: IntegerGraph, nodes: Sequence[ActivationNode], sums: Interval, channels: int
) -> Int16[np.ndarray, "rows entries"] | None:
    rows = channels if _per_channel(graph, nodes) else 1
    entries = sums.maximum - sums.minimum + 1
    if entries * rows > _LARGEST_TABLE:
        return None
    words = _run(graph, nodes, np.repeat(np.arange(sums.minimum, sums.maximum + 1)[:, None], rows, axis=1)).T
    if np.abs(words).max() > LARGEST_WORD:
        return None
    return np.ascontiguousarray(words, np.int16)


def _rises(nodes: Sequence[ActivationNode], table: np.ndarray) -> bool:
    if table.size > 1:
        return bool((np.diff(table.astype(np.int32), axis=1) >= 0).all())
    (node,) = nodes
    return not isinstance(node, Requantize) or min(node.multipliers) > 0


def _steps(
    graph: IntegerGraph, nodes: Sequence[ActivationNode], sums: Interval, ends: tuple[int, int], channels: int
) -> Int32[np.ndarray, "rows values"]:
    """By bisection: words rise with sums, so each step is found in as many evaluations as a sum has bits."""
    low, high = ends
    rows = channels if _per_channel(graph, nodes) else 1
    targets = np.arange(low, high + 1)[:, None]
    below = np.full((len(targets), rows), sums.minimum - 1)  # words below the target, or none at all
    at = np.full((len(targets), rows), sums.maximum + 1)  # at the target or above, or none at all
    while (at - below > 1).any():
        middle = np.clip((below + at) >> 1, sums.minimum, sums.maximum)
        reached = _run(graph, nodes, middle) >= targets
        open_ = at - below > 1
        at = np.where(open_ & reached, middle, at)
        below = np.where(open_ & ~reached, middle, below)
    steps = np.where(at > sums.maximum, _INT32.max, np.where(at == sums.minimum, _INT32.min, at))
    closed = np.concatenate([steps, np.full((1, rows), _INT32.max)])
    closed[0] = _INT32.min
    return np.ascontiguousarray(closed.T, np.int32)
