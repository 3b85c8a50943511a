from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import Mlp
from support.reference import naive_words, real_output

from hls.errors import LoweringError
from hls.formats import WordFormat
from hls.graph import IntegerGraph, StoredTensor, WordChange
from hls.hls4ml_flow.canonical import canonical_model, executor_format, unit_log2
from hls.lowering import lower
from hls.nodes import Flatten

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
    unit = 2 ** unit_log2(graph)[graph.output]
    expected = naive_words(graph, words)[graph.output].astype(object) * unit
    assert np.array_equal(real_output(canonical_model(graph), words), expected)


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_lowering_the_canonical_graph_gives_the_same_words(recipe: Mlp) -> None:
    graph = recipe.graph()
    again = lower(canonical_model(graph))
    words = graph.quantize_inputs(recipe.inputs(20))
    assert np.array_equal(naive_words(again, words)[again.output], naive_words(graph, words)[graph.output])


def test_every_constant_is_an_integer_or_a_power_of_two_fraction_of_one() -> None:
    model = canonical_model(Mlp(per_channel=True).graph())
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item).astype(np.float64)
        assert np.array_equal(values, np.rint(values)), item.name


def test_the_graph_is_valid_onnx() -> None:
    onnx.checker.check_model(canonical_model(Mlp().graph()), full_check=True)


def test_units_follow_the_shifts() -> None:
    graph = Mlp(widths=(4, 3, 2)).graph()
    assert unit_log2(graph) == {"input_quant": 0, "fc1": 0, "act1": 3, "fc2": 3}


def test_a_widened_tensor_has_a_wider_executor_format() -> None:
    tensor = Mlp(per_channel=True).graph().tensors["fc1.weight"]
    assert executor_format(tensor).width_bits == tensor.format.width_bits + int(tensor.widen.max())


def test_the_most_negative_stored_word_is_written_as_it_is() -> None:
    # The weight quantizer is narrow; a fault makes −8 all the same.
    graph = Mlp(widths=(4, 3, 2)).graph().with_words([WordChange(tensor="fc1.weight", index=0, word=-8)])
    words = np.ones((1, 4), np.int64)
    expected = naive_words(graph, words)["fc2"].astype(object) * 2 ** unit_log2(graph)["fc2"]
    assert np.array_equal(real_output(canonical_model(graph), words), expected)


def test_a_scale_ratio_hls4mls_types_cannot_carry_is_refused_by_layer() -> None:
    with pytest.raises(LoweringError, match=r"layer act1 \(Requantize\).*--scales po2"):
        canonical_model(Mlp(widths=(4, 3, 2), po2=False, bias=False).graph())


def with_bias_word(word: int) -> IntegerGraph:
    graph = Mlp(widths=(4, 3, 2)).graph()
    tensor = graph.tensors["fc1.bias"]
    wide = WordFormat(width_bits=40, encoding="twos_complement")
    changed = StoredTensor(
        name=tensor.name, words=np.array([word, 0, 0]), format=wide, scale=tensor.scale, widen=tensor.widen
    )
    return replace(graph, tensors={**graph.tensors, "fc1.bias": changed})


def test_a_word_float32_cannot_hold_is_refused_and_not_rounded() -> None:
    with pytest.raises(LoweringError, match=r"fc1_bias_words.*float32 cannot hold"):
        canonical_model(with_bias_word(2**24 + 1))


def test_a_large_word_float32_can_hold_is_written() -> None:
    assert canonical_model(with_bias_word(2**24))


def test_a_flatten_behind_a_layer_is_refused() -> None:
    graph = Mlp(widths=(4, 3, 2)).graph()
    late = replace(
        graph,
        nodes=(*graph.nodes, Flatten(name="late", input="fc2", output="late")),
        values={**graph.values, "late": graph.values["fc2"]},
        output="late",
    )
    with pytest.raises(LoweringError, match=r"layer late \(Flatten\)"):
        canonical_model(late)
