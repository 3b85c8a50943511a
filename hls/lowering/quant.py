"""Quant, IntQuant, BipolarQuant and Trunc.

On the input the host's quantizer, on a constant its stored words, on words the step from an accumulator to an
activation. Source: QONNX ``IntQuant`` v1, ``BipolarQuant`` v1, ``Trunc`` v1 and v2 (qonnx, docs/qonnx-custom-ops).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import onnx

from hls.errors import FormatError, LoweringError
from hls.formats import Encoding, QuantizerRounding, WordFormat
from hls.host import ROUNDINGS
from hls.lowering.arrange import describe, emit_quantized, folded
from hls.lowering.boundaries import Quantizer, exact_round
from hls.lowering.chain import HostOnly, directions, exact, scaling, width
from hls.lowering.inputs import quantize_input
from hls.lowering.symbols import (
    Builder,
    Constant,
    FloatInput,
    QuantizedConstant,
    QuantizerTrace,
    Symbol,
    Wire,
    attribute,
    constant_input,
    holding_format,
    rational,
    where,
    wire_input,
)  # fmt: skip

_ROUNDINGS: dict[str, QuantizerRounding] = {
    "ROUND": "half_even", "HALF_EVEN": "half_even", "FLOOR": "floor", "CEIL": "ceil", "UP": "up", "DOWN": "down",
    "ROUND_TO_ZERO": "down", "HALF_UP": "half_up", "HALF_DOWN": "half_down",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameters:
    """What a Quant node is defined by; scale and zero point may have one value a channel."""

    scale: np.ndarray
    zero_point: np.ndarray
    code: WordFormat
    low: int
    high: int
    rounding: QuantizerRounding

    @property
    def bipolar(self) -> bool:
        return self.code.encoding == "bipolar"


def lower_quant(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Quant`` or ``IntQuant``, wherever it stands."""
    scale = np.asarray(constant_input(builder, node, 1, "scale"), np.float64)
    zero_point = np.asarray(constant_input(builder, node, 2, "zero point"), np.float64)
    signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 0))
    bits = _whole_bits(node, constant_input(builder, node, 3, "bit width"))
    code, low, high = _range(node, bits, signed=signed, narrow=narrow)
    parameters = _Parameters(
        scale=scale, zero_point=zero_point, code=code, low=low, high=high, rounding=_rounding(node, "ROUND")
    )
    return _lower(builder, node, parameters)


def lower_bipolar(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``BipolarQuant``: +scale where the value is at least 0, else -scale."""
    scale = np.asarray(constant_input(builder, node, 1, "scale"), np.float64)
    code = WordFormat(width_bits=1, encoding="bipolar")
    return _lower(
        builder, node,
        _Parameters(scale=scale, zero_point=np.asarray(0.0), code=code, low=-1, high=1, rounding="half_even"),
    )  # fmt: skip


def lower_trunc(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Trunc``: the words shifted right, by version 1 (bit widths) or 2 (output scale)."""
    wire = wire_input(builder, node, 0)
    scale, zero_point, bits = (
        rational(np.ravel(constant_input(builder, node, position, meaning))[0])
        for position, meaning in ((1, "scale"), (2, "zero point"), (3, "bit width"))
    )
    rounding = _rounding(node, "FLOOR")
    if len(node.input) > 5:
        out_scale = rational(np.ravel(constant_input(builder, node, 4, "output scale"))[0])
        out_bits = _whole_bits(node, constant_input(builder, node, 5, "output bit width"))
        shift = round(np.log2(float(out_scale / scale)))
    else:
        out_bits = _whole_bits(node, constant_input(builder, node, 4, "output bit width"))
        shift = int(bits) - out_bits
        out_scale = scale
    if zero_point or shift < 0:
        raise LoweringError(
            found=f"zero point {float(zero_point):g}, shift by {shift} bits",
            allowed="zero point 0 and a shift to the right",
            where=where(node),
            remedy="truncate a symmetric tensor to fewer bits",
        )
    # First to whole words of its own scale, as the operator does, then the shift.
    plain = folded(wire)
    if plain.chain or plain.scale != (scale,):
        low, high = _reached(builder, node, plain, scale)
        wide = Quantizer(scale=scale, rounding="half_even", zero_point=0, low=low, high=high)
        name = builder.layer_name(node, "trunc_words")
        plain = emit_quantized(builder, node, plain, wide, holding_format(node, low, high), name)
    if len(node.input) > 5:
        signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 0))
        code, low, high = _range(node, out_bits, signed=signed, narrow=narrow)
    else:  # version 1 does not clip
        source = builder.format_of(plain)
        low, high = (source.minimum >> shift) - 1, (source.maximum >> shift) + 1
        code = holding_format(node, low if low < 0 and source.minimum < 0 else 0, high)
        low = max(low, code.minimum)
    units = replace(plain, scale=(Fraction(1),))
    quantizer = Quantizer(scale=Fraction(1 << shift), rounding=rounding, zero_point=0, low=low, high=high)
    out = emit_quantized(builder, node, units, quantizer, code, builder.layer_name(node, "trunc"))
    value = builder.values[out.value]
    builder.values[out.value] = replace(value, scale=np.asarray(float(out_scale)))
    out = replace(out, scale=(out_scale,))
    _trace(builder, node, out, replace(units, scale=(scale,)), replace(quantizer, scale=scale * (1 << shift)))
    return out


def _reached(builder: Builder, node: onnx.NodeProto, wire: Wire, scale: Fraction) -> tuple[int, int]:
    """Smallest and largest word of a scale that a wire's values are rounded to.

    Raises:
        LoweringError: the pending arithmetic rises and falls, so that its ends do not bound it.
    """
    if directions(wire.chain) is None:
        raise LoweringError(
            found=f"{describe(wire.chain)} in front of a Trunc",
            allowed="words, or arithmetic that only rises or only falls",
            where=where(node),
            remedy="quantize in front of the Trunc",
        )
    source = builder.format_of(wire)
    whole = (scaling(wire.scale), *wire.chain)
    ends = [
        exact_round(exact(whole, Fraction(word), channel) / scale, "half_even")
        for word in (source.minimum, source.maximum)
        for channel in range(width(whole))
    ]
    return min(ends), max(ends)


def _lower(builder: Builder, node: onnx.NodeProto, parameters: _Parameters) -> Symbol:
    source = builder.symbol(node, 0)
    if not (np.isfinite(parameters.scale).all() and (parameters.scale > 0).all()):
        raise LoweringError(
            found=f"scale {np.ravel(parameters.scale)[:4].tolist()}",
            allowed="finite scales above 0",
            where=where(node),
            remedy="retrain: a scale has collapsed or diverged",
        )
    match source:
        case Constant(values=values):
            return _quantize_constant(builder, node, values, parameters)
        case QuantizedConstant():
            return _quantize_constant(builder, node, source.values, parameters)
        case FloatInput():
            quantizer, word_format = _of_tensor(node, parameters)
            return quantize_input(builder, node, source, quantizer, word_format)
        case Wire():
            return _quantize_words(builder, node, source, parameters)


def _quantize_words(builder: Builder, node: onnx.NodeProto, wire: Wire, parameters: _Parameters) -> Wire:
    if any(isinstance(step, HostOnly) for step in wire.chain):
        raise LoweringError(
            found="a quantizer behind a softmax",
            allowed="softmax at the end of the network, where the host computes it",
            where=where(node),
            remedy="end the quantized network at the logits, or use a normalization without sums over channels",
        )
    from hls.lowering.elementwise import on_channels

    wire, scales = on_channels(builder, node, wire, parameters.scale, "scale")
    if len(scales) > 1:  # in units of each channel's own scale the quantizer is the same for all
        units = replace(wire, chain=(*wire.chain, scaling(tuple(1 / scale for scale in scales))))
        quantizer, word_format = _of_tensor(node, replace(parameters, scale=np.asarray(1.0)))
        name = builder.layer_name(node, "quant")
        out = emit_quantized(builder, node, units, quantizer, word_format, name)
        builder.values[out.value] = replace(
            builder.values[out.value], scale=np.array([float(scale) for scale in scales])
        )
        out = replace(out, scale=scales)
        _trace(builder, node, out, units, quantizer)
        return out
    quantizer, word_format = _of_tensor(node, parameters)
    if _changes_nothing(builder, wire, quantizer):
        return replace(wire, open_layer=None)
    name = builder.layer_name(node, "quant")
    out = emit_quantized(builder, node, wire, quantizer, word_format, name)
    _trace(builder, node, out, wire, quantizer)
    return out


def _changes_nothing(builder: Builder, wire: Wire, quantizer: Quantizer) -> bool:
    """Whether the words are already what the quantizer would make of them, e.g. behind a max pool."""
    source = builder.format_of(wire)
    if quantizer.bipolar:
        return source.encoding == "bipolar" and not wire.chain and wire.scale == (quantizer.scale,)
    same = not wire.chain and wire.scale == (quantizer.scale,) and wire.open_layer is None
    return (
        same
        and quantizer.low <= source.quantizer_minimum
        and source.maximum <= quantizer.high
        and _is_activation(builder, wire)
    )


def _is_activation(builder: Builder, wire: Wire) -> bool:
    """Whether the words lie in a saturating format: only sums keep their own node, so that they can be compared."""
    return builder.format_of(wire).overflow == "saturate"


def _trace(builder: Builder, node: onnx.NodeProto, out: Wire, source: Wire, quantizer: Quantizer) -> None:
    """Remember what explains the differences of a float32 execution at this quantizer."""
    builder.traces.append(
        QuantizerTrace(
            node=out.value, tensor=node.output[0], order=out.order, scale=source.scale, chain=source.chain,
            quantizer=quantizer, unit=out.scale,
        )
    )  # fmt: skip


def _quantize_constant(
    builder: Builder, node: onnx.NodeProto, values: np.ndarray, parameters: _Parameters
) -> QuantizedConstant:
    """The words of a stored tensor: those that the float32 arithmetic of torch and qonnx gives.

    That is real arithmetic but for numbers that float32 cannot tell from a rounding boundary; they are noted.
    """
    real = np.asarray(values, np.float64)
    zero_point = _whole_zero_points(node, parameters.zero_point)
    shape = np.broadcast_shapes(real.shape, parameters.scale.shape, zero_point.shape)
    if shape != real.shape and np.size(real) != np.prod(shape):
        raise LoweringError(
            found=f"scale of shape {list(parameters.scale.shape)} for a constant of shape {list(real.shape)}",
            allowed="a scale that broadcasts to the constant",
            where=where(node),
            remedy="export the scale with the constant's rank",
        )
    if parameters.bipolar:
        words = np.where(real >= 0, 1, -1).astype(np.int64)
    else:
        exact, words = (
            np.clip(
                ROUNDINGS[parameters.rounding](real.astype(kind) / parameters.scale.astype(kind) + kind(zero_point)),
                parameters.low,
                parameters.high,
            ).astype(np.int64)
            for kind in (np.float64, np.float32)
        )
        if count := int((exact != words).sum()):
            builder.notes.append(
                f"{where(node)}: {count} constants lie on a rounding boundary as far as float32 can tell; their words "
                "are those of float32 arithmetic, as torch and qonnx compute it"
            )
    return QuantizedConstant(
        words=words.reshape(real.shape),
        format=parameters.code,
        scale=_fitted(parameters.scale, real.shape),
        zero_point=_fitted(zero_point, real.shape),
    )


def _fitted(numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One number, or one an element of ``shape``."""
    if np.unique(numbers).size == 1:
        return np.asarray(np.ravel(numbers)[0])
    return np.broadcast_to(numbers, shape).copy()


def _of_tensor(node: onnx.NodeProto, parameters: _Parameters) -> tuple[Quantizer, WordFormat]:
    """Quantizer and word format for one scale and one zero point."""
    zero_point = int(_single(node, _whole_zero_points(node, parameters.zero_point), "zero points"))
    low, high = parameters.low - zero_point, parameters.high - zero_point
    # Half-even rounding moves with an even zero point; then the zero point is gone from everything but the range.
    ties = zero_point if zero_point % 2 or parameters.rounding != "half_even" else 0
    ties = 0 if parameters.rounding in ("floor", "ceil") else ties
    quantizer = Quantizer(
        scale=rational(_single(node, parameters.scale, "scales")),
        rounding=parameters.rounding, zero_point=ties, low=low, high=high, bipolar=parameters.bipolar,
    )  # fmt: skip
    return quantizer, parameters.code if zero_point == 0 else holding_format(node, low, high)


def _single(node: onnx.NodeProto, numbers: np.ndarray, meaning: str) -> float:
    if np.unique(numbers).size != 1:
        raise LoweringError(
            found=f"{numbers.size} {meaning}, one a channel, on an input or activation",
            allowed="one a tensor",
            where=where(node),
            remedy="quantize inputs and activations per tensor (weights may be per channel)",
        )
    return float(np.ravel(numbers)[0])


def _whole_zero_points(node: onnx.NodeProto, zero_point: np.ndarray) -> np.ndarray:
    if not np.all(zero_point == np.rint(zero_point)):
        raise LoweringError(
            found=f"zero point {np.ravel(zero_point)[:4].tolist()}",
            allowed="whole zero points",
            where=where(node),
            remedy="quantize the zero point itself, or use a symmetric quantizer",
        )
    return zero_point.astype(np.int64)


def _whole_bits(node: onnx.NodeProto, bits: np.ndarray) -> int:
    width = float(np.ravel(bits)[0]) if np.unique(bits).size == 1 else float("nan")
    if not width.is_integer():
        raise LoweringError(
            found=f"bit width {np.ravel(bits)[:4].tolist()}",
            allowed="one whole number of bits",
            where=where(node),
            remedy="use the same whole bit width for the whole tensor",
        )
    return int(width)


def _range(node: onnx.NodeProto, bits: int, *, signed: bool, narrow: bool) -> tuple[WordFormat, int, int]:
    """Format, smallest and largest code."""
    code = _code_format(node, bits, signed=signed, narrow=narrow)
    # QONNX: a narrow unsigned range leaves its largest code out
    return code, code.quantizer_minimum, code.maximum - (narrow and not signed)


def _code_format(node: onnx.NodeProto, bits: int, *, signed: bool, narrow: bool) -> WordFormat:
    try:
        if bits == 1 and signed:  # QONNX: one signed bit is -1 or +1
            return WordFormat(width_bits=1, encoding="bipolar")
        encoding: Encoding = "twos_complement" if signed else "unsigned"
        return WordFormat(width_bits=bits, encoding=encoding, narrow=narrow and signed)
    except FormatError as error:
        raise LoweringError(found=error.found, allowed=error.allowed, where=where(node), remedy=error.remedy) from error


def _rounding(node: onnx.NodeProto, default: str) -> QuantizerRounding:
    mode = str(attribute(node, "rounding_mode", default)).upper()
    if mode not in _ROUNDINGS:
        raise LoweringError(
            found=f"rounding mode {mode}",
            allowed=", ".join(_ROUNDINGS),
            where=where(node),
            remedy="quantize with one of these rounding modes",
        )
    return _ROUNDINGS[mode]
