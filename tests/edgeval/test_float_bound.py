"""Float32 witnesses: what their rounding explains, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import Mlp

from edgeval.float_bound import explain
from edgeval.witness import execute_qonnx
from hls.engine import ExactEngine
from hls.graph import WordChange
from hls.lowering import Lowered, lower_traced

RECIPES = [
    Mlp(),
    Mlp(per_channel=True, gemm=True),
    Mlp(po2=False),
    Mlp(po2=False, per_channel=True, gemm=True),
    Mlp(po2=False, output_quant=True, signed_activation=True),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_about_a_right_lowering_is_unexplained(recipe: Mlp) -> None:
    report = explain(lower_traced(recipe.model()), recipe.inputs(300))
    assert (report.unexplained, report.first, report.skipped) == (0, None, None)
    assert report.words > 300
    assert np.array_equal(report.outputs, execute_qonnx(recipe.model(), recipe.inputs(300)))


def test_powers_of_two_agree_to_the_last_bit() -> None:
    recipe = Mlp(per_channel=True)
    lowered, inputs = lower_traced(recipe.model()), recipe.inputs(300)
    graph = lowered.graph
    exact = graph.output_values(ExactEngine(graph).run(graph.quantize_inputs(inputs)).output)
    report = explain(lowered, inputs)
    assert np.array_equal(report.outputs, exact)
    assert (report.explained, report.unexplained) == (0, 0)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_wrong_word_in_the_network_is_unexplained_wherever_it_shows(recipe: Mlp) -> None:
    lowered, inputs = lower_traced(recipe.model()), recipe.inputs(100)
    shown = 0
    for name, tensor in lowered.graph.tensors.items():
        for index in range(0, tensor.words.size, 5):
            word = int(tensor.words.flat[index])
            other = word - 1 if word > tensor.format.minimum else word + 1
            wrong = lowered.graph.with_words([WordChange(tensor=name, index=index, word=other)])
            if _quantized(lowered, inputs) == _quantized(replace(lowered, graph=wrong), inputs):
                continue
            report = explain(replace(lowered, graph=wrong), inputs)
            assert report.unexplained > 0
            assert report.first is not None
            shown += 1
    assert shown > 5


def test_words_at_a_rounding_boundary_are_explained_and_others_are_not() -> None:
    model = _on_ties(Mlp(po2=False))
    lowered, inputs = lower_traced(model), Mlp(po2=False).inputs(300)
    nudged = onnx.ModelProto()
    nudged.CopyFrom(model)
    # One unit in the last place of the activation's scale sends the ties the other way, and nothing else.
    for item in nudged.graph.initializer:
        if item.name == "act1.scale":
            moved = np.nextafter(numpy_helper.to_array(item), np.float32(0), dtype=np.float32)
            item.CopyFrom(numpy_helper.from_array(np.asarray(moved), item.name))
    report = explain(replace(lowered, model=nudged), inputs)
    assert report.explained > 0
    for item in nudged.graph.initializer:
        if item.name == "fc1.b":
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * np.float32(1.5), item.name))
    assert explain(replace(lowered, model=nudged), inputs).unexplained > 0


def test_sums_that_float32_cannot_tell_apart_are_left_out_with_the_reason_and_the_others_judged() -> None:
    recipe = Mlp(po2=False)
    model = recipe.model()
    # Constants of opposite sign that are a million words large: their float32 sum has lost the words' last bits.
    graph = model.graph
    quant = next(node for node in graph.node if node.name == "/act1/Quant")
    for name, constant in (("up", 3e7), ("down", -3e7)):
        graph.initializer.append(numpy_helper.from_array(np.asarray(constant, np.float32), name))
        add = onnx.helper.make_node("Add", [quant.input[0], name], [f"{name}_sum"], name=f"{name}_add")
        graph.node.insert(list(graph.node).index(quant), add)
        quant.input[0] = f"{name}_sum"
    lowered = lower_traced(model)
    report = explain(lowered, recipe.inputs(50))
    assert report.skipped is not None
    assert "act1" in report.skipped
    assert report.unexplained == 0
    whole = explain(lower_traced(recipe.model()), recipe.inputs(50))
    assert report.words == whole.words - 50 * lowered.graph.values["act1"].shape[0]
    tensor = lowered.graph.tensors["fc2.weight"]
    wrong = lowered.graph.with_words(
        [WordChange(tensor="fc2.weight", index=i, word=-int(tensor.words.flat[i])) for i in range(tensor.words.size)]
    )
    assert explain(replace(lowered, graph=wrong), recipe.inputs(50)).unexplained > 0


def _quantized(lowered: Lowered, inputs: np.ndarray) -> list[bytes]:
    graph = lowered.graph
    names = [*(graph.producer_of(node.output).output for node in graph.compute_nodes if node.name in _traced(lowered))]
    execution = ExactEngine(graph).run(graph.quantize_inputs(inputs), names)
    return [execution.output.tobytes(), *(execution.taps[name].tobytes() for name in names)]


def _traced(lowered: Lowered) -> set[str]:
    return {trace.node for trace in lowered.traces}


def _on_ties(recipe: Mlp) -> onnx.ModelProto:
    """The recipe's model with scales that put every odd sum of fc1 on a tie of act1."""
    model = recipe.model()
    scale = float(np.float32(0.31))
    old = {item.name: numpy_helper.to_array(item) for item in recipe.model().graph.initializer}
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item).astype(np.float64)
        if item.name in ("fc1.weight_scale", "fc1.w"):
            new = values / float(old["fc1.weight_scale"]) * 4 * scale
        elif item.name in ("fc1.bias_scale", "fc1.b"):
            new = values / float(old["fc1.bias_scale"]) * 0.5 * scale
        else:
            continue
        item.CopyFrom(numpy_helper.from_array(new.astype(np.float32), item.name))
    return model


def test_the_error_of_a_sum_is_carried_through_the_next_layer() -> None:
    """Two layers without a quantizer between: a sum that is 0 in truth leaves a float32 residue in what follows."""
    from support.random_graphs import build, spec_of

    graph = build(spec_of(200136))
    report = explain(lower_traced(graph.model), graph.inputs)
    assert report.words > 0
    assert report.unexplained == 0


def test_errors_of_a_layer_are_counted_against_words_that_float32_had_no_share_in() -> None:
    lowered, inputs = lower_traced(Mlp().model()), Mlp().inputs(60)
    graph = lowered.graph
    name = next(name for name in graph.tensors if name.endswith("weight"))
    wrong = graph.with_words([WordChange(tensor=name, index=0, word=int(-graph.tensors[name].words.flat[0]) or 1)])
    report = explain(replace(lowered, graph=wrong), inputs)
    words = graph.quantize_inputs(inputs)
    layers = {value: errors for value, errors in report.errors.items() if value != graph.quantizer.output}
    right, changed = (ExactEngine(one).run(words, tuple(layers)) for one in (graph, wrong))
    assert any(one.differences.any() for one in layers.values())
    for value, errors in layers.items():
        differences, counts = np.unique(right.taps[value] - changed.taps[value], return_counts=True)
        assert errors.differences.tolist() == differences.tolist()
        assert errors.counts.tolist() == counts.tolist()
