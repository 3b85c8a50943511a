"""Which words can occur, from formats alone: accumulator widths and the choice of arithmetic rest on this.

Intervals come from formats and never from trained values, so no fault in a stored bit can leave them
(``docs/integer-network.md``, Words). Everything here is Python integers: a bound that itself overflowed would prove
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from hls.formats import WordFormat
from hls.graph import IntegerGraph, StoredTensor
from hls.nodes import Add, Conv, MatMul, Node, Requantize, Shift, SumPool, inputs_of

Arithmetic = Literal["float32", "float64", "int64"]
"""What a node runs in: ``float32``/``float64`` under a proven bound, ``int64`` otherwise."""

_FLOAT32_EXACT = 1 << 24
_FLOAT64_EXACT = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """All words from ``minimum`` to ``maximum``, both included."""

    minimum: int
    maximum: int

    @property
    def magnitude(self) -> int:
        """Largest absolute value."""
        return max(-self.minimum, self.maximum)

    def within(self, word_format: WordFormat) -> bool:
        """Whether the format holds every word of the interval."""
        return self.minimum >= word_format.minimum and self.maximum <= word_format.maximum


def accumulator_interval(weight: StoredTensor, bias: StoredTensor | None, inputs: WordFormat) -> Interval:
    """Every sum Σ input × weight + bias that the formats allow, over all outputs.

    Args:
        weight: Stored words of a MatMul [inputs, outputs] or a Conv [outputs, inputs / groups, kernel...], outputs on
            the channel axis; only shape, format, ``widen`` and ``zero_point`` are used.
        bias: Stored words [outputs], same; ``None`` for no bias.
        inputs: Format of the input words. Words beyond the edge are 0, which every format's range includes.
    """
    corners = np.array(
        [
            executor.astype(object) * word
            for executor in (weight.executor_minimum, weight.executor_maximum)
            for word in (inputs.minimum, inputs.maximum)
        ],
        object,
    )
    count = products_per_output(weight)
    low = count * corners.min(axis=0)
    high = count * corners.max(axis=0)
    if bias is not None:
        low = low + bias.executor_minimum.astype(object)
        high = high + bias.executor_maximum.astype(object)
    return Interval(minimum=int(np.min(low)), maximum=int(np.max(high)))


def partial_sum_bound(weight: StoredTensor, bias: StoredTensor | None, inputs: WordFormat) -> int:
    """Upper bound of the magnitude of every partial sum, in any order of summation; arguments as for the interval."""
    bound = products_per_output(weight) * _largest(weight) * format_interval(inputs).magnitude
    return bound if bias is None else bound + _largest(bias)


def products_per_output(weight: StoredTensor) -> int:
    """How many products each output of a MatMul or Conv adds up."""
    return int(weight.words.size // weight.words.shape[weight.channel_axis])


def format_interval(word_format: WordFormat) -> Interval:
    """Every word of a format."""
    return Interval(minimum=word_format.minimum, maximum=word_format.maximum)


def add_interval(formats: Sequence[WordFormat], multipliers: Sequence[int]) -> Interval:
    """Every sum Σ_k word_k × multiplier_k of words of some formats."""
    ends = [
        sorted((word_format.minimum * multiplier, word_format.maximum * multiplier))
        for word_format, multiplier in zip(formats, multipliers, strict=True)
    ]
    return Interval(minimum=sum(low for low, _ in ends), maximum=sum(high for _, high in ends))


def pool_interval(inputs: WordFormat, count: int) -> Interval:
    """Every sum of ``count`` words of a format, or of fewer and zeros beyond the edge."""
    return Interval(minimum=count * inputs.minimum, maximum=count * inputs.maximum)


def sum_interval(graph: IntegerGraph, node: Node) -> Interval:
    """Every sum the formats allow in front of the accumulator's own format.

    Args:
        graph: The network the node belongs to.
        node: A node with an accumulator: MatMul, Conv, Add or SumPool.
    """
    formats = input_formats(graph, node)
    match node:
        case MatMul() | Conv():
            return accumulator_interval(*operands(graph, node), formats[0])
        case Add():
            return add_interval(formats, node.multipliers)
        case SumPool():
            return pool_interval(formats[0], prod(node.kernel))
    raise TypeError(f"{type(node).__name__} has no accumulator")


def largest_intermediate(graph: IntegerGraph, node: Node) -> int:
    """Upper bound of the magnitude of everything a node computes on the way to its output, clipping apart."""
    formats = input_formats(graph, node)
    largest = max(format_interval(word_format).magnitude for word_format in formats)
    match node:
        case MatMul() | Conv():
            return partial_sum_bound(*operands(graph, node), formats[0])
        case Add():
            return sum(
                abs(multiplier) * format_interval(word_format).magnitude
                for word_format, multiplier in zip(formats, node.multipliers, strict=True)
            )
        case SumPool():
            return prod(node.kernel) * largest
        case Shift():
            return largest << max(0, -node.shift)
        case Requantize():
            pairs = zip(node.multipliers, node.offsets, strict=True)
            return max(largest, *(abs(multiplier) * largest + abs(offset) for multiplier, offset in pairs))
    return largest


def exact_arithmetic(bound: int) -> Arithmetic:
    """The cheapest arithmetic that is exact on integers below a bound.

    float32 (float64) holds every integer below 2**24 (2**53) in magnitude, so sums and products that stay below are
    exact in any order.
    """
    if bound < _FLOAT32_EXACT:
        return "float32"
    return "float64" if bound < _FLOAT64_EXACT else "int64"


def operands(graph: IntegerGraph, node: MatMul | Conv) -> tuple[StoredTensor, StoredTensor | None]:
    """Weight and bias of a node."""
    return graph.tensors[node.weight], None if node.bias is None else graph.tensors[node.bias]


def input_formats(graph: IntegerGraph, node: Node) -> list[WordFormat]:
    """Formats of the words a node reads, in the order it reads them."""
    formats = []
    for name in inputs_of(node):
        word_format = graph.values[name].format
        assert word_format is not None, "only the input quantizer reads real numbers"
        formats.append(word_format)
    return formats


def _largest(tensor: StoredTensor) -> int:
    return max(-int(np.min(tensor.executor_minimum)), int(np.max(tensor.executor_maximum)))
