"""The fault-free network over the whole evaluation set, kept once: every campaign starts from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float, Int

from hls.engine import ExactEngine
from hls.formats import WordFormat, Words
from hls.graph import IntegerGraph


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Golden:
    """Words of every value of a network over the evaluation set.

    Attributes:
        graph: The fault-free network.
        inputs: Input words, shape (samples, ...).
        words: By value name, shape (samples, ...), in the narrowest integers that hold the value's format; the input's
            and the output's among them.
    """

    graph: IntegerGraph
    inputs: Words
    words: Mapping[str, Words]

    @property
    def samples(self) -> int:
        """Samples of the evaluation set."""
        return len(self.inputs)

    @property
    def output(self) -> Int[np.ndarray, "samples outputs"]:
        """Fault-free output words, those of one sample in a row."""
        return flat(self.words[self.graph.output])

    def values(self, output: Int[np.ndarray, "rows outputs"]) -> Float[np.ndarray, "rows outputs"]:
        """Real output values of output words, those of one sample in a row."""
        shape = self.graph.values[self.graph.output].shape
        return flat(self.graph.output_values(output.reshape(len(output), *shape)))


def golden_run(graph: IntegerGraph, inputs: Words) -> Golden:
    """Run the fault-free network and keep every value: one to eight bytes a word, as its format needs."""
    produced = {node.output: graph.values[node.output] for node in graph.nodes}
    words = {name: np.empty((len(inputs), *value.shape), _narrowest(value.format)) for name, value in produced.items()}
    words[graph.quantizer.output][...] = inputs
    for samples, block in ExactEngine(graph).blocks(inputs, tuple(words)):
        for node in graph.compute_nodes:
            words[node.output][samples] = block[node.output]
    return Golden(graph=graph, inputs=inputs, words=words)


def flat(array: np.ndarray) -> np.ndarray:
    """All axes but the samples' as one."""
    return array.reshape(len(array), prod(array.shape[1:]))


def _narrowest(word_format: WordFormat | None) -> np.dtype:
    assert word_format is not None, "only the input of the network is real"
    for kind in (np.int8, np.int16, np.int32):
        limits = np.iinfo(kind)
        if limits.min <= word_format.minimum and word_format.maximum <= limits.max:
            return np.dtype(kind)
    return np.dtype(np.int64)
