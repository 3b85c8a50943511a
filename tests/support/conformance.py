"""One small graph for each operator and option: what becomes of it, for the table of ``docs/conformance.md``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from support.onnx_graphs import Graph

from edgeval.float_bound import explain
from hls.errors import LoweringError
from hls.hls4ml_flow.limits import require_hls4ml
from hls.lowering import lower_traced

GENERAL = "qonnx.custom_op.general"
LAST = "qonnx.custom_op.channels_last"
VECTOR, LENGTH, IMAGE = (6,), (2, 8), (2, 6, 6)
Body = Callable[[Graph, str], str]


@dataclass(frozen=True, slots=True)
class Case:
    """One row.

    Attributes:
        body: Adds nodes behind the input quantizer (behind the raw input where ``raw``); returns the output.
        shape: Of one sample.
        opset: Version of the standard operators.
    """

    operator: str
    option: str
    body: Body
    shape: tuple[int, ...] = VECTOR
    opset: int = 13
    raw: bool = False

    def model(self) -> onnx.ModelProto:
        """The graph."""
        graph = Graph(inputs=[("x", [1, *self.shape])])
        value = "x" if self.raw else graph.quant("x", "input_quant", scale=0.25, bits=6.0)
        model = graph.model(self.body(graph, value))
        model.opset_import[0].version = self.opset
        if any(node.op_type == "Trunc" and len(node.input) > 5 for node in model.graph.node):
            model.opset_import[1].version = 2
        for node in model.graph.node:
            if node.domain == LAST:  # qonnx infers no shapes around its own convolution
                model.opset_import.append(onnx.helper.make_opsetid(LAST, 13))
                shapes = (node.input[0], [1, 6, 6, 2]), (node.input[1], [4, 3, 3, 2]), (node.output[0], [1, 4, 4, 4])
                model.graph.value_info.extend(
                    onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes
                )
        return model


@dataclass(frozen=True, slots=True)
class Outcome:
    """The cells of a row."""

    network: str
    hls4ml: str


def outcome(case: Case) -> Outcome:
    """Lower, execute with qonnx, compare; then ask whether hls4ml has exact layers."""
    try:
        lowered = lower_traced(case.model())
    except LoweringError as error:
        return Outcome(f"refused: {error.found}", "—")
    inputs = np.random.default_rng(7).normal(size=(60, *case.shape)).astype(np.float32) * 3
    report = explain(lowered, inputs)
    assert report.skipped is None, f"{case}: {report.skipped}"
    assert report.unexplained == 0, f"{case}: {report.first}"
    try:
        require_hls4ml(lowered.graph)
    except LoweringError as error:
        return Outcome("explained" if report.explained else "exact", f"refused: {error.found}")
    return Outcome("explained" if report.explained else "exact", "yes")


def page(outcomes: dict[Case, Outcome]) -> str:
    """The page, as it is kept in ``docs/conformance.md``."""
    rows = [
        f"| {'`' + case.operator + '`'} | {case.option} | {_cell(out.network)} | {_cell(out.hls4ml)} |"
        for case, out in outcomes.items()
    ]
    return "\n".join([_HEADER, *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_HEADER = """# Conformance

One small graph for each operator and option, made and compared by `tests/flow/test_conformance.py`, which also writes
this page (`EDGEVAL_WRITE_DOCS=1 pytest tests/flow/test_conformance.py`) and fails when it is out of date.

*exact*: the integer network gives every quantized word that qonnx gives. *explained*: some words differ, and each is
within the proved float32 error of a rounding boundary, so that qonnx' float32 execution cannot tell. *refused*: with
what was found; the whole message also names the layer, what is allowed and the remedy. The last column says whether the
network becomes an hls4ml project whose C-simulation is bit-exact, or what hls4ml has no exact layer for.

| operator | option | integer network | hls4ml |
| --- | --- | --- | --- |"""


# Bodies.


def constants(graph: Graph, shape: tuple[int, ...], seed: int = 3, spread: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * spread).astype(np.float32)


def matmul(graph: Graph, value: str, inputs: int = 6, outputs: int = 4, **quant: object) -> str:
    quant = {"scale": 0.25, "bits": 4.0} | quant
    return graph.node("MatMul", [value, graph.weight(constants(graph, (inputs, outputs)), "fc.weight", **quant)], "fc")


def conv(graph: Graph, value: str, **choices: object) -> str:
    """Choices: outputs, kernel, group, bias (name of a tensor), quant; everything else is the operator's."""
    kernel = list(choices.pop("kernel", [3, 3]))  # type: ignore[call-overload]
    outputs, group = int(choices.pop("outputs", 4)), int(choices.get("group", 1))  # type: ignore[call-overload]
    quant = {"scale": 0.25, "bits": 4.0} | dict(choices.pop("quant", {}))  # type: ignore[call-overload]
    last = choices.get("domain") == LAST
    shape = (outputs, *kernel, 2 // group) if last else (outputs, 2 // group, *kernel)
    bias = choices.pop("bias", None)
    inputs = [value, graph.weight(constants(graph, shape), "conv.weight", **quant)]
    inputs += [str(bias)] if bias is not None else []
    return graph.node("Conv", inputs, "conv", kernel_shape=kernel, **choices)


def act(graph: Graph, value: str, **choices: object) -> str:
    return graph.quant(value, "act", **{"scale": 0.5, "bits": 5.0} | choices)


def quantized(body: Body, **choices: object) -> Body:
    """The body with a quantizer behind it."""
    return lambda graph, value: act(graph, body(graph, value), **choices)


def single(
    operator: str, *inputs: object, before: Body | None = None, close: bool = True, **attributes: object
) -> Body:
    """One operator with constant inputs, behind a layer (``before``), a quantizer behind it (``close``)."""

    def body(graph: Graph, value: str) -> str:
        value = (before or matmul)(graph, value)
        arrays = [
            graph.constant(array, np.int64 if isinstance(array, list) else np.float32) if not isinstance(array, str)
            else array for array in inputs
        ]  # fmt: skip
        value = graph.node(operator, [value, *arrays], operator.lower(), **attributes)
        return act(graph, value) if close else value

    return body


def same(graph: Graph, value: str) -> str:
    """Nothing in front: the input words themselves."""
    del graph
    return value


def narrow(graph: Graph, value: str) -> str:
    """A layer and a quantizer, so that few words come."""
    return graph.quant(matmul(graph, value), "pre", scale=0.25, bits=6.0)


def image_layer(graph: Graph, value: str) -> str:
    return conv(graph, value)


def then(*bodies: Body) -> Body:
    """One after the other."""

    def body(graph: Graph, value: str) -> str:
        for item in bodies:
            value = item(graph, value)
        return value

    return body


def biased(bias: Callable[[Graph], str], **quant: object) -> Body:
    return lambda graph, value: act(graph, graph.node("Add", [matmul(graph, value, **quant), bias(graph)], "bias"))


def float_bias(graph: Graph) -> str:
    return graph.constant([0.3, -1.2, 0.07, 2.0])


def quant_bias(scale: float, bits: float = 8.0) -> Callable[[Graph], str]:
    return lambda graph: graph.weight([0.3, -1.2, 0.1, 2.0], "bias", scale=scale, bits=bits)


def conv_bias(scale: float | None, **choices: object) -> Body:
    def body(graph: Graph, value: str) -> str:
        numbers = [0.3, -1.2, 0.1, 2.0][: int(choices.get("outputs", 4))]  # type: ignore[call-overload]
        name = graph.constant(numbers) if scale is None else graph.weight(numbers, "bias", scale=scale, bits=8.0)
        return act(graph, conv(graph, value, bias=name, **choices))

    return body


def branches(left: dict[str, object], right: dict[str, object], operator: str = "Add") -> Body:
    def body(graph: Graph, value: str) -> str:
        parts = [graph.quant(value, name, **quant) for name, quant in (("left", left), ("right", right))]
        return act(graph, graph.node(operator, parts, "sum"))

    return body


def concat(axis: int, scales: tuple[float, ...], before: Body = same) -> Body:
    def body(graph: Graph, value: str) -> str:
        value = before(graph, value)
        parts = [graph.quant(value, f"part{i}", scale=scale, bits=4.0) for i, scale in enumerate(scales)]
        return act(graph, graph.node("Concat", parts, "concat", axis=axis))

    return body


def normalization(**choices: object) -> Body:
    """Choices: before, and the operator's attributes; weights of either sign."""
    before = choices.pop("before", image_layer)
    rows = [[1.0, -0.5, 0.3, 2.0], [0.1, 0.2, -0.4, 1.0], [0.3, -0.2, 0.0, 1.0], [1.0, 0.5, 2.0, 0.1]]

    def body(graph: Graph, value: str) -> str:
        value = before(graph, value)  # type: ignore[operator]
        return act(graph, graph.node("BatchNormalization", [value, *map(graph.constant, rows)], "bn", **choices))

    return body


def gated(function: Body) -> Body:
    """value × function(value)."""

    def body(graph: Graph, value: str) -> str:
        value = narrow(graph, value)
        return act(graph, graph.node("Mul", [value, function(graph, value)], "gate"))

    return body


def gelu_chain(graph: Graph, value: str) -> str:
    """0.5 × value × (1 + erf(value / sqrt 2)), as exporters write it."""
    value = narrow(graph, value)
    inner = graph.node("Erf", [graph.node("Div", [value, graph.constant(np.sqrt(2.0))])])
    product = graph.node("Mul", [value, graph.node("Add", [inner, graph.constant(1.0)])])
    return act(graph, graph.node("Mul", [product, graph.constant(0.5)]))


def gemm(bias: str | None = None, **attributes: object) -> Body:
    def body(graph: Graph, value: str) -> str:
        shape = (4, 6) if attributes.get("transB") else (6, 4)
        inputs = [value, graph.weight(constants(graph, shape), "fc.weight", scale=0.25)]
        if bias is not None:
            inputs.append(float_bias(graph) if bias == "float" else quant_bias(0.0625)(graph))
        return act(graph, graph.node("Gemm", inputs, "fc", **attributes))

    return body


def trunc(version: int, rounding: str = "FLOOR") -> Body:
    def body(graph: Graph, value: str) -> str:
        value = act(graph, matmul(graph, value), scale=0.25, bits=8.0)
        numbers = [0.25, 0.0, 8.0, *((4.0, 4.0) if version == 2 else (4.0,))]
        inputs = [value, *map(graph.constant, numbers)]
        more = {"signed": 1, "narrow": 0} if version == 2 else {}
        return graph.node("Trunc", inputs, "trunc", domain=GENERAL, rounding_mode=rounding, **more)

    return body


def on_ties(graph: Graph, value: str) -> str:
    """Float scales whose product rounds across half a step in float32, for half of the words."""
    scale = np.float32(0.1)
    value = graph.quant(value, "fine", scale=scale, bits=8.0)
    value = graph.node("Mul", [value, graph.constant(np.float32(0.7))], "factor")
    return graph.quant(value, "coarse", scale=np.float32(2) * scale * np.float32(0.7), bits=6.0)


def split(graph: Graph, value: str) -> str:
    names = ["s0", "s1"]
    sizes = graph.constant([3, 3], np.int64)
    graph.nodes.append(onnx.helper.make_node("Split", [value, sizes], names, name="/split/Split", axis=1))
    return act(graph, graph.node("Add", names, "sum"))


def raw_quant(**choices: object) -> Body:
    return lambda graph, value: matmul(graph, graph.quant(value, "input_quant", **{"scale": 0.25} | choices))


def attention(graph: Graph, value: str) -> str:
    turned = graph.node("Transpose", [value], "turn", perm=[0, 2, 1])
    return graph.node("MatMul", [value, turned], "scores")
