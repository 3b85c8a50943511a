"""Which hls4ml layer computes which value of the integer network, seen through hls4ml's fusions.

hls4ml names a layer's result after the *first* ONNX tensor of the operators it fused, while the value is that of the
*last* (a Dense holds its bias Add, a Relu holds the Quant behind it). So a layer is aligned with the last value that no
other layer starts at, and its type has to be the format of that value: a wrong alignment cannot pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from hls.errors import ToolError
from hls.formats import Rounding, WordFormat
from hls.graph import IntegerGraph, StoredTensor
from hls.hls4ml_flow.canonical import first_tensor
from hls.hls4ml_flow.manifest import Array, CppType, Port, Tap
from hls.hls4ml_flow.units import unit_log2
from hls.nodes import Conv, Lookup, MatMul, Node, Quantize, Reshape, Resize, Shift, SumPool, Threshold, accumulator_of

COPYING = ("Reshape", "Repack", "Clone")
"""hls4ml layers that compute nothing: their words are those in front of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An hls4ml model in the words of the integer network; see ``hls/hls4ml_flow/manifest.py`` for the parts."""

    taps: tuple[Tap, ...]
    arrays: tuple[Array, ...]
    types: tuple[CppType, ...]
    input: Port
    output: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedLayer:
    """An hls4ml layer and what it computes.

    Attributes:
        layer: hls4ml's layer object.
        start: The integer node it begins with: the one whose stored words it holds.
        value: The value it ends at.
    """

    layer: Any
    start: Node
    value: str


def describe(graph: IntegerGraph, model: Any) -> Description:
    """Describe a converted hls4ml model in the words of the integer network.

    Args:
        graph: The network the model was converted from.
        model: hls4ml ``ModelGraph``, before it is written.

    Raises:
        ToolError: a layer or weight type differs from the integer network, or a tensor has no place.
    """
    aligned = aligned_layers(graph, list(model.get_layers()))
    arrays = [array for item in aligned for array in _arrays(graph, item)]
    missing = set(graph.tensors) - {array.tensor for array in arrays}
    if missing:
        raise _mismatch("no array in the generated code", ", ".join(sorted(missing)), "stored tensors")
    source, sink = _ports(graph, model)
    return Description(
        taps=tuple(_tap(graph, item) for item in aligned),
        arrays=tuple(arrays),
        types=tuple(kind for item in aligned for kind in _types(graph, item)),
        input=source,
        output=sink,
    )


def aligned_layers(graph: IntegerGraph, layers: list[Any]) -> list[AlignedLayer]:
    """Each computing hls4ml layer with the value it ends at.

    Raises:
        ToolError: hls4ml made another value vanish than the ones it may fuse.
    """
    nodes = {first_tensor(graph, node): node for node in graph.nodes}
    computing = [layer for layer in layers if layer.class_name not in ("Input", *COPYING) and layer.outputs[0] in nodes]
    starts = {layer.outputs[0] for layer in computing}
    return [
        AlignedLayer(
            layer=layer,
            start=nodes[layer.outputs[0]],
            value=_last_fused(graph, nodes[layer.outputs[0]], starts),
        )
        for layer in computing
    ]


def _last_fused(graph: IntegerGraph, node: Node, starts: set[str]) -> str:
    readers = graph.consumers_of(node.output)
    if len(readers) != 1 or first_tensor(graph, readers[0]) in starts or isinstance(readers[0], Reshape):
        return node.output
    if not isinstance(readers[0], Shift):
        raise _mismatch(
            f"no layer for {readers[0].name}", type(readers[0]).__name__, f"hls4ml layer behind {node.name}"
        )
    return _last_fused(graph, readers[0], starts)


def cpp_type_of(graph: IntegerGraph, value: str) -> tuple[WordFormat, int, Rounding]:
    """Hardware format, unit and rounding of the type that computes a value."""
    node = graph.producer_of(value)
    word_format = graph.values[value].format
    assert word_format is not None
    if isinstance(node, Resize):  # its C++ has one type for words that come in and go out
        return cpp_type_of(graph, node.input)
    if isinstance(node, Shift):
        return word_format.hardware, unit_log2(graph)[value], node.rounding
    if isinstance(node, Quantize):
        return word_format.hardware, unit_log2(graph)[value], "half_even"
    # Everything else computes words that fit its type: neither rounding nor overflow ever happens there.
    plain = WordFormat(
        width_bits=word_format.hardware.width_bits, encoding=word_format.hardware.encoding, overflow="wrap"
    )
    return plain, unit_log2(graph)[value], "floor"


def _tap(graph: IntegerGraph, item: AlignedLayer) -> Tap:
    word_format, unit, _ = cpp_type_of(graph, item.value)
    precision = item.layer.get_output_variable().type.precision
    _require_type(precision, word_format, unit, f"result of hls4ml layer {item.layer.name} (value {item.value})")
    return Tap(
        hls_layer=item.layer.name,
        value=item.value,
        size=prod(graph.values[item.value].shape),
        width_bits=word_format.width_bits,
        signed=word_format.signed,
        unit_log2=unit,
    )


def _types(graph: IntegerGraph, item: AlignedLayer) -> list[CppType]:
    """Result and accumulator type of a layer."""
    word_format, unit, rounding = cpp_type_of(graph, item.value)
    name = item.layer.get_output_variable().type.name
    result = _cpp_type(f"result of {item.value}", name, word_format, unit, rounding)
    if not isinstance(item.start, MatMul | Conv | SumPool):
        return [result]
    unit = unit_log2(graph)[item.start.output]
    name = item.layer.types["accum_t"].name
    accumulator = _cpp_type(f"accumulator of {item.start.name}", name, item.start.accumulator, unit, "floor")
    return [accumulator, result]


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


def weights_of(layer: Any, node: Node) -> list[tuple[str, Any]]:
    """Role of each constant array of an hls4ml layer, as the integer network has it, and hls4ml's variable."""
    match node:
        case Threshold():
            return [("thresholds", layer.weights["thresholds"])]
        case Lookup():
            return [("table", layer.weights["table"])]
        case MatMul() | Conv() | SumPool():
            return [("bias" if key == "bias" else "weight", variable) for key, variable in layer.weights.items()]
        case _:
            return []


def stored_in(graph: IntegerGraph, node: Node, role: str) -> tuple[StoredTensor | None, int]:
    """The stored tensor that fills a role of a node, and its unit; ``None`` for constants of hls4ml's own."""
    units = unit_log2(graph)
    match node, role:
        case Threshold(), _:
            return graph.tensors[node.thresholds], units[node.input]
        case Lookup(), _:
            return graph.tensors[node.table], units[node.output]
        case MatMul() | Conv(), "bias":
            return (None if node.bias is None else graph.tensors[node.bias]), units[node.output]
        case MatMul() | Conv(), _:
            return graph.tensors[node.weight], units[node.output] - units[node.input]
        case SumPool(), "weight":
            return None, units[node.output] - units[node.input]
    return None, units[node.output]


def axes_of(layer: Any, node: Node, role: str) -> tuple[int, ...]:
    """Order in which hls4ml stores the axes of a stored tensor, outermost first."""
    transposed = bool(layer.get_attr("_weights_transposed"))
    if role == "weight" and isinstance(node, MatMul):
        return (1, 0) if transposed else (0, 1)
    if role == "weight" and isinstance(node, Conv):  # [out, in, kernel...] is kept as [kernel..., in, out]
        kernel = tuple(range(2, 2 + len(node.strides)))
        # A depthwise kernel is [kernel..., channels, 1]: hls4ml's transposition moves the 1 in front.
        return (0, *kernel, 1) if transposed and node.groups == 1 else (*kernel, 1, 0)
    return (0, 1) if role in ("thresholds", "table") else (0,)


def _arrays(graph: IntegerGraph, item: AlignedLayer) -> list[Array]:
    node = item.start
    accumulator = accumulator_of(node)
    if accumulator is not None and isinstance(node, MatMul | Conv | SumPool):
        unit = unit_log2(graph)[node.output]
        precision = item.layer.types["accum_t"].precision
        _require_type(precision, accumulator, unit, f"accumulator of hls4ml layer {item.layer.name}")
    return [_array(graph, item, role, variable) for role, variable in weights_of(item.layer, node)]


def _array(graph: IntegerGraph, item: AlignedLayer, role: str, variable: Any) -> Array:
    tensor, unit = stored_in(graph, item.start, role)
    precision = variable.type.precision
    size = int(variable.data.size)
    if tensor is not None:
        _require_type(precision, tensor.executor_format, unit, f"{role} of hls4ml layer {item.layer.name}")
    return Array(
        symbol=variable.name,
        cpp_type=variable.type.name,
        size=size,
        tensor=None if tensor is None else tensor.name,
        fill=int(role == "weight" and tensor is None),
        shape=(size,) if tensor is None else tuple(int(n) for n in tensor.words.shape),
        axes=(0,) if tensor is None else axes_of(item.layer, item.start, role),
        width_bits=int(precision.width),
        signed=bool(precision.signed),
        unit_log2=int(precision.integer - precision.width),
    )


def _ports(graph: IntegerGraph, model: Any) -> tuple[Port, Port]:
    source = model.get_input_variables()[0]
    sink = model.get_output_variables()[0]
    units = unit_log2(graph)
    hardware, unit = graph.quantizer.format.hardware, units[graph.quantizer.output]
    _require_type(source.type.precision, hardware, unit, "input of the top function")
    output_format, output_unit, _ = cpp_type_of(graph, graph.output)
    return _port(source, hardware, unit), _port(sink, output_format, output_unit)


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
