from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from support.onnx_graphs import Graph

from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.lowering import lower
from hls.nodes import Reshape, Resize, Transpose

WEIGHT = np.arange(-6, 6).reshape(6, 2)


def image(graph: Graph) -> Graph:
    graph.inputs = [("x", [1, 2, 3])]
    return graph


def behind(operator: str, *, target: list[int] | None = None, **attributes: object) -> IntegerGraph:
    """x (2 × 3) → Quant → the operator → MatMul (6 → 2)."""
    graph = image(Graph())
    value = graph.quant("x", "q")
    inputs = [value] if target is None else [value, graph.constant(target, np.int64)]
    value = graph.node(operator, inputs, "flat", **attributes)
    return lower(graph.model(graph.node("MatMul", [value, graph.weight(WEIGHT)], "fc")))


@pytest.mark.parametrize("target", [None, [1, -1], [-1, 6], [0, -1], [1, 6], [0, 6]])
def test_flatten_and_its_reshapes_are_a_flatten(target: list[int] | None) -> None:
    graph = behind("Flatten") if target is None else behind("Reshape", target=target)
    assert isinstance(graph.compute_nodes[0], Reshape)
    assert graph.values["flat"].shape == (6,)


def test_flattening_the_samples_too_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"flat/Flatten.*found axis 0"):
        behind("Flatten", axis=0)


@pytest.mark.parametrize("operator", ["Identity", "Dropout"])
def test_nothing_is_nothing(operator: str) -> None:
    graph = Graph()
    value = graph.node(operator, [graph.quant("x", "q")], "nothing")
    lowered = lower(graph.model(graph.node("MatMul", [value, graph.weight(np.eye(2))], "fc")))
    assert [node.name for node in lowered.nodes] == ["q", "fc"]


def test_a_transpose_of_a_float_constant_is_done_at_once() -> None:
    graph = Graph()
    raw = graph.node("Transpose", [graph.constant([[1.0, 2.0], [3.0, 4.0]])], perm=[1, 0])
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.quant(raw, "w")], "fc")
    assert lower(graph.model(value)).tensors["fc.weight"].words.tolist() == [[1, 3], [2, 4]]


def test_a_reshape_of_a_float_constant_is_done_at_once() -> None:
    graph = Graph()
    raw = graph.node("Reshape", [graph.constant([1.0, 2.0, 3.0, 4.0]), graph.constant([2, 2], np.int64)])
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.quant(raw, "w")], "fc")
    assert lower(graph.model(value)).tensors["fc.weight"].words.tolist() == [[1, 2], [3, 4]]


def test_a_constant_node_is_a_constant() -> None:
    graph = Graph()
    tensor = numpy_helper.from_array(np.eye(2, dtype=np.float32))
    raw = graph.node("Constant", [], value=tensor)
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.quant(raw, "w")], "fc")
    assert lower(graph.model(value)).tensors["fc.weight"].words.tolist() == [[1, 0], [0, 1]]


def test_flattening_what_is_flat_is_nothing() -> None:
    graph = Graph()
    value = graph.node("Flatten", [graph.quant("x", "q")], "flat")
    lowered = lower(graph.model(graph.node("MatMul", [value, graph.weight(np.eye(2))], "fc")))
    assert [node.name for node in lowered.nodes] == ["q", "fc"]


@pytest.mark.parametrize("target", [[6, 1], [2, 3], [6], [1, 7], [1, -1, -1]])
def test_a_reshape_that_moves_the_samples_is_refused(target: list[int]) -> None:
    with pytest.raises(LoweringError, match=r"flat/Reshape.*found target shape"):
        behind("Reshape", target=target)


@pytest.mark.parametrize("target", [[1, 1, 6], [-1, 1, 6], [1, 1, -1]])
def test_another_reshape_of_words_is_a_reshape(target: list[int]) -> None:
    graph = behind("Reshape", target=target)
    assert graph.values["flat"].shape == (1, 6)


def test_a_transpose_costs_nothing_until_words_have_to_lie_in_order() -> None:
    graph = image(Graph())
    value = graph.node("Transpose", [graph.quant("x", "q")], "turn", perm=[0, 2, 1])
    back = graph.node("Transpose", [value], "back", perm=[0, 2, 1])
    value = graph.node("MatMul", [graph.node("Flatten", [back], "flat"), graph.weight(WEIGHT)], "fc")
    assert not any(isinstance(node, Transpose) for node in lower(graph.model(value)).nodes)


@pytest.mark.parametrize("readers", [1, 2])
def test_a_transpose_in_front_of_a_flatten_orders_rows_or_moves_words(readers: int) -> None:
    graph = image(Graph())
    value = graph.node("Transpose", [graph.quant("x", "q")], "turn", perm=[0, 2, 1])
    flat = graph.node("Flatten", [value], "flat")
    value = graph.node("MatMul", [flat, graph.weight(WEIGHT)], "fc")
    if readers == 2:  # then no order of one weight's rows will do
        other = graph.node("MatMul", [flat, graph.weight(0 * WEIGHT, "zeros")], "fc2")
        value = graph.node("Add", [value, other], "sum")
    lowered = lower(graph.model(value))
    assert any(isinstance(node, Transpose) for node in lowered.nodes) == (readers == 2)
    words = np.arange(-3, 3).reshape(1, 2, 3)
    expected = words.transpose(0, 2, 1).reshape(1, 6) @ WEIGHT
    assert ExactEngine(lowered).run(lowered.quantize_inputs(words.astype(float))).output.tolist() == expected.tolist()


def test_numbers_along_another_axis_bring_that_axis_last() -> None:
    graph = image(Graph())
    value = graph.node("Mul", [graph.quant("x", "q"), graph.constant([[0.3], [-0.7]])], "factor")
    value = graph.node("Flatten", [graph.quant(value, "act", scale=0.5)], "flat")
    lowered = lower(graph.model(graph.node("MatMul", [value, graph.weight(WEIGHT)], "fc")))
    words = np.arange(-3, 3).reshape(1, 2, 3)
    real = words * np.float32([[0.3], [-0.7]]).astype(float)
    expected = np.clip(np.rint(real / 0.5), -8, 7).reshape(1, 6) @ WEIGHT
    assert ExactEngine(lowered).run(lowered.quantize_inputs(words.astype(float))).output.tolist() == expected.tolist()


@pytest.mark.parametrize("operator", ["Flatten", "Transpose"])
def test_what_lies_in_front_of_the_quantizer_is_the_hosts(operator: str) -> None:
    graph = image(Graph())
    value = graph.node(operator, ["x"], "flat", **({"perm": [0, 2, 1]} if operator == "Transpose" else {}))
    value = graph.quant(value, "q")
    value = value if operator == "Flatten" else graph.node("Flatten", [value], "behind")
    lowered = lower(graph.model(graph.node("MatMul", [value, graph.weight(WEIGHT)], "fc")))
    values = np.arange(-3.0, 3.0).reshape(1, 2, 3)
    turned = values if operator == "Flatten" else values.transpose(0, 2, 1)
    output = ExactEngine(lowered).run(lowered.quantize_inputs(values)).output
    assert output.tolist() == (turned.reshape(1, 6) @ WEIGHT).tolist()


@pytest.mark.parametrize("opset", [9, 10, 11])
def test_upsampling_is_a_resize_in_every_operator_set(opset: int) -> None:
    graph = Graph(inputs=[("x", [1, 1, 2, 2])])
    factors = graph.constant([1.0, 1.0, 2.0, 1.0])
    value = graph.quant("x", "q")
    if opset == 9:
        value = graph.node("Upsample", [value, factors], "up", mode="nearest")
    elif opset == 10:
        value = graph.node("Resize", [value, factors], "up", mode="nearest")
    else:
        value = graph.node("Resize", [value, graph.constant(np.zeros(0)), factors], "up", mode="nearest")
    model = graph.model(graph.node("MatMul", [graph.node("Flatten", [value]), graph.weight(np.eye(8))], "fc"))
    model.opset_import[0].version = opset
    lowered = lower(model)
    resize = next(node for node in lowered.nodes if isinstance(node, Resize))
    assert sorted(resize.factors) == [1, 1, 2]
