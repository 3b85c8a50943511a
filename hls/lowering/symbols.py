"""What an ONNX tensor turns out to be while a graph is lowered, and the builder that collects the result."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from jaxtyping import Float

from hls.errors import FormatError, LoweringError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat, Words, smallest_signed
from hls.graph import StoredTensor, Value
from hls.intervals import Interval
from hls.nodes import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A float (or integer) tensor known from the file."""

    values: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedConstant:
    """A constant behind a Quant node: the words a weight or bias memory holds.

    Attributes:
        words: int64, as the ONNX graph lays them out.
        format: Of the stored word.
        scale: Real value of one unit, broadcastable against ``words``.
    """

    words: Words
    format: WordFormat
    scale: Float[np.ndarray, "..."]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatInput:
    """The network's input, before any quantizer."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Words that flow: the output of a node already emitted.

    Attributes:
        value: Name of the value in the integer network.
        rectified: A ReLU was met whose clipping the next quantizer (or an explicit Shift) still has to do.
        open_matmul: Name of the MatMul whose bias has not been met yet, ``None`` otherwise.
    """

    value: str
    rectified: bool = False
    open_matmul: str | None = None


Symbol = Constant | QuantizedConstant | FloatInput | Wire


@dataclass(slots=True, kw_only=True)
class Builder:
    """Collects nodes, stored tensors and values while the ONNX nodes are walked in data order."""

    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    input: str = ""
    taken_names: set[str] = field(default_factory=set)

    def symbol(self, node: onnx.NodeProto, position: int) -> Symbol:
        """What the given input of an ONNX node is."""
        name = node.input[position]
        if name not in self.symbols:
            raise LoweringError(
                found=f"input {name!r}, which nothing before it produces",
                allowed="a graph sorted in data order whose every tensor has a producer",
                where=where(node),
                remedy="run qonnx's cleanup on the file, or export it again",
            )
        return self.symbols[name]

    def emit(self, node: Node, value: Value) -> Wire:
        """Add a node and the value it produces."""
        self.nodes.append(node)
        self.values[node.output] = value
        return Wire(value=node.output)

    def layer_name(self, node: onnx.NodeProto, fallback: str) -> str:
        """A short unique name for a layer, from the exporter's path: ``/fc1/Gemm`` becomes ``fc1``."""
        parts = [part for part in node.name.split("/") if part and part not in _EXPORTER_NOISE]
        if parts and re.fullmatch(rf"{node.op_type}(_\d+)?", parts[-1]):
            parts.pop()
        name = re.sub(r"\W", "_", "_".join(parts)) or fallback
        name = f"{fallback}_{name}" if name[0].isdigit() else name  # it becomes a C++ identifier
        return self.unique_name(name)

    def unique_name(self, name: str) -> str:
        """The name itself, or with a number behind it where it is taken; taken from now on."""
        unique, count = name, 1
        while unique in self.taken_names:
            count += 1
            unique = f"{name}_{count}"
        self.taken_names.add(unique)
        return unique


Lowering = Callable[[Builder, onnx.NodeProto], Symbol]
"""One lowering pass: says what the single output of an ONNX node is, emitting integer nodes on the way."""

_EXPORTER_NOISE = {
    "act_quant", "weight_quant", "export_handler", "activation_impl", "tensor_quant",
}  # fmt: skip


def where(node: onnx.NodeProto) -> str:
    """How an error names an ONNX node."""
    return f"layer {node.name or '(unnamed)'} ({node.op_type})"


def accumulator_format(node: onnx.NodeProto, interval: Interval) -> WordFormat:
    """Narrowest accumulator of a layer that holds every sum.

    Raises:
        LoweringError: it would be wider than any word.
    """
    try:
        return smallest_signed(interval.minimum, interval.maximum)
    except FormatError as error:
        raise LoweringError(
            found=f"sums from {interval.minimum} to {interval.maximum}",
            allowed=f"sums of at most {MAXIMUM_WIDTH_BITS} bits",
            where=where(node),
            remedy="use fewer bits for the input, the weights or the bias of this layer",
        ) from error


def attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    """Value of an ONNX attribute, or the default of the operator's specification."""
    for item in node.attribute:
        if item.name == name:
            value = onnx.helper.get_attribute_value(item)
            return value.decode() if isinstance(value, bytes) else value
    return default


def constant_input(builder: Builder, node: onnx.NodeProto, position: int, meaning: str) -> np.ndarray:
    """The values of an input that has to be a constant.

    Raises:
        LoweringError: it is not.
    """
    symbol = builder.symbol(node, position)
    if not isinstance(symbol, Constant):
        raise LoweringError(
            found=f"{meaning} that is computed in the graph",
            allowed=f"a constant {meaning}",
            where=where(node),
            remedy="fold constants before export (qonnx cleanup) or fix the quantizer's parameters",
        )
    return symbol.values


def wire_input(builder: Builder, node: onnx.NodeProto, position: int) -> Wire:
    """An input that has to be words.

    Raises:
        LoweringError: it is a float or a constant.
    """
    symbol = builder.symbol(node, position)
    if isinstance(symbol, Wire):
        return symbol
    kind = "an input that no Quant node has seen" if isinstance(symbol, FloatInput) else "a constant"
    raise LoweringError(
        found=kind,
        allowed="words: an input or activation behind a Quant node",
        where=where(node),
        remedy="put a quantizer (Brevitas QuantIdentity) in front of this layer",
    )
