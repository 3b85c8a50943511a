from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_graphs import WEIGHTS, Graph, dense

from hls.engine import evaluate
from hls.errors import LoweringError
from hls.lowering import lower
from hls.lowering.boundaries import exact_round
from hls.lowering.quant import _ROUNDINGS as NAMES
from hls.nodes import Lookup, MatMul, Node, Requantize, Shift, Threshold


def activation(*, relu: bool = False, **choices: object) -> Node:
    """The node a quantizer behind a layer with accumulator unit 1 becomes."""

    def after(graph: Graph, value: str) -> str:
        return graph.quant(graph.node("Relu", [value]) if relu else value, "act", **choices)

    return lower(dense(after)).compute_nodes[-1]


@pytest.mark.parametrize(("scale", "shift"), [(8.0, 3), (1.0, 0), (0.25, -2)])
def test_a_power_of_two_is_a_shift(scale: float, shift: int) -> None:
    node = activation(scale=scale)
    assert isinstance(node, Shift)
    assert (node.shift, node.rounding) == (shift, "half_even")


@pytest.mark.parametrize(
    ("choices", "low", "high"),
    [
        ({"signed": True}, -8, 7),
        ({"signed": True, "narrow": True}, -7, 7),
        ({"signed": False}, 0, 15),
        ({"signed": True, "relu": True}, 0, 7),
        ({"signed": True, "narrow": True, "relu": True}, 0, 7),
        ({"signed": False, "relu": True}, 0, 15),
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", [4.0, 3.0])
def test_relu_and_saturation_are_one_clipping(choices: dict[str, bool], low: int, high: int, scale: float) -> None:
    node = activation(scale=scale, **choices)
    assert isinstance(node, Shift | Requantize)
    assert (node.low, node.high) == (low, high)


def test_any_other_ratio_is_a_requantize_of_smallest_shift() -> None:
    node = activation(scale=3.0)
    assert isinstance(node, Requantize)
    assert (node.multipliers, node.offsets) == ((21,), (0,))
    assert node.shifts == (6,)


def test_equal_ratios_share_their_multiplier_and_others_have_their_own() -> None:
    graph = Graph()
    weight = graph.weight(WEIGHTS, scale=[0.3, 0.7, 0.3])
    value = graph.node("MatMul", [graph.quant("x", "q"), weight], "fc")
    node = lower(graph.model(graph.quant(value, "act", scale=3.0))).compute_nodes[-1]
    assert isinstance(node, Requantize)
    assert node.multipliers[0] == node.multipliers[2]
    assert (node.multipliers[0], node.shifts[0]) != (node.multipliers[1], node.shifts[1])


def test_a_long_right_shift_that_the_carrier_holds_is_lowered() -> None:
    assert isinstance(activation(scale=2.0**60), Shift)


def test_a_relu_with_no_quantizer_behind_it_clips_at_the_output() -> None:
    graph = lower(dense(lambda graph, value: graph.node("Relu", [value])))
    node = graph.compute_nodes[-1]
    assert isinstance(node, Shift)
    assert (node.shift, node.low, node.high) == (0, 0, 2**8 - 1)
    assert graph.output == "fc_relu"


def test_a_relu_in_front_of_a_layer_clips_there() -> None:
    def after(graph: Graph, value: str) -> str:
        return graph.node("MatMul", [graph.node("Relu", [value]), graph.weight(np.eye(3), "w")], "next")

    names = [node.name for node in lower(dense(after)).compute_nodes]
    assert names == ["fc", "fc_relu", "next"]


def test_a_relu_of_floats_is_refused() -> None:
    graph = Graph()
    value = graph.node("Relu", ["x"], "early")
    with pytest.raises(LoweringError, match=r"early/Relu.*an input that no Quant node has seen"):
        lower(graph.model(graph.quant(value, "q")))


@given(
    scale=st.floats(0.0625, 200, width=32),
    bits=st.integers(1, 8),
    signed=st.booleans(),
    relu=st.booleans(),
    rounding=st.sampled_from(["ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]),
    zero_point=st.sampled_from([0.0, 1.0, 2.0, -3.0]),
)
@settings(deadline=None, max_examples=80)
def test_every_accumulator_word_becomes_the_word_of_rational_arithmetic(
    scale: float, bits: int, signed: bool, relu: bool, rounding: str, zero_point: float
) -> None:
    zero_point = 0.0 if signed and bits == 1 else zero_point

    def after(graph: Graph, value: str) -> str:
        value = graph.node("Relu", [value]) if relu else value
        return graph.quant(
            value, "act", scale=scale, bits=bits, signed=signed, rounding=rounding, zero_point=zero_point
        )

    graph = lower(dense(after))
    layer, node = graph.compute_nodes
    assert isinstance(layer, MatMul)
    words = np.arange(layer.accumulator.minimum, layer.accumulator.maximum + 1)
    ratio = 1 / Fraction(float(np.float32(scale)))
    real = [max(word, 0) * ratio if relu else word * ratio for word in words.tolist()]
    if signed and bits == 1:
        expected = [1 if value >= 0 else -1 for value in real]
    else:
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        codes = [exact_round(value + int(zero_point), NAMES[rounding]) for value in real]
        expected = [min(max(code, low), high) - int(zero_point) for code in codes]
    channels = np.repeat(words[:, None], 3, axis=1)
    assert evaluate(graph, node, (channels,))[:, 1].tolist() == expected


@pytest.mark.parametrize(("scale", "kind"), [(2.0**-60, Threshold), (2.0**63, Threshold), (2.0**60, Shift)])
def test_a_shift_that_no_carrier_holds_has_another_form(scale: float, kind: type) -> None:
    assert isinstance(activation(scale=scale), kind)


def test_ties_that_only_the_ratio_itself_sends_to_even_have_thresholds() -> None:
    # Words 5 and 15 lie exactly between two steps; only 1/10 itself sends both to the even one.
    assert isinstance(activation(scale=10.0), Threshold)


def test_clips_that_cross_leave_one_word() -> None:
    def after(graph: Graph, value: str) -> str:
        value = graph.node("Max", [value, graph.constant(5.0)])
        return graph.quant(graph.node("Min", [value, graph.constant(3.0)]), "act")

    node = lower(dense(after)).compute_nodes[-1]
    assert isinstance(node, Shift)
    assert (node.low, node.high) == (3, 3)


def test_a_falling_function_in_front_of_a_max_pool_is_negated_first() -> None:
    graph = Graph(inputs=[("x", [1, 1, 4])])
    value = graph.quant("x", "q")
    value = graph.node("Conv", [value, graph.weight([[[1.0]], [[2.0]]], "w")], "conv", kernel_shape=[1])
    value = graph.node("Mul", [value, graph.constant([[[-0.3], [0.3]]])], "scale")
    value = graph.node("MaxPool", [value], "pool", kernel_shape=[2], strides=[2])
    lowered = lower(graph.model(graph.quant(value, "act", scale=0.5)))
    negated = lowered.compute_nodes[1]
    assert isinstance(negated, Requantize)
    assert negated.multipliers == (-1, 1)


def test_a_table_of_bipolar_words_has_an_entry_for_every_word_of_their_two_bits() -> None:
    def after(graph: Graph, value: str) -> str:
        value = graph.quant(value, "sign", bits=1.0)
        return graph.quant(graph.node("Abs", [value]), "act", scale=0.3)

    lowered = lower(dense(after))
    lookup = lowered.compute_nodes[-1]
    assert isinstance(lookup, Lookup)
    assert (lookup.first, lowered.tensors[lookup.table].words.shape[1]) == (-2, 4)
