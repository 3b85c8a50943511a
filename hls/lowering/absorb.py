"""A layout change in front of a matrix product is no work for hardware: the weight's rows lie in the other order.

Flattening a channels-first image means a Transpose of the channels-last words and a Reshape. Where nothing but one
MatMul reads them, the words stay as they are and the rows of its weight follow. hls4ml does the same rewriting itself,
and loses the bias on the way (1.3.0).
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from hls.lowering.symbols import Builder
from hls.nodes import MatMul, Node, Reshape, Transpose, inputs_of


def absorb_layout(builder: Builder, nodes: tuple[Node, ...], output: str) -> tuple[Node, ...]:
    """The nodes without the layout changes that a MatMul's rows can carry; tensors and values change with them."""
    for reshape in nodes:
        if not isinstance(reshape, Reshape) or len(builder.values[reshape.output].shape) != 1:
            continue
        before = _only_producer(nodes, reshape.input, output)
        after = _only_reader(nodes, reshape.output, output)
        if isinstance(before, Transpose) and isinstance(after, MatMul) and _used_once(nodes, after.weight):
            nodes = _absorbed(builder, nodes, before, reshape, after)
    return nodes


def _absorbed(
    builder: Builder, nodes: tuple[Node, ...], transpose: Transpose, reshape: Reshape, matmul: MatMul
) -> tuple[Node, ...]:
    shape = builder.values[transpose.input].shape
    # Row i of the weight belongs to feature i of the transposed words; which is word rows[i] of the plain ones.
    rows = np.arange(int(np.prod(shape))).reshape(shape).transpose(transpose.axes).ravel()
    weight = builder.tensors[matmul.weight]
    words = np.empty_like(weight.words)
    words[rows] = weight.words
    builder.tensors[matmul.weight] = replace(weight, words=words)
    builder.notes.append(f"{matmul.weight}: rows lie in the order of the words, channels last")
    direct = msgspec.structs.replace(reshape, input=transpose.input)
    return tuple(direct if node is reshape else node for node in nodes if node is not transpose)


def _only_producer(nodes: tuple[Node, ...], value: str, output: str) -> Node | None:
    """The node that computes a value that nothing else reads."""
    if _only_reader(nodes, value, output) is None:
        return None
    return next((node for node in nodes if node.output == value), None)


def _only_reader(nodes: tuple[Node, ...], value: str, output: str) -> Node | None:
    readers = [node for node in nodes if value in inputs_of(node)]
    return readers[0] if len(readers) == 1 and value != output else None


def _used_once(nodes: tuple[Node, ...], tensor: str) -> bool:
    return sum(isinstance(node, MatMul) and node.weight == tensor for node in nodes) == 1
