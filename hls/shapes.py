"""Which shape a node's output has, from the shapes of its inputs: the rules of ``docs/integer-network.md``, checked.

Every rule refuses parameters that do not fit its inputs, so that no executor meets a node it was not written for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from hls.errors import InputError
from hls.graph import StoredTensor
from hls.nodes import (
    Add,
    Concat,
    Conv,
    Lookup,
    MatMul,
    MaxPool,
    Node,
    Pad,
    Requantize,
    Reshape,
    Resize,
    Shift,
    Slice,
    SumPool,
    Threshold,
    Transpose,
)

Shape = tuple[int, ...]
Tensors = Mapping[str, StoredTensor]


def output_shape(node: Node, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    """Shape of what a node makes of its inputs.

    Args:
        node: Any node but the input quantizer.
        inputs: Shapes of one sample, in the order in which the node reads them.
        declared: Shape that the network gives the output; only a ``Reshape`` needs it.
        tensors: The stored tensors.

    Raises:
        InputError: parameters that contradict each other or the inputs.
    """
    if type(node) not in _RULES:
        raise refusal(node, "a second input quantizer", "one Quantize, in front of all other nodes")
    return _RULES[type(node)](node, inputs, declared, tensors)


def refusal(node: Node, found: str, allowed: str) -> InputError:
    """The error for a node that contradicts its place in the network."""
    return InputError(
        found=found[:300],
        allowed=allowed,
        where=f"layer {node.name[:100]} ({type(node).__name__})",
        remedy="export the network again; edgeval writes no such node",
    )


def _require(node: Node, holds: bool, found: str, allowed: str) -> None:  # noqa: FBT001  # the condition itself
    if not holds:
        raise refusal(node, found, allowed)


def _reshape(node: Reshape, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del tensors
    _require(node, prod(inputs[0]) == prod(declared), f"{inputs[0]} as {declared}", "as many words")
    return declared


def _transpose(node: Transpose, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    whole = sorted(node.axes) == list(range(len(inputs[0])))
    _require(node, whole, f"axes {node.axes}", "every axis once")
    return tuple(inputs[0][axis] for axis in node.axes)


def _matmul(node: MatMul, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared
    weight = tensors[node.weight].words.shape
    fits = len(weight) == 2 and weight[0] == inputs[0][-1] and weight[0] > 0
    _require(node, fits, f"weights {weight} for words {inputs[0]}", "[inputs, outputs]")
    _bias(node, weight[1], tensors)
    return (*inputs[0][:-1], weight[1])


def _bias(node: MatMul | Conv, outputs: int, tensors: Tensors) -> None:
    if node.bias is not None:
        shape = tensors[node.bias].words.shape
        _require(node, shape == (outputs,), f"a bias of shape {shape}", f"shape ({outputs},)")


def _conv(node: Conv, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared
    weight, spatial = tensors[node.weight].words.shape, len(inputs[0]) - 1
    fits = (
        spatial in (1, 2)
        and len(weight) == spatial + 2
        and node.groups >= 1
        and min(weight) >= 1
        and weight[1] * node.groups == inputs[0][-1]
        and weight[0] % node.groups == 0
    )
    found = f"weights {weight}, {node.groups} groups, words {inputs[0]}"
    _require(node, fits, found, "[outputs, inputs / groups, kernel...] with channels = groups × inputs")
    _bias(node, weight[0], tensors)
    return (*_window(node, inputs[0][:-1], weight[2:], node.dilations), weight[0])


def _window(node: Conv | MaxPool | SumPool, image: Shape, kernel: Shape, dilations: Shape) -> Shape:
    """Spatial shape of a window's results."""
    axes = len(image)
    lists = (kernel, node.strides, dilations)
    fits = all(len(numbers) == axes and min(numbers) >= 1 for numbers in lists)
    fits = fits and len(node.pads) == 2 * axes and min(node.pads) >= 0
    found = f"kernel {kernel}, strides {node.strides}, dilations {dilations}, pads {node.pads} over {image}"
    _require(node, fits, found, "one number an axis, two pads; all at least 1, pads at least 0")
    padded = [size + front + back for size, front, back in zip(image, node.pads, node.pads[axes:], strict=False)]
    sizes = tuple(
        (size - (taps - 1) * dilation - 1) // stride + 1
        for size, taps, stride, dilation in zip(padded, *lists, strict=True)
    )
    _require(node, min(sizes) >= 1, found, "windows that fit")
    return sizes


def _pool(node: MaxPool | SumPool, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    image = inputs[0][:-1]
    _require(node, len(image) in (1, 2), f"words of shape {inputs[0]}", "one or two spatial axes and channels")
    dilations = node.dilations if isinstance(node, MaxPool) else (1,) * len(image)
    sizes = _window(node, image, node.kernel, dilations)
    if isinstance(node, MaxPool):
        for axis, size in enumerate(sizes):
            window = (node.kernel[axis], node.strides[axis], dilations[axis], node.pads[axis])
            seen = all_windows_see_a_word(image[axis], size, window)
            _require(node, seen, f"pads {node.pads} around windows of {node.kernel}", "a word in every window")
    return (*sizes, inputs[0][-1])


def all_windows_see_a_word(length: int, count: int, window: tuple[int, int, int, int]) -> bool:
    """Whether no window lies in the padding alone.

    Args:
        length: Words along the axis.
        count: Windows along the axis.
        window: Taps, stride, dilation and padding in front.
    """
    taps, stride, dilation, front = window
    if front < dilation and (count - 1) * stride - front < length and dilation <= length:
        return True  # the ordinary case, without looking at every window
    starts = np.arange(count) * stride - front
    first = np.maximum(0, -(starts // dilation))  # the first tap behind the padding in front
    return bool(((first < taps) & (starts + first * dilation < length)).all())


def _pointwise(node: Shift, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del node, declared, tensors
    return inputs[0]


def _requantize(node: Requantize, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    counts = {len(node.multipliers), len(node.offsets), len(node.shifts)}
    _require(node, counts in ({1}, {inputs[0][-1]}), f"{sorted(counts)} parameters", "one of each, or one a channel")
    return inputs[0]


def _threshold(node: Threshold, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared
    shape, channels = tensors[node.thresholds].words.shape, inputs[0][-1]
    counts = {len(node.offsets), len(node.directions)}
    fits = len(shape) == 2 and shape[0] in (1, channels) and counts in ({1}, {channels})
    fits = fits and set(node.directions) <= {1, -1} and node.stride in (1, 2)
    _require(node, fits, f"thresholds {shape}, {sorted(counts)} parameters", "[1 or channels, steps], one a channel")
    return inputs[0]


def _lookup(node: Lookup, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared
    shape = tensors[node.table].words.shape
    fits = len(shape) == 2 and shape[0] in (1, inputs[0][-1]) and shape[1] >= 1
    _require(node, fits, f"a table of shape {shape}", "[1 or channels, entries]")
    return inputs[0]


def _add(node: Add, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    _require(node, len(inputs) == len(node.multipliers) >= 1, f"{len(node.multipliers)} multipliers", "one an input")
    rank = max(map(len, inputs))
    padded = [(1,) * (rank - len(shape)) + shape for shape in inputs]
    sizes = tuple(max(column) for column in zip(*padded, strict=True))
    fits = all(size in (1, whole) for shape in padded for size, whole in zip(shape, sizes, strict=True))
    _require(node, fits, f"shapes {list(inputs)}", "shapes that broadcast")
    return sizes


def _concat(node: Concat, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    rank = len(inputs[0])
    others = {(*shape[: node.axis], *shape[node.axis + 1 :]) for shape in inputs}
    fits = 0 <= node.axis < rank and {len(shape) for shape in inputs} == {rank} and len(others) == 1
    _require(node, fits, f"shapes {list(inputs)} along axis {node.axis}", "shapes equal but for that axis")
    total = sum(shape[node.axis] for shape in inputs)
    return tuple(total if axis == node.axis else size for axis, size in enumerate(inputs[0]))


def _slice(node: Slice, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    shape = inputs[0]
    fits = 0 <= node.axis < len(shape) and node.step >= 1 and 0 <= node.start < node.stop <= shape[node.axis]
    _require(node, fits, f"{node.start}:{node.stop}:{node.step} on axis {node.axis} of {shape}", "a part of that axis")
    count = len(range(node.start, node.stop, node.step))
    return tuple(count if axis == node.axis else size for axis, size in enumerate(shape))


def _pad(node: Pad, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    rank = len(inputs[0])
    fits = len(node.pads) == 2 * rank and min(node.pads) >= 0
    _require(node, fits, f"pads {node.pads} around {inputs[0]}", "two numbers an axis, at least 0")
    return tuple(size + node.pads[axis] + node.pads[rank + axis] for axis, size in enumerate(inputs[0]))


def _resize(node: Resize, inputs: Sequence[Shape], declared: Shape, tensors: Tensors) -> Shape:
    del declared, tensors
    fits = len(node.factors) == len(inputs[0]) and min(node.factors) >= 1
    _require(node, fits, f"factors {node.factors} of {inputs[0]}", "one an axis, at least 1")
    return tuple(size * factor for size, factor in zip(inputs[0], node.factors, strict=True))


_RULES: dict[type, Callable[[Any, Sequence[Shape], Shape, Tensors], Shape]] = {
    Add: _add,
    Concat: _concat,
    Conv: _conv,
    Lookup: _lookup,
    MatMul: _matmul,
    MaxPool: _pool,
    Pad: _pad,
    Requantize: _requantize,
    Reshape: _reshape,
    Resize: _resize,
    Shift: _pointwise,
    Slice: _slice,
    SumPool: _pool,
    Threshold: _threshold,
    Transpose: _transpose,
}
