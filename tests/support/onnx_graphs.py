"""Hand-written QONNX graphs, node by node, for tests about single operators and refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.networks import QONNX


@dataclass(slots=True)
class Graph:
    """An ONNX graph under construction; every method returns the name of the tensor it adds."""

    inputs: list[tuple[str, list[int | str]]] = field(default_factory=lambda: [("x", [1, 2])])
    outputs: list[str] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str | None = None, **attributes: object) -> str:
        output = f"t{len(self.nodes)}"
        label = f"/{name or operator.lower()}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=label, **attributes))
        return output

    def quant(self, source: str, name: str, **choices: object) -> str:
        """A Quant node; choices: scale, zero_point, bits, signed, narrow, rounding, operator."""
        parameters = [
            self.constant(choices.get("scale", 1.0)),
            self.constant(choices.get("zero_point", 0.0)),
            self.constant(choices.get("bits", 4.0)),
        ]
        return self.node(
            str(choices.get("operator", "Quant")), [source, *parameters], name, domain=QONNX,
            signed=int(bool(choices.get("signed", True))), narrow=int(bool(choices.get("narrow", False))),
            rounding_mode=choices.get("rounding", "ROUND"),
        )  # fmt: skip

    def weight(self, values: object, name: str = "fc.weight", **choices: object) -> str:
        return self.quant(self.constant(values), name, **choices)

    def model(self, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


WEIGHTS = [[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]


def dense(after: Callable[[Graph, str], str] = lambda graph, value: value, **quant: object) -> onnx.ModelProto:
    """x → Quant → MatMul (2 → 3) → whatever the test adds."""
    graph = Graph()
    value = graph.quant("x", "input_quant", **quant)
    value = graph.node("MatMul", [value, graph.weight(WEIGHTS)], "fc")
    return graph.model(after(graph, value))
