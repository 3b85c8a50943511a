"""Errors in what is stored: a bit, a word, the order of words. Formats and shapes stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeval.self_test.mutation import Mutated, drawn, shuffled, with_tensors, with_words
from fault_injection.faults import change_at
from fault_injection.sites import Site
from hls.graph import IntegerGraph, StoredTensor
from hls.nodes import Conv, Layer, Lookup, MatMul, Threshold, tensors_of


def flipped_weight_bit(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """One bit of one weight inverted, each bit of the network with the same chance."""
    names = [node.weight for node in _layers(graph)]
    bits = np.array([graph.tensors[name].words.size * graph.tensors[name].format.width_bits for name in names], int)
    ends = np.cumsum(bits)
    for number in drawn(int(bits.sum()), rng):
        position = int(np.searchsorted(ends, number, side="right"))
        width = graph.tensors[names[position]].format.width_bits
        index, bit = divmod(number - int(ends[position] - bits[position]), width)
        site = Site(tensor=names[position], index=index, bit=bit)
        change = change_at(graph, site, "flip")
        before = int(graph.tensors[site.tensor].words.flat[index])
        yield Mutated(
            graph=graph.with_words([change]),
            place=site.tensor,
            change=f"bit {bit} of word {index} flipped: {before} → {change.word}",
            site=site,
        )


def swapped_channels(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """Two output channels of a layer exchanged, their weights and biases with all that belongs to them."""
    for node in shuffled(_layers(graph), rng):
        outputs = graph.values[node.output].shape[-1]
        for first, second in _pairs(outputs, rng):
            order = _exchanged(outputs, first, second)
            tensors = [_permuted(graph.tensors[name], order) for name in tensors_of(node)]
            if any(tensor != graph.tensors[tensor.name] for tensor in tensors):
                yield Mutated(
                    graph=with_tensors(graph, *tensors),
                    place=node.name,
                    change=f"output channels {first} and {second} exchanged",
                )


def swapped_inputs(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """The weights of two inputs of a layer exchanged, as if it read its inputs in another order."""
    for node in shuffled(_layers(graph), rng):
        words, axis = graph.tensors[node.weight].words, 0 if isinstance(node, MatMul) else 1
        for first, second in _pairs(words.shape[axis], rng):
            moved = np.take(words, _exchanged(words.shape[axis], first, second), axis)
            if not np.array_equal(moved, words):
                yield Mutated(
                    graph=with_words(graph, node.weight, moved),
                    place=node.name,
                    change=f"weights of inputs {first} and {second} exchanged",
                )


def reordered_weights(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """The weights of a layer read with their axes in reversed order, as from a file of the other layout."""
    for node in shuffled(_layers(graph), rng):
        words = graph.tensors[node.weight].words
        read = words.T.reshape(words.shape)
        if not np.array_equal(read, words):
            yield Mutated(
                graph=with_words(graph, node.weight, read),
                place=node.weight,
                change="all words read with their axes in reversed order",
            )


def dropped_bias(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """All biases of a layer zero."""
    for node in shuffled(_layers(graph), rng):
        if node.bias is None or not graph.tensors[node.bias].executor_words().any():
            continue
        tensor = graph.tensors[node.bias]
        zeros = np.broadcast_to(tensor.zero_point, tensor.words.shape)
        if tensor.format.contains(zeros):
            yield Mutated(graph=with_words(graph, node.bias, zeros), place=node.name, change="every bias word is 0")


def shifted_steps(graph: IntegerGraph, rng: np.random.Generator) -> Iterator[Mutated]:
    """One threshold or table entry off by one, then all of a table: a step taken at > instead of at ≥."""
    owners = [node for node in graph.compute_nodes if isinstance(node, Threshold | Lookup)]
    for node in shuffled(owners, rng):
        tensor = graph.tensors[tensors_of(node)[0]]
        for index in drawn(tensor.words.size, rng):
            word = int(tensor.words.flat[index])
            for other in (word + 1, word - 1):
                if tensor.format.contains(np.array([other])):
                    words = tensor.words.copy()
                    words.flat[index] = other
                    yield Mutated(
                        graph=with_words(graph, tensor.name, words),
                        place=tensor.name,
                        change=f"word {index} is off by one: {word} → {other}",
                    )
                    break
        if tensor.format.contains(tensor.words + 1):
            yield Mutated(
                graph=with_words(graph, tensor.name, tensor.words + 1),
                place=tensor.name,
                change="every word is one too large",
            )


def _layers(graph: IntegerGraph) -> list[Layer]:
    return [node for node in graph.compute_nodes if isinstance(node, MatMul | Conv)]


def _pairs(count: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Random pairs of different numbers below ``count``; none where there is only one number."""
    for first in drawn(count, rng) if count > 1 else []:
        second = int(rng.integers(count - 1))
        second += second >= first
        yield min(first, second), max(first, second)


def _exchanged(count: int, first: int, second: int) -> np.ndarray:
    order = np.arange(count)
    order[[first, second]] = second, first
    return order


def _permuted(tensor: StoredTensor, order: np.ndarray) -> StoredTensor:
    """A tensor with its channels in another order, and everything that is one a channel with them."""
    along = {
        name: values[order] if (values := getattr(tensor, name)).ndim else values
        for name in ("scale", "widen", "zero_point")
    }
    words = np.ascontiguousarray(np.take(tensor.words, order, tensor.channel_axis))
    return replace(tensor, words=words, **along)
