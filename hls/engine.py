"""The exact engine: executes the integer network in NumPy, in float arithmetic where a bound proves it exact.

Sums and products of integers are exact in float32 (float64) when every intermediate, in any order, stays below 2**24
(2**53) in magnitude. The bound comes from the formats, so it also holds for every faulty word. Above it, int64. Words
stay in the arithmetic they were computed in until they leave the engine, as int64.
Source: ``docs/integer-network.md``, Exactness on ordinary hardware.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hls.executor import Execution, require_taps
from hls.formats import WordFormat, Words
from hls.graph import IntegerGraph, StoredTensor, WordChange
from hls.intervals import (
    Arithmetic,
    exact_arithmetic,
    format_interval,
    input_formats,
    largest_intermediate,
    operands,
    sum_interval,
)
from hls.kernels import Carried, Kernel, add, conv, matmul, max_pool, sum_pool
from hls.moves import move
from hls.nodes import (
    Add,
    Conv,
    Lookup,
    MatMul,
    MaxPool,
    Node,
    Quantize,
    Requantize,
    Shift,
    SumPool,
    Threshold,
    accumulator_of,
    inputs_of,
    tensors_of,
)
from hls.pointwise import clipped, lookup, scaled, shifted, threshold

__all__ = [
    "Arithmetic", "ExactEngine", "arithmetic_of", "before_clipping", "evaluate", "kernel_of", "sum_interval", "sums",
]  # fmt: skip

BLOCK_WORDS = 1 << 19
"""Words of the largest value of one block of samples: about what caches hold; a sample may have more."""

BLOCK_SAMPLES = 8192
"""Samples of a block at most."""


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
        require_taps(self.graph, taps)
        wanted = {
            name: np.empty((len(inputs), *self.graph.values[name].shape), np.int64)
            for name in {self.graph.output, *taps}
        }
        for samples, words in self.blocks(inputs, tuple(wanted)):
            for name, target in wanted.items():
                target[samples] = words[name]
        return Execution(output=wanted[self.graph.output], taps={tap: wanted[tap] for tap in taps})

    def with_words(self, changes: Sequence[WordChange]) -> ExactEngine:
        """The same engine with some stored words replaced; this one is untouched."""
        return replace(self, graph=self.graph.with_words(changes))

    def blocks(self, inputs: Words, wanted: Sequence[str]) -> Iterator[tuple[slice, Mapping[str, Carried]]]:
        """Execute block by block of samples; words come in any arithmetic that holds them.

        Args:
            inputs: As for ``run``.
            wanted: Names of values to hand out.

        Raises:
            FormatError: an input word outside the input format.
        """
        self.graph.quantizer.format.require(inputs, "input words")
        nodes = self.graph.compute_nodes
        kernels = [kernel_of(self.graph, node) for node in nodes]
        last_use = {name: position for position, node in enumerate(nodes) for name in inputs_of(node)}
        size = block_samples(self.graph)
        for start in range(0, len(inputs), size):
            words: dict[str, Carried] = {self.graph.quantizer.output: inputs[start : start + size]}
            for position, (node, kernel) in enumerate(zip(nodes, kernels, strict=True)):
                words[node.output] = kernel([words[name] for name in inputs_of(node)])
                for name in {*inputs_of(node), node.output}:
                    if last_use.get(name, -1) <= position and name not in wanted:
                        del words[name]
            yield slice(start, start + size), words


def block_samples(graph: IntegerGraph) -> int:
    """Samples to execute at once so that no value of a network grows beyond a bounded memory."""
    largest = max(prod(graph.values[node.output].shape) for node in graph.nodes)
    return max(1, min(BLOCK_SAMPLES, BLOCK_WORDS // max(1, largest)))


def evaluate(graph: IntegerGraph, node: Node, inputs: Sequence[Words]) -> Words:
    """What one node makes of its input words.

    Args:
        graph: The network the node belongs to; gives stored words and formats.
        node: Any node but the input quantizer, which runs on the host.
        inputs: Words of each input of the node, samples first.

    Returns:
        Output words, int64, samples first.
    """
    return kernel_of(graph, node)(inputs).astype(np.int64, copy=False)


def arithmetic_of(graph: IntegerGraph, node: Node) -> Arithmetic:
    """What a node runs in, from the proven bound of everything it computes."""
    return exact_arithmetic(largest_intermediate(graph, node))


def sums(graph: IntegerGraph, node: Node, inputs: Sequence[Words]) -> Words:
    """The exact sums of a node with an accumulator, before the accumulator's format is applied."""
    return _sum_kernel(graph, node)(inputs).astype(np.int64, copy=False)


def before_clipping(graph: IntegerGraph, node: Node, inputs: Words) -> Words | None:
    """The words a clipping node computes before it clips, ``None`` for nodes that do not clip.

    Used to count saturations: clipping events, not words that happen to sit at the edge.
    """
    if isinstance(node, Shift):
        return shifted(node, inputs, np.dtype(arithmetic_of(graph, node))).astype(np.int64)
    if isinstance(node, Requantize):
        return scaled(node, inputs, np.dtype(arithmetic_of(graph, node))).astype(np.int64)
    return None


def kernel_of(graph: IntegerGraph, node: Node) -> Kernel:
    """One node made ready for any number of blocks: its words converted, its arithmetic chosen.

    The kernel takes the words of each input and returns those of the output, in any arithmetic that holds them.
    """
    accumulator = accumulator_of(node)
    if accumulator is None:
        return _plain_kernel(graph, node)
    kernel = _sum_kernel(graph, node)
    if isinstance(node, Add) and accumulator.overflow == "saturate" and largest_intermediate(graph, node) >= 1 << 63:
        return _saturated_sum(graph, node)  # a sum that wraps may go through int64 whatever its size
    if sum_interval(graph, node).within(accumulator):  # narrowing a sum that fits changes nothing
        return kernel
    return lambda inputs: _narrowed(kernel(inputs), accumulator)


def _narrowed(words: Carried, accumulator: WordFormat) -> Carried:
    integers = words.astype(np.int64, copy=False)
    return accumulator.wrap(integers) if accumulator.overflow == "wrap" else accumulator.clip(integers)


def _saturated_sum(graph: IntegerGraph, node: Add) -> Kernel:
    """In Python integers: a branch's faulty multiplier may carry a sum beyond int64 before it is clipped."""
    kernel = add(node.multipliers, len(graph.values[node.output].shape), np.dtype(object))

    def run(inputs: Sequence[Carried]) -> Carried:
        sums = kernel([words.astype(np.int64) for words in inputs])
        return np.asarray(np.clip(sums, node.accumulator.minimum, node.accumulator.maximum).astype(np.int64))

    return run


def _sum_kernel(graph: IntegerGraph, node: Node) -> Kernel:
    dtype = np.dtype(arithmetic_of(graph, node))
    match node:
        case MatMul() | Conv():
            weight, bias = (None if t is None else t.executor_words() for t in operands(graph, node))
            assert weight is not None
            return matmul(weight, bias, dtype) if isinstance(node, MatMul) else conv(node, weight, bias, dtype)
        case Add():
            return add(node.multipliers, len(graph.values[node.output].shape), dtype)
        case SumPool():
            return sum_pool(node, dtype)
    raise TypeError(f"{type(node).__name__} has no accumulator")


def _plain_kernel(graph: IntegerGraph, node: Node) -> Kernel:
    dtype = np.dtype(arithmetic_of(graph, node))
    match node:
        case Quantize():
            raise TypeError("the input quantizer runs on the host")
        case Shift():
            return lambda inputs: clipped(shifted(node, inputs[0], dtype), node.low, node.high)
        case Requantize():
            return lambda inputs: clipped(scaled(node, inputs[0], dtype), node.low, node.high)
        case Threshold() | Lookup():
            return _table_kernel(graph, node)
        case MaxPool():
            return max_pool(node)
    return move(node, graph.values[node.output].shape, dtype)


def _table_kernel(graph: IntegerGraph, node: Threshold | Lookup) -> Kernel:
    tensor = graph.tensors[tensors_of(node)[0]]
    produced = format_interval(node.format).magnitude
    if isinstance(node, Lookup):
        words = int(np.abs(tensor.executor_words()).max(initial=produced))
        return lookup(tensor.executor_words(), node.first, np.dtype(exact_arithmetic(words)))
    (inputs,) = (format_interval(word_format) for word_format in input_formats(graph, node))
    reached = max(map(abs, node.offsets)) + node.stride * tensor.words.shape[-1]
    arithmetics = [np.dtype(exact_arithmetic(bound)) for bound in (inputs.magnitude, max(produced, reached))]
    return threshold(node, tensor.executor_words(), (inputs.minimum, inputs.maximum), arithmetics)
