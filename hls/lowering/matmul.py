"""MatMul and Gemm with a quantized constant on the right: one integer matrix product.

Per-channel power-of-two scales become one common scale by widening the words of the coarser channels to the finest;
any other per-channel scale stays per channel on the accumulator. Stored words themselves are never changed.
"""

from __future__ import annotations

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.graph import StoredTensor, Value
from hls.intervals import accumulator_interval
from hls.lowering.activation import finish_rectified
from hls.lowering.bias import add_bias
from hls.lowering.symbols import Builder, QuantizedConstant, Wire, accumulator_format, attribute, where, wire_input
from hls.nodes import MatMul


def lower_matmul(builder: Builder, node: onnx.NodeProto) -> Wire:
    """Lower ``MatMul`` with words on the left and stored words on the right."""
    return _emit(builder, node, _weight(builder, node))


def lower_gemm(builder: Builder, node: onnx.NodeProto) -> Wire:
    """Lower ``Gemm`` with alpha = beta = 1 and any transposition of the weight."""
    for name, allowed in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
        if attribute(node, name, allowed) != allowed:
            raise LoweringError(
                found=f"{name} = {attribute(node, name, allowed)}",
                allowed=f"{name} = {allowed}",
                where=where(node),
                remedy="fold the factor into the weights before quantizing them",
            )
    weight = _weight(builder, node)
    if attribute(node, "transB", 0):
        weight = transpose_constant(weight, (1, 0))
    wire = _emit(builder, node, weight)
    if len(node.input) > 2 and node.input[2]:
        return add_bias(builder, node, wire, builder.symbol(node, 2))
    return wire


def transpose_constant(constant: QuantizedConstant, axes: tuple[int, ...]) -> QuantizedConstant:
    """The same words under permuted axes, the scale following its axis."""
    scale = constant.scale
    if scale.ndim == constant.words.ndim:
        scale = scale.transpose(axes)
    elif scale.size > 1:
        scale = np.broadcast_to(scale, constant.words.shape).transpose(axes)
    return QuantizedConstant(words=constant.words.transpose(axes), format=constant.format, scale=scale)


def _weight(builder: Builder, node: onnx.NodeProto) -> QuantizedConstant:
    symbol = builder.symbol(node, 1)
    if not isinstance(symbol, QuantizedConstant) or symbol.words.ndim != 2:
        found = (
            f"a weight of shape {list(symbol.words.shape)}"
            if isinstance(symbol, QuantizedConstant)
            else ("a weight that is not behind a Quant node")
        )
        raise LoweringError(
            found=found,
            allowed="a quantized constant matrix on the right",
            where=where(node),
            remedy="quantize the layer's weights (Brevitas QuantLinear)",
        )
    return symbol


def _emit(builder: Builder, node: onnx.NodeProto, weight: QuantizedConstant) -> Wire:
    source = finish_rectified(builder, wire_input(builder, node, 0))
    value = builder.values[source.value]
    if value.shape != (weight.words.shape[0],) or value.format is None or value.scale.ndim:
        raise LoweringError(
            found=f"input words of shape {list(value.shape)} with {max(value.scale.size, 1)} scale(s)",
            allowed=f"shape [{weight.words.shape[0]}] with one scale",
            where=where(node),
            remedy="flatten in front of the layer; quantize its input per tensor",
        )
    name = builder.layer_name(node, "matmul")
    channel_scale, widen = _common_scale(node, weight)
    tensor = StoredTensor(
        name=f"{name}.weight",
        words=np.ascontiguousarray(weight.words),
        format=weight.format,
        scale=channel_scale,
        widen=widen,
    )
    builder.tensors[tensor.name] = tensor
    interval = accumulator_interval(tensor, None, value.format)
    accumulator = accumulator_format(node, interval)
    wire = builder.emit(
        MatMul(name=name, input=source.value, output=name, weight=tensor.name, bias=None, accumulator=accumulator),
        Value(
            shape=(weight.words.shape[1],),
            format=accumulator,
            scale=np.asarray(value.scale * np.ldexp(channel_scale, -widen)),
        ),
    )
    common = builder.values[wire.value]
    if common.scale.ndim and np.unique(common.scale).size == 1:
        builder.values[wire.value] = Value(
            shape=common.shape, format=common.format, scale=np.asarray(common.scale.flat[0])
        )
    return Wire(value=wire.value, open_matmul=name)


def _common_scale(node: onnx.NodeProto, weight: QuantizedConstant) -> tuple[np.ndarray, np.ndarray]:
    """Scale a channel (or one for all) and the left shift that brings each channel to the finest one."""
    outputs = weight.words.shape[1]
    scales = np.broadcast_to(weight.scale, weight.words.shape)
    if not (scales == scales[:1]).all():
        raise LoweringError(
            found="weight scales that differ along the input axis",
            allowed="one scale, or one an output channel",
            where=where(node),
            remedy="quantize per tensor or per output channel",
        )
    channels = scales[0].copy()
    if np.unique(channels).size == 1:
        return np.asarray(channels[0]), np.asarray(0)
    mantissas, exponents = np.frexp(channels)
    if np.unique(mantissas).size != 1:
        return channels, np.zeros(outputs, np.int64)
    return channels, (exponents - exponents.min()).astype(np.int64)
