"""What the operators of ``edgeval.custom_op`` are told: their attributes, read from a node and checked.

Every value of such a graph is word × 2**unit. Constants are attributes, never initializers: hls4ml 1.3.0 ends in a
bare IndexError for an initializer it does not fold away. All numbers are integers; lists with one entry a channel have
one entry, or as many as the last axis is long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hls.errors import LoweringError
from hls.formats import WordFormat

if TYPE_CHECKING:
    from onnx import NodeProto

CARRIER_BITS = 53
"""Significant bits of the float64 in which hls4ml carries and writes a stored word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Type of an operator's output: words of this format, times 2**unit."""

    unit: int
    bits: int
    signed: bool

    @property
    def format(self) -> WordFormat:
        """The words; 1 to 62 bits."""
        return WordFormat(width_bits=self.bits, encoding="twos_complement" if self.signed else "unsigned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """word = offsets[c] + stride × directions[c] × count(thresholds[c] ≤ word).

    Attributes:
        thresholds: [1 or channels][steps], words at ``threshold_unit``.
        threshold_bits: Two's complement width of a stored threshold.
        threshold_unit: The node's ``in_unit``; finer than the input's for a translated MultiThreshold.
        offsets, directions: One a row of ``thresholds``; directions are +1 or -1.
        stride: At least 1.
    """

    where: str
    thresholds: tuple[tuple[int, ...], ...]
    threshold_bits: int
    threshold_unit: int
    offsets: tuple[int, ...]
    directions: tuple[int, ...]
    stride: int
    result: Result

    def __post_init__(self) -> None:
        stored = WordFormat(width_bits=self.threshold_bits, encoding="twos_complement")
        for row in self.thresholds:
            _require_within(row, stored, self.where, "thresholds")
        _require_carried([word for row in self.thresholds for word in row], self.where, "thresholds")
        _require_lengths(self.where, len(self.thresholds), offsets=self.offsets, directions=self.directions)
        if set(self.directions) - {1, -1}:
            raise _refusal(self.where, f"directions {self.directions}", "1 or -1")
        if self.stride < 1:
            raise _refusal(self.where, f"stride {self.stride}", "1 or more; a direction of -1 falls")
        span = self.stride * self.steps
        ends = [
            word
            for offset, direction in zip(self.offsets, self.directions, strict=True)
            for word in (offset, offset + direction * span)
        ]
        _require_within(ends, self.result.format, self.where, "the output words")

    @property
    def channels(self) -> int:
        """Rows of thresholds: 1, or one a channel."""
        return len(self.thresholds)

    @property
    def steps(self) -> int:
        """Thresholds a row."""
        return len(self.thresholds[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantize:
    """word = clip(round((word × multipliers[c] + offsets[c]) / 2**shifts[c]), low, high), ties to even."""

    where: str
    in_unit: int
    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]
    shifts: tuple[int, ...]
    low: int
    high: int
    result: Result

    def __post_init__(self) -> None:
        _require_lengths(self.where, len(self.multipliers), offsets=self.offsets, shifts=self.shifts)
        if not all(0 <= shift <= CARRIER_BITS + 9 for shift in self.shifts):
            raise _refusal(self.where, f"shifts {self.shifts}", f"0 to {CARRIER_BITS + 9}")
        if self.low > self.high:
            raise _refusal(self.where, f"low {self.low} above high {self.high}", "low ≤ high")
        _require_within([self.low, self.high], self.result.format, self.where, "low and high")

    @property
    def channels(self) -> int:
        """1, or one multiplier a channel."""
        return len(self.multipliers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """word = table[c][word - first]; the table has an entry for every word its input's type can hold."""

    where: str
    in_unit: int
    table: tuple[tuple[int, ...], ...]
    first: int
    result: Result

    def __post_init__(self) -> None:
        for row in self.table:
            _require_within(row, self.result.format, self.where, "table")
        _require_carried([word for row in self.table for word in row], self.where, "table")

    @property
    def channels(self) -> int:
        """Rows of the table: 1, or one a channel."""
        return len(self.table)

    @property
    def entries(self) -> int:
        """Words a row."""
        return len(self.table[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledAdd:
    """word = inputs[0] × multipliers[0] + inputs[1] × multipliers[1], kept in the low bits of the output's type."""

    where: str
    in_units: tuple[int, int]
    multipliers: tuple[int, int]
    result: Result


Parameters = Threshold | Requantize | Lookup | ScaledAdd


def read_threshold(node: NodeProto) -> Threshold:
    """The attributes of a ``Threshold`` node.

    Raises:
        LoweringError: an attribute is missing, of another type, of another length or out of range; names the node.
    """
    channels, where = _integer(node, "channels"), _where(node)
    return Threshold(
        where=where,
        thresholds=_rows(_integers(node, "thresholds"), channels, where, "thresholds"),
        threshold_bits=_bits(node, "threshold_bits"),
        threshold_unit=_integer(node, "in_unit"),
        offsets=_integers(node, "offsets"),
        directions=_integers(node, "directions"),
        stride=_integer(node, "stride"),
        result=_result(node),
    )


def read_requantize(node: NodeProto) -> Requantize:
    """The attributes of a ``Requantize`` node; errors as ``read_threshold``."""
    return Requantize(
        where=_where(node),
        in_unit=_integer(node, "in_unit"),
        multipliers=_integers(node, "multipliers"),
        offsets=_integers(node, "offsets"),
        shifts=_integers(node, "shifts"),
        low=_integer(node, "low"),
        high=_integer(node, "high"),
        result=_result(node),
    )


def read_lookup(node: NodeProto) -> Lookup:
    """The attributes of a ``Lookup`` node; errors as ``read_threshold``."""
    where = _where(node)
    return Lookup(
        where=where,
        in_unit=_integer(node, "in_unit"),
        table=_rows(_integers(node, "table"), _integer(node, "channels"), where, "table"),
        first=_integer(node, "first"),
        result=_result(node),
    )


def read_scaled_add(node: NodeProto) -> ScaledAdd:
    """The attributes of a ``ScaledAdd`` node; errors as ``read_threshold``."""
    where = _where(node)
    in_units, multipliers = _integers(node, "in_units"), _integers(node, "multipliers")
    if len(node.input) != 2:
        raise _refusal(where, f"{len(node.input)} inputs", "two inputs; chain ScaledAdds for more")
    _require_lengths(where, 2, in_units=in_units, multipliers=multipliers)
    return ScaledAdd(
        where=where,
        in_units=(in_units[0], in_units[1]),
        multipliers=(multipliers[0], multipliers[1]),
        result=_result(node),
    )


def require_channels(parameters: Threshold | Requantize | Lookup, last_axis: int) -> None:
    """Refuse rows that are neither one nor one for each channel of the data.

    Raises:
        LoweringError: naming the node, with both lengths.
    """
    if parameters.channels not in {1, last_axis}:
        raise _refusal(
            parameters.where, f"{parameters.channels} channels for a last axis of {last_axis}", f"1 or {last_axis}"
        )


def signed_bits(words: Iterable[int]) -> int:
    """Width of the narrowest two's complement type that holds every word, at least 2; unlike a format, of any width.

    Example:
        >>> signed_bits([-4, 3]), signed_bits([0]), signed_bits([2**62])
        (3, 2, 64)
    """
    return max(2, *(max(word, -word - 1).bit_length() + 1 for word in words))


def _where(node: NodeProto) -> str:
    return f"node {node.name or node.output[0]} ({node.op_type})"


def _refusal(where: str, found: str, allowed: str) -> LoweringError:
    return LoweringError(found=found, allowed=allowed, where=where, remedy="mend the node's attributes")


def _attribute(node: NodeProto, name: str) -> object:
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == name:
            value: object = helper.get_attribute_value(attribute)
            return value
    raise _refusal(_where(node), f"no attribute `{name}`", f"`{name}`")


def _integer(node: NodeProto, name: str) -> int:
    value = _attribute(node, name)
    if not isinstance(value, int):
        raise _refusal(_where(node), f"{name} = {value!r}", "an integer")
    return value


def _integers(node: NodeProto, name: str) -> tuple[int, ...]:
    value = _attribute(node, name)
    if not isinstance(value, Sequence) or not value or not all(isinstance(item, int) for item in value):
        raise _refusal(_where(node), f"{name} = {value!r}", "a list of integers, at least one")
    return tuple(value)


def _bits(node: NodeProto, name: str) -> int:
    bits = _integer(node, name)
    if not 1 <= bits <= 62:
        raise _refusal(_where(node), f"{name} = {bits}", "1 to 62")
    return bits


def _result(node: NodeProto) -> Result:
    signed = _integer(node, "out_signed")
    if signed not in {0, 1}:
        raise _refusal(_where(node), f"out_signed = {signed}", "0 or 1")
    bits = _bits(node, "out_bits")
    if signed and bits == 1:
        raise _refusal(_where(node), "signed words of one bit", "at least two bits when signed")
    return Result(unit=_integer(node, "out_unit"), bits=bits, signed=bool(signed))


def _rows(flat: tuple[int, ...], channels: int, where: str, name: str) -> tuple[tuple[int, ...], ...]:
    if channels < 1 or len(flat) % channels:
        raise _refusal(where, f"{len(flat)} {name} for {channels} channels", "as many for each channel")
    steps = len(flat) // channels
    return tuple(flat[row * steps : (row + 1) * steps] for row in range(channels))


def _require_lengths(where: str, length: int, **lists: tuple[int, ...]) -> None:
    for name, values in lists.items():
        if len(values) != length:
            raise _refusal(where, f"{len(values)} {name}", f"{length}, one a channel")


def _require_within(words: Sequence[int], word_format: WordFormat, where: str, name: str) -> None:
    for word in words:
        if not word_format.minimum <= word <= word_format.maximum:
            raise _refusal(where, f"{name}: {word}", f"{word_format.range_text} ({word_format.width_bits} bits)")


def _require_carried(words: Sequence[int], where: str, name: str) -> None:
    for word in words:
        if int(float(word)) != word:
            raise _refusal(
                where, f"{name}: {word}, which needs more than {CARRIER_BITS} bits", "words a float64 holds exactly"
            )
