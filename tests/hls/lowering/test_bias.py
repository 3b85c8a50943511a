from __future__ import annotations

import numpy as np
import pytest
from support.onnx_graphs import WEIGHTS, Graph

from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.lowering import lower
from hls.nodes import MatMul

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


def test_a_float_bias_is_refused_with_layer_and_remedy() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    with pytest.raises(LoweringError) as caught:
        lower(graph.model(graph.node("Add", [value, graph.constant(BIAS)], "fc")))
    assert caught.value.found == "a float bias"
    assert caught.value.where == "bias of fc, layer /fc/Add (Add)"
    assert "bias_quant=Int16Bias" in caught.value.remedy


def test_a_float_bias_of_a_gemm_is_refused_too() -> None:
    graph = Graph()
    inputs = [graph.quant("x", "q"), graph.weight(WEIGHTS), graph.constant(BIAS)]
    with pytest.raises(LoweringError, match=r"bias of fc, layer /fc/Gemm.*found a float bias"):
        lower(graph.model(graph.node("Gemm", inputs, "fc")))


@pytest.mark.parametrize("scale", [0.5, 0.9, 3.0, 1.0 + 2.0**-20])
def test_a_bias_at_another_scale_is_refused_with_both(scale: float) -> None:
    with pytest.raises(LoweringError, match=rf"found scale {float(np.float32(scale))!s}.*the accumulator's scale 1\.0"):
        layer(scale=scale)


def test_the_channel_at_another_scale_is_named() -> None:
    with pytest.raises(LoweringError, match=r"scale 3\.0 \(channel 1\)"):
        layer(scale=[1.0, 3.0, 1.0])


def test_a_last_place_of_float32_is_the_same_scale() -> None:
    graph = layer(scale=np.nextafter(np.float32(1), np.float32(2)))
    assert graph.tensors["fc.bias"].widen.tolist() == 0
    assert len(graph.notes) == 1


def test_a_bias_of_another_length_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"a bias of shape \[2\]; allowed: 3 words"):
        layer([1.0, 2.0])


def test_two_biases_are_refused() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    for _ in range(2):
        value = graph.node("Add", [value, graph.weight(BIAS, "b")], "add")
    with pytest.raises(LoweringError, match="a sum that does not follow a matrix product directly"):
        lower(graph.model(value))


def test_a_bias_behind_a_relu_is_refused() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS)], "fc")
    value = graph.node("Relu", [value])
    with pytest.raises(LoweringError, match="a sum that does not follow a matrix product directly"):
        lower(graph.model(graph.node("Add", [value, graph.weight(BIAS, "b")])))


def test_a_sum_of_constants_is_refused() -> None:
    graph = Graph()
    graph.quant("x", "q")
    with pytest.raises(LoweringError, match="a sum of two constants or of a float input"):
        lower(graph.model(graph.node("Add", [graph.constant(BIAS), graph.constant(BIAS)])))
