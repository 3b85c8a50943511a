"""ReLU and the quantizer behind it: from an accumulator word to an activation word in one exact integer step.

A power-of-two ratio of scales is a Shift, which is what ap_fixed types do by themselves. Any other ratio becomes the
Requantize with the smallest shift that reproduces every boundary (``hls/lowering/requantize.py``).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.formats import MAXIMUM_WIDTH_BITS, Rounding, WordFormat
from hls.graph import Value
from hls.intervals import Interval
from hls.lowering.requantize import MultiplierShift, exact_multiplier
from hls.lowering.symbols import Builder, Symbol, Wire, where, wire_input
from hls.nodes import Requantize, Shift


def lower_relu(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Relu``: remembered on the wire, done by the clipping of the next node."""
    wire = wire_input(builder, node, 0)
    return Wire(value=wire.value, rectified=True)


def emit_activation(  # the parts of one Quant node
    builder: Builder, node: onnx.NodeProto, wire: Wire, scale: float, word_format: WordFormat, rounding: Rounding
) -> Wire:
    """Emit the step from the words of ``wire`` to words of ``word_format`` at ``scale``."""
    source = builder.values[wire.value]
    low = max(word_format.quantizer_minimum, 0) if wire.rectified else word_format.quantizer_minimum
    name = builder.layer_name(node, "quant")
    ratios = [Fraction(s) / Fraction(scale) for s in np.ravel(source.scale).tolist()]
    value = Value(shape=source.shape, format=word_format, scale=np.asarray(scale))
    if len(ratios) == 1 and (shift := _power_of_two(ratios[0])) is not None:
        _require_carrier(node, source.format, shift)
        shift_node = Shift(
            name=name, input=wire.value, output=name, format=word_format,
            shift=-shift, rounding=rounding, low=low, high=word_format.maximum,
        )  # fmt: skip
        return builder.emit(shift_node, value)
    if rounding != "half_even":
        raise LoweringError(
            found=f"rounding {rounding} with a scale ratio that is not a power of two",
            allowed="ROUND (ties to even), or power-of-two scales",
            where=where(node),
            remedy="quantize with ROUND, or with power-of-two scales",
        )
    forms = _exact_forms(node, ratios, source.format, Interval(minimum=low, maximum=word_format.maximum))
    requantize = Requantize(
        name=name, input=wire.value, output=name, format=word_format,
        multipliers=tuple(form.multiplier for form in forms),
        offsets=tuple(0 for _ in forms),
        shifts=tuple(form.shift for form in forms),
        low=low, high=word_format.maximum,
    )  # fmt: skip
    return builder.emit(requantize, value)


def finish_rectified(builder: Builder, wire: Wire) -> Wire:
    """Do a pending ReLU whose quantizer never came: a Shift by 0 that clips at 0."""
    if not wire.rectified:
        return wire
    source = builder.values[wire.value]
    assert source.format is not None
    name = builder.unique_name(f"{wire.value}_relu")
    width = source.format.width_bits - (1 if source.format.signed else 0)
    word_format = WordFormat(width_bits=max(width, 1), encoding="unsigned")
    shift = Shift(
        name=name, input=wire.value, output=name, format=word_format,
        shift=0, rounding="floor", low=0, high=word_format.maximum,
    )  # fmt: skip
    return builder.emit(shift, Value(shape=source.shape, format=word_format, scale=source.scale))


def _power_of_two(ratio: Fraction) -> int | None:
    """log2 of a ratio that is a power of two, else ``None``."""
    top, bottom = ratio.numerator, ratio.denominator
    if top.bit_count() != 1 or bottom.bit_count() != 1:
        return None
    return (top.bit_length() - 1) - (bottom.bit_length() - 1)


def _require_carrier(node: onnx.NodeProto, source: WordFormat | None, left_shift: int) -> None:
    """Refuse shifts that int64 cannot carry: words that grow out of it, or a rounding bit beyond it."""
    assert source is not None
    if source.width_bits + max(left_shift, 0) > MAXIMUM_WIDTH_BITS or -left_shift > MAXIMUM_WIDTH_BITS:
        direction = "left" if left_shift > 0 else "right"
        raise LoweringError(
            found=f"{source.width_bits}-bit words shifted {direction} by {abs(left_shift)} bits",
            allowed=f"at most {MAXIMUM_WIDTH_BITS} bits in all",
            where=where(node),
            remedy="bring the scales of this activation and of the layer before it closer together",
        )


def _exact_forms(
    node: onnx.NodeProto, ratios: list[Fraction], source: WordFormat | None, output: Interval
) -> list[MultiplierShift]:
    assert source is not None
    reachable = Interval(minimum=source.minimum, maximum=source.maximum)
    forms = {ratio: exact_multiplier(ratio, reachable, output) for ratio in set(ratios)}
    for channel, ratio in enumerate(ratios):
        if forms[ratio] is None:
            raise LoweringError(
                found=f"scale ratio {float(ratio)!r} (channel {channel})",
                allowed="a ratio that some 62-bit multiplication and shift reproduces at every boundary",
                where=where(node),
                remedy="use power-of-two scales for this layer",
            )
    return [form for ratio in ratios if (form := forms[ratio]) is not None]
