"""Pooling.

The maximum of words is the maximum of values where everything pending rises; an average is a sum of words whose
division lies in the scale.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.intervals import pool_interval
from hls.lowering.arrange import arranged, channels_last_order, flushed, identity_order, negated
from hls.lowering.chain import Affine, directions
from hls.lowering.layers import integers, window_pads, window_shape
from hls.lowering.symbols import Builder, Symbol, Wire, accumulator_format, attribute, constant_input, where, wire_input
from hls.nodes import MaxPool, SumPool


def lower_max_pool(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``MaxPool``."""
    wire = _rising(builder, node, _image(builder, node))
    shape, spatial = builder.shape_of(wire), len(wire.order) - 1
    kernel = integers(node, "kernel_shape", ())
    strides = integers(node, "strides", (1,) * spatial)
    dilations = integers(node, "dilations", (1,) * spatial)
    pads = _ceiling(node, shape[:-1], kernel, strides, dilations)
    return _max_pool(builder, node, wire, kernel, strides, dilations, pads)


def lower_average_pool(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``AveragePool``: every window has to count the same number of words."""
    wire = _linear(builder, node, _image(builder, node))
    shape, spatial = builder.shape_of(wire), len(wire.order) - 1
    kernel = integers(node, "kernel_shape", ())
    strides = integers(node, "strides", (1,) * spatial)
    pads = _ceiling(node, shape[:-1], kernel, strides, (1,) * spatial)
    given = window_pads(node, shape[:-1], kernel, strides, (1,) * spatial)
    if any(pads) and not (attribute(node, "count_include_pad", 0) and pads == given):
        raise LoweringError(
            found=f"pads {list(pads)} that the average does not count",
            allowed="no padding, or count_include_pad = 1 without ceil_mode",
            where=where(node),
            remedy="average without padding, or count the padding",
        )
    return _sum_pool(builder, node, wire, kernel, strides, pads)


def lower_global_average_pool(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``GlobalAveragePool``: one window over the whole image."""
    wire = _linear(builder, node, _image(builder, node))
    kernel = builder.shape_of(wire)[:-1]
    return _sum_pool(builder, node, wire, kernel, kernel, (0,) * (2 * len(kernel)))


def lower_global_max_pool(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``GlobalMaxPool``."""
    wire = _rising(builder, node, _image(builder, node))
    kernel = builder.shape_of(wire)[:-1]
    ones = (1,) * len(kernel)
    return _max_pool(builder, node, wire, kernel, kernel, ones, (0,) * (2 * len(kernel)))


def lower_reduce_mean(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``ReduceMean`` (or ``ReduceSum``) over all spatial axes of an image."""
    from hls.lowering.arrange import reshaped

    wire = _linear(builder, node, _image(builder, node))
    given = attribute(node, "axes", None)
    if given is None and len(node.input) > 1:
        given = constant_input(builder, node, 1, "axes").tolist()
    rank = len(wire.order)
    axes = sorted(int(a) % (rank + 1) for a in (given if isinstance(given, list | tuple) else ()))
    spatial = sorted(wire.order.index(axis) + 1 for axis in range(rank - 1))
    if axes != spatial:
        raise LoweringError(
            found=f"axes {axes}",
            allowed=f"all spatial axes, {spatial}",
            where=where(node),
            remedy="reduce over the whole image (adaptive or global pooling)",
        )
    kernel = builder.shape_of(wire)[:-1]
    pooled = _sum_pool(builder, node, wire, kernel, kernel, (0,) * (2 * len(kernel)))
    if node.op_type == "ReduceSum":
        pooled = replace(pooled, scale=tuple(scale * prod(kernel) for scale in pooled.scale))
    if attribute(node, "keepdims", 1):
        return pooled
    return reshaped(builder, node, pooled, (builder.shape_of(pooled)[-1],))


def _image(builder: Builder, node: onnx.NodeProto) -> Wire:
    wire = wire_input(builder, node, 0)
    rank = len(wire.order)
    if rank not in (2, 3):
        raise LoweringError(
            found=f"words of rank {rank + 1}",
            allowed="images: samples, channels and one or two spatial axes",
            where=where(node),
            remedy="pool in front of the Flatten",
        )
    order = identity_order(rank) if node.domain.endswith("channels_last") else channels_last_order(rank)
    return arranged(builder, node, wire, order)


def _rising(builder: Builder, node: onnx.NodeProto, wire: Wire) -> Wire:
    """A wire whose pending arithmetic may wait until behind a maximum."""
    signs = directions(wire.chain)
    return flushed(builder, node, wire) if signs is None else negated(builder, node, wire, signs)


def _linear(builder: Builder, node: onnx.NodeProto, wire: Wire) -> Wire:
    """A wire whose pending arithmetic may wait until behind an average."""
    return wire if all(isinstance(step, Affine) for step in wire.chain) else flushed(builder, node, wire)


def _ceiling(
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> tuple[int, ...]:
    """Pads, with what ``ceil_mode`` adds behind each axis."""
    pads = list(window_pads(node, shape, kernel, strides, dilations))
    if not attribute(node, "ceil_mode", 0):
        return tuple(pads)
    for i, size in enumerate(shape):
        room = size + pads[i] + pads[len(shape) + i] - (kernel[i] - 1) * dilations[i] - 1
        count = -(-room // strides[i]) + 1
        if (count - 1) * strides[i] >= size + pads[i]:
            count -= 1  # no window starts in the padding behind
        pads[len(shape) + i] += max(0, (count - 1) * strides[i] - room)
    return tuple(pads)


def _max_pool(  # noqa: PLR0913  # a window's parts
    builder: Builder,
    node: onnx.NodeProto,
    wire: Wire,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    pads: tuple[int, ...],
) -> Wire:
    shape = builder.shape_of(wire)
    out = window_shape(node, shape[:-1], kernel, strides, dilations, pads)
    name = builder.layer_name(node, "max_pool")
    new = MaxPool(
        name=name, input=wire.value, output=name, kernel=kernel, strides=strides, dilations=dilations, pads=pads
    )
    value = builder.emit(new, (*out, shape[-1]), builder.format_of(wire), wire.scale)
    return replace(wire, value=value, open_layer=None)


def _sum_pool(  # a window's parts
    builder: Builder,
    node: onnx.NodeProto,
    wire: Wire,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
) -> Wire:
    shape = builder.shape_of(wire)
    out = window_shape(node, shape[:-1], kernel, strides, (1,) * len(kernel), pads)
    accumulator = accumulator_format(node, pool_interval(builder.format_of(wire), int(np.prod(kernel))))
    name = builder.layer_name(node, "average_pool")
    new = SumPool(
        name=name, input=wire.value, output=name, kernel=kernel, strides=strides, pads=pads, accumulator=accumulator
    )
    scale = tuple(number * Fraction(1, prod(kernel)) for number in wire.scale)
    value = builder.emit(new, (*out, shape[-1]), accumulator, scale)
    return replace(wire, value=value, scale=scale, open_layer=None)
