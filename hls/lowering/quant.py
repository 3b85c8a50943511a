"""Quant / IntQuant: words from floats at the input, words of a constant, or the step from a sum to an activation.

Source: QONNX ``Quant`` v1 / ``IntQuant`` v1: y = (clamp(round(x / scale + zero_point)) − zero_point) × scale.
"""

from __future__ import annotations

import numpy as np
import onnx

from hls.errors import FormatError, LoweringError
from hls.formats import Rounding, WordFormat
from hls.graph import Value
from hls.lowering.activation import emit_activation
from hls.lowering.symbols import (
    Builder,
    Constant,
    FloatInput,
    QuantizedConstant,
    Symbol,
    Wire,
    attribute,
    constant_input,
    where,
)
from hls.nodes import Quantize

_ROUNDINGS: dict[str, Rounding] = {"ROUND": "half_even", "FLOOR": "floor"}


def lower_quant(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower one quantizer, wherever it stands."""
    source = builder.symbol(node, 0)
    scale = np.asarray(constant_input(builder, node, 1, "scale"), np.float64)
    word_format = _format(builder, node)
    rounding = _rounding(node)
    _require_plain(builder, node, scale)
    match source:
        case Constant(values=values):
            return _quantize_constant(values, scale, word_format, rounding)
        case FloatInput():
            return _quantize_input(builder, node, source, _per_tensor(node, scale), word_format, rounding)
        case Wire():
            return emit_activation(builder, node, source, _per_tensor(node, scale), word_format, rounding)
        case QuantizedConstant():
            raise LoweringError(
                found="a quantizer behind the quantizer of a constant",
                allowed="one quantizer a constant",
                where=where(node),
                remedy="export the weights quantized once",
            )


def _format(builder: Builder, node: onnx.NodeProto) -> WordFormat:
    bits = constant_input(builder, node, 3, "bit width")
    width = float(np.ravel(bits)[0]) if bits.size == 1 else float("nan")
    if not width.is_integer():
        raise LoweringError(
            found=f"bit width {np.ravel(bits)[:4].tolist()}",
            allowed="one whole number of bits",
            where=where(node),
            remedy="use the same whole bit width for the whole tensor",
        )
    signed = bool(attribute(node, "signed", 1))
    try:
        return WordFormat(
            width_bits=int(width),
            encoding="twos_complement" if signed else "unsigned",
            narrow=bool(attribute(node, "narrow", 0)),
        )
    except FormatError as error:
        raise LoweringError(found=error.found, allowed=error.allowed, where=where(node), remedy=error.remedy) from error


def _rounding(node: onnx.NodeProto) -> Rounding:
    mode = str(attribute(node, "rounding_mode", "ROUND")).upper()
    if mode not in _ROUNDINGS:
        raise LoweringError(
            found=f"rounding mode {mode}",
            allowed=", ".join(_ROUNDINGS),
            where=where(node),
            remedy="quantize with ROUND (ties to even) or FLOOR",
        )
    return _ROUNDINGS[mode]


def _require_plain(builder: Builder, node: onnx.NodeProto, scale: np.ndarray) -> None:
    zero_point = constant_input(builder, node, 2, "zero point")
    if np.any(zero_point != 0):
        raise LoweringError(
            found=f"zero point {np.ravel(zero_point)[:4].tolist()}",
            allowed="zero point 0",
            where=where(node),
            remedy="use a symmetric (or zero-based unsigned) quantizer",
        )
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise LoweringError(
            found=f"scale {np.ravel(scale)[:4].tolist()}",
            allowed="finite scales above 0",
            where=where(node),
            remedy="retrain: a scale has collapsed or diverged",
        )


def _per_tensor(node: onnx.NodeProto, scale: np.ndarray) -> float:
    if np.unique(scale).size != 1:
        raise LoweringError(
            found=f"{scale.size} scales, one a channel, on an activation",
            allowed="one scale a tensor on inputs and activations",
            where=where(node),
            remedy="quantize activations per tensor (weights may be per channel)",
        )
    return float(np.ravel(scale)[0])


def _quantize_constant(
    values: np.ndarray, scale: np.ndarray, word_format: WordFormat, rounding: Rounding
) -> QuantizedConstant:
    ratio = np.asarray(values, np.float64) / scale
    rounded = np.rint(ratio) if rounding == "half_even" else np.floor(ratio)
    words = np.clip(rounded, word_format.quantizer_minimum, word_format.maximum).astype(np.int64)
    return QuantizedConstant(words=words, format=word_format, scale=scale)


def _quantize_input(  # the parts of one Quant node
    builder: Builder,
    node: onnx.NodeProto,
    source: FloatInput,
    scale: float,
    word_format: WordFormat,
    rounding: Rounding,
) -> Wire:
    if builder.nodes:
        raise LoweringError(
            found="a second quantizer on the network's input",
            allowed="one input quantizer",
            where=where(node),
            remedy="quantize the input once and branch behind it",
        )
    name = builder.layer_name(node, "input_quant")
    builder.values[source.name] = Value(shape=source.shape, format=None, scale=np.asarray(1.0))
    return builder.emit(
        Quantize(name=name, input=source.name, output=name, format=word_format, scale=scale, rounding=rounding),
        Value(shape=source.shape, format=word_format, scale=np.asarray(scale)),
    )
