"""Add of a quantized constant to a layer's sum: the bias, in words at the accumulator's scale.

A bias that does not lie at that scale, or that is a float, is no stored word: it becomes part of the real arithmetic in
front of the next quantizer, which carries it exactly.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np
import onnx

from hls.formats import MAXIMUM_WIDTH_BITS
from hls.graph import StoredTensor
from hls.intervals import accumulator_interval
from hls.lowering.chain import Affine, per_channel
from hls.lowering.symbols import Builder, QuantizedConstant, Symbol, Wire, accumulator_format
from hls.nodes import Conv, MatMul

_ONE = (Fraction(1),)
_SAME_SCALE = 2.0**-22
"""Relative difference up to which two scales are one: Brevitas multiplies input and weight scale in float32, so a
bias scale may sit one or two units in the last place beside their exact product. Powers of two are never off."""


def bias_of(builder: Builder, node: onnx.NodeProto, flowing: Symbol, bias: Symbol) -> Wire | None:
    """Give the open layer behind a wire its bias; ``None`` where this is not such a bias."""
    if not isinstance(flowing, Wire) or flowing.open_layer is None:
        return None
    if not all(isinstance(step, Affine) and step.factors == _ONE for step in flowing.chain):
        return None  # additions may change places with a bias, and nothing else
    if not isinstance(bias, QuantizedConstant) or np.any(bias.zero_point):
        return None
    position = next(i for i, item in enumerate(builder.nodes) if item.name == flowing.open_layer)
    layer = builder.nodes[position]
    assert isinstance(layer, MatMul | Conv)
    tensor = _tensor(builder, layer, flowing, bias)
    if tensor is None:
        return None
    builder.tensors[tensor.name] = tensor
    source = builder.values[layer.input].format
    assert source is not None
    accumulator = accumulator_format(node, accumulator_interval(builder.tensors[layer.weight], tensor, source))
    builder.nodes[position] = msgspec.structs.replace(layer, bias=tensor.name, accumulator=accumulator)
    builder.values[layer.output] = replace(builder.values[layer.output], format=accumulator)
    return replace(flowing, open_layer=None)


def _tensor(builder: Builder, layer: MatMul | Conv, wire: Wire, bias: QuantizedConstant) -> StoredTensor | None:
    outputs = builder.values[layer.output].shape[-1]
    words = bias.words
    varying = [axis for axis, size in enumerate(words.shape) if size > 1]
    last = len(wire.order) - 1
    channel_axis = wire.order.index(last) - len(wire.order)  # of the ONNX tensor, counted from its end
    if words.size != outputs or (varying and varying != [words.ndim + channel_axis]):
        return None
    scale = np.broadcast_to(bias.scale, words.shape).reshape(outputs)
    accumulator = np.array([float(per_channel(wire.scale, channel)) for channel in range(outputs)])
    ratio = scale / accumulator
    shift = np.rint(np.log2(ratio)).astype(np.int64)
    error = np.abs(np.ldexp(ratio, -shift) - 1)
    if (error > _SAME_SCALE).any() or (shift < 0).any() or bias.format.width_bits + shift.max() > MAXIMUM_WIDTH_BITS:
        return None
    if error.any():
        builder.notes.append(
            f"{layer.name}.bias: scale taken for the exact product of input and weight scale; it differs by at most "
            f"{float(error.max()):.2g} of itself (float32 rounding in the exporter)"
        )
    if np.unique(scale).size == 1 and np.unique(shift).size == 1:
        scale, shift = np.asarray(scale[0]), np.asarray(shift[0])
    return StoredTensor(
        name=f"{layer.name}.bias", words=words.reshape(outputs).copy(), format=bias.format, scale=scale.copy(),
        widen=shift,
    )  # fmt: skip
