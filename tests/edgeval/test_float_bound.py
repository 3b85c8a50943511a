"""Float32 witnesses: what their rounding explains, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from support.networks import Mlp

from edgeval.float_bound import explain
from edgeval.witness import execute_qonnx
from hls.engine import ExactEngine
from hls.lowering import lower

RECIPES = [
    Mlp(),
    Mlp(per_channel=True, gemm=True),
    Mlp(po2=False),
    Mlp(po2=False, per_channel=True, gemm=True),
    Mlp(po2=False, output_quant=True, signed_activation=True),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_about_a_right_lowering_is_unexplained(recipe: Mlp) -> None:
    graph, inputs = recipe.graph(), recipe.inputs(300)
    witness = execute_qonnx(recipe.model(), inputs)
    assert explain(graph, graph.quantize_inputs(inputs), witness).unexplained == 0


def test_powers_of_two_agree_to_the_last_bit() -> None:
    recipe = Mlp(per_channel=True)
    graph, inputs = recipe.graph(), recipe.inputs(300)
    exact = graph.output_values(ExactEngine(graph).run(graph.quantize_inputs(inputs)).output)
    assert np.array_equal(execute_qonnx(recipe.model(), inputs), exact)


def test_one_wrong_unit_in_one_sample_is_unexplained_where_scales_are_powers_of_two() -> None:
    recipe = Mlp()
    graph, inputs = recipe.graph(), recipe.inputs(300)
    words = graph.quantize_inputs(inputs)
    clean = execute_qonnx(recipe.model(), inputs)
    for sample in range(300):
        witness = clean.copy()
        witness[sample, 0] += float(graph.output_scale)
        explanation = explain(graph, words, witness)
        assert (explanation.explained, explanation.unexplained) == (0, 1)


def test_a_wrong_lowering_of_float_scales_is_unexplained() -> None:
    recipe = Mlp(po2=False)
    graph, inputs = recipe.graph(), recipe.inputs(300)
    witness = execute_qonnx(recipe.model(), inputs) + float(graph.output_scale)
    assert explain(graph, graph.quantize_inputs(inputs), witness).unexplained > 290


def test_a_float_scale_sample_at_a_rounding_boundary_is_explained() -> None:
    recipe = Mlp(po2=False)
    model = recipe.model()
    scale = float(np.float32(0.31))  # of act1; four times it on the weights puts every odd sum on a tie
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item).astype(np.float64)
        old = {i.name: numpy_helper.to_array(i) for i in recipe.model().graph.initializer}
        if item.name in ("fc1.weight_scale", "fc1.w"):
            new = values / float(old["fc1.weight_scale"]) * 4 * scale
        elif item.name in ("fc1.bias_scale", "fc1.b"):
            new = values / float(old["fc1.bias_scale"]) * 0.5 * scale
        else:
            continue
        item.CopyFrom(numpy_helper.from_array(new.astype(np.float32), item.name))
    graph, inputs = lower(model), recipe.inputs(300)
    words = graph.quantize_inputs(inputs)
    witness = execute_qonnx(model, inputs)
    sums = ExactEngine(graph).run(words, ["fc1"]).taps["fc1"]
    on_tie = ((sums % 2 == 1) & (sums > 0) & (sums < 2 * 15)).any(axis=1)
    assert on_tie.any()
    assert not on_tie.all()
    explanation = explain(graph, words, witness + 100.0)
    assert explanation.explained >= int(on_tie.sum())
    assert explanation.unexplained > 0
