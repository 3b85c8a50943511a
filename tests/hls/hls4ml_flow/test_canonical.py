from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import Mlp
from support.reference import naive_words, real_output

from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.formats import WordFormat
from hls.graph import IntegerGraph, StoredTensor, WordChange
from hls.hls4ml_flow.canonical import BEYOND_FLOAT32, canonical_model
from hls.hls4ml_flow.units import scale_log2, unit_log2
from hls.lowering import lower
from hls.nodes import Slice

RECIPES = [
    Mlp(widths=(4, 3, 2)),
    Mlp(widths=(4, 3, 2), per_channel=True, input_signed=True),
    Mlp(widths=(4, 3, 2), bias=False, rounding="FLOOR"),
    Mlp(widths=(4, 3, 2), output_quant=True, relu=False, narrow_activation=True, activation_bits=3, seed=33),
    Mlp(widths=(4, 3, 2), relu=False, relu_last=True),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_the_canonical_graph_means_the_words(recipe: Mlp) -> None:
    graph = recipe.graph()
    words = graph.quantize_inputs(recipe.inputs(20))
    units = unit_log2(graph)
    expected = naive_words(graph, words)[graph.output].astype(object) * Fraction(2) ** units[graph.output]
    values = words * 2.0 ** units[graph.quantizer.output]
    assert np.array_equal(real_output(canonical_model(graph), values), expected)


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_lowering_the_canonical_graph_gives_the_same_words(recipe: Mlp) -> None:
    graph = recipe.graph()
    again = lower(canonical_model(graph))
    words = graph.quantize_inputs(recipe.inputs(20))
    assert np.array_equal(naive_words(again, words)[again.output], naive_words(graph, words)[graph.output])


@pytest.mark.parametrize("per_channel", [False, True])
def test_qonnx_executes_a_canonical_graph_of_float_scales(per_channel: bool) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    import hls.hls4ml_flow.extension.operators  # registers the domain

    assert hls.hls4ml_flow.extension.operators
    graph = Mlp(widths=(4, 3, 2), po2=False, bias=False, per_channel=per_channel).graph()
    model = ModelWrapper(canonical_model(graph))
    words = graph.quantize_inputs(Mlp(widths=(4, 3, 2)).inputs(12))
    expected = ExactEngine(graph).run(words).output
    units = unit_log2(graph)
    for sample, out in zip(words, expected, strict=True):
        values = (sample[None] * 2.0 ** units[graph.quantizer.output]).astype(np.float32)
        found = execute_onnx(model, {"network_input": values})[graph.output]
        assert np.array_equal(found[0], out * 2.0 ** units[graph.output])


def test_every_constant_is_a_whole_number_of_its_unit() -> None:
    graph = Mlp(per_channel=True).graph()
    units = unit_log2(graph)
    finest = min(units.values()) - 8
    for item in canonical_model(graph).graph.initializer:
        values = np.ldexp(numpy_helper.to_array(item).astype(np.float64), -finest)
        assert np.array_equal(values, np.rint(values)), item.name


def test_the_graph_is_valid_onnx() -> None:
    onnx.checker.check_model(canonical_model(Mlp().graph()), full_check=True)


def test_units_are_the_scales_where_these_are_powers_of_two() -> None:
    graph = Mlp(widths=(4, 3, 2)).graph()
    units = unit_log2(graph)
    assert {name: float(graph.values[name].scale) for name in units} == {
        name: 2.0**unit for name, unit in units.items()
    }


def test_other_scales_have_the_next_lower_power_of_two() -> None:
    assert [scale_log2(np.asarray(scale)) for scale in (1.0, 1.9, 0.3, 5.0)] == [0, 0, -2, 2]
    assert scale_log2(np.array([0.9, 0.1])) == -4


def test_a_widened_tensor_has_a_wider_executor_format() -> None:
    tensor = Mlp(per_channel=True).graph().tensors["fc1.weight"]
    assert tensor.executor_format.width_bits == tensor.format.width_bits + int(tensor.widen.max())


def test_the_most_negative_stored_word_is_written_as_it_is() -> None:
    # The weight quantizer is narrow; a fault makes −8 all the same.
    graph = Mlp(widths=(4, 3, 2)).graph().with_words([WordChange(tensor="fc1.weight", index=0, word=-8)])
    words = np.ones((1, 4), np.int64)
    units = unit_log2(graph)
    expected = naive_words(graph, words)["fc2"].astype(object) * Fraction(2) ** units["fc2"]
    assert np.array_equal(real_output(canonical_model(graph), words * 2.0 ** units["input_quant"]), expected)


def with_bias_word(word: int) -> IntegerGraph:
    graph = Mlp(widths=(4, 3, 2)).graph()
    tensor = graph.tensors["fc1.bias"]
    wide = WordFormat(width_bits=40, encoding="twos_complement")
    changed = StoredTensor(
        name=tensor.name, words=np.array([word, 0, 0]), format=wide, scale=tensor.scale, widen=tensor.widen
    )
    return replace(graph, tensors={**graph.tensors, "fc1.bias": changed})


def test_a_word_float32_cannot_hold_is_said_in_the_file() -> None:
    def said(word: int) -> list[str]:
        return [
            item.value for item in canonical_model(with_bias_word(word)).metadata_props if item.key == BEYOND_FLOAT32
        ]

    assert said(2**24 + 1) == ["fc1_bias_words"]
    assert said(2**24) == []


def test_what_hls4ml_has_no_layer_for_is_refused_by_layer() -> None:
    graph = Mlp(widths=(4, 3, 2)).graph()
    part = Slice(name="late", input="fc2", output="late", axis=0, start=0, stop=1, step=1)
    late = replace(
        graph,
        nodes=(*graph.nodes, part),
        values={**graph.values, "late": replace(graph.values["fc2"], shape=(1,))},
        output="late",
    )
    with pytest.raises(LoweringError, match=r"layer late \(Slice\)"):
        canonical_model(late)
