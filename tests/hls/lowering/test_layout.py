from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.onnx_graphs import Graph

from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.lowering import lower
from hls.nodes import Flatten

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
    assert isinstance(graph.compute_nodes[0], Flatten)
    assert graph.values["flat"].shape == (6,)


@pytest.mark.parametrize("target", [[-1, -1], [1, 3, 2], [6, 1], [2, 3], [6]])
def test_another_reshape_of_words_is_refused(target: list[int]) -> None:
    with pytest.raises(LoweringError, match=r"flat/Reshape.*found target shape"):
        behind("Reshape", target=target)


def test_flattening_the_samples_too_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"flat/Flatten.*found axis 0"):
        behind("Flatten", axis=0)


@pytest.mark.parametrize("operator", ["Identity", "Dropout"])
def test_nothing_is_nothing(operator: str) -> None:
    graph = Graph()
    value = graph.node(operator, [graph.quant("x", "q")], "nothing")
    lowered = lower(graph.model(graph.node("MatMul", [value, graph.weight(np.eye(2))], "fc")))
    assert [node.name for node in lowered.nodes] == ["q", "fc"]


def test_a_transpose_of_words_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"flat/Transpose.*a transpose of words"):
        behind("Transpose", perm=[0, 2, 1])


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


def test_a_reshape_of_a_quantized_weight_is_refused() -> None:
    graph = Graph()
    graph.quant("x", "q")
    weight = graph.node("Reshape", [graph.weight([1.0, 2.0]), graph.constant([1, 2], np.int64)], "odd")
    with pytest.raises(LoweringError, match=r"odd/Reshape.*a reshape of a quantized weight"):
        lower(graph.model(weight))


def test_a_constant_node_is_a_constant() -> None:
    graph = Graph()
    tensor = numpy_helper.from_array(np.eye(2, dtype=np.float32))
    raw = graph.node("Constant", [], value=tensor)
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.quant(raw, "w")], "fc")
    assert lower(graph.model(value)).tensors["fc.weight"].words.tolist() == [[1, 0], [0, 1]]


def test_a_constant_node_without_a_tensor_is_refused() -> None:
    graph = Graph()
    graph.quant("x", "q")
    graph.nodes.append(onnx.NodeProto())
    graph.nodes[-1].CopyFrom(helper.make_node("Constant", [], ["c"], name="/odd/Constant", value_float=1.0))
    with pytest.raises(LoweringError, match=r"odd/Constant.*without a tensor value"):
        lower(graph.model("c"))


def test_flattening_in_front_of_the_quantizer_is_refused() -> None:
    graph = image(Graph())
    with pytest.raises(LoweringError, match=r"flat/Flatten.*in front of the input quantizer"):
        lower(graph.model(graph.quant(graph.node("Flatten", ["x"], "flat"), "q")))


def test_flattening_what_is_flat_is_nothing() -> None:
    graph = Graph()
    value = graph.node("Flatten", [graph.quant("x", "q")], "flat")
    lowered = lower(graph.model(graph.node("MatMul", [value, graph.weight(np.eye(2))], "fc")))
    assert [node.name for node in lowered.nodes] == ["q", "fc"]
