"""What hls4ml's layers cannot hold exactly: refused by layer before anything is written. The engine runs it all."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.nodes import Add, Concat, Conv, MatMul, MaxPool, Node, Pad, Reshape, Resize, Slice, SumPool, inputs_of

_Shapes = list[tuple[int, ...]]
_Refusal = tuple[str, str] | None


def require_hls4ml(graph: IntegerGraph) -> None:
    """Refuse a network with a node that hls4ml has no exact layer for.

    Raises:
        LoweringError: naming layer, reason and remedy.
    """
    for node in graph.compute_nodes:
        _refuse(node, _reason(graph, node), "change this layer; the exact engine runs the network as it is")


def require_io_type(graph: IntegerGraph, io_type: str) -> None:
    """Refuse a network with a node that hls4ml's streams cannot carry.

    Raises:
        LoweringError: naming layer, reason and remedy.
    """
    if io_type != "io_stream":
        return
    for node in graph.compute_nodes:
        check = _STREAM_CHECKS.get(type(node))
        _refuse(node, None if check is None else check(node, graph), "choose --io-type io_parallel")


def _refuse(node: Node, reason: _Refusal, remedy: str) -> None:
    if reason is not None:
        found, allowed = reason
        where = f"layer {node.name} ({type(node).__name__})"
        raise LoweringError(found=found, allowed=allowed, where=where, remedy=remedy)


def _reason(graph: IntegerGraph, node: Node) -> tuple[str, str] | None:
    """(found, allowed) for a node that hls4ml cannot hold."""
    check = _CHECKS.get(type(node))
    return None if check is None else check(node, [graph.values[name].shape for name in inputs_of(node)], graph)


def _matmul(node: MatMul, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    if len(shapes[0]) != 1:
        return f"a matrix product over words of shape {list(shapes[0])}", "a vector of words in front of a MatMul"
    return _accumulator(node, shapes, graph)


def _accumulator(node: MatMul | Conv | SumPool, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del shapes, graph
    if node.accumulator.overflow == "saturate":
        return "a saturating accumulator", "wrapping accumulators, which are hls4ml's"
    return None


def _conv(node: Conv, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    channels, outputs = shapes[0][-1], graph.values[node.output].shape[-1]
    if any(dilation != 1 for dilation in node.dilations):
        return f"dilations {list(node.dilations)}", "dilation 1: hls4ml's convolutions ignore it"
    if node.groups > 1 and not node.groups == channels == outputs:
        return f"{node.groups} groups of {channels} channels to {outputs}", "one group, or one a channel (depthwise)"
    return _accumulator(node, shapes, graph)


def _max_pool(node: MaxPool, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del shapes, graph
    if any(node.pads):
        return f"a padded max pool (pads {list(node.pads)})", "max pools without padding"
    if any(dilation != 1 for dilation in node.dilations):
        return f"a dilated max pool (dilations {list(node.dilations)})", "max pools without dilation"
    return None


def _slice(node: Slice, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del node, shapes, graph
    return "a slice", "networks whose branches read whole tensors: hls4ml has no slice"


def _add(node: Add, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del node, graph
    if len(set(shapes)) > 1 or len(shapes) > 2:
        return f"a sum of shapes {[list(shape) for shape in shapes]}", "two branches of one shape"
    return None


def _concat(node: Concat, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del node, graph
    return (f"{len(shapes)} tensors side by side", "two tensors in a Concat") if len(shapes) > 2 else None


def _pad(node: Pad, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del graph
    rank = len(shapes[0])
    if rank < 2 or node.pads[rank - 1] or node.pads[-1]:
        return f"padding {list(node.pads)}", "padding of the spatial axes of an image"
    return None


def _resize(node: Resize, shapes: _Shapes, graph: IntegerGraph) -> _Refusal:
    del graph
    if len(shapes[0]) != 3 or node.factors[-1] != 1:
        return f"resizing by {list(node.factors)}", "resizing of the height and width of an image"
    return None


_CHECKS: dict[type, Callable[[Any, _Shapes, IntegerGraph], _Refusal]] = {
    Add: _add,
    Concat: _concat,
    Conv: _conv,
    MatMul: _matmul,
    MaxPool: _max_pool,
    Pad: _pad,
    Resize: _resize,
    Slice: _slice,
    SumPool: _accumulator,
}


def _streamed_pool(node: MaxPool, graph: IntegerGraph) -> _Refusal:
    del graph
    if node.kernel != node.strides:
        return f"max pools of {list(node.kernel)} every {list(node.strides)} words", "strides as long as the kernel"
    return None


def _streamed_flatten(node: Reshape, graph: IntegerGraph) -> _Refusal:
    readers = graph.consumers_of(node.output)
    pixels = prod(graph.values[node.input].shape[:-1])  # a stream's packet holds the channels of one
    if (
        len(graph.values[node.output].shape) == 1
        and pixels > 1
        and not all(isinstance(reader, MatMul) for reader in readers)
    ):
        return "a flatten that another layer than a MatMul reads", "quantizers in front of the flatten"
    return None


_STREAM_CHECKS: dict[type, Callable[[Any, IntegerGraph], _Refusal]] = {
    MaxPool: _streamed_pool,
    Reshape: _streamed_flatten,
}
