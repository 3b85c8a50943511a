"""Errors in what is computed: rounding, width, scale, range, layout. Stored words stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeval.self_test.mutation import Mutated, changed, shuffled, with_node
from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.intervals import largest_intermediate
from hls.nodes import Add, Concat, Node, Requantize, Reshape, Shift, Transpose, accumulator_of

_HELD = 1 << 61
"""Numerators are doubled below this, so that the doubled ones still fit 64 bits."""


def shifted_rounding(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """Down instead of to the nearest word, or the reverse."""
    for node in shuffled(_rounding(graph), rng):
        if isinstance(node, Shift):
            rounding = "floor" if node.rounding == "half_even" else "half_even"
            change = f"rounds by {rounding} instead of {node.rounding}"
            yield Mutated(
                graph=with_node(graph, node, changed(node, rounding=rounding)), place=node.name, change=change
            )
        elif largest_intermediate(graph, node) < _HELD:
            # floor(x / 2**s) = round_half_even((2x - 2**s + 1) / 2**(s + 1)): an odd numerator never ties.
            new = _doubled(node, [1 - (1 << shift) for shift in node.shifts])
            yield Mutated(
                graph=with_node(graph, node, new), place=node.name, change="rounds by floor instead of half_even"
            )


def shifted_ties(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """Ties up instead of to the even word: the rounding of AP_RND in place of AP_RND_CONV."""
    for node in shuffled(_rounding(graph), rng):
        if isinstance(node, Shift) and node.rounding != "half_even":
            continue
        if largest_intermediate(graph, node) < _HELD:
            # One more than twice the numerator: ties move up, and nothing else passes a half.
            new = _doubled(node, [1] * (1 if isinstance(node, Shift) else len(node.offsets)))
            yield Mutated(graph=with_node(graph, node, new), place=node.name, change="rounds ties up, not to even")


def narrowed_accumulator(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """A sum with one bit less, then two, until it wraps."""
    for node in shuffled([node for node in graph.compute_nodes if accumulator_of(node) is not None], rng):
        accumulator = accumulator_of(node)
        assert accumulator is not None
        for width in range(accumulator.width_bits - 1, 1, -1):
            narrow = WordFormat(width_bits=width, encoding=accumulator.encoding, overflow=accumulator.overflow)
            yield Mutated(
                graph=with_node(graph, node, changed(node, accumulator=narrow), narrow),
                place=node.name,
                change=f"accumulator of {width} bits instead of {accumulator.width_bits}",
            )


def dropped_transpose(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """A transpose left out: the words go on in the order they came in."""
    for node in shuffled([node for node in graph.compute_nodes if isinstance(node, Transpose)], rng):
        as_it_came = Reshape(name=node.name, input=node.input, output=node.output)
        yield Mutated(
            graph=with_node(graph, node, as_it_came),
            place=node.name,
            change=f"axes not permuted by {list(node.axes)}",
        )


def moved_point(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """A binary point one place off: every word twice as large, or half, before it is rounded and clipped."""
    for node in shuffled([node for node in graph.compute_nodes if isinstance(node, Shift)], rng):
        for shift in (node.shift + 1, node.shift - 1):
            yield Mutated(
                graph=with_node(graph, node, changed(node, shift=shift)),
                place=node.name,
                change=f"divides by 2**{shift} instead of 2**{node.shift}",
            )


def shifted_multiplier(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """The multiplier of one channel off by one, then its offset."""
    nodes = [node for node in graph.compute_nodes if isinstance(node, Requantize)]
    for node in shuffled(nodes, rng):
        for field in ("multipliers", "offsets"):
            numbers: tuple[int, ...] = getattr(node, field)
            for channel in shuffled(range(len(numbers)), rng):
                off = tuple(number + (place == channel) for place, number in enumerate(numbers))
                yield Mutated(
                    graph=with_node(graph, node, changed(node, **{field: off})),
                    place=node.name,
                    change=f"{field}[{channel}] is off by one: {numbers[channel]} → {off[channel]}",
                )


def clipped_early(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """A range that ends one word early."""
    nodes = [node for node in graph.compute_nodes if isinstance(node, Shift | Requantize) and node.high > node.low + 1]
    for node in shuffled(nodes, rng):
        yield Mutated(
            graph=with_node(graph, node, changed(node, high=node.high - 1)),
            place=node.name,
            change=f"clips at {node.high - 1} instead of {node.high}",
        )


def swapped_branches(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """The first two inputs of a concatenation exchanged, or of a sum whose branches do not count the same."""
    for node in shuffled([node for node in graph.compute_nodes if isinstance(node, Add | Concat)], rng):
        first, second, *rest = node.inputs
        if graph.values[first].shape != graph.values[second].shape or first == second:
            continue
        if isinstance(node, Add) and node.multipliers[0] == node.multipliers[1]:
            continue
        if graph.values[first].format != graph.values[second].format:
            continue  # the proof of the sum's width would no longer be that of its branches
        yield Mutated(
            graph=with_node(graph, node, changed(node, inputs=(second, first, *rest))),
            place=node.name,
            change=f"inputs {first} and {second} exchanged",
        )


def _rounding(graph: IntegerGraph) -> list[Shift | Requantize]:
    """Nodes that round: a division by 1 has nothing to round."""
    shifts = [node for node in graph.compute_nodes if isinstance(node, Shift) and node.shift > 0]
    scales = [node for node in graph.compute_nodes if isinstance(node, Requantize) and all(node.shifts)]
    return [*shifts, *scales]


def _doubled(node: Shift | Requantize, added: list[int]) -> Node:
    """The node with numerator and denominator twice as large, and something added to the numerator."""
    multipliers: tuple[int, ...] = (1,)
    offsets: tuple[int, ...] = (0,)
    shifts: tuple[int, ...] = ()
    if isinstance(node, Shift):
        shifts = (node.shift,)
    else:
        multipliers, offsets, shifts = node.multipliers, node.offsets, node.shifts
    return Requantize(
        name=node.name,
        input=node.input,
        output=node.output,
        format=node.format,
        multipliers=tuple(2 * multiplier for multiplier in multipliers),
        offsets=tuple(2 * offset + more for offset, more in zip(offsets, added, strict=True)),
        shifts=tuple(shift + 1 for shift in shifts),
        low=node.low,
        high=node.high,
    )
