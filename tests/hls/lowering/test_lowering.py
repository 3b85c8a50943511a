"""The whole of lowering: equal to rational arithmetic, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import Mlp
from support.onnx_graphs import WEIGHTS, Graph, dense
from support.reference import real_output

from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.lowering import LOWERINGS, lower, lower_traced
from hls.nodes import MatMul

WITHOUT = st.sampled_from([False])
POWER_OF_TWO = {
    "widths": st.sampled_from([(4, 3, 2), (3, 2), (2, 4, 3, 2)]),
    "weight_bits": st.integers(2, 6),
    "activation_bits": st.integers(2, 6),
    "input_signed": st.booleans(),
    "per_channel": st.booleans(),
    "relu": st.booleans(),
    "signed_activation": st.booleans(),
    "narrow_activation": st.booleans(),
    "relu_last": st.booleans(),
    "output_quant": st.booleans(),
    "gemm": st.booleans(),
    "bias": st.booleans(),
    "rounding": st.sampled_from(["ROUND", "FLOOR"]),
    "seed": st.integers(0, 1000),
}


def real_of_integers(recipe: Mlp, values: np.ndarray) -> np.ndarray:
    """Output of the integer network as fractions: words times the exact value of the scale."""
    graph = recipe.graph()
    words = ExactEngine(graph).run(graph.quantize_inputs(values)).output
    return words.astype(object) * np.frompyfunc(Fraction, 1, 1)(graph.output_scale)


@given(st.builds(Mlp, **POWER_OF_TWO))
@settings(deadline=None, max_examples=40)
def test_the_integer_network_means_what_the_graph_means(recipe: Mlp) -> None:
    values = recipe.inputs(6)
    assert np.array_equal(real_of_integers(recipe, values), real_output(recipe.model(), values))


@given(st.builds(Mlp, **POWER_OF_TWO | {"bias": WITHOUT, "rounding": st.just("ROUND")}, po2=WITHOUT))
@settings(deadline=None, max_examples=40)
def test_any_scales_are_carried_exactly_to_the_last_quantizer(recipe: Mlp) -> None:
    values, last = recipe.inputs(6), len(recipe.widths) - 1
    if not recipe.output_quant and last == 1:
        return  # nothing is quantized behind the only layer: its output is a float scale, compared elsewhere
    graph = recipe.graph()
    quantized = f"act{last if recipe.output_quant else last - 1}"
    words = ExactEngine(graph).run(graph.quantize_inputs(values), [quantized]).taps[quantized]
    model = recipe.model()
    model.graph.output[0].name = quantized
    scale = Fraction(float(np.float32(0.31)))
    assert np.array_equal(words.astype(object) * scale, real_output(model, values))


def cut(*outputs: str) -> onnx.ModelProto:
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "input_quant"), graph.weight(WEIGHTS)], "fc")
    return graph.model(*[{"value": value}.get(name, name) for name in outputs])


def test_an_unquantized_graph_is_refused() -> None:
    graph = Graph()
    with pytest.raises(LoweringError, match="the graph has no Quant node"):
        lower(graph.model(graph.node("MatMul", ["x", graph.constant(WEIGHTS)])))


def test_a_qcdq_graph_is_refused_with_the_way_to_qonnx() -> None:
    graph = Graph()
    parameters = [graph.constant(1.0), graph.constant(0, np.uint8)]
    words = graph.node("QuantizeLinear", ["x", *parameters])
    with pytest.raises(LoweringError, match=r"QCDQ graph.*export_qonnx.*QCDQToQuant"):
        lower(graph.model(graph.node("DequantizeLinear", [words, *parameters])))


def test_several_inputs_are_refused_by_name() -> None:
    graph = Graph(inputs=[("x", [1, 2]), ("y", [1, 2])])
    with pytest.raises(LoweringError, match=r"2 inputs \(x, y\)"):
        lower(graph.model(graph.quant("x", "input_quant")))


def test_an_initializer_listed_among_the_inputs_is_no_input() -> None:
    model = dense()
    model.graph.input.append(onnx.helper.make_tensor_value_info("constant0", onnx.TensorProto.FLOAT, []))
    assert lower(model).input == "x"


def test_several_outputs_are_refused_by_name() -> None:
    with pytest.raises(LoweringError, match="2 outputs"):
        lower(cut("value", "t0"))


@pytest.mark.parametrize("shape", [[1], [1, "features"], [1, 0], []])
def test_an_input_of_unknown_shape_is_refused(shape: list[int | str]) -> None:
    graph = Graph(inputs=[("x", shape)])
    with pytest.raises(LoweringError, match=r"input shape .*with every axis after the first known"):
        lower(graph.model(graph.quant("x", "input_quant")))


@pytest.mark.parametrize("shape", [["batch", 2], [1, 2], [64, 2]])
def test_any_sample_axis_is_accepted(shape: list[int | str]) -> None:
    graph = Graph(inputs=[("x", shape)])
    value = graph.node("MatMul", [graph.quant("x", "input_quant"), graph.weight(WEIGHTS)], "fc")
    assert lower(graph.model(value)).values["x"].shape == (2,)


def test_a_network_without_a_layer_is_refused() -> None:
    graph = Graph()
    with pytest.raises(LoweringError, match="an output that no quantized layer computes"):
        lower(graph.model(graph.quant("x", "input_quant")))


def test_an_output_that_is_a_constant_is_refused() -> None:
    with pytest.raises(LoweringError, match="an output that no quantized layer computes"):
        lower(cut("constant0"))


def test_an_input_nothing_produces_is_named() -> None:
    with pytest.raises(LoweringError, match="input 'nowhere', which nothing before it produces"):
        lower(dense(lambda graph, value: graph.node("Relu", ["nowhere"])))


def branch_of_bias(graph: Graph, value: str) -> str:
    graph.node("Add", [value, graph.weight([1.0, 2.0, 3.0], "fc.bias")], "unused")
    return graph.quant(value, "act")


def branch_of_layer(graph: Graph, value: str) -> str:
    act = graph.quant(value, "act")
    graph.node("MatMul", [act, graph.weight(np.eye(3), "dead.weight")], "dead")
    return graph.node("MatMul", [act, graph.weight(np.eye(3), "live.weight")], "live")


def tail_behind_the_output(graph: Graph, value: str) -> str:
    graph.quant(value, "tail")
    return value


def test_notes_say_what_was_taken_for_equal() -> None:
    graph = Graph()
    value = graph.quant("x", "input_quant", scale=np.float32(0.1))
    value = graph.node("MatMul", [value, graph.weight(WEIGHTS, scale=np.float32(0.3))], "fc")
    bias = graph.weight([0.03, 0.06, 0.09], "fc.bias", scale=np.float32(0.1) * np.float32(0.3))
    lowered = lower(graph.model(graph.node("Add", [value, bias], "fc_add")))
    assert len(lowered.notes) == 1
    assert lowered.notes[0].startswith("fc.bias: scale taken for the exact product")


def test_exact_scales_need_no_notes() -> None:
    assert Mlp().graph().notes == ()


@pytest.mark.parametrize("after", [branch_of_bias, branch_of_layer, tail_behind_the_output])
def test_a_branch_that_leads_nowhere_leaves_nothing(after: Callable[[Graph, str], str]) -> None:
    # Its bias must not be added to the branch that does lead somewhere.
    lowered = lower(dense(after))
    assert {node.name for node in lowered.nodes} <= {"input_quant", "fc", "act", "live"}
    assert all(node.bias is None for node in lowered.nodes if isinstance(node, MatMul))


def test_an_unsupported_operator_is_named_with_the_supported_ones() -> None:
    with pytest.raises(LoweringError) as caught:
        lower(dense(lambda graph, value: graph.node("Hardmax", [value], "tail")))
    assert caught.value.found == "operator Hardmax"
    assert caught.value.where == "layer /tail/Hardmax (Hardmax)"
    assert caught.value.allowed == ", ".join(sorted(LOWERINGS))
    assert "float tail" in caught.value.remedy


def test_an_operator_of_a_foreign_domain_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"operator Relu of domain com\.example"):
        lower(dense(lambda graph, value: graph.node("Relu", [value], domain="com.example")))


def test_a_softmax_is_the_hosts_and_nothing_may_follow_it() -> None:
    lowered = lower(dense(lambda graph, value: graph.node("Softmax", [value])))
    assert [type(step).__name__ for step in lowered.tail] == ["HostApply"]
    with pytest.raises(LoweringError, match="a quantizer behind a softmax"):
        lower(dense(lambda graph, value: graph.quant(graph.node("Softmax", [value]), "act")))


@pytest.mark.parametrize(("opset", "lowers"), [(11, False), (13, True)])
def test_a_softmax_of_an_old_operator_set_takes_all_axes_behind_its_own(opset: int, lowers: bool) -> None:
    graph = Graph(inputs=[("x", [1, 2, 3])])
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(np.eye(3))], "fc")
    model = graph.model(graph.node("Softmax", [value], "tail", axis=1))
    model.opset_import[0].version = opset
    if lowers:
        network = lower(model)
        words = network.quantize_inputs(np.arange(6.0).reshape(1, 2, 3))
        shown = network.output_values(ExactEngine(network).run(words).output)
        assert np.allclose(shown.reshape(1, 2, 3).sum(axis=1), 1.0)
    else:
        with pytest.raises(LoweringError, match=r"tail/Softmax.*found axis 1"):
            lower(model)


def test_words_of_the_output_may_be_scaled_behind_their_quantizer() -> None:
    # The value's scale then holds the factor; the quantizer's own unit is what a float execution shows.
    def after(graph: Graph, value: str) -> str:
        return graph.node("Mul", [graph.quant(value, "act", scale=0.5), graph.constant(1.25)])

    lowered = lower_traced(dense(after))
    assert float(lowered.graph.output_scale) == 0.625
    assert lowered.traces[-1].unit == (Fraction(1, 2),)
