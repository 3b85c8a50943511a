"""A network that has a place for every mutation, and which parts two networks differ in."""

from __future__ import annotations

import numpy as np
from support.graphs import Net, signed, unsigned

from hls.graph import IntegerGraph


def every_place() -> tuple[IntegerGraph, np.ndarray]:
    """A network with each kind of node that a mutation changes, and words for it."""
    net = Net((4, 4, 2), seed=3)
    value = net.conv("q", 3, (3, 3), bias=signed(5), pads=(1, 1, 1, 1))
    value = net.shift(value, 2, unsigned(5))
    value = net.transpose(value, (1, 0, 2))
    left = net.reshape(value, (48,))
    first = net.requantize(net.matmul(left, 4, bias=signed(6)), (3, 5, -2, 7), (1, 0, 2, -3), (6, 7, 5, 6))
    second = net.requantize(net.matmul(left, 4), (5,), (0,), (7,))
    joined = net.concat([first, second], 0)
    total = net.add([first, second], (1, -2))
    stepped = net.threshold(
        net.matmul(joined, 4), np.array([[-40, -5, 3, 60]] * 4), signed(8), (0,) * 4, (1,) * 4, unsigned(3)
    )
    looked = net.lookup(net.shift(total, 1, signed(4)), signed(4))
    net.matmul(net.concat([stepped, net.shift(looked, 0, unsigned(3))], 0), 3, bias=signed(6))
    return net.graph(), net.words(24)


def differing(right: IntegerGraph, wrong: IntegerGraph) -> tuple[set[str], set[str], set[str]]:
    """Names of the nodes, of the stored tensors and of the values that are not the same in two networks."""
    assert [node.name for node in right.nodes] == [node.name for node in wrong.nodes]
    assert (list(right.tensors), list(right.values)) == (list(wrong.tensors), list(wrong.values))
    rest = [(g.input, g.output, g.tail, g.output_axes, g.notes) for g in (right, wrong)]
    assert rest[0] == rest[1]
    return (
        {node.name for node, other in zip(right.nodes, wrong.nodes, strict=True) if node != other},
        {name for name, tensor in right.tensors.items() if tensor != wrong.tensors[name]},
        {name for name, value in right.values.items() if value != wrong.values[name]},
    )
