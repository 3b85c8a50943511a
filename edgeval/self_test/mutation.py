"""A network with one error in it: what every mutation makes, and the few steps they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec
import numpy as np

from fault_injection.sites import Site
from hls.formats import WordFormat
from hls.graph import IntegerGraph, StoredTensor
from hls.nodes import Node

TRIED_WORDS = 64
"""Places of one kind that a mutation of stored words offers at most, drawn without repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutated:
    """A network with one error in it.

    Attributes:
        graph: The wrong network; inputs, shapes of values and shapes of stored tensors are those of the right one.
        place: Node or stored tensor the error is in.
        change: What was changed, in one sentence.
        site: The stored bit, where the error is one flipped bit.
    """

    graph: IntegerGraph
    place: str
    change: str
    site: Site | None = None


Mutation = Callable[[IntegerGraph, np.random.Generator], Iterator[Mutated]]
"""Every place of a network where this error can be made, in the order they are to be tried; nothing where there is
none. Pure: the network is untouched, and the same generator gives the same order."""

Item = TypeVar("Item")


def shuffled(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """The items in random order."""
    return [items[int(place)] for place in rng.permutation(len(items))]


def drawn(count: int, rng: np.random.Generator) -> list[int]:
    """Different numbers below ``count``, at most ``TRIED_WORDS`` of them, in random order."""
    return [int(number) for number in rng.choice(count, min(count, TRIED_WORDS), replace=False)]


def with_node(graph: IntegerGraph, old: Node, new: Node, word_format: WordFormat | None = None) -> IntegerGraph:
    """The network with one node replaced by another of the same name, and the format of its words with it."""
    nodes = tuple(new if node is old else node for node in graph.nodes)
    if word_format is None:
        return replace(graph, nodes=nodes)
    value = replace(graph.values[old.output], format=word_format)
    return replace(graph, nodes=nodes, values={**graph.values, old.output: value})


def changed(node: Node, **fields: object) -> Node:
    """A node with some of its fields replaced."""
    return msgspec.structs.replace(node, **fields)


def with_tensors(graph: IntegerGraph, *tensors: StoredTensor) -> IntegerGraph:
    """The network with some stored tensors replaced by others of the same name."""
    return replace(graph, tensors={**graph.tensors, **{tensor.name: tensor for tensor in tensors}})


def with_words(graph: IntegerGraph, name: str, words: np.ndarray) -> IntegerGraph:
    """The network with all words of one stored tensor replaced."""
    tensor = graph.tensors[name]
    return with_tensors(graph, replace(tensor, words=np.ascontiguousarray(words, np.int64)))
