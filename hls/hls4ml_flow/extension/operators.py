"""The four operators as qonnx executes them: floats to words, int64 arithmetic, words to floats.

Importing this module makes ``qonnx.core.onnx_exec.execute_onnx`` run graphs with nodes of ``edgeval.custom_op``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp
from qonnx.custom_op.registry import add_domain_alias

from hls.errors import LoweringError
from hls.formats import WordFormat, Words
from hls.hls4ml_flow.extension import DOMAIN
from hls.hls4ml_flow.extension.native import MaxPool1d, ResizeNearest, ZeroPad
from hls.hls4ml_flow.extension.parameters import (
    Result,
    read_lookup,
    read_requantize,
    read_scaled_add,
    read_threshold,
    require_channels,
)

__all__ = ["Lookup", "MaxPool1d", "Requantize", "ResizeNearest", "ScaledAdd", "Threshold", "ZeroPad"]

_LARGEST = 2**63 - 1


class _WordOperator(CustomOp):  # type: ignore[misc]
    """Shape, data type and the way between floats and words; a subclass computes words."""

    _lists: tuple[str, ...]
    _numbers: tuple[str, ...]

    def get_nodeattr_types(self) -> dict[str, tuple[str, bool, Any]]:
        """Every attribute is required."""
        numbers = (*self._numbers, "out_unit", "out_bits", "out_signed")
        return {name: ("ints", True, []) for name in self._lists} | {name: ("i", True, 0) for name in numbers}

    def make_shape_compatible_op(self, model: Any) -> NodeProto:
        """The output has the input's shape."""
        return helper.make_node("Relu", [self.onnx_node.input[0]], [self.onnx_node.output[0]])

    def infer_node_datatype(self, model: Any) -> None:
        """Words times 2**unit are floats to qonnx unless the unit is 1."""
        name = "FLOAT32"
        if self.get_nodeattr("out_unit") == 0:
            name = f"{'INT' if self.get_nodeattr('out_signed') else 'UINT'}{self.get_nodeattr('out_bits')}"
        model.set_tensor_datatype(self.onnx_node.output[0], DataType[name])

    def verify_node(self) -> list[str]:
        """Raises where an attribute is missing; the attributes' values are checked when the node runs."""
        for name in self.get_nodeattr_types():
            self.get_nodeattr(name)
        return ["All necessary attributes exist"]

    def _give(self, context: dict[str, np.ndarray], words: Words, result: Result) -> None:
        context[self.onnx_node.output[0]] = _values(words, result.unit)


class Threshold(_WordOperator):
    """offsets[c] + stride × directions[c] × count(thresholds[c] ≤ word)."""

    _lists = ("thresholds", "offsets", "directions")
    _numbers = ("channels", "threshold_bits", "stride", "in_unit")

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Counts one step at a time, so that memory stays that of the words."""
        parameters = read_threshold(self.onnx_node)
        words = _words(context[self.onnx_node.input[0]], parameters.threshold_unit, parameters.where)
        require_channels(parameters, words.shape[-1])
        thresholds = np.array(parameters.thresholds, np.int64)
        count = np.zeros(words.shape, np.int64)
        for step in range(parameters.steps):
            count += thresholds[:, step] <= words
        steps = np.array(parameters.directions, np.int64) * parameters.stride
        self._give(context, np.array(parameters.offsets, np.int64) + steps * count, parameters.result)


class Requantize(_WordOperator):
    """clip(round((word × multipliers[c] + offsets[c]) / 2**shifts[c]), low, high), ties to even."""

    _lists = ("multipliers", "offsets", "shifts")
    _numbers = ("low", "high", "in_unit")

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Exact while word × multiplier + offset stays within int64; refused beyond."""
        parameters = read_requantize(self.onnx_node)
        words = _words(context[self.onnx_node.input[0]], parameters.in_unit, parameters.where)
        require_channels(parameters, words.shape[-1])
        _require_carrier(words, parameters.multipliers, max(map(abs, parameters.offsets)), parameters.where)
        shifts = np.array(parameters.shifts, np.int64)
        products = words * np.array(parameters.multipliers, np.int64) + np.array(parameters.offsets, np.int64)
        floor = products >> shifts
        # Twice the remainder against one: both sides stay within 63 bits for every shift up to 62.
        rest = products - (floor << shifts)
        half = np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), np.int64(_LARGEST))
        up = (rest > half) | ((rest == half) & ((floor & 1) == 1))
        self._give(context, np.clip(floor + up, parameters.low, parameters.high), parameters.result)


class Lookup(_WordOperator):
    """table[c, word - first]."""

    _lists = ("table",)
    _numbers = ("channels", "first", "in_unit")

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """A word outside the table is refused."""
        parameters = read_lookup(self.onnx_node)
        words = _words(context[self.onnx_node.input[0]], parameters.in_unit, parameters.where)
        require_channels(parameters, words.shape[-1])
        index = words - parameters.first
        if index.size and (index.min() < 0 or index.max() >= parameters.entries):
            raise LoweringError(
                found=f"words {words.min()} to {words.max()}",
                allowed=f"{parameters.first} to {parameters.first + parameters.entries - 1}",
                where=parameters.where,
                remedy="give the table an entry for every word of its input's type",
            )
        table = np.array(parameters.table, np.int64)
        row = np.arange(words.shape[-1]) if parameters.channels > 1 else np.zeros(words.shape[-1], np.int64)
        self._give(context, table[row, index], parameters.result)


class ScaledAdd(_WordOperator):
    """inputs[0] × multipliers[0] + inputs[1] × multipliers[1]; the low bits are kept."""

    _lists = ("multipliers", "in_units")
    _numbers = ()

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Both inputs have one shape."""
        parameters = read_scaled_add(self.onnx_node)
        first, second = (
            _words(context[name], unit, parameters.where)
            for name, unit in zip(self.onnx_node.input, parameters.in_units, strict=True)
        )
        if first.shape != second.shape:
            raise LoweringError(
                found=f"inputs of shapes {first.shape} and {second.shape}",
                allowed="two inputs of one shape",
                where=parameters.where,
                remedy="bring both branches to one shape",
            )
        bound = _largest(second) * abs(parameters.multipliers[1])
        _require_carrier(first, parameters.multipliers[:1], bound, parameters.where)
        words = first * parameters.multipliers[0] + second * parameters.multipliers[1]
        result = parameters.result
        kept = WordFormat(width_bits=result.bits, encoding=result.format.encoding, overflow="wrap").wrap(words)
        self._give(context, kept, result)


def _words(values: Float[np.ndarray, "..."], unit: int, where: str) -> Words:
    scaled = np.ldexp(values.astype(np.float64), -unit)
    if not bool(np.all(np.abs(scaled) < 2.0**62)):  # also false for NaN
        raise LoweringError(
            found="a value of more than 62 bits, or none",
            allowed=f"words × 2**{unit}",
            where=where,
            remedy="check in_unit and the node in front",
        )
    return np.rint(scaled).astype(np.int64)


def _values(words: Words, unit: int) -> Float[np.ndarray, "..."]:
    """float32, as ONNX says; float64 where that would lose bits."""
    wide = np.ldexp(words.astype(np.float64), unit)
    narrow = wide.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), wide) else wide


def _largest(words: Words) -> int:
    return max(abs(int(words.min())), abs(int(words.max()))) if words.size else 0


def _require_carrier(words: Words, multipliers: tuple[int, ...], bound: int, where: str) -> None:
    largest = _largest(words) * max(map(abs, multipliers)) + bound
    if largest > _LARGEST:
        raise LoweringError(
            found=f"products of up to {largest.bit_length() + 1} bits",
            allowed="64 bits",
            where=where,
            remedy="use smaller multipliers or narrower inputs",
        )


add_domain_alias(DOMAIN, __name__)
