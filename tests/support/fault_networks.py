"""Small networks of every kind of node and branch, for faults: each builds in no time and has few stored bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
from support.graphs import BIPOLAR, Net, signed, unsigned

from fault_injection.golden import Golden, golden_run
from hls.formats import WordFormat
from hls.graph import IntegerGraph

WRAP = WordFormat(width_bits=6, encoding="twos_complement", overflow="wrap")
SATURATE = WordFormat(width_bits=6, encoding="twos_complement", overflow="saturate")


def plain() -> Net:
    net = Net((5, 4, 1), unsigned(3))
    value = net.shift(net.conv("q", 2, (3, 3), signed(3), signed(5), pads=(1, 0, 1, 1)), 3)
    value = net.shift(net.conv(net.max_pool(value, (2, 2), strides=(1, 1)), 2, (2, 1), signed(3), strides=(2, 1)), 3)
    net.matmul(net.reshape(value, (8,)), 3, signed(3), signed(6))
    return net


def depthwise() -> Net:
    net = Net((4, 4, 3), signed(3))
    value = net.shift(net.conv("q", 6, (2, 2), signed(3), dilations=(2, 1), groups=3, widen=[0, 1, 2, 0, 1, 2]), 2)
    net.conv(value, 2, (1, 1), unsigned(3), signed(4), zero_point=[1, 4])
    return net


def one_axis() -> Net:
    net = Net((7, 4), unsigned(2))
    value = net.conv("q", 4, (3,), signed(3), pads=(2, 0), strides=(2,), groups=2)
    net.sum_pool(net.requantize(value, [3, -2, 5, 1], [0, 1, -3, 0], [2, 1, 3, 0]), (2,), strides=(1,))
    return net


def thresholds() -> Net:
    net = Net((3, 3, 2), unsigned(3))
    value = net.conv("q", 2, (2, 2), signed(3))
    value = net.threshold(
        value, np.array([[-9, -3, 2, 8], [7, -20, 0, 3]]), signed(8), [0, 4], [1, -1], unsigned(3)
    )  # fmt: skip
    value = net.threshold(value, np.array([[1, 2, 3]]), unsigned(3), [-1, 3], [1, -1], signed(3))
    net.matmul(net.reshape(value, (8,)), 2, signed(3))
    return net


def bipolar() -> Net:
    net = Net((4, 4, 1), BIPOLAR)
    value = net.conv("q", 3, (3, 3), BIPOLAR)
    value = net.threshold(value, np.array([[0], [1], [-1]]), signed(5), [-1, 1, -1], [1, -1, 1], BIPOLAR, stride=2)
    net.matmul(net.reshape(value, (12,)), 3, BIPOLAR)
    return net


def tables() -> Net:
    net = Net((2, 3), signed(3))
    value = net.lookup(net.lookup("q", signed(3)), unsigned(2), rows=3)
    net.matmul(value, 2, signed(3), signed(4))
    return net


def residual() -> Net:
    net = Net((4, 4, 2), unsigned(2))
    first = net.shift(net.conv("q", 2, (3, 3), signed(3), pads=(1, 1, 1, 1)), 2, unsigned(3))
    second = net.shift(net.conv(first, 2, (3, 3), signed(3), pads=(1, 1, 1, 1)), 3, signed(3))
    added = net.shift(net.add([first, second, first], [2, 1, -1]), 1, unsigned(3))
    net.matmul(net.reshape(net.max_pool(added, (2, 2)), (8,)), 3, signed(3))
    return net


def upward() -> Net:
    """A network whose output is an image, and whose branches meet in a concatenation."""
    net = Net((4, 4, 1), unsigned(2))
    first = net.shift(net.conv("q", 2, (3, 3), signed(3), signed(4), pads=(1, 1, 1, 1)), 2, unsigned(2))
    down = net.shift(net.conv(net.max_pool(first, (2, 2)), 2, (1, 1), signed(3)), 1, unsigned(2))
    joined = net.concat([net.resize(down, (2, 2, 1)), first, net.slice(first, 2, 1, 2)], 2)
    net.conv(net.pad(net.transpose(joined, (1, 0, 2)), (1, 0, 0, 0, 0, 0)), 2, (2, 1), signed(3))
    return net


def branch_at_the_sum() -> Net:
    """A sum that two nodes read, one of which is the output."""
    net = Net((3,), unsigned(3))
    total = net.matmul("q", 4, signed(3), signed(4))
    net.add([net.shift(total, 2, signed(4)), net.shift(total, 0, signed(3)), total], [1, -3, 1])
    return net


def gone() -> Net:
    """A shift so long that nothing comes out, behind one branch of two."""
    net = Net((2, 2, 2), unsigned(2))
    value = net.conv("q", 2, (1, 1), signed(3))
    net.concat(
        [net.shift(value, 20, signed(2)), net.shift(net.conv("q", 1, (2, 2), signed(3), pads=(1, 1, 0, 0)), 1)], 2
    )
    return net


def narrow(accumulator: WordFormat) -> Net:
    net = Net((3, 3, 2), unsigned(3))
    value = net.conv("q", 2, (2, 2), signed(4), signed(6), accumulator=accumulator)
    value = net.reshape(net.shift(value, 1, signed(4)), (8,))
    net.matmul(
        net.shift(net.matmul(value, 3, signed(3), signed(6), accumulator=accumulator), 1), 2, accumulator=accumulator
    )
    return net


def shared() -> IntegerGraph:
    """Two nodes that use the same stored words."""
    net = Net((3,), unsigned(3))
    value = net.shift(net.matmul("q", 3, signed(3)), 2, unsigned(3))
    net.matmul(value, 3, signed(3))
    graph = net.graph()
    *others, last = graph.nodes
    first = graph.nodes[1]
    tensors = {first.weight: graph.tensors[first.weight]}
    return replace(graph, nodes=(*others, msgspec.structs.replace(last, weight=first.weight)), tensors=tensors)


KINDS: dict[str, Callable[[], Net]] = {
    "plain": plain, "depthwise": depthwise, "one axis": one_axis, "thresholds": thresholds, "bipolar": bipolar,
    "tables": tables, "residual": residual, "upward": upward, "branch at the sum": branch_at_the_sum, "gone": gone,
    "wrapping": lambda: narrow(WRAP), "saturating": lambda: narrow(SATURATE),
}  # fmt: skip


def goldens(samples: int = 7) -> dict[str, Golden]:
    """Every kind with its fault-free values, and one whose two nodes share their words."""
    found = {name: golden_run(net.graph(), net.words(samples)) for name, net in _built().items()}
    return found | {"shared": golden_run(shared(), np.random.default_rng(0).integers(0, 8, (samples, 3)))}


def _built() -> dict[str, Net]:
    return {name: build() for name, build in KINDS.items()}
