from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest
from support.onnx_graphs import WEIGHTS, Graph

from edgeval.float_bound import explain
from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.lowering import lower, lower_traced
from hls.nodes import Add, MatMul

BIAS = [1.0, -2.0, 3.0]


def layer(values: object = BIAS, *, weight_scale: object = 1.0, swap: bool = False, **choices: object) -> IntegerGraph:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS, scale=weight_scale)], "fc")
    inputs = [value, graph.weight(values, "fc.bias", **choices)]
    return lower(graph.model(graph.node("Add", inputs[::-1] if swap else inputs, "fc_add")))


@pytest.mark.parametrize("swap", [False, True])
def test_a_bias_in_either_order_becomes_part_of_the_layer(swap: bool) -> None:
    graph = layer(swap=swap)
    node = graph.compute_nodes[0]
    assert isinstance(node, MatMul)
    assert node.bias == "fc.bias"
    assert graph.tensors["fc.bias"].words.tolist() == [1, -2, 3]


def test_the_bias_widens_the_accumulator() -> None:
    with_bias, node = layer(bits=12.0).compute_nodes[0], layer().compute_nodes[0]
    assert isinstance(with_bias, MatMul)
    assert isinstance(node, MatMul)
    assert with_bias.accumulator.width_bits == 13
    assert node.accumulator.width_bits == 9


def test_the_accumulator_of_the_layer_and_of_its_value_are_one() -> None:
    graph = layer(bits=12.0)
    node = graph.compute_nodes[0]
    assert isinstance(node, MatMul)
    assert graph.values["fc"].format == node.accumulator


def test_a_coarser_bias_is_widened_and_its_stored_words_stay() -> None:
    tensor = layer([4.0, -8.0, 12.0], scale=4.0).tensors["fc.bias"]
    assert tensor.words.tolist() == [1, -2, 3]
    assert tensor.widen.tolist() == 2
    assert tensor.executor_words().tolist() == [4, -8, 12]


def test_a_bias_with_a_scale_a_channel_is_widened_a_channel() -> None:
    tensor = layer(weight_scale=[1.0, 4.0, 0.5], scale=[1.0, 4.0, 0.5]).tensors["fc.bias"]
    assert tensor.widen.tolist() == [1, 3, 0]


def test_a_bias_with_a_leading_axis_is_a_bias() -> None:
    assert layer([BIAS]).tensors["fc.bias"].words.shape == (3,)


def test_a_last_place_of_float32_is_the_same_scale() -> None:
    graph = layer(scale=np.nextafter(np.float32(1), np.float32(2)))
    assert graph.tensors["fc.bias"].widen.tolist() == 0
    assert len(graph.notes) == 1


def quantized(bias: object, **choices: object) -> IntegerGraph:
    """A layer, a bias and a quantizer behind it."""
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    added = graph.weight(bias, "fc.bias", **choices) if choices else graph.constant(bias)
    value = graph.node("Add", [value, added], "fc_add")
    return lower(graph.model(graph.quant(value, "act", scale=0.7)))


def expected(graph: IntegerGraph, bias: np.ndarray, scale: float) -> np.ndarray:
    """Words of real arithmetic for every sum that a few input words give."""
    sums = np.array([[-3, 2], [7, -8], [0, 1], [1, 1]]) @ np.array(WEIGHTS)
    return np.clip(np.rint((sums + bias) / np.float64(np.float32(scale))), -8, 7)


INPUTS = np.array([[-3.0, 2.0], [7.0, -8.0], [0.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("choices", [{}, {"scale": 0.3}, {"scale": 0.25, "bits": 6.0}], ids=str)
def test_a_bias_between_two_words_becomes_part_of_the_next_quantizer(choices: dict[str, object]) -> None:
    graph = quantized([0.4, -2.3, 3.1], **choices)
    scale = float(np.float32(choices.get("scale", 0.0)))
    bias = np.float32([0.4, -2.3, 3.1]).astype(float)
    if scale:
        bits = int(choices.get("bits", 4.0))  # type: ignore[call-overload]
        bias = np.clip(np.rint(bias / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale
    assert "fc.bias" not in graph.tensors
    output = ExactEngine(graph).run(graph.quantize_inputs(INPUTS)).output
    assert output.tolist() == expected(graph, bias, 0.7).tolist()


def test_a_bias_scale_off_by_more_than_float32_rounding_is_real_arithmetic() -> None:
    assert "fc.bias" not in layer(scale=1.0 + 2.0**-20).tensors


def test_a_float_bias_with_nothing_behind_it_is_the_hosts() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    lowered = lower(graph.model(graph.node("Add", [value, graph.constant([0.4, -2.3, 3.1])])), strict=True)
    assert [type(step).__name__ for step in lowered.tail] == ["HostAffine"]


def before_a_slice(bias: list[float]) -> onnx.ModelProto:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    value = graph.node("Add", [value, graph.constant(bias)], "add")
    value = graph.node("Slice", [value, *(graph.constant([n], np.int64) for n in (0, 2, 1))], "next")
    return graph.model(graph.quant(value, "act", scale=2.0))


def test_a_float_bias_where_words_are_needed_is_rounded_with_a_note() -> None:
    lowered = lower_traced(before_a_slice([0.25, -2.0, 3.0]))
    assert len(lowered.graph.notes) == 1
    assert "differ by at most 0.25" in lowered.graph.notes[0]
    assert list(lowered.allowances.values()) == [Fraction(1, 4)]


def test_what_the_network_itself_rounded_is_explained() -> None:
    lowered = lower_traced(before_a_slice([0.25, -2.0, 3.0]))
    report = explain(lowered, np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32) * 3)
    assert report.explained > 0
    assert report.unexplained == 0


def test_a_float_bias_where_words_are_needed_is_refused_when_strict() -> None:
    with pytest.raises(LoweringError, match=r"next/Slice.*a float constant 0\.25 away.*bias_quant=Int16Bias"):
        lower(before_a_slice([0.25, -2.0, 3.0]), strict=True)


def test_a_float_bias_of_whole_words_is_exact_anywhere() -> None:
    assert lower(before_a_slice([1.0, -2.0, 3.0]), strict=True).notes == ()


def test_a_float_bias_goes_through_a_matrix_product_exactly() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    value = graph.node("Add", [value, graph.constant([0.25, -2.0, 0.5])], "add")
    value = graph.node("MatMul", [value, graph.weight([[1.0], [2.0], [-3.0]], "w")], "next")
    value = graph.node("Add", [value, graph.weight([2.0], "next.bias")], "next_add")
    lowered = lower(graph.model(graph.quant(value, "act", scale=4.0)), strict=True)
    assert lowered.tensors["next.bias"].words.tolist() == [2]
    sums = INPUTS @ np.array(WEIGHTS) + [0.25, -2.0, 0.5]
    real = (sums @ np.array([[1.0], [2.0], [-3.0]]) + 2.0) / 4
    output = ExactEngine(lowered).run(lowered.quantize_inputs(INPUTS)).output
    assert output.tolist() == np.clip(np.rint(real), -8, 7).tolist()


def test_a_negated_branch_with_an_offset_is_subtracted_exactly() -> None:
    graph = Graph()
    value = graph.quant("x", "q")
    shifted = graph.node("Neg", [graph.node("Add", [value, graph.constant([0.3, 0.4])], "offset")], "neg")
    value = graph.node("Add", [graph.quant(value, "half", scale=0.5), shifted], "sum")
    lowered = lower(graph.model(graph.quant(value, "act", scale=0.25)), strict=True)
    add = next(node for node in lowered.nodes if isinstance(node, Add))
    assert sorted(add.multipliers) == [-2, 1]


def test_a_second_bias_is_real_arithmetic() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    for _ in range(2):
        value = graph.node("Add", [value, graph.weight(BIAS, "b")], "add")
    lowered = lower(graph.model(graph.quant(value, "act")))
    output = ExactEngine(lowered).run(lowered.quantize_inputs(INPUTS)).output
    assert output.tolist() == expected(lowered, 2 * np.array(BIAS), 1.0).tolist()


def test_a_bias_that_enlarges_the_tensor_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"a factor of shape|an? offset of shape \[2, 3\] for a tensor of shape"):
        layer([BIAS, BIAS])


def test_equal_numbers_that_enlarge_the_tensor_are_refused_too() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight([[1.0], [2.0]])], "fc")
    value = graph.node("Add", [value, graph.constant([0.5, 0.5, 0.5])], "wide")
    with pytest.raises(LoweringError, match=r"wide/Add.*shape \[3\] for a tensor of shape \[1, 1\]"):
        lower(graph.model(graph.quant(value, "act")))
