from __future__ import annotations

import numpy as np
import pytest
from support.networks import Mlp
from support.onnx_graphs import WEIGHTS, Graph, dense

from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.lowering import lower
from hls.nodes import MatMul


def layer(*, scale: object = 1.0, **attributes: object) -> IntegerGraph:
    graph = Graph()
    weight = graph.weight(WEIGHTS, scale=scale)
    return lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc", **attributes)))


def gemm(weights: object = WEIGHTS, **attributes: object) -> IntegerGraph:
    graph = Graph()
    value, weight = graph.quant("x", "q"), graph.weight(weights)
    return lower(graph.model(graph.node("Gemm", [value, weight], "fc", **attributes)))


def test_words_lie_as_inputs_by_outputs() -> None:
    assert layer().tensors["fc.weight"].words.tolist() == [[1, -2, 3], [4, 5, -6]]


def test_a_gemm_is_the_matmul_of_its_transposed_weight() -> None:
    assert gemm(np.transpose(WEIGHTS), transB=1).tensors["fc.weight"] == layer().tensors["fc.weight"]


def test_a_transpose_in_front_of_the_layer_is_the_same() -> None:
    graph = Graph()
    weight = graph.node("Transpose", [graph.weight(np.transpose(WEIGHTS))], perm=[1, 0])
    lowered = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc")))
    assert lowered.tensors["fc.weight"] == layer().tensors["fc.weight"]


def test_per_channel_scales_follow_a_transposed_weight() -> None:
    graph = Graph()
    weight = graph.weight(np.transpose(WEIGHTS), scale=[[1.0], [2.0], [0.5]])
    lowered = lower(graph.model(graph.node("Gemm", [graph.quant("x", "q"), weight], "fc", transB=1)))
    assert lowered.tensors["fc.weight"].scale.tolist() == [1.0, 2.0, 0.5]


@pytest.mark.parametrize("gemm", [False, True])
def test_both_exports_of_a_network_are_one_integer_network(gemm: bool) -> None:
    assert Mlp(per_channel=True, gemm=gemm).graph() == Mlp(per_channel=True).graph()


def test_per_channel_powers_of_two_widen_to_the_finest_channel() -> None:
    tensor = layer(scale=[1.0, 4.0, 0.5]).tensors["fc.weight"]
    assert tensor.widen.tolist() == [1, 3, 0]
    assert tensor.words.tolist() == [[1, 0, 6], [4, 1, -8]]  # stored words are the quantizer's own
    assert tensor.executor_words().tolist() == [[2, 0, 6], [8, 8, -8]]


def test_widened_channels_share_one_accumulator_scale() -> None:
    scale = layer(scale=[1.0, 4.0, 0.5]).values["fc"].scale
    assert (scale.ndim, float(scale)) == (0, 0.5)


def test_channels_that_no_shift_relates_keep_their_scales() -> None:
    graph = layer(scale=[1.0, 3.0, 0.5])
    assert graph.tensors["fc.weight"].widen.tolist() == [0, 0, 0]
    assert graph.values["fc"].scale.tolist() == [1.0, 3.0, 0.5]


def test_a_common_odd_factor_still_widens() -> None:
    assert layer(scale=[0.75, 3.0, 1.5]).tensors["fc.weight"].widen.tolist() == [0, 2, 1]


def test_equal_channel_scales_are_one_scale() -> None:
    tensor = layer(scale=[2.0, 2.0, 2.0]).tensors["fc.weight"]
    assert (tensor.scale.ndim, tensor.widen.ndim) == (0, 0)


def test_the_accumulator_is_as_wide_as_the_formats_need() -> None:
    # 4-bit signed words: 2 × (−8 × −8) = 128 needs nine bits signed.
    node = layer().compute_nodes[0]
    assert isinstance(node, MatMul)
    assert (node.accumulator.width_bits, node.accumulator.overflow) == (9, "wrap")


def test_a_weight_that_is_no_matrix_is_refused() -> None:
    graph = Graph()
    with pytest.raises(LoweringError, match=r"a weight of shape \[2\]"):
        lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), graph.weight([1.0, 2.0])], "fc")))


def test_a_float_input_is_refused_by_layer() -> None:
    graph = Graph()
    with pytest.raises(LoweringError, match=r"fc/MatMul.*an input that no Quant node has seen.*QuantIdentity"):
        lower(graph.model(graph.node("MatMul", ["x", graph.weight(WEIGHTS)], "fc")))


def test_sums_beyond_the_carrier_are_refused_by_layer() -> None:
    graph = Graph()
    value = graph.quant("x", "q", bits=32.0)
    value = graph.node("MatMul", [value, graph.weight(WEIGHTS, bits=32.0)], "fc")
    with pytest.raises(LoweringError, match="fc/MatMul"):
        lower(graph.model(value))


def test_layers_with_one_name_get_two() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(np.eye(2))], "fc")
    value = graph.node("MatMul", [value, graph.weight(np.eye(2), bits=3.0)], "fc")
    assert list(lower(graph.model(value)).tensors) == ["fc.weight", "fc_2.weight"]


def test_scales_along_the_inputs_are_refused() -> None:
    with pytest.raises(LoweringError, match=r"fc/MatMul.*weight scales that differ within an output channel"):
        layer(scale=[[1.0], [2.0]])


def test_alpha_is_part_of_the_scale() -> None:
    assert float(gemm(alpha=0.5).output_scale) == 0.5


@pytest.mark.parametrize(("name", "value"), [("alpha", -0.5), ("transA", 1)])
def test_a_gemm_that_has_no_form_is_refused(name: str, value: float) -> None:
    with pytest.raises(LoweringError, match=rf"fc/Gemm.*found {name} = {value}"):
        gemm(**{name: value})


def test_a_float_weight_is_refused_by_layer() -> None:
    graph = Graph()
    weight = graph.constant(np.array(WEIGHTS) + 0.5)
    with pytest.raises(LoweringError, match=r"fc/MatMul.*a weight that is not behind a Quant node.*QuantLinear"):
        lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc")))


def test_whole_numbers_are_words_without_a_quantizer() -> None:
    graph = Graph()
    lowered = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), graph.constant(WEIGHTS)], "fc")))
    assert lowered.tensors["fc.weight"].words.tolist() == np.array(WEIGHTS).astype(int).tolist()
    assert "whole numbers without a quantizer" in lowered.notes[0]


def test_a_constant_on_the_left_is_refused() -> None:
    graph = Graph()
    with pytest.raises(LoweringError, match=r"fc/MatMul.*the product of two activations"):
        lower(graph.model(graph.node("MatMul", [graph.weight(WEIGHTS), graph.quant("x", "q")], "fc")))


def test_an_input_that_does_not_fit_the_weight_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"next/MatMul.*input words of shape \[3\].*a last axis of 2"):
        lower(dense(lambda graph, value: graph.node("MatMul", [value, graph.weight(WEIGHTS, "w")], "next")))


def test_an_input_with_a_scale_a_channel_is_refused() -> None:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(WEIGHTS, scale=[1.0, 3.0, 5.0])], "fc")
    value = graph.node("MatMul", [value, graph.weight(np.eye(3), "w")], "next")
    with pytest.raises(LoweringError, match=r"next/MatMul.*input words with 3 scales"):
        lower(graph.model(value))


def test_zero_points_of_weights_are_taken_off_the_stored_words() -> None:
    graph = Graph()
    weight = graph.weight(WEIGHTS, zero_point=2.0, bits=5.0)
    tensor = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc"))).tensors["fc.weight"]
    assert tensor.words.tolist() == [[3, 0, 5], [6, 7, -4]]
    assert tensor.executor_words().tolist() == np.array(WEIGHTS).astype(int).tolist()


def test_one_signed_bit_is_bipolar() -> None:
    graph = Graph()
    weight = graph.weight(WEIGHTS, bits=1.0)
    tensor = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc"))).tensors["fc.weight"]
    assert (tensor.format.encoding, tensor.format.width_bits) == ("bipolar", 1)
    assert tensor.words.tolist() == np.sign(WEIGHTS).astype(int).tolist()
