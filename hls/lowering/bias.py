"""Add of a quantized constant to a matrix product: the bias, in words at the accumulator's scale."""

from __future__ import annotations

from dataclasses import replace as replace_value

import msgspec
import numpy as np
import onnx

from hls.errors import LoweringError
from hls.graph import StoredTensor
from hls.intervals import accumulator_interval
from hls.lowering.symbols import Builder, Constant, QuantizedConstant, Symbol, Wire, accumulator_format, where
from hls.nodes import MatMul

_SAME_SCALE = 2.0**-22
"""Relative difference up to which two scales are one: Brevitas multiplies input and weight scale in float32, so a
bias scale may sit one or two units in the last place beside their exact product. Powers of two are never off."""


def lower_add(builder: Builder, node: onnx.NodeProto) -> Wire:
    """Lower ``Add`` of a bias to a matrix product, in either order."""
    left, right = builder.symbol(node, 0), builder.symbol(node, 1)
    if isinstance(right, Wire) and not isinstance(left, Wire):
        left, right = right, left
    if not isinstance(left, Wire):
        raise LoweringError(
            found="a sum of two constants or of a float input",
            allowed="a matrix product plus a quantized bias",
            where=where(node),
            remedy="fold constants before export",
        )
    return add_bias(builder, node, left, right)


def add_bias(builder: Builder, node: onnx.NodeProto, wire: Wire, bias: Symbol) -> Wire:
    """Give the open MatMul behind ``wire`` its bias."""
    if wire.open_matmul is None or wire.rectified:
        raise LoweringError(
            found="a sum that does not follow a matrix product directly",
            allowed="MatMul or Gemm, then one Add of its bias",
            where=where(node),
            remedy="move the Add directly behind the layer, or fold the two biases",
        )
    if not isinstance(bias, QuantizedConstant):
        raise LoweringError(
            found="a float bias" if isinstance(bias, Constant) else "the sum of two activations",
            allowed="a bias behind a Quant node",
            where=f"bias of {wire.open_matmul}, {where(node)}",
            remedy="quantize the bias at the accumulator's scale (Brevitas bias_quant=Int16Bias)",
        )
    position = next(i for i, item in enumerate(builder.nodes) if item.name == wire.open_matmul)
    matmul = builder.nodes[position]
    assert isinstance(matmul, MatMul)
    tensor = _bias_tensor(builder, node, matmul, bias)
    builder.tensors[tensor.name] = tensor
    inputs = builder.values[matmul.input].format
    assert inputs is not None
    interval = accumulator_interval(builder.tensors[matmul.weight], tensor, inputs)
    accumulator = accumulator_format(node, interval)
    builder.nodes[position] = msgspec.structs.replace(matmul, bias=tensor.name, accumulator=accumulator)
    builder.values[matmul.output] = replace_value(builder.values[matmul.output], format=accumulator)
    return Wire(value=matmul.output)


def _bias_tensor(builder: Builder, node: onnx.NodeProto, matmul: MatMul, bias: QuantizedConstant) -> StoredTensor:
    value = builder.values[matmul.output]
    outputs = value.shape[0]
    if bias.words.size != outputs:
        raise LoweringError(
            found=f"a bias of shape {list(bias.words.shape)}",
            allowed=f"{outputs} words, one an output",
            where=f"bias of {matmul.name}, {where(node)}",
            remedy="give one bias word an output channel",
        )
    words = bias.words.reshape(outputs)
    scale = np.broadcast_to(bias.scale, bias.words.shape).reshape(outputs)
    widen = _widening(node, matmul, scale, np.broadcast_to(value.scale, outputs), builder)
    if np.unique(scale).size == 1:
        scale, widen = np.asarray(scale[0]), np.asarray(widen[0])
    return StoredTensor(
        name=f"{matmul.name}.bias", words=words.copy(), format=bias.format, scale=scale.copy(), widen=widen
    )


def _widening(
    node: onnx.NodeProto, matmul: MatMul, scale: np.ndarray, accumulator: np.ndarray, builder: Builder
) -> np.ndarray:
    """Left shift from bias word to accumulator unit, one a channel."""
    ratio = scale / accumulator
    shift = np.rint(np.log2(ratio)).astype(np.int64)
    error = np.abs(np.ldexp(ratio, -shift) - 1)
    if (error > _SAME_SCALE).any() or (shift < 0).any():
        channel = int(np.argmax((error > _SAME_SCALE) | (shift < 0)))
        raise LoweringError(
            found=f"scale {scale[channel]!s} (channel {channel})",
            allowed=f"the accumulator's scale {accumulator[channel]!s} times a power of two of at least 1",
            where=f"bias of {matmul.name}, {where(node)}",
            remedy="quantize the bias at the accumulator's scale (Brevitas bias_quant=Int16Bias)",
        )
    if error.any():
        builder.notes.append(
            f"{matmul.name}.bias: scale taken for the exact product of input and weight scale; it differs by at most "
            f"{float(error.max()):.2g} of itself (float32 rounding in the exporter)"
        )
    return np.asarray(shift)
