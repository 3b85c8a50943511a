"""The border between the host's floats and the network's words: the input quantizer."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.formats import QuantizerRounding, WordFormat
from hls.graph import Value
from hls.lowering.arrange import channels_last_order, identity_order
from hls.lowering.boundaries import Quantizer
from hls.lowering.symbols import Builder, FloatInput, QuantizerTrace, Wire, where
from hls.nodes import Quantize


def quantize_input(
    builder: Builder, node: onnx.NodeProto, source: FloatInput, quantizer: Quantizer, word_format: WordFormat
) -> Wire:
    """Emit the host's quantizer; its words lie channels-last where the graph has images."""
    name = builder.layer_name(node, "input_quant")
    wire = _emit(builder, node, source, quantizer, word_format, name)
    builder.traces.append(
        QuantizerTrace(
            node=name,
            tensor=node.output[0],
            order=wire.order,
            scale=(Fraction(1),),
            chain=(),
            quantizer=quantizer,
            unit=wire.scale,
        )
    )
    return wire


def quantize_without_quantizer(builder: Builder, node: onnx.NodeProto, source: FloatInput) -> Wire:
    """The words of an input that the graph itself never quantizes, in the format that the user gave.

    Raises:
        LoweringError: no format was given.
    """
    given = builder.input_format
    if given is None:
        raise LoweringError(
            found="an input that no Quant node has seen",
            allowed="a Quant node on the input, or a format for its words",
            where=where(node),
            remedy="give --input-format fixed<W,I> (or --inputs, whose coarsest exact format is then taken), or put a "
            "quantizer (Brevitas QuantIdentity) in front of this layer",
        )
    rounding: QuantizerRounding = "half_even"
    quantizer = Quantizer(
        scale=given.scale, rounding=rounding, zero_point=0, low=given.format.minimum, high=given.format.maximum
    )
    return _emit(builder, node, source, quantizer, given.format, builder.unique_name("input_quant"))


def _emit(  # one quantizer's parts
    builder: Builder,
    node: onnx.NodeProto,
    source: FloatInput,
    quantizer: Quantizer,
    word_format: WordFormat,
    name: str,
) -> Wire:
    if builder.nodes:
        raise LoweringError(
            found="a second quantizer on the network's input",
            allowed="one input quantizer",
            where=where(node),
            remedy="quantize the input once and branch behind it",
        )
    rank = len(source.order)
    order = channels_last_order(rank) if rank in builder.channels_first_ranks else identity_order(rank)
    axes = tuple(source.order[order.index(axis)] for axis in range(rank))
    new = Quantize(
        name=name, input=source.name, output=name, format=word_format, scale=float(quantizer.scale),
        rounding=quantizer.rounding, low=quantizer.low, high=quantizer.high, factor=float(source.factor),
        offset=float(source.offset), view=source.view, axes=axes, zero_point=quantizer.zero_point,
    )  # fmt: skip
    value = builder.emit(new, tuple(source.view[axis] for axis in axes), word_format, (quantizer.scale,))
    return Wire(value=value, order=order, scale=(quantizer.scale,))


def input_value(source: FloatInput) -> Value:
    """What the graph's float input is, for the integer network."""
    return Value(shape=source.view, format=None, scale=np.asarray(1.0))
