"""IntegerGraph → the canonical QONNX graph that hls4ml is given: integers only, every format explicit.

One unit of the input word is 1; every later value is a word times a power of two (``unit_log2``), which ap_fixed types
carry in their binary point for nothing. So the raw bits of every hls4ml type *are* the words of the integer network.
Weights are the executor words (per-channel scales already widened), biases sit at their accumulator's unit.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hls.errors import LoweringError
from hls.formats import Rounding, WordFormat
from hls.graph import IntegerGraph, StoredTensor
from hls.nodes import Flatten, MatMul, Node, Quantize, Requantize, Shift

QONNX_DOMAIN = "qonnx.custom_op.general"
_ROUNDING_MODES: dict[Rounding, str] = {"half_even": "ROUND", "floor": "FLOOR"}
INPUT_NAME = "network_input"


def canonical_model(graph: IntegerGraph) -> onnx.ModelProto:
    """Write the canonical QONNX graph of a network.

    Raises:
        LoweringError: a node hls4ml has no exact layer for, or a constant float32 cannot hold; names the layer.
    """
    return _Writer(graph).model()


def unit_log2(graph: IntegerGraph) -> dict[str, int]:
    """log2 of the canonical value of one unit of each word value, by value name."""
    units = {graph.quantizer.output: 0}
    for node in graph.compute_nodes:
        units[node.output] = units[node.input] + (node.shift if isinstance(node, Shift) else 0)
    return units


def executor_format(tensor: StoredTensor) -> WordFormat:
    """Format of a stored tensor's executor words: wider than the stored word where channels were widened."""
    return WordFormat(width_bits=tensor.format.width_bits + int(np.max(tensor.widen)), encoding=tensor.format.encoding)


class _Writer:
    """Collects ONNX nodes; one method a node kind."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.graph = graph
        self.units = unit_log2(graph)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shapes: list[onnx.ValueInfoProto] = []

    def model(self) -> onnx.ModelProto:
        for node in self.graph.nodes:
            self._write(node)
        size = int(np.prod(self.graph.values[self.graph.input].shape))
        outputs = self.graph.values[self.graph.output].shape
        body = helper.make_graph(
            self.nodes,
            "edgeval_canonical",
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [1, size])],
            [helper.make_tensor_value_info(self.graph.output, TensorProto.FLOAT, [1, *outputs])],
            self.constants,
            value_info=self.shapes,
        )
        model = helper.make_model(
            body,
            producer_name="edgeval",
            ir_version=8,
            opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(QONNX_DOMAIN, 1)],
        )
        onnx.checker.check_model(model)
        return model

    def _write(self, node: Node) -> None:
        match node:
            case Quantize():
                self._quant(INPUT_NAME, node.output, node.name, 0, node.format, node.rounding)
            case Flatten():
                self._flatten(node)
            case MatMul():
                self._matmul(node)
            case Shift():
                self._shift(node)
            case Requantize():
                raise LoweringError(
                    found=f"a scale ratio that is not a power of two ({len(node.multipliers)} multiplier(s))",
                    allowed="power-of-two scales: hls4ml's types shift exactly, they do not multiply",
                    where=f"layer {node.name} (Requantize)",
                    remedy="retrain with `--scales po2`; the exact engine runs this network as it is",
                )

    def _flatten(self, node: Flatten) -> None:
        if node.input != self.graph.quantizer.output:
            raise LoweringError(
                found="a Flatten behind a layer",
                allowed="a Flatten of the input",
                where=f"layer {node.name} (Flatten)",
                remedy="flatten in front of the first layer",
            )
        # The canonical input is flat already, so this is a name for the same words.
        self.nodes.append(helper.make_node("Identity", [node.input], [node.output], name=node.name))
        self._shape(node.output)

    def _matmul(self, node: MatMul) -> None:
        weight = self._stored(self.graph.tensors[node.weight], 0)
        product = node.output if node.bias is None else f"{node.name}_product"
        self.nodes.append(helper.make_node("MatMul", [node.input, weight], [product], name=node.name))
        self._shape(node.output, product)
        if node.bias is not None:
            bias = self._stored(self.graph.tensors[node.bias], self.units[node.output])
            self.nodes.append(helper.make_node("Add", [product, bias], [node.output], name=f"{node.name}_bias"))
            self._shape(node.output)

    def _shift(self, node: Shift) -> None:
        source = node.input
        if node.low == 0:
            # Unsigned saturation alone would clip at 0 too; the Relu keeps hls4ml from merging the two layers,
            # so that the accumulator stays visible.
            source = f"{node.name}_relu"
            self.nodes.append(helper.make_node("Relu", [node.input], [source], name=node.name))
            self._shape(node.output, source)
        unit = self.units[node.output]
        self._quant(source, node.output, f"{node.name}_quant", unit, node.format, node.rounding)

    def _quant(  # the parts of one Quant node
        self, source: str, target: str, name: str, unit: int, word_format: WordFormat, rounding: Rounding
    ) -> None:
        inputs = [
            source,
            self._constant(f"{name}_scale", np.asarray(2.0**unit)),
            self._constant(f"{name}_zero_point", np.asarray(0.0)),
            self._constant(f"{name}_bit_width", np.asarray(float(word_format.width_bits))),
        ]
        self.nodes.append(
            helper.make_node(
                "Quant",
                inputs,
                [target],
                name=name,
                domain=QONNX_DOMAIN,
                signed=int(word_format.signed),
                narrow=int(word_format.narrow),
                rounding_mode=_ROUNDING_MODES[rounding],
            )
        )
        if target in self.graph.values:
            self._shape(target)

    def _stored(self, tensor: StoredTensor, unit: int) -> str:
        """Constant and Quant node of a stored tensor's executor words; returns the quantized tensor's name."""
        name = tensor.name.replace(".", "_")
        words = self._constant(f"{name}_words", np.ldexp(tensor.executor_words().astype(np.float64), unit))
        self._quant(words, name, f"{name}_quant", unit, executor_format(tensor), "half_even")
        self.shapes.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(tensor.words.shape)))
        return name

    def _constant(self, name: str, values: np.ndarray) -> str:
        single = values.astype(np.float32)
        if not np.array_equal(single.astype(np.float64), values):
            raise LoweringError(
                found=f"a constant that float32 cannot hold ({values.flat[np.argmax(single != values)]!r})",
                allowed="integers below 2**24, or multiples of a power of two with 24 significant bits",
                where=name,
                remedy="use fewer bits for this tensor",
            )
        self.constants.append(numpy_helper.from_array(single, name))
        return name

    def _shape(self, value: str, name: str | None = None) -> None:
        tensor = name or value
        shape = [1, int(np.prod(self.graph.values[value].shape))]
        if tensor != self.graph.output and all(item.name != tensor for item in self.shapes):
            self.shapes.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))
