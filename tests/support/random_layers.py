"""Random layers and pools, with all their options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.random_graphs import Tensor, Writer
from support.random_moves import flatten, spatial_axes
from support.random_quantizers import Random, bias, pick, plain, quantized, weights


def _summed(tensor: Tensor, shape: tuple[int, ...], terms: int, weight: tuple[str, float, int, bool]) -> Tensor:
    reach = tensor.reach * weight[1] * float(np.sqrt(terms)) / 2
    bits = tensor.bits + weight[2] + int(np.ceil(np.log2(terms + 1)))
    return Tensor("", shape, reach, bits, channelled=weight[3])


def dense(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """MatMul or Gemm over the last axis."""
    if len(tensor.shape) > 1 and random.random() < 0.7:
        tensor = flatten(writer, tensor, random)
    tensor = plain(writer, tensor, random)
    inputs, outputs = tensor.shape[-1], int(random.integers(1, 7))
    shape = (*tensor.shape[:-1], outputs)
    if len(tensor.shape) == 1 and random.random() < 0.5:
        return _gemm(writer, tensor, outputs, random)
    weight = weights(writer, (inputs, outputs), random, 1)
    out = _summed(tensor, shape, inputs, weight)
    name = writer.node("MatMul", [tensor.name, weight[0]])
    if (added := bias(writer, (outputs,), out.reach, random)) is not None:
        name = writer.node("Add", [name, added] if random.random() < 0.7 else [added, name])
        if weight[3] or not _is_quant(writer, added):
            out = replace(out, pending=True)
        out = replace(out, pending=True, bits=out.bits + 1)
    out = replace(out, name=name, channelled=out.channelled or out.pending)
    if len(shape) > 1 and not writer.channels_last:  # its channels are not those that the next operator means
        return quantized(writer, out, random, per_channel=False)
    return out


def _is_quant(writer: Writer, name: str) -> bool:
    return any(node.output[0] == name for node in writer.nodes)


def _gemm(writer: Writer, tensor: Tensor, outputs: int, random: Random) -> Tensor:
    transposed = bool(random.random() < 0.5)
    shape = (outputs, tensor.shape[0]) if transposed else (tensor.shape[0], outputs)
    weight = weights(writer, shape, random, 0 if transposed else 1)
    out = _summed(tensor, (outputs,), tensor.shape[0], weight)
    alpha = float(np.float32(random.uniform(0.2, 2.0))) if random.random() < 0.3 else None
    beta = float(np.float32(random.uniform(0.2, 2.0))) if random.random() < 0.3 else None
    added = bias(writer, (outputs,), out.reach, random)
    if added is None and writer.opset < 11:
        added = writer.constant(np.zeros(outputs))  # optional since operator set 11
    inputs = [tensor.name, weight[0]] + ([added] if added is not None else [])
    name = writer.node("Gemm", inputs, transB=int(transposed), alpha=alpha, beta=beta)
    pending = added is not None
    return replace(out, name=name, pending=pending, channelled=out.channelled or pending, bits=out.bits + 1)


def conv(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A convolution over one or two spatial axes, any options."""
    if len(tensor.shape) == 1:
        return dense(writer, tensor, random)
    tensor = plain(writer, tensor, random)
    channels = writer.channels(tensor)
    sizes = [tensor.shape[axis] for axis in spatial_axes(writer, tensor)]
    groups = int(pick(random, [1, 1, channels, *(g for g in (2,) if channels % g == 0)]))
    outputs = groups * int(random.integers(1, max(2, 5 // groups + 1)))
    kernel = [int(random.integers(1, min(3, size) + 1)) for size in sizes]
    strides = [int(random.integers(1, 3)) for _ in sizes]
    dilations = [
        1 if (size - 1) < 2 * (k - 1) or random.random() < 0.8 else 2 for size, k in zip(sizes, kernel, strict=True)
    ]
    auto = pick(random, ("SAME_UPPER", "SAME_LOWER", "VALID")) if random.random() < 0.25 else None
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        dilations = [1] * len(sizes)
    pads = [int(random.integers(0, k)) for k in kernel * 2] if random.random() < 0.5 else [0] * (2 * len(sizes))
    last = writer.channels_last
    pads = pads[: len(sizes)] * 2 if last else pads  # qonnx's wrapper wants even ones
    if auto is not None and any(k < stride for k, stride in zip(kernel, strides, strict=True)):
        auto = None
    shape = (outputs, *kernel, channels // groups) if last else (outputs, channels // groups, *kernel)
    weight = weights(writer, shape, random, 0)
    new_sizes = _window_sizes(sizes, kernel, strides, dilations, pads, auto, 0)
    new_shape = _placed(writer, tensor, new_sizes, outputs)
    out = _summed(tensor, new_shape, int(np.prod(shape[1:])), weight)
    added = bias(writer, (outputs,), out.reach, random)
    inputs = [tensor.name, weight[0]] + ([added] if added is not None else [])
    if last and auto is not None:
        auto, pads = None, [0] * len(pads)
        new_shape = _placed(writer, tensor, _window_sizes(sizes, kernel, strides, dilations, pads, None, 0), outputs)
        out = replace(out, shape=new_shape)  # qonnx's wrapper wants pads
    if last:
        writer.shapes[weight[0]] = shape
    name = writer.windowed(
        "Conv", inputs, tensor, new_shape, kernel_shape=kernel, strides=strides,
        dilations=dilations, group=groups, pads=pads if auto is None else None, auto_pad=auto,
    )  # fmt: skip
    pending = added is not None
    return replace(out, name=name, pending=pending, channelled=out.channelled or pending)


def _placed(writer: Writer, tensor: Tensor, sizes: list[int], channels: int) -> tuple[int, ...]:
    return (*sizes, channels) if writer.channels_last else (channels, *sizes)


def _window_sizes(
    sizes: list[int], kernel: list[int], strides: list[int], dilations: list[int], pads: list[int], auto: object,
    ceil: int,
) -> list[int]:  # fmt: skip
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
    pads = [0] * len(pads) if auto == "VALID" else pads
    out = []
    for i, size in enumerate(sizes):
        room = size + pads[i] + pads[len(sizes) + i] - (kernel[i] - 1) * dilations[i] - 1
        count = (-(-room // strides[i]) if ceil else room // strides[i]) + 1
        if ceil and (count - 1) * strides[i] >= size + pads[i]:
            count -= 1
        out.append(count)
    return out


def pool(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Max, average and global pools."""
    if len(tensor.shape) == 1:
        return tensor
    axes, channels = spatial_axes(writer, tensor), writer.channels(tensor)
    kinds = ("MaxPool", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum")
    kind = "MaxPool" if writer.channels_last else str(pick(random, kinds))  # what qonnx's domain has
    averages = "Average" in kind or kind.startswith("Reduce")
    if (averages and tensor.pending) or tensor.channelled or tensor.bits > 24:
        tensor = quantized(writer, tensor, random, per_channel=False)
    if kind.startswith("Reduce"):
        return _reduced(writer, tensor, kind, [axis + 1 for axis in axes], random)
    if kind.startswith("Global"):
        shape = _placed(writer, tensor, [1] * len(axes), channels)
        return replace(tensor, name=writer.node(kind, [tensor.name]), shape=shape, bits=tensor.bits + 8)
    return _windows(writer, tensor, kind, random)


def _windows(writer: Writer, tensor: Tensor, kind: str, random: Random) -> Tensor:
    """MaxPool or AveragePool with any options that qonnx and onnxruntime can execute."""
    sizes = [tensor.shape[axis] for axis in spatial_axes(writer, tensor)]
    kernel = [int(random.integers(1, min(3, size) + 1)) for size in sizes]
    strides = [int(random.integers(1, 3)) for _ in sizes]
    dilations = [1] * len(sizes)
    auto = pick(random, ("SAME_UPPER", "SAME_LOWER", "VALID")) if random.random() < 0.15 else None
    # onnxruntime takes the padding of a stride beyond the kernel for negative; qonnx's own domain wants pads.
    if writer.channels_last or any(k < stride for k, stride in zip(kernel, strides, strict=True)):
        auto = None
    pads = [0] * (2 * len(sizes))
    if random.random() < 0.35 and auto is None:
        pads = [int(random.integers(0, k // 2 + 1)) for k in kernel * 2]
        pads = pads[: len(sizes)] * 2 if writer.channels_last else pads  # that domain wants even ones, too
    ceil = int(random.random() < 0.25 and _may_ceil(writer, kind, auto))
    if ceil and _window_sizes(sizes, kernel, strides, dilations, pads, None, 1) != [
        -(-(size + pads[i] + pads[len(sizes) + i] - kernel[i]) // strides[i]) + 1 for i, size in enumerate(sizes)
    ]:
        ceil = 0  # onnx infers another shape than onnxruntime computes
    if kind == "AveragePool" and (any(pads) or ceil or auto):
        writer.may_refuse("that the average does not count")
    if kind == "MaxPool" and not ceil and random.random() < 0.15 and writer.opset >= 10 and auto is None:
        dilations = [2 if size >= 2 * (k - 1) + 1 else 1 for size, k in zip(sizes, kernel, strict=True)]
    new = _placed(
        writer, tensor, _window_sizes(sizes, kernel, strides, dilations, pads, auto, ceil), writer.channels(tensor)
    )
    name = writer.windowed(
        kind, [tensor.name], tensor, new, kernel_shape=kernel, strides=strides,
        pads=pads if auto is None else None, auto_pad=auto, ceil_mode=ceil if writer.opset >= 11 else None,
        count_include_pad=int(random.random() < 0.7) if kind == "AveragePool" else None,
        dilations=dilations if dilations != [1] * len(sizes) else None,
    )  # fmt: skip
    return replace(tensor, name=name, shape=new, bits=tensor.bits + (8 if kind == "AveragePool" else 0))


def _may_ceil(writer: Writer, kind: str, auto: object) -> bool:
    """Averages of windows that stick out were counted in different ways before operator set 19."""
    return auto is None and not writer.channels_last and writer.opset >= (11 if kind == "MaxPool" else 19)


def _reduced(writer: Writer, tensor: Tensor, kind: str, axes: list[int], random: Random) -> Tensor:
    keep = int(random.random() < 0.5)
    given = [axis - len(tensor.shape) - 1 for axis in axes] if random.random() < 0.5 and writer.opset >= 11 else axes
    by_input = writer.opset >= (18 if kind == "ReduceMean" else 13)
    inputs = [tensor.name] + ([writer.constant(given, np.int64)] if by_input else [])
    name = writer.node(kind, inputs, keepdims=keep, axes=None if by_input else given)
    channels = writer.channels(tensor)
    shape = _placed(writer, tensor, [1] * len(axes), channels) if keep else (channels,)
    count = int(np.prod([tensor.shape[axis - 1] for axis in axes])) if kind == "ReduceSum" else 1
    return replace(tensor, name=name, shape=shape, bits=tensor.bits + 8, reach=tensor.reach * count)
