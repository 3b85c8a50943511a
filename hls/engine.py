"""The exact engine: executes the integer network in NumPy, with BLAS where a bound proves it exact.

A float32 (float64) matrix product of integers is exact when every partial sum, in any order, stays below 2**24
(2**53) in magnitude. The bound comes from the formats, so it also holds for every faulty word. Above it, int64.
Source: ``docs/integer-network.md``, Exactness on ordinary hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from hls.executor import Execution, require_taps
from hls.formats import Words
from hls.graph import IntegerGraph, StoredTensor, WordChange
from hls.intervals import Interval, accumulator_interval, partial_sum_bound
from hls.nodes import Flatten, MatMul, Node, Requantize, Shift
from hls.rounding import shift_right

Arithmetic = Literal["float32", "float64", "int64"]
"""What a matrix product runs in: ``float32``/``float64`` BLAS under the proven bound, ``int64`` otherwise."""

_FLOAT32_EXACT = 1 << 24
_FLOAT64_EXACT = 1 << 53
BLOCK_SAMPLES = 8192
"""Samples evaluated at once: bounds memory at a few hundred bytes per word of the widest layer."""


@dataclass(frozen=True, slots=True)
class ExactEngine:
    """Executes an ``IntegerGraph`` exactly.

    Args:
        graph: The network.
    """

    graph: IntegerGraph

    def tensors(self) -> Mapping[str, StoredTensor]:
        """What is stored, by name, in data order."""
        return self.graph.tensors

    def run(self, inputs: Words, taps: Sequence[str] = ()) -> Execution:
        """Execute on input words.

        Args:
            inputs: Shape (samples, ...), legal words of the input format.
            taps: Names of values to return beside the output.

        Raises:
            FormatError: an input word outside the input format. InputError: an unknown tap.
        """
        self.graph.quantizer.format.require(inputs, "input words")
        require_taps(self.graph, taps)
        blocks = [self._run_block(inputs[i : i + BLOCK_SAMPLES], taps) for i in range(0, len(inputs), BLOCK_SAMPLES)]
        return Execution(
            output=np.concatenate([block.output for block in blocks]),
            taps={tap: np.concatenate([block.taps[tap] for block in blocks]) for tap in taps},
        )

    def with_words(self, changes: Sequence[WordChange]) -> ExactEngine:
        """The same engine with some stored words replaced; this one is untouched."""
        return replace(self, graph=self.graph.with_words(changes))

    def _run_block(self, inputs: Words, taps: Sequence[str]) -> Execution:
        words = {self.graph.quantizer.output: inputs}
        for node in self.graph.compute_nodes:
            words[node.output] = evaluate(self.graph, node, words[node.input])
        return Execution(output=words[self.graph.output], taps={tap: words[tap] for tap in taps})


def evaluate(graph: IntegerGraph, node: Node, inputs: Words) -> Words:
    """What one node makes of its input words.

    Args:
        graph: The network the node belongs to; gives stored words and formats.
        node: Any node but the input quantizer, which runs on the host.
        inputs: Words, samples first.

    Returns:
        Output words, int64, samples first.
    """
    return _EVALUATORS[type(node)](graph, node, inputs)


def arithmetic_of(graph: IntegerGraph, node: MatMul) -> Arithmetic:
    """What a matrix product runs in, from the proven bound of its partial sums."""
    weight, bias, input_format = _operands(graph, node)
    bound = partial_sum_bound(weight, bias, input_format)
    if bound < _FLOAT32_EXACT:
        return "float32"
    return "float64" if bound < _FLOAT64_EXACT else "int64"


def sum_interval(graph: IntegerGraph, node: MatMul) -> Interval:
    """Every sum the formats allow in front of the accumulator's own format."""
    return accumulator_interval(*_operands(graph, node))


def before_clipping(graph: IntegerGraph, node: Node, inputs: Words) -> Words | None:
    """The words a clipping node computes before it clips, ``None`` for nodes that do not clip.

    Used to count saturations: clipping events, not words that happen to sit at the edge.
    """
    if isinstance(node, Shift):
        return shift_right(inputs, node.shift, node.rounding)
    if isinstance(node, Requantize):
        return _scaled(node, inputs)
    return None


def matmul_sums(graph: IntegerGraph, node: MatMul, inputs: Words) -> Words:
    """The exact sums of a matrix product, before the accumulator's format is applied."""
    weight, bias, _ = _operands(graph, node)
    dtype = np.dtype(arithmetic_of(graph, node))
    sums = inputs.astype(dtype, copy=False) @ weight.executor_words().astype(dtype)
    if bias is not None:
        sums += bias.executor_words().astype(dtype)
    return np.asarray(sums, np.int64)


def _operands(graph: IntegerGraph, node: MatMul) -> tuple[StoredTensor, StoredTensor | None, Any]:
    bias = graph.tensors[node.bias] if node.bias is not None else None
    return graph.tensors[node.weight], bias, graph.values[node.input].format


def _flatten(graph: IntegerGraph, node: Flatten, inputs: Words) -> Words:
    return inputs.reshape(len(inputs), -1)


def _matmul(graph: IntegerGraph, node: MatMul, inputs: Words) -> Words:
    sums = matmul_sums(graph, node, inputs)
    # Wrapping a sum that fits is the identity, so the common case pays nothing.
    return sums if sum_interval(graph, node).within(node.accumulator) else node.accumulator.wrap(sums)


def _shift(graph: IntegerGraph, node: Shift, inputs: Words) -> Words:
    return np.asarray(np.clip(shift_right(inputs, node.shift, node.rounding), node.low, node.high))


def _requantize(graph: IntegerGraph, node: Requantize, inputs: Words) -> Words:
    return np.asarray(np.clip(_scaled(node, inputs), node.low, node.high))


def _scaled(node: Requantize, inputs: Words) -> Words:
    products = inputs * np.asarray(node.multipliers, np.int64) + np.asarray(node.offsets, np.int64)
    shifts = sorted(set(node.shifts))
    if len(shifts) == 1:
        return shift_right(products, shifts[0], "half_even")
    scaled = np.empty_like(products)
    for shift in shifts:
        channels = np.asarray(node.shifts) == shift
        scaled[..., channels] = shift_right(products[..., channels], shift, "half_even")
    return scaled


_EVALUATORS: dict[type, Callable[[IntegerGraph, Any, Words], Words]] = {
    Flatten: _flatten,
    MatMul: _matmul,
    Shift: _shift,
    Requantize: _requantize,
}
