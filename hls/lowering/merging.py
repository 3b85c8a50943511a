"""Branches that meet: Add and Sub of words, Concat. Formats are aligned explicitly, by exact nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat
from hls.intervals import add_interval
from hls.lowering.arrange import arranged, flushed, folded
from hls.lowering.chain import Affine, Rationals, linear, offsets_of
from hls.lowering.symbols import Builder, Symbol, Wire, accumulator_format, attribute, holding_format, where, wire_input
from hls.nodes import Add, Concat, Requantize, Shift

_ONE = (Fraction(1),)


def add_words(builder: Builder, node: onnx.NodeProto, wires: Sequence[Wire], signs: Sequence[int]) -> Wire:
    """The sum of branches: whole multiples of the finest common scale."""
    parts = [without_offset(builder, node, wire, sign) for wire, sign in zip(wires, signs, strict=True)]
    plain, signs = [part[0] for part in parts], [part[1] for part in parts]
    order = plain[0].order
    plain = [arranged(builder, node, wire, order) for wire in plain]
    scale, multipliers = _common_scale(node, [wire.scale for wire in plain], signs)
    formats = [builder.format_of(wire) for wire in plain]
    accumulator = accumulator_format(node, add_interval(formats, multipliers))
    shapes = [builder.shape_of(wire) for wire in plain]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise LoweringError(
            found=f"shapes {' and '.join(str(list(s)) for s in shapes)}",
            allowed="shapes that broadcast",
            where=where(node),
            remedy="bring the branches to one shape",
        ) from error
    name = builder.layer_name(node, "add")
    new = Add(
        name=name, inputs=tuple(wire.value for wire in plain), output=name, multipliers=multipliers,
        accumulator=accumulator,
    )  # fmt: skip
    value = builder.emit(new, tuple(int(size) for size in shape), accumulator, (scale,))
    chain = tuple(step for _, _, steps in parts for step in steps)
    return Wire(value=value, order=order, scale=(scale,), chain=chain)


def lower_concat(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Concat`` of words, brought to one scale."""
    wires = [flushed(builder, node, wire_input(builder, node, position)) for position in range(len(node.input))]
    axis = int(str(attribute(node, "axis", 1)))
    rank = len(wires[0].order)
    axis = axis - 1 if axis > 0 else axis + rank
    if not 0 <= axis < rank or any(len(wire.order) != rank for wire in wires):
        raise LoweringError(
            found=f"axis {attribute(node, 'axis', 1)} for tensors of rank {[len(w.order) + 1 for w in wires]}",
            allowed="an axis behind the samples, equal ranks",
            where=where(node),
            remedy="concatenate tensors of one rank behind the sample axis",
        )
    wires = [arranged(builder, node, wire, wires[0].order) for wire in wires]
    value_axis = wires[0].order[axis]
    scale, multipliers = _common_scale(node, [wire.scale for wire in wires], [1] * len(wires))
    wires = [_multiplied(builder, node, wire, m, scale) for wire, m in zip(wires, multipliers, strict=True)]
    formats = [builder.format_of(wire) for wire in wires]
    shapes = [list(builder.shape_of(wire)) for wire in wires]
    shape = list(shapes[0])
    shape[value_axis] = sum(s[value_axis] for s in shapes)
    name = builder.layer_name(node, "concat")
    new = Concat(name=name, inputs=tuple(wire.value for wire in wires), output=name, axis=value_axis)
    value = builder.emit(new, tuple(shape), _holding(node, formats), (scale,))
    return Wire(value=value, order=wires[0].order, scale=(scale,))


def _holding(node: onnx.NodeProto, formats: Sequence[WordFormat]) -> WordFormat:
    """The narrowest format that holds the words of all of them."""
    if len(set(formats)) == 1:
        return formats[0]
    return holding_format(node, min(f.minimum for f in formats), max(f.maximum for f in formats))


def without_offset(
    builder: Builder, node: onnx.NodeProto, wire: Wire, sign: int
) -> tuple[Wire, int, tuple[Affine, ...]]:
    """Words with one scale, their sign, and the float offset that may be added behind the sum just as well."""
    wire = folded(wire)
    slopes = linear(wire.chain)
    if wire.chain and slopes is not None and all(isinstance(step, Affine) for step in wire.chain):
        factors, _ = slopes
        if len(set(factors)) == 1 and factors[0]:
            plain = replace(wire, scale=tuple(s * abs(factors[0]) for s in wire.scale), chain=(), open_layer=None)
            # One step an offset, not their sum: a float32 execution rounds at the size of each.
            steps = (Affine(_ONE, tuple(offset * sign for offset in offsets)) for offsets in offsets_of(wire.chain))
            return plain, sign if factors[0] > 0 else -sign, tuple(step for step in steps if any(step.offsets))
    return flushed(builder, node, wire), sign, ()


def _common_scale(
    node: onnx.NodeProto, scales: Sequence[Rationals], signs: Sequence[int]
) -> tuple[Fraction, tuple[int, ...]]:
    """The largest unit that every scale is a whole multiple of, and those multiples."""
    if any(len(scale) > 1 for scale in scales):
        raise LoweringError(
            found="one scale a channel on a branch",
            allowed="one scale a tensor where branches meet",
            where=where(node),
            remedy="quantize each branch in front of it (Brevitas QuantIdentity)",
        )
    numbers = [scale[0] for scale in scales]
    denominator = lcm(*(number.denominator for number in numbers))
    unit = Fraction(gcd(*(int(number * denominator) for number in numbers)), denominator)
    multipliers = tuple(int(number / unit) * sign for number, sign in zip(numbers, signs, strict=True))
    if any(abs(multiplier).bit_length() > MAXIMUM_WIDTH_BITS - 8 for multiplier in multipliers):
        raise LoweringError(
            found=f"scales {[float(number) for number in numbers]}, whose common unit is {float(unit):.3g}",
            allowed="scales whose ratio is a quotient of integers of at most 54 bits",
            where=where(node),
            remedy="quantize each branch with the same scale (share one Brevitas QuantIdentity)",
        )
    return unit, multipliers


def _multiplied(builder: Builder, node: onnx.NodeProto, wire: Wire, multiplier: int, scale: Fraction) -> Wire:
    if multiplier == 1:
        return wire
    source = builder.format_of(wire)
    low, high = source.minimum * multiplier, source.maximum * multiplier
    word_format = holding_format(node, low, high)
    name = builder.layer_name(node, "align")
    new: Shift | Requantize
    if multiplier.bit_count() == 1:
        new = Shift(
            name=name, input=wire.value, output=name, format=word_format, shift=1 - multiplier.bit_length(),
            rounding="floor", low=low, high=high,
        )  # fmt: skip
    else:
        new = Requantize(
            name=name, input=wire.value, output=name, format=word_format, multipliers=(multiplier,), offsets=(0,),
            shifts=(0,), low=low, high=high,
        )  # fmt: skip
    value = builder.emit(new, builder.shape_of(wire), word_format, (scale,))
    return Wire(value=value, order=wire.order, scale=(scale,))
