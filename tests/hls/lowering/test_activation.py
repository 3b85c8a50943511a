from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from support.onnx_graphs import WEIGHTS, Graph, dense

from hls.engine import evaluate
from hls.errors import LoweringError
from hls.lowering import lower
from hls.nodes import MatMul, Node, Requantize, Shift


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


@given(
    scale=st.floats(0.0625, 200, width=32),
    bits=st.integers(2, 8),
    signed=st.booleans(),
    relu=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_every_accumulator_word_becomes_the_word_of_rational_arithmetic(
    scale: float, bits: int, signed: bool, relu: bool
) -> None:
    def after(graph: Graph, value: str) -> str:
        return graph.quant(graph.node("Relu", [value]) if relu else value, "act", scale=scale, bits=bits, signed=signed)

    try:
        graph = lower(dense(after))
    except LoweringError:
        reject()  # exact ties that no product hits: see the test on 1/10
    layer, node = graph.compute_nodes
    assert isinstance(layer, MatMul)
    words = np.arange(layer.accumulator.minimum, layer.accumulator.maximum + 1)
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    low = 0 if relu or not signed else -high - 1
    ratio = 1 / Fraction(float(np.float32(scale)))
    expected = [min(max(round(word * ratio), low), high) for word in words.tolist()]
    assert evaluate(graph, node, words[:, None])[:, 0].tolist() == expected


def test_floor_with_a_ratio_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"act/Quant.*rounding floor with a scale ratio that is not a power of two"):
        activation(scale=3.0, rounding="FLOOR")


@pytest.mark.parametrize(("scale", "said"), [(2.0**-60, "left by 60"), (2.0**63, "right by 63")])
def test_a_shift_beyond_the_carrier_is_refused(scale: float, said: str) -> None:
    with pytest.raises(LoweringError, match=rf"act/Quant.*9-bit words shifted {said} bits"):
        activation(scale=scale)


def test_a_long_right_shift_that_the_carrier_holds_is_lowered() -> None:
    assert isinstance(activation(scale=2.0**60), Shift)


def test_a_ratio_no_product_reproduces_is_refused() -> None:
    # Words 5 and 15 lie exactly between two steps; only 1/10 itself sends both to the even one.
    with pytest.raises(LoweringError, match=r"act/Quant.*scale ratio 0\.1 \(channel 0\).*power-of-two"):
        activation(scale=10.0)


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
