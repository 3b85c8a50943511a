"""From the first layer that differs back to the last values that agree: the stages in between, for a few elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgeval.diagnosis.emulation import Emulation, Function, InputCast, Products, Result, Stage
from edgeval.native import LayerValues, NativeCase, NativeValues
from edgeval.native_alignment import NativeAlignment
from edgeval.witness import execute_tensors
from hls.hls4ml_flow.native_project import NativeLayer
from hls.lowering.chain import floats
from hls.nodes import Conv, MatMul, Quantize

_ELEMENTS = 48
"""Differing elements that are emulated, and as many that agree: a cause may not change those."""
_SUMS = ("dense", "conv_1d_cl", "conv_2d_cl", "pointwise_conv_1d_cl", "pointwise_conv_2d_cl")
_FUNCTIONS = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh"}


class CannotEmulate(Exception):  # internal: another check has to find the cause
    """A layer between agreement and difference that is not emulated; the argument names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers from behind the last agreeing values up to the first that differs.

    Attributes:
        layers: In data order.
        source: The layer in front whose values agree, ``None`` for the input port.
    """

    layers: tuple[NativeAlignment, ...]
    source: NativeLayer | None


def group_of(case: NativeCase, values: NativeValues, last: LayerValues) -> Group:
    """Follow the first differing layer back to values that agree.

    Raises:
        CannotEmulate: a layer with two inputs on the way.
    """
    aligned = {item.layer.name: item for item in case.aligned}
    agreeing = {layer.layer for layer in values.layers if layer.layer != last.layer and not layer.differs.any()}
    group = [aligned[last.layer]]
    while True:
        head = group[0].layer
        if len(head.inputs) != 1:
            raise CannotEmulate(head.name)
        producer = case.project.producer_of(head.inputs[0])
        if producer is None and head.inputs[0] != case.project.input.name:
            raise CannotEmulate(head.name)
        if producer is None or producer.name in agreeing:
            return Group(layers=tuple(group), source=producer)
        group.insert(0, aligned[producer.name])


def emulation_of(case: NativeCase, inputs: np.ndarray, values: NativeValues, last: LayerValues) -> Emulation:
    """The arithmetic of the group in front of a differing layer, for some of its elements.

    Raises:
        CannotEmulate: a layer of the group is none of dense, convolution, ReLU, sigmoid, tanh, linear.
    """
    group = group_of(case, values, last)
    elements = _elements(last.differs)
    if group.source is None:
        front = case.inputs(np.asarray(inputs, np.float64)).reshape(len(inputs), -1)
    else:
        front = values.execution.layers[group.source.name]
    layers = group.layers
    if group.source is None and layers[0].layer.function == "transpose":
        front, layers = _transposed_input(case, layers[0], front), layers[1:]
    constants = Constants(case, inputs)
    sums = [i for i, item in enumerate(layers) if item.layer.function in _SUMS]
    if len(sums) > 1 or any(item.unit != 1.0 for item in layers):
        raise CannotEmulate(layers[sums[-1]].layer.name if sums else last.layer)
    stages: list[Stage] = []
    if group.source is None:
        stages.append(InputCast(name=case.project.input.name, type=case.project.input.type))
    rows = front[elements[:, 0], elements[:, 1]] if not sums else np.zeros(0)
    for item in layers:
        if item.layer.function in _SUMS:
            rows, products = _products(case, item, front, elements, constants)
            stages.append(products)
        elif item.layer.function in _FUNCTIONS:
            stages.append(_function(item))
        elif item.layer.function != "linear":
            raise CannotEmulate(item.layer.name)
        stages.append(Result(name=item.layer.name, type=item.layer.output.type, quantizer=_quantizer(case, item)))
    found, expected = (side[elements[:, 0], elements[:, 1]] for side in (last.found, last.expected))
    return Emulation(stages=tuple(stages), inputs=rows, found=found, expected=expected)


def _transposed_input(case: NativeCase, item: NativeAlignment, front: np.ndarray) -> np.ndarray:
    """Inputs behind the Transpose that turns an image channels-last."""
    graph = case.lowered.graph
    permutations = [tuple(a.ints) for node in item.nodes[:1] for a in node.attribute if a.name == "perm"]
    if len(permutations) != 1 or len(item.nodes) != 1:
        raise CannotEmulate(item.layer.name)
    images = front.reshape(len(front), *graph.values[graph.input].shape)
    return images.transpose(permutations[0]).reshape(len(front), -1)


def _elements(differs: np.ndarray) -> np.ndarray:
    """Some (sample, position) that differ, spread over all of them, and some that do not."""
    chosen = []
    for where in (np.argwhere(differs), np.argwhere(~differs)):
        if len(where):
            chosen.append(where[np.unique(np.linspace(0, len(where) - 1, _ELEMENTS).astype(np.int64))])
    return np.concatenate(chosen)


def _function(item: NativeAlignment) -> Function:
    name: Any = _FUNCTIONS[item.layer.function]
    table = item.layer.types.get("table_t")
    return Function(
        name=item.layer.name, function=name, table_size=int(item.layer.config.get("table_size", "1024")),
        table_type=None if table is None else table[1],
    )  # fmt: skip


def _quantizer(case: NativeCase, item: NativeAlignment) -> Any:
    traces = {trace.tensor: trace.quantizer for trace in case.lowered.traces}
    for node in item.nodes:
        if node.output[0] in traces:
            return traces[node.output[0]]
        wire = case.lowered.tensors.get(node.output[0])
        producer = None if wire is None else case.lowered.graph.producer_of(wire.value)
        if node.op_type in ("Quant", "IntQuant") and isinstance(producer, Quantize):
            return _input_quantizer(producer)
    return None


def _input_quantizer(node: Quantize) -> Any:
    from fractions import Fraction

    from hls.lowering.boundaries import Quantizer

    return Quantizer(
        scale=Fraction(node.scale), rounding=node.rounding, zero_point=node.zero_point, low=node.low, high=node.high,
        bipolar=node.format.encoding == "bipolar",
    )  # fmt: skip


class Constants:
    """Values of the graph's constants behind their quantizers, computed once by executing one sample."""

    def __init__(self, case: NativeCase, inputs: np.ndarray) -> None:
        self.tensors: Mapping[str, np.ndarray] = execute_tensors(case.lowered.model, case.inputs(inputs[:1]))

    def __getitem__(self, name: str) -> np.ndarray:
        return np.asarray(self.tensors[name], np.float64)


def layer_node(case: NativeCase, item: NativeAlignment) -> tuple[onnx.NodeProto, MatMul | Conv] | None:
    """The matrix product or convolution a layer holds: its ONNX node and its node of the integer network."""
    for node in item.nodes:
        wire = case.lowered.tensors.get(node.output[0])
        if node.op_type in ("MatMul", "Gemm", "Conv") and wire is not None:
            producer = case.lowered.graph.producer_of(wire.value)
            if isinstance(producer, MatMul | Conv):
                return node, producer
    return None


def real_weights(case: NativeCase, node: onnx.NodeProto, layer: MatMul | Conv) -> np.ndarray:
    """Weights of a layer as real numbers, laid out as the integer network stores them."""
    tensor = case.lowered.graph.tensors[layer.weight]
    scale = floats(case.lowered.tensors[node.output[0]].scale) / floats(case.lowered.tensors[node.input[0]].scale)
    words = np.moveaxis(tensor.executor_words().astype(np.float64), tensor.channel_axis, -1)
    return np.moveaxis(words * scale, -1, tensor.channel_axis)


def _products(
    case: NativeCase, item: NativeAlignment, front: np.ndarray, elements: np.ndarray, constants: Constants
) -> tuple[np.ndarray, Products]:
    found = layer_node(case, item)
    if found is None:
        raise CannotEmulate(item.layer.name)
    node, layer = found
    weights = real_weights(case, node, layer)
    outputs = weights.shape[-1] if isinstance(layer, MatMul) else weights.shape[0]
    bias = np.zeros(outputs)
    for other in item.nodes:
        constant = [name for name in other.input if name not in case.lowered.tensors and name]
        if other.op_type == "Add" and constant:
            bias = bias + np.broadcast_to(constants[constant[0]].reshape(-1), outputs)
        elif other is node and len(node.input) > 2 and node.input[2]:
            bias = bias + constants[node.input[2]].reshape(-1)
        elif other.op_type not in ("MatMul", "Gemm", "Conv", "Quant", "IntQuant", "Add"):
            raise CannotEmulate(item.layer.name)
    gather = _dense_terms if isinstance(layer, MatMul) else _conv_terms
    rows, columns = gather(case, layer, weights, front, elements)
    channel = elements[:, 1] % outputs
    types = {role: pair[1] for role, pair in item.layer.types.items()}
    return rows, Products(
        name=item.layer.name, weights=columns, bias=bias[channel], weight_type=types.get("weight_t"),
        bias_type=types.get("bias_t"), accumulator=types.get("accum_t"),
    )  # fmt: skip


def _dense_terms(
    case: NativeCase, layer: Any, weights: np.ndarray, front: np.ndarray, elements: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    del case, layer
    inputs, outputs = weights.shape
    vectors = front.reshape(len(front), -1, inputs)
    return vectors[elements[:, 0], elements[:, 1] // outputs], weights.T[elements[:, 1] % outputs]


def _conv_terms(
    case: NativeCase, layer: Any, weights: np.ndarray, front: np.ndarray, elements: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of single output pixels: [kernel..., inputs / groups] flattened, with the weights of their channel."""
    graph = case.lowered.graph
    shape, out = graph.values[layer.input].shape, graph.values[layer.output].shape
    spatial, per_group = len(layer.strides), weights.shape[1]
    pads = [(layer.pads[i], layer.pads[spatial + i]) for i in range(spatial)]
    images = np.pad(front.reshape(len(front), *shape), [(0, 0), *pads, (0, 0)])
    rows, columns = [], []
    for sample, position in elements.tolist():
        *pixel, channel = np.unravel_index(position, out)
        group = int(channel) // (out[-1] // layer.groups)
        window = tuple(
            slice(int(p) * s, int(p) * s + (k - 1) * d + 1, d)
            for p, s, k, d in zip(pixel, layer.strides, weights.shape[2:], layer.dilations, strict=True)
        )
        rows.append(images[(sample, *window, slice(group * per_group, (group + 1) * per_group))].ravel())
        columns.append(np.moveaxis(weights[int(channel)], 0, -1).ravel())
    return np.array(rows), np.array(columns)
