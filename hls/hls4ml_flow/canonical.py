"""IntegerGraph → the canonical QONNX graph that hls4ml is given: words times powers of two, every format explicit.

One unit of a value is a power of two (``units.py``), which ap_fixed types carry in their binary point for nothing, so
the raw bits of every hls4ml type *are* the words of the integer network. Weights are the executor words (per-channel
scales already widened, zero points taken off), biases sit at their accumulator's unit. Operators that hls4ml lacks are
those of ``edgeval.custom_op`` (``hls/hls4ml_flow/extension``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hls.errors import LoweringError
from hls.formats import Rounding, WordFormat
from hls.graph import IntegerGraph, StoredTensor
from hls.hls4ml_flow.limits import require_hls4ml
from hls.hls4ml_flow.units import unit_log2
from hls.nodes import (
    Add,
    Concat,
    Conv,
    Lookup,
    MatMul,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Requantize,
    Reshape,
    Resize,
    Shift,
    SumPool,
    Threshold,
    Transpose,
)

QONNX_DOMAIN = "qonnx.custom_op.general"
CHANNELS_LAST_DOMAIN = "qonnx.custom_op.channels_last"
EDGEVAL_DOMAIN = "edgeval.custom_op"
_OPSET = 13
_ROUNDING_MODES: dict[Rounding, str] = {"half_even": "ROUND", "floor": "FLOOR"}
INPUT_NAME = "network_input"
BEYOND_FLOAT32 = "edgeval.beyond_float32"
"""Metadata key: constants that float32 cannot hold, so that a float32 execution of the graph proves nothing."""


def canonical_model(graph: IntegerGraph) -> onnx.ModelProto:
    """Write the canonical QONNX graph of a network.

    Raises:
        LoweringError: a node hls4ml has no exact layer for; names the layer.
    """
    require_hls4ml(graph)
    return _Writer(graph).model()


def first_tensor(graph: IntegerGraph, node: Node) -> str:
    """The first ONNX tensor the canonical writer makes for a node; hls4ml names what it fuses after it."""
    if isinstance(node, MatMul) and node.bias is not None:
        return f"{node.name}_product"
    return f"{node.name}_relu" if isinstance(node, Shift) and _is_native(graph, node) and node.low == 0 else node.output


def is_native_add(graph: IntegerGraph, node: Add) -> bool:
    """Whether fixed-point types alone align the branches of a sum."""
    units = unit_log2(graph)
    return all(
        multiplier > 0 and multiplier == 2.0 ** (units[name] - units[node.output])
        for name, multiplier in zip(node.inputs, node.multipliers, strict=True)
    )


class _Writer:
    """Collects ONNX nodes; one method a node kind."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.graph = graph
        self.units = unit_log2(graph)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shapes: list[onnx.ValueInfoProto] = []
        self.rounded: list[str] = []

    def model(self) -> onnx.ModelProto:
        for node in self.graph.nodes:
            self._write(node)
        body = helper.make_graph(
            self.nodes,
            "edgeval_canonical",
            [self._info(INPUT_NAME, self.graph.quantizer.output)],
            [self._info(self.graph.output, self.graph.output)],
            self.constants,
            value_info=self.shapes,
        )
        domains = sorted({node.domain for node in self.nodes} - {""})
        # qonnx wraps standard operators in its channels-last domain: these are of the standard operators' version.
        versions = [(name, _OPSET if name == CHANNELS_LAST_DOMAIN else 1) for name in domains]
        model = helper.make_model(
            body,
            producer_name="edgeval",
            ir_version=8,
            opset_imports=[helper.make_opsetid(*item) for item in [("", _OPSET), *versions]],
        )
        if self.rounded:
            helper.set_model_props(model, {BEYOND_FLOAT32: ", ".join(self.rounded)})
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise LoweringError(
                found=" ".join(str(error).split())[:300],
                allowed="names of layers that stay distinct with _relu, _product and _words behind them",
                where="the graph for hls4ml",
                remedy="give the layers other names",
            ) from error
        return model

    def _write(self, node: Node) -> None:
        _WRITERS[type(node)](self, node)

    def _quantize(self, node: Quantize) -> None:
        self._quant(INPUT_NAME, node.output, node.name, node.format.hardware, "half_even")

    def _concat(self, node: Concat) -> None:
        self._standard(node, "Concat", list(node.inputs), axis=node.axis + 1)

    def _transpose(self, node: Transpose) -> None:
        self._standard(node, "Transpose", [node.input], perm=[0, *(axis + 1 for axis in node.axes)])

    def _pad(self, node: Pad) -> None:
        channels = len(node.pads) // 2 - 1
        attributes = {"front": list(node.pads[:channels]), "back": list(node.pads[channels + 1 : -1])}
        self._emit("ZeroPad", [node.input], node, EDGEVAL_DOMAIN, attributes)

    def _requantize(self, node: Requantize) -> None:
        self._custom(node, "Requantize", _requantize_attributes(node))

    def _lookup(self, node: Lookup) -> None:
        tensor = self.graph.tensors[node.table]
        attributes = {"table": tensor.words.ravel().tolist(), "channels": tensor.words.shape[0], "first": node.first}
        self._custom(node, "Lookup", attributes)

    def _matmul(self, node: MatMul) -> None:
        weight = self._stored(self.graph.tensors[node.weight], self._weight_unit(node))
        product = node.output if node.bias is None else f"{node.name}_product"
        self.nodes.append(helper.make_node("MatMul", [node.input, weight], [product], name=node.name))
        self._shape(node.output, product)
        if node.bias is not None:
            bias = self._stored(self.graph.tensors[node.bias], self.units[node.output])
            self.nodes.append(helper.make_node("Add", [product, bias], [node.output], name=f"{node.name}_bias"))
            self._shape(node.output)

    def _conv(self, node: Conv) -> None:
        tensor = self.graph.tensors[node.weight]
        rank = tensor.words.ndim
        weight = self._stored(tensor, self._weight_unit(node), (0, *range(2, rank), 1))
        inputs = [node.input, weight]
        if node.bias is not None:
            inputs.append(self._stored(self.graph.tensors[node.bias], self.units[node.output]))
        self._windowed(node, "Conv", inputs, tensor.words.shape[2:], node.pads, group=node.groups)

    def _sum_pool(self, node: SumPool) -> None:
        """A depthwise convolution with ones: hls4ml's own average divides, and truncates while it does."""
        channels = self.graph.values[node.input].shape[-1]
        ones = np.ones((channels, *node.kernel, 1))
        name = f"{node.name}_ones"
        unit = self._weight_unit(node)
        words = self._constant(f"{name}_words", np.ldexp(ones, unit))
        self._quant(
            words, name, f"{name}_quant", WordFormat(width_bits=2, encoding="twos_complement"), "half_even", unit
        )
        self.shapes.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(ones.shape)))
        self._windowed(node, "Conv", [node.input, name], node.kernel, node.pads, group=channels)

    def _max_pool(self, node: MaxPool) -> None:
        if len(node.kernel) == 1:  # hls4ml's own reader of one-dimensional pools mixes up length and channels
            attributes = {"kernel": node.kernel[0], "stride": node.strides[0]}
            self._emit("MaxPool1d", [node.input], node, EDGEVAL_DOMAIN, attributes)
            return
        self._windowed(node, "MaxPool", [node.input], node.kernel, node.pads)

    def _windowed(  # a window's parts
        self,
        node: Conv | SumPool | MaxPool,
        operator: str,
        inputs: list[str],
        kernel: tuple[int, ...],
        pads: tuple[int, ...],
        **more: Any,
    ) -> None:
        attributes = {
            "kernel_shape": list(kernel),
            "strides": list(node.strides),
            "pads": list(pads),
            "dilations": [1] * len(kernel),
            **more,
        }
        self._emit(operator, inputs, node, CHANNELS_LAST_DOMAIN, attributes)

    def _shift(self, node: Shift) -> None:
        if not _is_native(self.graph, node):
            self._custom(node, "Requantize", _requantize_attributes(node))
            return
        source = node.input
        if node.low == 0:
            # Unsigned saturation alone would clip at 0 too; the Relu keeps hls4ml from merging the two layers,
            # so that the accumulator stays visible.
            source = f"{node.name}_relu"
            self.nodes.append(helper.make_node("Relu", [node.input], [source], name=node.name))
            self._shape(node.output, source)
        self._quant(source, node.output, f"{node.name}_quant", node.format.hardware, node.rounding)

    def _threshold(self, node: Threshold) -> None:
        tensor = self.graph.tensors[node.thresholds]
        attributes = {
            "thresholds": tensor.words.ravel().tolist(),
            "channels": tensor.words.shape[0],
            "threshold_bits": tensor.format.width_bits,
            "offsets": _spread(node.offsets, tensor.words.shape[0]),
            "directions": _spread(node.directions, tensor.words.shape[0]),
            "stride": node.stride,
        }
        self._custom(node, "Threshold", attributes)

    def _add(self, node: Add) -> None:
        if is_native_add(self.graph, node):
            self._standard(node, "Add", list(node.inputs))
            return
        attributes = {
            "multipliers": list(node.multipliers),
            "in_units": [self.units[name] for name in node.inputs],
            **self._out(node),
        }
        self._emit("ScaledAdd", list(node.inputs), node, EDGEVAL_DOMAIN, attributes)

    def _reshape(self, node: Reshape) -> None:
        shape = self.graph.values[node.output].shape
        if len(shape) == 1:
            self._standard(node, "Flatten", [node.input], axis=1)
            return
        target = self._integers(f"{node.name}_shape", np.array([1, *shape], np.int64))
        self._standard(node, "Reshape", [node.input, target])

    def _resize(self, node: Resize) -> None:
        attributes = {"height": node.factors[0], "width": node.factors[1]}
        self._emit("ResizeNearest", [node.input], node, EDGEVAL_DOMAIN, attributes)

    def _custom(self, node: Shift | Requantize | Threshold | Lookup, operator: str, attributes: dict[str, Any]) -> None:
        attributes = {**attributes, "in_unit": self.units[node.input], **self._out(node)}
        self._emit(operator, [node.input], node, EDGEVAL_DOMAIN, attributes)

    def _out(self, node: Node) -> dict[str, int]:
        word_format = self.graph.values[node.output].format
        assert word_format is not None
        hardware = word_format.hardware
        return {
            "out_unit": self.units[node.output],
            "out_bits": hardware.width_bits,
            "out_signed": int(hardware.signed),
        }

    def _standard(self, node: Node, operator: str, inputs: list[str], **attributes: Any) -> None:
        self._emit(operator, inputs, node, "", attributes)

    def _emit(self, operator: str, inputs: list[str], node: Node, domain: str, attributes: dict[str, Any]) -> None:
        self.nodes.append(
            helper.make_node(operator, inputs, [node.output], name=node.name, domain=domain, **attributes)
        )
        self._shape(node.output)

    def _weight_unit(self, node: MatMul | Conv | SumPool) -> int:
        return self.units[node.output] - self.units[node.input]

    def _quant(  # the parts of one Quant node
        self,
        source: str,
        target: str,
        name: str,
        word_format: WordFormat,
        rounding: Rounding,
        unit: int | None = None,
    ) -> None:
        unit = self.units[target] if unit is None else unit
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

    def _stored(self, tensor: StoredTensor, unit: int, axes: tuple[int, ...] | None = None) -> str:
        """Constant and Quant node of a stored tensor's executor words; returns the quantized tensor's name."""
        name = tensor.name.replace(".", "_")
        values = np.ldexp(tensor.executor_words().astype(np.float64), unit)
        values = values if axes is None else values.transpose(axes)
        words = self._constant(f"{name}_words", values)
        self._quant(words, name, f"{name}_quant", tensor.executor_format, "half_even", unit)
        self.shapes.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(values.shape)))
        return name

    def _constant(self, name: str, values: np.ndarray) -> str:
        single = values.astype(np.float32)
        if not np.isfinite(single).all():
            raise LoweringError(
                found=f"a constant beyond float32 ({values.flat[np.argmax(~np.isfinite(single))]!r})",
                allowed="scales and words whose product float32 can hold",
                where=name,
                remedy="bring the scales of the network closer to 1",
            )
        if not np.array_equal(single.astype(np.float64), values):
            self.rounded.append(name)  # hls4ml gets the exact words after conversion (project.py)
        self.constants.append(numpy_helper.from_array(single, name))
        return name

    def _integers(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def _shape(self, value: str, name: str | None = None) -> None:
        tensor = name or value
        if tensor != self.graph.output and all(item.name != tensor for item in self.shapes):
            self.shapes.append(self._info(tensor, value))

    def _info(self, tensor: str, value: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, *self.graph.values[value].shape])


def _is_native(graph: IntegerGraph, node: Shift) -> bool:
    """Whether rounding and saturation of a fixed-point type do exactly what the node does."""
    readers = len(graph.consumers_of(node.input)) + (node.input == graph.output)
    if node.low != 0 and readers > 1:
        return False  # hls4ml would merge it into the layer in front, whose result the other readers need as it is
    units = unit_log2(graph)
    full_range = node.high == node.format.maximum and node.low in (node.format.quantizer_minimum, 0)
    # hls4ml writes ac_types of one bit with two, and rounding and saturation would use both.
    plain = node.format.encoding != "bipolar" and node.format.width_bits > 1
    return units[node.output] - units[node.input] == node.shift and full_range and plain


def _requantize_attributes(node: Shift | Requantize) -> dict[str, Any]:
    if isinstance(node, Requantize):
        return {
            "multipliers": list(node.multipliers), "offsets": list(node.offsets), "shifts": list(node.shifts),
            "low": node.low, "high": node.high,
        }  # fmt: skip
    # A left shift multiplies; a right shift by floor is a right shift of words moved by just less than half a step.
    multiplier, shift = (1 << -node.shift, 0) if node.shift < 0 else (1, node.shift)
    if node.rounding == "floor" and shift:
        # floor(x / 2**s) = round_half_even((2x - 2**s + 1) / 2**(s+1)): an odd numerator never ties.
        multiplier, offset, shift = 2, 1 - (1 << shift), shift + 1
        return {
            "multipliers": [multiplier], "offsets": [offset], "shifts": [shift], "low": node.low, "high": node.high,
        }  # fmt: skip
    return {"multipliers": [multiplier], "offsets": [0], "shifts": [shift], "low": node.low, "high": node.high}


def _spread(numbers: tuple[int, ...], channels: int) -> list[int]:
    return list(numbers) if len(numbers) == channels else list(numbers) * channels


_WRITERS: dict[type, Callable[[_Writer, Any], None]] = {
    Add: _Writer._add,
    Concat: _Writer._concat,
    Conv: _Writer._conv,
    Lookup: _Writer._lookup,
    MatMul: _Writer._matmul,
    MaxPool: _Writer._max_pool,
    Pad: _Writer._pad,
    Quantize: _Writer._quantize,
    Requantize: _Writer._requantize,
    Reshape: _Writer._reshape,
    Resize: _Writer._resize,
    Shift: _Writer._shift,
    SumPool: _Writer._sum_pool,
    Threshold: _Writer._threshold,
    Transpose: _Writer._transpose,
}
"""What is written for each kind of node; kinds that are missing here are refused in ``limits.py``."""
