from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.onnx_graphs import WEIGHTS, Graph, dense

from hls.errors import LoweringError
from hls.lowering import lower


@pytest.mark.parametrize(
    ("choices", "found"),
    [
        ({"zero_point": 3.0}, "zero point [3.0]"),
        ({"bits": 4.5}, "bit width [4.5]"),
        ({"bits": [4.0, 5.0]}, "bit width [4.0, 5.0]"),
        ({"bits": 63.0}, "63 bits"),
        ({"bits": 1.0}, "1 bits, twos_complement"),
        ({"signed": False, "narrow": True}, "narrow range on unsigned words"),
        ({"rounding": "HALF_UP"}, "rounding mode HALF_UP"),
        ({"scale": 0.0}, "scale [0.0]"),
        ({"scale": np.nan}, "scale [nan]"),
        ({"scale": [0.5, 0.25]}, "2 scales, one a channel, on an activation"),
    ],
    ids=str,
)
def test_a_quantizer_without_an_exact_meaning_is_refused_by_layer(choices: dict[str, object], found: str) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(dense(**choices))
    assert found in caught.value.found
    assert caught.value.where == "layer /input_quant/Quant (Quant)"
    assert caught.value.remedy


def test_a_per_channel_activation_is_refused_by_layer() -> None:
    with pytest.raises(LoweringError, match=r"act/Quant.*3 scales.*weights may be per channel"):
        lower(dense(lambda graph, value: graph.quant(value, "act", scale=[0.5, 0.25, 1.0])))


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


def test_a_second_quantizer_on_a_weight_is_refused() -> None:
    graph = Graph()
    weight = graph.quant(graph.weight(WEIGHTS), "again")
    with pytest.raises(LoweringError, match=r"again/Quant.*a quantizer behind the quantizer of a constant"):
        lower(graph.model(graph.node("MatMul", [graph.quant("x", "q"), weight])))


def test_a_second_quantizer_on_the_input_is_refused() -> None:
    graph = Graph()
    graph.quant("x", "first")
    with pytest.raises(LoweringError, match=r"second/Quant.*a second quantizer on the network's input"):
        lower(graph.model(graph.quant("x", "second")))


def test_a_scale_computed_in_the_graph_is_refused() -> None:
    graph = Graph()
    value = graph.quant("x", "q")
    quant = graph.node("Quant", ["x", value, graph.constant(0.0), graph.constant(4.0)], "odd")
    with pytest.raises(LoweringError, match=r"odd/Quant.*scale that is computed in the graph"):
        lower(graph.model(quant))
