"""What an ONNX tensor turns out to be while a graph is lowered, and the builder that collects the result."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import onnx
from jaxtyping import Float, Int

from hls.errors import FormatError, LoweringError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat, Words, smallest_format, smallest_signed
from hls.graph import StoredTensor, Value
from hls.intervals import Interval
from hls.lowering.boundaries import Quantizer
from hls.lowering.chain import Chain, Rationals, floats
from hls.nodes import Node
from hls.sizes import LONGEST_NAME, require_shape


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
        scale: Real value of one unit, of the shape of ``words`` or a single number.
        zero_point: Taken off the stored word, same shapes.
    """

    words: Words
    format: WordFormat
    scale: Float[np.ndarray, "..."]
    zero_point: Int[np.ndarray, "..."]

    @property
    def values(self) -> Float[np.ndarray, "..."]:
        """Real values, float64: exact for scales of float32 and words of up to 29 bits."""
        return np.asarray((self.words - self.zero_point) * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatInput:
    """The network's input, before any quantizer: what the host does to it so far.

    Attributes:
        view: Shape that one sample is read as.
        order: Axis of ``view`` of each axis of the ONNX tensor (samples not counted).
        factor, offset: Affine step so far.
    """

    name: str
    view: tuple[int, ...]
    order: tuple[int, ...]
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample of the ONNX tensor."""
        return tuple(self.view[axis] for axis in self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Words that flow, and the real arithmetic that the next quantizer has to carry.

    The ONNX tensor's real value is chain(scale × word).

    Attributes:
        value: Name of the value in the integer network.
        order: Axis of that value of each axis of the ONNX tensor (samples not counted).
        scale: Real value of one unit before the chain, one or one a channel (last axis of the value); positive.
        chain: Real steps not yet done.
        open_layer: Name of the layer whose bias has not been met yet, ``None`` otherwise.
    """

    value: str
    order: tuple[int, ...]
    scale: Rationals
    chain: Chain = ()
    open_layer: str | None = None


Symbol = Constant | QuantizedConstant | FloatInput | Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizerTrace:
    """What a float32 execution of the graph has at one quantizing node; for the explanation of its differences.

    Attributes:
        node: Name of the integer node.
        tensor: ONNX tensor of its quantized output.
        order: Axis of the value of each axis of that tensor.
        scale: Of one unit of the incoming words.
        chain: Between them and the quantizer.
        quantizer: What ends the chain.
        unit: Real value of one unit of the quantized words, one or one a channel.
    """

    node: str
    tensor: str
    order: tuple[int, ...]
    scale: Rationals
    chain: Chain
    quantizer: Quantizer
    unit: Rationals


@dataclass(slots=True, kw_only=True)
class Builder:
    """Collects nodes, stored tensors and values while the ONNX nodes are walked in data order.

    Attributes:
        channels_first_ranks: Ranks of samples that the graph's own operators read channels-first.
        strict: Whether a float constant that cannot be carried exactly is refused instead of rounded.
        input_format: Format and scale of the input words where the graph has no input quantizer.
        opset: Version of the standard operators.
        allowances: What a float32 execution may be off by at some values beside its roundings there, in real units:
            float constants that lowering rounded to whole words, or took through a layer.
        computed: Numbers of all constants that the graph computed so far.
    """

    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    traces: list[QuantizerTrace] = field(default_factory=list)
    input: str = ""
    channels_first_ranks: frozenset[int] = frozenset()
    strict: bool = False
    opset: int = 13
    allowances: dict[str, Fraction] = field(default_factory=dict)
    input_format: InputWords | None = None
    taken_names: set[str] = field(default_factory=set)
    computed: int = 0

    def symbol(self, node: onnx.NodeProto, position: int) -> Symbol:
        """What the given input of an ONNX node is."""
        name = node.input[position] if position < len(node.input) else ""
        if name not in self.symbols:
            raise LoweringError(
                found=f"input {name!r}, which nothing before it produces",
                allowed="a graph sorted in data order whose every tensor has a producer",
                where=where(node),
                remedy="run qonnx's cleanup on the file, or export it again",
            )
        return self.symbols[name]

    def emit(self, node: Node, shape: tuple[int, ...], word_format: WordFormat, scale: Rationals) -> str:
        """Add a node and the value it produces; returns the value's name.

        Raises:
            LoweringError: more words than any device computes.
        """
        require_shape(shape, f"layer {node.name}")
        self.nodes.append(node)
        self.values[node.output] = Value(shape=shape, format=word_format, scale=floats(scale))
        return node.output

    def format_of(self, wire: Wire) -> WordFormat:
        """Format of a wire's words."""
        word_format = self.values[wire.value].format
        assert word_format is not None
        return word_format

    def shape_of(self, wire: Wire) -> tuple[int, ...]:
        """Shape of a wire's value, channels last."""
        return self.values[wire.value].shape

    def onnx_shape(self, symbol: Symbol) -> tuple[int, ...]:
        """Shape of an ONNX tensor: of one sample for what flows, whole for constants."""
        match symbol:
            case Wire(value=value, order=order):
                shape = self.values[value].shape
                return tuple(shape[axis] for axis in order)
            case FloatInput():
                return symbol.shape
            case Constant(values=values):
                return values.shape
            case QuantizedConstant(words=words):
                return words.shape

    def layer_name(self, node: onnx.NodeProto, fallback: str) -> str:
        """A short unique name for a layer, from the exporter's path: ``/fc1/Gemm`` becomes ``fc1``."""
        parts = [part for part in node.name.split("/") if part and part not in _EXPORTER_NOISE]
        if parts and re.fullmatch(rf"{re.escape(node.op_type)}(_\d+)?", parts[-1]):
            parts.pop()
        name = safe_name("_".join(parts), fallback)
        return self.unique_name(f"{fallback}_{name}" if name in _HLS4ML else name)

    def unique_name(self, name: str) -> str:
        """The name itself, or with a number behind it where it is taken; taken from now on."""
        unique, count = name, 1
        while not self.taken_names.isdisjoint(_with_tensors(unique)):
            count += 1
            unique = f"{name}_{count}"
        self.taken_names.update(_with_tensors(unique))
        return unique


@dataclass(frozen=True, slots=True, kw_only=True)
class InputWords:
    """Format and scale of the input words of a graph that has no input quantizer."""

    format: WordFormat
    scale: Fraction


Lowering = Callable[[Builder, onnx.NodeProto], Symbol | tuple[Symbol, ...]]
"""One lowering pass: says what the outputs of an ONNX node are, emitting integer nodes on the way."""

_EXPORTER_NOISE = {
    "act_quant", "weight_quant", "export_handler", "activation_impl", "tensor_quant",
}  # fmt: skip


def _with_tensors(name: str) -> tuple[str, ...]:
    """A layer's name, and what those of its stored tensors become in the generated project."""
    return (name, *(f"{name}_{tensor}" for tensor in ("weight", "bias", "thresholds", "table")))


_HLS4ML = {"input", "network_input"}
"""Names that hls4ml, or the graph it is given, has for itself."""


def safe_name(text: str, fallback: str) -> str:
    """A name that may stand in C++, in paths and on pages: what is no ASCII letter or digit becomes an underscore.

    Example:
        >>> safe_name("fc1", "x"), safe_name('a"; #include', "x"), safe_name("4", "pool"), safe_name("名", "x")
        ('fc1', 'a____include', 'pool_4', '_')
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", text[: 4 * LONGEST_NAME])[: LONGEST_NAME - _ROOM] or fallback
    return f"{fallback}_{name}" if name[0].isdigit() else name


_ROOM = 32
"""Characters left for a fallback in front, a number behind and the names of a layer's tensors."""


def where(node: onnx.NodeProto) -> str:
    """How an error names an ONNX node."""
    return f"layer {node.name[:_LONGEST_SHOWN] or '(unnamed)'} ({node.op_type[:_LONGEST_SHOWN]})"


_LONGEST_SHOWN = 120


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


def holding_format(node: onnx.NodeProto, low: int, high: int) -> WordFormat:
    """Narrowest format of words that lie in an interval.

    Raises:
        LoweringError: there is none.
    """
    try:
        return smallest_format(low, high)
    except FormatError as error:
        raise LoweringError(
            found=f"words from {low} to {high}",
            allowed=f"words of at most {MAXIMUM_WIDTH_BITS} bits",
            where=where(node),
            remedy="quantize in front of it to fewer bits, or each branch with the same scale",
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
    """An input that has to be words; a float input is quantized here if ``input_format`` says how.

    Raises:
        LoweringError: it is a float or a constant.
    """
    symbol = builder.symbol(node, position)
    if isinstance(symbol, Wire):
        return symbol
    if isinstance(symbol, FloatInput):
        from hls.lowering.inputs import quantize_without_quantizer

        wire = quantize_without_quantizer(builder, node, symbol)
        builder.symbols[node.input[position]] = wire
        return wire
    raise LoweringError(
        found="a constant",
        allowed="words: an input or activation behind a Quant node",
        where=where(node),
        remedy="fold constants before export",
    )


def rational(value: object) -> Fraction:
    """A finite float or integer, exactly.

    Raises:
        LoweringError: NaN or infinity.
    """
    number = float(value)  # type: ignore[arg-type]  # any NumPy or Python number
    if number != number or number in (float("inf"), float("-inf")):
        raise LoweringError(
            found=f"constant {number}",
            allowed="finite constants",
            where="graph constants",
            remedy="retrain or export again: a parameter has diverged",
        )
    return Fraction(number)


def rationals(values: np.ndarray) -> Rationals:
    """Numbers of an array, exactly; one where all are equal."""
    flat = np.ravel(values).tolist()
    return (rational(flat[0]),) if len(set(flat)) == 1 else tuple(rational(value) for value in flat)
