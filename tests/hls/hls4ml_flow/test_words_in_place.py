"""What hls4ml would rearrange or merge, and what is done so that its words stay those of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hls4ml.model.flow import get_flow
from support.onnx_graphs import Graph

from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.hls4ml_flow.alignment import cpp_type_of
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.canonical import canonical_model
from hls.hls4ml_flow.options import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.lowering import lower
from hls.nodes import Resize, Transpose


def operators(network: IntegerGraph) -> list[str]:
    return [node.op_type for node in canonical_model(network).graph.node]


def branched(readers: int) -> IntegerGraph:
    """A layer whose sum one or two quantizers read."""
    graph = Graph()
    value = graph.node("MatMul", [graph.quant("x", "q"), graph.weight(np.eye(2))], "fc")
    parts = [graph.quant(value, f"part{i}", scale=2.0**i) for i in range(readers)]
    value = parts[0] if readers == 1 else graph.node("Add", parts, "sum")
    return lower(graph.model(value))


@pytest.mark.parametrize(("readers", "merged"), [(1, True), (2, False)])
def test_a_quantizer_is_a_type_only_where_nothing_else_reads_the_sum(readers: int, merged: bool) -> None:
    assert ("Requantize" not in operators(branched(readers))) == merged


def flattened(readers: int) -> IntegerGraph:
    graph = Graph(inputs=[("x", [1, 2, 3])])
    value = graph.node("Transpose", [graph.quant("x", "q")], "turn", perm=[0, 2, 1])
    flat = graph.node("Flatten", [value], "flat")
    parts = [graph.node("MatMul", [flat, graph.weight(np.eye(6)[:, :2], f"w{i}")], f"fc{i}") for i in range(readers)]
    return lower(graph.model(parts[0] if readers == 1 else graph.node("Add", parts, "sum")))


def test_a_transpose_that_several_layers_read_is_written_and_its_weights_stay(tmp_path: Path) -> None:
    network = flattened(2)
    assert any(isinstance(node, Transpose) for node in network.nodes)
    manifest = write_project(network, tmp_path / "hls4ml", ProjectOptions())
    assert audit_project(network, tmp_path / "hls4ml", manifest) == []


def test_hls4mls_own_passes_are_back_afterwards(tmp_path: Path) -> None:
    before = list(get_flow("convert").optimizers)
    write_project(flattened(1), tmp_path / "hls4ml", ProjectOptions())
    assert get_flow("convert").optimizers == before


def padded() -> IntegerGraph:
    """Padding of a length in a network without a convolution, words channels-last."""
    graph = Graph(inputs=[("x", [1, 3, 2])])
    value = graph.node("Pad", [graph.quant("x", "q"), graph.constant([0, 1, 0, 0, 2, 0], np.int64)], "pad")
    return lower(graph.model(graph.node("MatMul", [graph.node("Flatten", [value]), graph.weight(np.eye(12))], "fc")))


def test_padding_names_its_axes() -> None:
    pad = next(node for node in canonical_model(padded()).graph.node if node.op_type == "ZeroPad")
    assert {item.name: list(item.ints) for item in pad.attribute} == {"front": [1], "back": [2]}


def test_a_resize_has_the_type_of_what_it_copies() -> None:
    graph = Graph(inputs=[("x", [1, 2, 4, 4])])
    value = graph.node("Conv", [graph.quant("x", "q"), graph.weight(np.ones((2, 2, 1, 1)), "w")], "conv",
                       kernel_shape=[1, 1])  # fmt: skip
    value = graph.quant(value, "act", scale=4.0)
    value = graph.node("Resize", [value, "", graph.constant([1.0, 1, 2, 2])], "up", mode="nearest")
    network = lower(graph.model(value))
    resize = next(node for node in network.nodes if isinstance(node, Resize))
    assert cpp_type_of(network, resize.output) == cpp_type_of(network, resize.input)


def test_a_copy_behind_a_reshape_has_the_words_type(tmp_path: Path) -> None:
    graph = Graph(inputs=[("x", [1, 1, 4])])
    flat = graph.node("Reshape", [graph.quant("x", "q", scale=0.25), graph.constant([1, 4], np.int64)], "flat")
    parts = [graph.quant(flat, f"part{i}", scale=0.3 * (i + 1)) for i in range(2)]
    network = lower(graph.model(graph.node("Concat", parts, "sum", axis=1)))
    write_project(network, tmp_path / "hls4ml", ProjectOptions(io_type="io_stream"))
    types = (tmp_path / "hls4ml" / "firmware" / "defines.h").read_text(encoding="utf-8")
    assert "ap_fixed<32,16" not in types


def streamed(operator: str) -> IntegerGraph:
    graph = Graph(inputs=[("x", [1, 2, 4, 4])])
    value = graph.quant("x", "q")
    if operator == "MaxPool":
        value = graph.node("MaxPool", [value], "pool", kernel_shape=[2, 2])
        return lower(graph.model(graph.quant(value, "act", scale=0.3)))
    value = graph.quant(graph.node("Flatten", [value], "flat"), "act", scale=0.3)
    return lower(graph.model(graph.node("MatMul", [value, graph.weight(np.eye(32)[:, :2])], "fc")))


@pytest.mark.parametrize(("operator", "said"), [("MaxPool", "every"), ("Flatten", "a flatten that another layer")])
def test_what_streams_cannot_carry_is_refused_by_layer(operator: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match=said):
        write_project(streamed(operator), tmp_path / "hls4ml", ProjectOptions(io_type="io_stream"))
    write_project(streamed(operator), tmp_path / "hls4ml", ProjectOptions(io_type="io_parallel"))
