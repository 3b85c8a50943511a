"""A dense layer and everything behind it, made ready for the compiled kernels.

The kernels take a MatMul whose output goes through dense layers only, each with word-by-word nodes in between: then a
fault in its weights or biases changes one word, and the rest of the network is a function of that word. What is in
front of the layer does not matter. ``dense_chain`` says ``None`` where a network is not of that form or its numbers
do not fit the kernels' arithmetic (``docs/exhaustive-campaigns.md``); such faults are propagated instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from fault_injection.golden import Golden
from fault_injection.kernel_library import Layer, pointer
from fault_injection.step_functions import LARGEST_WORD, StepFunction, step_function
from hls.graph import IntegerGraph
from hls.intervals import input_formats, operands, partial_sum_bound, sum_interval
from hls.nodes import Activation, MatMul, Node, Reshape

_LANES = 16
_INT32_MAX = int(np.iinfo(np.int32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A dense layer and the word-by-word nodes behind it."""

    node: MatMul
    activations: tuple[Activation, ...]

    @property
    def value(self) -> str:
        """Name of the value that the stage ends in."""
        return self.activations[-1].output if self.activations else self.node.output


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseLayer:
    """One later layer, with its fault-free values.

    Attributes:
        weight: Executor words, [inputs, outputs].
        rows: The same, outputs padded.
        pairs: Two inputs side by side for each output, [padded inputs / 2, padded, 2].
        golden_sums, golden_words: [samples, padded]; words behind the activation, empty for the last layer.
    """

    weight: np.ndarray
    rows: np.ndarray
    pairs: np.ndarray
    rising: np.ndarray
    sinking: np.ndarray
    golden_sums: np.ndarray
    golden_words: np.ndarray
    function: StepFunction

    def struct(self) -> Layer:
        """As the kernels take it; the arrays have to outlive it."""
        inputs, outputs = self.weight.shape
        return Layer(
            inputs=inputs,
            padded_inputs=2 * len(self.pairs),
            outputs=outputs,
            padded=self.rows.shape[1],
            rows=pointer(self.rows),
            pairs=pointer(self.pairs),
            rising=pointer(self.rising),
            sinking=pointer(self.sinking),
            golden_sums=pointer(self.golden_sums),
            golden_words=pointer(self.golden_words),
            activation=self.function.struct(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseChain:
    """A dense layer and what follows it.

    Attributes:
        golden: The fault-free network and its values.
        node: The layer whose words are faulty.
        own: What stands behind it.
        sums: Its fault-free sums, [outputs, samples].
        layers: The dense layers behind it, in data order; none for the network's last layer.
    """

    golden: Golden
    node: MatMul
    own: StepFunction
    sums: Int32[np.ndarray, "outputs samples"]
    layers: tuple[DenseLayer, ...]

    @property
    def ends_in_sums(self) -> bool:
        """Whether the network's output words are sums, without an activation behind them."""
        return (self.layers[-1].function if self.layers else self.own).kind == "none"


def dense_chain(golden: Golden, node: Node) -> DenseChain | None:
    """A node as the first of a chain of dense layers, ``None`` where it is not.

    Args:
        golden: The fault-free network and its values.
        node: The node whose stored words are faulty.
    """
    graph = golden.graph
    stages = _stages(graph, node)
    if stages is None or not all(_fits(graph, stage.node) for stage in stages):
        return None
    functions = [_function(graph, stage) for stage in stages]
    own, *later = functions
    # Words between two layers have to fit 16 bits with their differences; sums that are the output need not.
    for function, stage in zip(functions, stages, strict=True):
        if function is None or (stage is not stages[-1] and max(-function.low, function.high) > LARGEST_WORD):
            return None
    assert own is not None
    layers = []
    for position, function in enumerate(later):
        assert function is not None
        layer = _layer(golden, stages, position + 1, function)
        if layer is None:
            return None
        layers.append(layer)
    first = stages[0].node
    sums = np.ascontiguousarray(golden.words[first.output].astype(np.int32).T)
    return DenseChain(golden=golden, node=first, own=own, sums=sums, layers=tuple(layers))


def _stages(graph: IntegerGraph, node: Node) -> list[Stage] | None:
    stages: list[Stage] = []
    current: Node | None = node
    while current is not None:
        if not isinstance(current, MatMul) or len(graph.values[current.output].shape) != 1:
            return None
        if stages and len(graph.values[current.input].shape) != 1:
            return None
        activations: list[Activation] = []
        value = current.output
        following = _only_consumer(graph, value)
        while isinstance(following, Activation):
            activations.append(following)
            value = following.output
            following = _only_consumer(graph, value)
        stages.append(Stage(node=current, activations=tuple(activations)))
        while isinstance(following, Reshape):
            value = following.output
            following = _only_consumer(graph, value)
        if value == graph.output:
            return stages
        current = following
    return None


def _only_consumer(graph: IntegerGraph, value: str) -> Node | None:
    consumers = graph.consumers_of(value)
    return consumers[0] if len(consumers) == 1 and value != graph.output else None


def _fits(graph: IntegerGraph, node: MatMul) -> bool:
    weight, bias = operands(graph, node)
    owners = sum(weight.name in (getattr(n, "weight", None), getattr(n, "bias", None)) for n in graph.nodes)
    (inputs,) = input_formats(graph, node)
    return (
        owners == 1
        and graph.values[node.input].shape == (weight.words.shape[0],)
        and sum_interval(graph, node).within(node.accumulator)
        and partial_sum_bound(weight, bias, inputs) <= _INT32_MAX
    )


def _function(graph: IntegerGraph, stage: Stage) -> StepFunction | None:
    channels = graph.values[stage.node.output].shape[0]
    sums = sum_interval(graph, stage.node)
    return step_function(graph, stage.activations, sums, channels, _padded(channels))


def _layer(golden: Golden, stages: Sequence[Stage], position: int, function: StepFunction) -> DenseLayer | None:
    stage, before = stages[position], stages[position - 1]
    graph, node = golden.graph, stage.node
    tensor, _ = operands(graph, node)
    weight = tensor.executor_words()
    inputs, outputs = weight.shape
    padded, padded_inputs = _padded(outputs), _padded(inputs)
    # A bound adds up what every input can move by: the words' whole range, and half as much again for its two parts.
    word_range = graph.values[before.value].format
    assert word_range is not None
    if (
        np.abs(weight).max(initial=0) > LARGEST_WORD
        or np.abs(weight).sum(axis=0).max() * (word_range.maximum - word_range.minimum) > _INT32_MAX // 2
    ):
        return None
    rows = np.zeros((padded_inputs, padded), np.int16)
    rows[:inputs, :outputs] = weight
    pairs = pairs_of(rows)
    sums = np.zeros((golden.samples, padded), np.int32)
    sums[:, :outputs] = golden.words[node.output]
    words = np.zeros((golden.samples if stage is not stages[-1] else 1, padded), np.int16)
    if stage is not stages[-1]:
        words[:, :outputs] = golden.words[stage.value]
    return DenseLayer(
        weight=weight,
        rows=rows,
        pairs=pairs,
        rising=np.maximum(pairs, 0),
        sinking=np.minimum(pairs, 0),
        golden_sums=sums,
        golden_words=words,
        function=function,
    )


def pairs_of(rows: np.ndarray) -> np.ndarray:
    """Rows of weights two by two: [inputs, padded] → [inputs / 2, padded, 2]."""
    inputs, padded = rows.shape
    return np.ascontiguousarray(rows.reshape(inputs // 2, 2, padded).transpose(0, 2, 1))


def _padded(channels: int) -> int:
    return -(-channels // _LANES) * _LANES
