from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_graphs import WEIGHTS, Graph, dense

from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.lowering import lower
from hls.nodes import Shift


@pytest.mark.parametrize(
    ("choices", "found"),
    [
        ({"zero_point": 0.5}, "zero point [0.5]"),
        ({"zero_point": [1.0, 2.0]}, "2 zero points, one a channel, on an input or activation"),
        ({"bits": 4.5}, "bit width [4.5]"),
        ({"bits": [4.0, 5.0]}, "bit width [4.0, 5.0]"),
        ({"bits": 63.0}, "63 bits"),
        ({"rounding": "STOCHASTIC"}, "rounding mode STOCHASTIC"),
        ({"scale": 0.0}, "scale [0.0]"),
        ({"scale": np.nan}, "scale [nan]"),
        ({"scale": [0.5, 0.25]}, "2 scales, one a channel, on an input or activation"),
    ],
    ids=str,
)
def test_a_quantizer_without_an_exact_meaning_is_refused_by_layer(choices: dict[str, object], found: str) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(dense(**choices))
    assert found in caught.value.found
    assert caught.value.where == "layer /input_quant/Quant (Quant)"
    assert caught.value.remedy


def test_equal_scales_one_a_channel_are_one_scale() -> None:
    graph = lower(dense(lambda graph, value: graph.quant(value, "act", scale=[0.5, 0.5, 0.5])))
    assert float(graph.output_scale) == 0.5


@pytest.mark.parametrize("operator", ["Quant", "IntQuant"])
def test_both_names_of_the_quantizer_mean_the_same(operator: str) -> None:
    assert lower(dense(operator=operator)).quantizer.name == "input_quant"


@pytest.mark.parametrize(("mode", "rounding"), [("ROUND", "half_even"), ("round", "half_even"), ("FLOOR", "floor")])
def test_the_rounding_mode_is_carried(mode: str, rounding: str) -> None:
    assert lower(dense(rounding=mode)).quantizer.rounding == rounding


def test_the_format_of_the_input_is_carried() -> None:
    word_format = lower(dense(bits=7.0, signed=True, narrow=True)).quantizer.format
    assert (word_format.width_bits, word_format.signed, word_format.narrow) == (7, True, True)


@given(st.floats(-20, 20, width=32), st.booleans())
@settings(deadline=None)
def test_a_weight_becomes_the_word_its_quantizer_makes(value: float, narrow: bool) -> None:
    graph = Graph(inputs=[("x", [1, 1])])
    weight = graph.weight([[value]], scale=0.5, narrow=narrow)
    words = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc"))).tensors["fc.weight"].words
    assert words.item() == min(max(round(value / 0.5), -7 if narrow else -8), 7)


def test_a_flooring_weight_quantizer_floors() -> None:
    graph = Graph(inputs=[("x", [1, 1])])
    weight = graph.weight([[0.9]], scale=0.5, rounding="FLOOR")
    value = graph.node("MatMul", [graph.quant("x", "q"), weight], "fc")
    assert lower(graph.model(value)).tensors["fc.weight"].words.item() == 1


def test_a_second_quantizer_on_the_input_is_refused() -> None:
    graph = Graph()
    value = graph.node("Add", [graph.quant("x", "first"), graph.quant("x", "second")], "sum")
    with pytest.raises(LoweringError, match=r"second/Quant.*a second quantizer on the network's input"):
        lower(graph.model(value))


def test_a_scale_computed_in_the_graph_is_refused() -> None:
    graph = Graph()
    value = graph.quant("x", "q")
    quant = graph.node("Quant", ["x", value, graph.constant(0.0), graph.constant(4.0)], "odd")
    with pytest.raises(LoweringError, match=r"odd/Quant.*scale that is computed in the graph"):
        lower(graph.model(quant))


def test_an_activation_with_a_scale_a_channel_keeps_its_scales() -> None:
    graph = lower(dense(lambda graph, value: graph.quant(value, "act", scale=[0.5, 0.25, 1.0])))
    assert graph.output_scale.tolist() == [0.5, 0.25, 1.0]


def test_a_quantizer_behind_the_quantizer_of_a_weight_quantizes_again() -> None:
    graph = Graph()
    weight = graph.quant(graph.weight(WEIGHTS), "again", scale=2.0)
    lowered = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc")))
    assert lowered.tensors["fc.weight"].words.tolist() == [[0, -1, 2], [2, 2, -3]]


def test_a_narrow_unsigned_quantizer_leaves_its_largest_word_out() -> None:
    quantizer = lower(dense(signed=False, narrow=True)).quantizer
    assert (quantizer.low, quantizer.high) == (0, 14)


def test_a_zero_point_shifts_the_range_of_the_input_words() -> None:
    quantizer = lower(dense(zero_point=3.0)).quantizer
    assert (quantizer.low, quantizer.high) == (-11, 4)


@pytest.mark.parametrize("narrow", [0, 1])
@pytest.mark.parametrize("signed", [0, 1])
def test_a_trunc_of_the_second_version_clips(signed: int, narrow: int) -> None:
    def after(graph: Graph, value: str) -> str:
        value = graph.quant(value, "act", bits=8.0)
        numbers = [graph.constant(number) for number in (1.0, 0.0, 8.0, 4.0, 3.0)]
        return graph.node(
            "Trunc", [value, *numbers], "trunc", domain="qonnx.custom_op.general", rounding_mode="FLOOR",
            signed=signed, narrow=narrow,
        )  # fmt: skip

    node = lower(dense(after)).compute_nodes[-1]
    assert isinstance(node, Shift)
    assert (node.shift, node.rounding) == (2, "floor")
    assert (node.low, node.high) == ((-4 + narrow, 3) if signed else (0, 7 - narrow))


@pytest.mark.parametrize("version", [1, 2])
def test_a_trunc_at_a_much_finer_scale_than_its_input_keeps_every_word(version: int) -> None:
    def after(graph: Graph, value: str) -> str:
        value = graph.quant(value, "act", bits=4.0, scale=1.0)
        numbers = (0.125, 0.0, 8.0, 6.0) if version == 1 else (0.125, 0.0, 8.0, 0.5, 8.0)
        operands = [graph.constant(number) for number in numbers]
        return graph.node("Trunc", [value, *operands], "trunc", domain="qonnx.custom_op.general", rounding_mode="FLOOR")

    network = lower(dense(after))
    shape = network.values[network.quantizer.output].shape
    words = np.random.default_rng(0).integers(-8, 8, size=(200, *shape))
    execution = ExactEngine(network).run(words, ["act"])
    assert np.abs(execution.taps["act"]).max() > 4  # beyond what four times its own words reach at the finer scale
    assert np.array_equal(execution.output, execution.taps["act"] * 8 // 4)


def test_a_weight_on_a_rounding_boundary_of_float32_is_the_word_that_float32_gives() -> None:
    scale, value = np.float32(0.1), np.float32(0.5)
    assert value / scale == 5
    assert float(value) / float(scale) < 5
    graph = Graph(inputs=[("x", [1, 1])])
    weight = graph.weight([[value]], scale=scale, rounding="FLOOR")
    lowered = lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight], "fc")))
    assert lowered.tensors["fc.weight"].words.item() == 5
    assert "1 constants lie on a rounding boundary" in lowered.notes[0]


@pytest.mark.parametrize(("signed", "kept"), [(True, True), (False, False)])
def test_a_second_quantizer_is_nothing_only_where_it_changes_no_word(signed: bool, kept: bool) -> None:
    def after(graph: Graph, value: str) -> str:
        value = graph.quant(value, "first", narrow=True)
        return graph.quant(value, "second", signed=signed, narrow=True)

    assert ("second" not in [node.name for node in lower(dense(after)).nodes]) == kept
