"""MatMul, Gemm and Conv with a quantized constant: integer sums of products.

Per-channel power-of-two scales become one common scale by widening the words of the coarser channels to the finest;
any other per-channel scale stays per channel on the accumulator. Stored words themselves are never changed.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat
from hls.graph import StoredTensor
from hls.intervals import accumulator_interval
from hls.lowering.arrange import arranged, channels_last_order, flushed, identity_order
from hls.lowering.bias import bias_of
from hls.lowering.chain import FLOAT32_ROUNDOFF, Affine, Rationals
from hls.lowering.elementwise import append, on_channels
from hls.lowering.merging import without_offset
from hls.lowering.symbols import (
    Builder,
    Constant,
    QuantizedConstant,
    Symbol,
    Wire,
    accumulator_format,
    attribute,
    rational,
    rationals,
    where,
    wire_input,
)  # fmt: skip
from hls.nodes import Conv, MatMul


def lower_matmul(builder: Builder, node: onnx.NodeProto) -> Wire:
    """Lower ``MatMul`` with words on the left and stored words on the right."""
    return _matmul(builder, node, _weight(builder, node, 1, (2,)))


def lower_gemm(builder: Builder, node: onnx.NodeProto) -> Wire:
    """Lower ``Gemm``: alpha and beta fold into scale and bias, any transposition of the weight."""
    if attribute(node, "transA", 0):
        raise _refuse(node, "transA = 1", "words on the left as they lie")
    weight = _weight(builder, node, 1, (2,))
    if attribute(node, "transB", 0):
        weight = transpose_constant(weight, (1, 0))
    alpha, beta = rational(attribute(node, "alpha", 1.0)), rational(attribute(node, "beta", 1.0))
    if alpha <= 0:
        raise _refuse(node, f"alpha = {float(alpha)}", "a positive alpha")
    wire = _matmul(builder, node, weight, alpha)
    if len(node.input) > 2 and node.input[2]:
        return add_bias(builder, node, wire, builder.symbol(node, 2), beta)
    return wire


def lower_conv(builder: Builder, node: onnx.NodeProto) -> Wire:
    """Lower ``Conv`` over one or two spatial axes, channels-first or (qonnx's domain) channels-last."""
    last = node.domain.endswith("channels_last")
    weight = _weight(builder, node, 1, (3, 4))
    if last:  # [outputs, kernel..., inputs / groups]
        rank = weight.words.ndim
        weight = transpose_constant(weight, (0, rank - 1, *range(1, rank - 1)))
    wire = flushed(builder, node, wire_input(builder, node, 0))
    rank = weight.words.ndim - 1
    if len(wire.order) != rank:
        raise _refuse(node, f"words of rank {len(wire.order) + 1}", f"rank {rank + 1}, as the kernel has")
    wire = arranged(builder, node, wire, identity_order(rank) if last else channels_last_order(rank))
    spatial, kernel = rank - 1, weight.words.shape[2:]
    strides = integers(node, "strides", (1,) * spatial)
    dilations = integers(node, "dilations", (1,) * spatial)
    shape = builder.shape_of(wire)
    pads = window_pads(node, shape[:-1], kernel, strides, dilations)
    groups = int(str(attribute(node, "group", 1)))
    if shape[-1] != weight.words.shape[1] * groups or weight.words.shape[0] % groups:
        raise _refuse(
            node, f"{shape[-1]} channels, {groups} groups, a weight of shape {list(weight.words.shape)}",
            "channels = groups × the weight's second axis",
        )  # fmt: skip
    out = window_shape(node, shape[:-1], kernel, strides, dilations, pads)
    name, tensor, accumulator, scale = _stored(builder, node, wire, weight, 0, "conv")
    conv = Conv(
        name=name, input=wire.value, output=name, weight=tensor.name, bias=None, accumulator=accumulator,
        strides=strides, dilations=dilations, pads=pads, groups=groups,
    )  # fmt: skip
    value = builder.emit(conv, (*out, weight.words.shape[0]), accumulator, scale)
    result = Wire(value=value, order=wire.order, scale=scale, open_layer=name)
    if len(node.input) > 2 and node.input[2]:
        return add_bias(builder, node, result, _on_channels(builder, node, result), Fraction(1))
    return result


def add_bias(builder: Builder, node: onnx.NodeProto, wire: Wire, bias: Symbol, beta: Fraction) -> Wire:
    """Add the bias that a layer brings along: stored words where they lie at the sum's scale, else real arithmetic."""
    if beta == 1 and (biased := bias_of(builder, node, wire, bias)) is not None:
        return biased
    if not isinstance(bias, Constant | QuantizedConstant):
        raise _refuse(node, "a bias that is computed from the input", "a constant bias")
    wire, offsets = on_channels(builder, node, wire, np.asarray(bias.values, np.float64), "bias")
    return append(wire, Affine(factors=(Fraction(1),), offsets=tuple(offset * beta for offset in offsets)))


def transpose_constant(constant: QuantizedConstant, axes: tuple[int, ...]) -> QuantizedConstant:
    """The same words under permuted axes, scale and zero point following."""
    scale, zero_point = (a.transpose(axes) if a.ndim else a for a in (constant.scale, constant.zero_point))
    return replace(constant, words=constant.words.transpose(axes), scale=scale, zero_point=zero_point)


def integers(node: onnx.NodeProto, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """A list attribute, or its default."""
    given = attribute(node, name, None)
    return default if not isinstance(given, list | tuple) or not given else tuple(int(value) for value in given)


def window_pads(
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> tuple[int, ...]:
    """Padding in front of and behind each spatial axis, ``auto_pad`` worked out."""
    mode = str(attribute(node, "auto_pad", "NOTSET"))
    if mode in ("NOTSET", ""):
        return integers(node, "pads", (0,) * (2 * len(shape)))
    if mode == "VALID":
        return (0,) * (2 * len(shape))
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise _refuse(node, f"auto_pad {mode}", "NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    front, back = [], []
    for size, k, stride, dilation in zip(shape, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size)
        small, large = total // 2, total - total // 2
        front.append(small if mode == "SAME_UPPER" else large)
        back.append(large if mode == "SAME_UPPER" else small)
    return (*front, *back)


def window_shape(  # a window's parts
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    pads: tuple[int, ...],
) -> tuple[int, ...]:
    """Spatial shape that windows give."""
    spatial = len(shape)
    sizes = tuple(
        (shape[i] + pads[i] + pads[spatial + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
        for i in range(spatial)
    )
    if any(size < 1 for size in sizes) or any(pad < 0 for pad in pads):
        raise _refuse(node, f"a window of {list(kernel)} over {list(shape)}, pads {list(pads)}", "windows that fit")
    return sizes


def _matmul(builder: Builder, node: onnx.NodeProto, weight: QuantizedConstant, alpha: Fraction = Fraction(1)) -> Wire:
    wire = wire_input(builder, node, 0)
    offsets: list[Rationals] = []
    if wire.order == identity_order(len(wire.order)):  # a pending offset goes through the product, exactly
        plain, sign, steps = without_offset(builder, node, wire, 1)
        wire, offsets = (plain, [step.offsets for step in steps]) if sign == 1 else (wire, [])
    wire = arranged(builder, node, flushed(builder, node, wire), identity_order(len(wire.order)))
    shape = builder.shape_of(wire)
    if shape[-1:] != weight.words.shape[:1]:
        raise _refuse(node, f"input words of shape {list(shape)}", f"a last axis of {weight.words.shape[0]}")
    chain, size = _through(weight, offsets, alpha)
    name, tensor, accumulator, scale = _stored(builder, node, wire, weight, -1, "matmul")
    scale = tuple(number * alpha for number in scale)
    matmul = MatMul(name=name, input=wire.value, output=name, weight=tensor.name, bias=None, accumulator=accumulator)
    value = builder.emit(matmul, (*shape[:-1], weight.words.shape[1]), accumulator, scale)
    if size:  # a float32 execution adds them up word by word: n + 3 roundings, as for the words themselves
        builder.allowances[value] = size * (weight.words.shape[0] + 3 + len(offsets)) * Fraction(FLOAT32_ROUNDOFF)
    return Wire(value=value, order=identity_order(len(shape)), scale=scale, chain=chain, open_layer=name)


def _through(
    weight: QuantizedConstant, offsets: list[Rationals], alpha: Fraction
) -> tuple[tuple[Affine, ...], Fraction]:
    """What offsets of the input add to the sums of a matrix product, and the largest sum of their magnitudes."""
    if not offsets:
        return (), Fraction(0)
    shape = weight.words.shape
    words = (weight.words - weight.zero_point).astype(object)
    real = words * np.frompyfunc(Fraction, 1, 1)(np.broadcast_to(weight.scale, shape))
    rows = np.array([row * shape[0] if len(row) == 1 else row for row in offsets], object)
    size = alpha * max(np.abs(rows).sum(axis=0) @ np.abs(real))
    return (Affine(factors=(Fraction(1),), offsets=tuple(alpha * total for total in rows.sum(axis=0) @ real)),), size


def _stored(  # a layer's parts
    builder: Builder, node: onnx.NodeProto, wire: Wire, weight: QuantizedConstant, channel_axis: int, fallback: str
) -> tuple[str, StoredTensor, WordFormat, Rationals]:
    """Name, stored weight, accumulator and scale of the sum of a layer."""
    if len(wire.scale) > 1:
        raise LoweringError(
            found=f"input words with {len(wire.scale)} scales",
            allowed="one scale a tensor in front of a layer",
            where=where(node),
            remedy="quantize the layer's input per tensor",
        )
    name = builder.layer_name(node, fallback)
    scales = _of_channels(node, weight.scale, weight.words.shape, channel_axis, "scales")
    zero_points = _of_channels(node, weight.zero_point, weight.words.shape, channel_axis, "zero points")
    widen = _widening(scales)
    tensor = StoredTensor(
        name=f"{name}.weight", words=np.ascontiguousarray(weight.words), format=weight.format, scale=scales,
        widen=widen, zero_point=zero_points.astype(np.int64), channel_axis=channel_axis,
    )  # fmt: skip
    builder.tensors[tensor.name] = tensor
    interval = accumulator_interval(tensor, None, builder.format_of(wire))
    units = rationals(np.asarray(np.ldexp(scales, -widen)))
    return name, tensor, accumulator_format(node, interval), tuple(unit * wire.scale[0] for unit in units)


def _widening(scales: np.ndarray) -> np.ndarray:
    """Left shift that brings each channel to the finest one, 0 where the channels are no powers of two apart."""
    if scales.ndim == 0:
        return np.asarray(0)
    mantissas, exponents = np.frexp(scales)
    if np.unique(mantissas).size != 1 or exponents.max() - exponents.min() > MAXIMUM_WIDTH_BITS // 2:
        return np.zeros(scales.size, np.int64)
    return np.asarray(exponents - exponents.min(), np.int64)


def _of_channels(
    node: onnx.NodeProto, numbers: np.ndarray, shape: tuple[int, ...], channel_axis: int, meaning: str
) -> np.ndarray:
    """One number, or one an output channel."""
    if numbers.ndim == 0:
        return numbers
    channels_first = np.moveaxis(np.broadcast_to(numbers, shape), channel_axis, 0).reshape(shape[channel_axis], -1)
    if not (channels_first == channels_first[:, :1]).all():
        raise LoweringError(
            found=f"weight {meaning} that differ within an output channel",
            allowed=f"one for the tensor, or {meaning} per output channel",
            where=where(node),
            remedy="quantize weights per tensor or per output channel",
        )
    return np.array(channels_first[:, 0])


def _weight(builder: Builder, node: onnx.NodeProto, position: int, ranks: tuple[int, ...]) -> QuantizedConstant:
    symbol = builder.symbol(node, position)
    if isinstance(symbol, Constant) and symbol.values.ndim in ranks and np.all(symbol.values == np.rint(symbol.values)):
        return _whole_numbers(builder, node, symbol)
    if not isinstance(symbol, QuantizedConstant) or symbol.words.ndim not in ranks:
        found = "a weight that is not behind a Quant node"
        if isinstance(symbol, QuantizedConstant):
            found = f"a weight of shape {list(symbol.words.shape)}"
        elif isinstance(symbol, Wire):
            found = "the product of two activations"
        raise LoweringError(
            found=found,
            allowed=f"a quantized constant of rank {' or '.join(map(str, ranks))}",
            where=where(node),
            remedy="quantize the layer's weights (Brevitas QuantLinear, QuantConv2d)",
        )
    return symbol


def _whole_numbers(builder: Builder, node: onnx.NodeProto, constant: Constant) -> QuantizedConstant:
    """Weights that are whole numbers already, as exporters leave fixed kernels (averages, sums)."""
    from hls.formats import smallest_format

    words = constant.values.astype(np.int64)
    word_format = smallest_format(int(words.min()), int(words.max()))
    builder.notes.append(
        f"{where(node)}: weights are whole numbers without a quantizer; taken as {word_format.ap_fixed(0)}"
    )
    return QuantizedConstant(words=words, format=word_format, scale=np.asarray(1.0), zero_point=np.asarray(0))


def _on_channels(builder: Builder, node: onnx.NodeProto, wire: Wire) -> Symbol:
    """A convolution's bias [outputs], given the rank that lets it broadcast along the ONNX tensor's channels."""
    bias = builder.symbol(node, 2)
    trailing = (1,) * (len(wire.order) - 1 - wire.order.index(len(wire.order) - 1))
    if isinstance(bias, Constant):
        return Constant(values=bias.values.reshape(-1, *trailing))
    if isinstance(bias, QuantizedConstant):
        shape = (-1, *trailing)
        scale, zero_point = (a.reshape(shape) if a.ndim else a for a in (bias.scale, bias.zero_point))
        return replace(bias, words=bias.words.reshape(shape), scale=scale, zero_point=zero_point)
    return bias


def _refuse(node: onnx.NodeProto, found: str, allowed: str) -> LoweringError:
    return LoweringError(
        found=found, allowed=allowed, where=where(node), remedy="export the layer with shapes and options listed here"
    )
