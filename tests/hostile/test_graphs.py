"""ONNX graphs that ask for more than any device has, mean two things, or mean none: refused before anything is made."""

from __future__ import annotations

import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from support.networks import Mlp
from support.onnx_graphs import Graph, dense

from hls.errors import LoweringError
from hls.hls4ml_flow.options import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.lowering import lower
from hls.lowering.symbols import safe_name
from hls.sizes import LONGEST_NAME
from hls.soundness import IDENTIFIER, is_name
from hls.toolchain import find_compiler


def sized(*shape: int) -> onnx.ModelProto:
    """The smallest network, on an input of any shape."""
    graph = Graph(inputs=[("x", [1, *shape])])
    value = graph.quant("x", "input_quant")
    return graph.model(graph.node("Relu", [value], "act"))


def computed(make: Callable[[Graph], str]) -> onnx.ModelProto:
    """A weight that the graph works out."""
    graph = Graph()
    value = graph.quant("x", "input_quant")
    return graph.model(graph.node("MatMul", [value, graph.quant(make(graph), "w")], "fc"))


BOMBS = {
    "a terabyte of inputs": lambda: sized(2**40),
    "a product of sizes": lambda: sized(2**20, 2**20),
    "a long chain of axes": lambda: sized(*[1] * 60),
    "a constant of any shape": lambda: computed(
        lambda g: g.node("ConstantOfShape", [g.constant([2, 10**12], np.int64)])
    ),
    "an expanded constant": lambda: computed(
        lambda g: g.node("Expand", [g.constant(1.0), g.constant([10**6, 10**6], np.int64)])
    ),
    "a tiled constant": lambda: computed(
        lambda g: g.node("Tile", [g.constant([[1.0]]), g.constant([10**6, 10**6], np.int64)])
    ),
    "a range": lambda: computed(
        lambda g: g.node("Range", [g.constant(0, np.int64), g.constant(10**12, np.int64), g.constant(1, np.int64)])
    ),
    "two vectors side by side": lambda: computed(
        lambda g: g.node("Add", [g.constant(np.ones((20_000, 1))), g.constant(np.ones((1, 20_000)))])
    ),
    "a constant that doubles": lambda: computed(doubling),
    "a scale broadcast to a matrix": lambda: computed_scale(),
    "a padded image": lambda: image(
        lambda g, v: g.node("Pad", [v, g.constant([0, 0, 0, 0, 0, 0, 10**6, 10**6], np.int64)])
    ),
    "an enlarged image": lambda: image(
        lambda g, v: g.node(
            "Resize", [v, "", g.constant([1, 1, 1e6, 1e6])], coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
    ),
    "a padded convolution": lambda: image(
        lambda g, v: g.node("Conv", [v, g.weight(np.ones((1, 1, 1, 1)))], pads=[10**9] * 4)
    ),
}  # fmt: skip


def doubling(graph: Graph) -> str:
    name = graph.constant(np.ones((2, 8)))
    for _ in range(40):
        name = graph.node("Concat", [name, name], axis=1)
    return name


def computed_scale() -> onnx.ModelProto:
    graph = Graph()
    value = graph.quant("x", "input_quant")
    weight = graph.quant(graph.constant(np.ones((20_000, 1))), "w", scale=np.ones((1, 20_000)))
    return graph.model(graph.node("MatMul", [value, weight], "fc"))


def image(body: Callable[[Graph, str], str]) -> onnx.ModelProto:
    graph = Graph(inputs=[("x", [1, 1, 4, 4])])
    return graph.model(graph.node("Relu", [body(graph, graph.quant("x", "input_quant"))], "act"))


@pytest.mark.parametrize("name", BOMBS)
def test_what_a_short_file_asks_for_is_not_allocated(name: str) -> None:
    model = BOMBS[name]()
    tracemalloc.start()
    try:
        with pytest.raises(LoweringError):
            lower(model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 600 * 2**20


def two_producers(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["x"], [model.graph.node[0].output[0]], name="again"))


def own_operator(model: onnx.ModelProto) -> None:
    body = [helper.make_node("Neg", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "MatMul", ["a"], ["b"], body, [helper.make_opsetid("", 13)]))


def no_inputs(model: onnx.ModelProto) -> None:
    del model.graph.node[-1].input[:]


def lost_bytes(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = b"\0"


def text_constant(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(helper.make_tensor(model.graph.initializer[0].name, 8, [1], [b"a"]))


def cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def negative_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -8


@pytest.mark.parametrize(
    "spoil", [two_producers, own_operator, no_inputs, lost_bytes, text_constant, cycle, negative_shape]
)
def test_a_graph_of_no_or_of_two_meanings_is_refused(spoil: Callable[[onnx.ModelProto], None]) -> None:
    model = dense()
    spoil(model)
    with pytest.raises(LoweringError):
        lower(model)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(LoweringError):
        lower(dense(scale=scale))


def test_parts_that_do_not_fit_side_by_side_are_refused() -> None:
    graph = Graph(inputs=[("x", [1, 4, 4])])
    value = graph.quant("x", "input_quant")
    part = graph.node("Slice", [value, *(graph.constant([n], np.int64) for n in (0, 2, 1))])
    with pytest.raises(LoweringError):
        lower(graph.model(graph.node("Concat", [value, part], axis=2)))


def test_a_pool_with_windows_of_nothing_but_padding_is_refused() -> None:
    model = image(lambda g, v: g.node("MaxPool", [v], kernel_shape=[2, 2], pads=[3, 3, 3, 3]))
    with pytest.raises(LoweringError, match="a word in every window"):
        lower(model)


NAMES = [
    "a b", 'a"; system("id"); //', "*/ int x; /*", "#include </etc/passwd>", "é", "名前", "\u202ea", "n" * 10_000, "4",
    "a\nb", "a\0b", "../../x", "int", "class", "std", "size", "input", "network_input", "layer2", "-o", "$(id)",
    "<script>",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names_of_a_file_become_identifiers_of_the_network(name: str) -> None:
    model = Mlp(seed=2).model()
    old = model.graph.input[0].name
    for node in model.graph.node:
        node.name = name
        node.input[:] = [name if item == old else item for item in node.input]
    model.graph.input[0].name = name
    graph = lower(model)
    names = {graph.input, *graph.values, *(node.name for node in graph.nodes)}
    assert all(IDENTIFIER.fullmatch(text) and len(text) <= LONGEST_NAME for text in names)
    assert all(is_name(text, parts=2) for text in graph.tensors)
    assert [tensor.words.tolist() for tensor in graph.tensors.values()] == [
        tensor.words.tolist() for tensor in Mlp(seed=2).graph().tensors.values()
    ]


@settings(deadline=None)
@given(st.lists(st.integers(0, 0x10FFFF), max_size=300))
def test_any_text_becomes_an_identifier(characters: list[int]) -> None:
    assert is_name(safe_name("".join(map(chr, characters)), "layer"))


def test_layers_that_are_called_as_others_weights_are_kept_apart() -> None:
    graph = Graph()
    value = graph.quant("x", "input_quant")
    for name in ("fc_weight", "fc", "fc_bias", "x"):
        value = graph.node("MatMul", [value, graph.weight([[1.0, 2.0], [3.0, 1.0]])], name)
        value = graph.quant(value, f"q_{name}", scale=4.0)
    network = lower(graph.model(value))
    flat = [name.replace(".", "_") for name in (*network.values, *network.tensors)]
    assert len(set(flat)) == len(flat)


@pytest.mark.slow
@pytest.mark.gxx
def test_the_project_of_a_graph_with_hostile_names_compiles(tmp_path: Path) -> None:
    graph = Graph()
    value = graph.quant("x", "input_quant")
    for name in NAMES:
        value = graph.node("MatMul", [value, graph.weight([[1.0, 0.0], [0.0, 1.0]])], "fc")
        graph.nodes[-1].name = name
        value = graph.quant(value, "q")
        graph.nodes[-1].name = f"{name}_"
    manifest = write_project(lower(graph.model(value)), tmp_path / "project", ProjectOptions())
    includes = ["-isystem", "firmware/ap_types", "-isystem", "firmware", "-I."]
    unit = f"firmware/{manifest.project}.cpp"
    done = subprocess.run(
        [str(find_compiler().path), "-std=c++17", "-fsyntax-only", *includes, unit],
        cwd=tmp_path / "project", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:2000]
    assert [path.name for path in tmp_path.iterdir()] == ["project"]
