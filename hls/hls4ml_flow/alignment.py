"""Which hls4ml layer computes which value of the integer network, seen through hls4ml's fusions.

hls4ml names a layer's result after the *first* ONNX tensor of the operators it fused, while the value is that of the
*last* (a Dense holds its bias Add, a Relu holds the Quant behind it). So a layer is aligned with the last canonical
value in front of the next layer, and its type has to be the format of that value: a wrong alignment cannot pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hls.errors import ToolError
from hls.formats import Rounding, WordFormat
from hls.graph import IntegerGraph
from hls.hls4ml_flow.canonical import executor_format, unit_log2
from hls.hls4ml_flow.manifest import Array, CppType, Port, Tap
from hls.nodes import Flatten, MatMul, Node, Quantize, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An hls4ml model in the words of the integer network; see ``hls/hls4ml_flow/manifest.py`` for the parts."""

    taps: tuple[Tap, ...]
    arrays: tuple[Array, ...]
    types: tuple[CppType, ...]
    input: Port
    output: Port


def describe(graph: IntegerGraph, model: Any) -> Description:
    """Describe a converted hls4ml model in the words of the integer network.

    Args:
        graph: The network the model was converted from.
        model: hls4ml ``ModelGraph``, before it is written.

    Raises:
        ToolError: a layer or weight type differs from the integer network, or a tensor has no place.
    """
    layers = list(model.get_layers())
    owners = values_of_layers(graph, layers)
    taps = [_tap(graph, layer, value) for layer, value in owners]
    arrays = [array for layer, value in owners for array in _arrays(graph, layer, value)]
    missing = set(graph.tensors) - {array.tensor for array in arrays}
    if missing:
        raise _mismatch("no array in the generated code", ", ".join(sorted(missing)), "stored tensors")
    source, sink = _ports(graph, model)
    return Description(
        taps=tuple(taps),
        arrays=tuple(arrays),
        types=tuple(kind for layer, value in owners for kind in _types(graph, layer, value)),
        input=source,
        output=sink,
    )


def values_of_layers(graph: IntegerGraph, layers: list[Any]) -> list[tuple[Any, str]]:
    """Each computing hls4ml layer and the value it ends at."""
    order = [node.output for node in graph.nodes]
    starts = {_first_tensor(node): node.output for node in graph.nodes}
    computing = [layer for layer in layers if layer.class_name != "Input" and layer.outputs[0] in starts]
    first_values = [order.index(starts[layer.outputs[0]]) for layer in computing]
    ends = [*(start - 1 for start in first_values[1:]), len(order) - 1]
    return [(layer, order[end]) for layer, end in zip(computing, ends, strict=True)]


def _first_tensor(node: Node) -> str:
    """The first ONNX tensor the canonical writer makes for a node."""
    if isinstance(node, MatMul) and node.bias is not None:
        return f"{node.name}_product"
    return f"{node.name}_relu" if getattr(node, "low", None) == 0 else node.output


def _tap(graph: IntegerGraph, layer: Any, value: str) -> Tap:
    word_format = graph.values[value].format
    assert word_format is not None
    unit = unit_log2(graph)[value]
    precision = layer.get_output_variable().type.precision
    _require_type(precision, word_format, unit, f"result of hls4ml layer {layer.name} (value {value})")
    return Tap(
        hls_layer=layer.name,
        value=value,
        size=int(graph.values[value].shape[0]),
        width_bits=word_format.width_bits,
        signed=word_format.signed,
        unit_log2=unit,
    )


def _types(graph: IntegerGraph, layer: Any, value: str) -> list[CppType]:
    """Result and accumulator type of a layer."""
    node = _computing_node(graph, value)
    word_format = graph.values[value].format
    assert word_format is not None
    unit = unit_log2(graph)[value]
    rounding = node.rounding if isinstance(node, Quantize | Shift) else "floor"
    result = _cpp_type(f"result of {value}", layer.get_output_variable().type.name, word_format, unit, rounding)
    if not layer.weights:
        return [result]
    matmul = _matmul_of(graph, layer)
    unit = unit_log2(graph)[matmul.output]
    name = layer.types["accum_t"].name
    return [_cpp_type(f"accumulator of {matmul.name}", name, matmul.accumulator, unit, "floor"), result]


def _computing_node(graph: IntegerGraph, value: str) -> Node:
    """The node that computes a value's words: a Flatten only renames those of the node in front of it."""
    node = next(item for item in graph.nodes if item.output == value)
    return _computing_node(graph, node.input) if isinstance(node, Flatten) else node


def _cpp_type(role: str, name: str, word_format: WordFormat, unit: int, rounding: Rounding) -> CppType:
    return CppType(
        role=role,
        cpp_type=name,
        width_bits=word_format.width_bits,
        signed=word_format.signed,
        unit_log2=unit,
        rounding={"half_even": "AP_RND_CONV", "floor": "AP_TRN"}[rounding],
        overflow={"saturate": "AP_SAT_SYM" if word_format.narrow else "AP_SAT", "wrap": "AP_WRAP"}[
            word_format.overflow
        ],
    )


def _arrays(graph: IntegerGraph, layer: Any, value: str) -> list[Array]:
    if not layer.weights:
        return []
    node = _matmul_of(graph, layer)
    unit = unit_log2(graph)[node.output]
    accumulator = layer.types["accum_t"].precision
    _require_type(accumulator, node.accumulator, unit, f"accumulator of hls4ml layer {layer.name}")
    arrays = []
    for role, tensor_name, tensor_unit in (("weight", node.weight, 0), ("bias", node.bias, unit)):
        variable = layer.weights[role]
        precision = variable.type.precision
        if tensor_name is not None:
            expected = executor_format(graph.tensors[tensor_name])
            _require_type(precision, expected, tensor_unit, f"{role} of hls4ml layer {layer.name}")
        shape = graph.tensors[tensor_name].words.shape if tensor_name else (int(variable.data.size),)
        arrays.append(
            Array(
                symbol=variable.name,
                cpp_type=variable.type.name,
                size=int(variable.data.size),
                tensor=tensor_name,
                shape=tuple(int(size) for size in shape),
                transposed=role == "weight" and bool(layer.get_attr("_weights_transposed")),
                width_bits=int(precision.width),
                signed=bool(precision.signed),
                unit_log2=int(precision.integer - precision.width),
            )
        )
    return arrays


def _matmul_of(graph: IntegerGraph, layer: Any) -> MatMul:
    for node in graph.compute_nodes:
        if isinstance(node, MatMul) and layer.outputs[0] == _first_tensor(node):
            return node
    raise _mismatch(f"weights in layer {layer.name}", "weights in matrix products", "hls4ml model")


def _ports(graph: IntegerGraph, model: Any) -> tuple[Port, Port]:
    source = model.get_input_variables()[0]
    sink = model.get_output_variables()[0]
    units = unit_log2(graph)
    _require_type(source.type.precision, graph.quantizer.format, 0, "input of the top function")
    output_format = graph.values[graph.output].format
    assert output_format is not None
    return (
        _port(source, graph.quantizer.format, 0),
        _port(sink, output_format, units[graph.output]),
    )


def _port(variable: Any, word_format: WordFormat, unit: int) -> Port:
    return Port(
        cpp_name=variable.name,
        cpp_type=variable.type.name,
        size=int(variable.size()),
        width_bits=word_format.width_bits,
        signed=word_format.signed,
        unit_log2=unit,
    )


def _require_type(precision: Any, word_format: WordFormat, unit: int, where: str) -> None:
    expected = (word_format.width_bits, word_format.width_bits + unit, word_format.signed)
    if (int(precision.width), int(precision.integer), bool(precision.signed)) != expected:
        raise _mismatch(str(precision), word_format.ap_fixed(unit), where)


def _mismatch(found: str, allowed: str, where: str) -> ToolError:
    return ToolError(
        found=found,
        allowed=allowed,
        where=where,
        remedy="remove the override that touches this layer; without any, please report this with canonical.onnx",
    )
