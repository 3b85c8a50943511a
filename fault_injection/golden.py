"""The fault-free network over the whole evaluation set, kept once: every campaign starts from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hls.engine import ExactEngine
from hls.formats import Words
from hls.graph import IntegerGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Words of every value of a network over the evaluation set.

    Attributes:
        graph: The fault-free network.
        inputs: Input words, shape (samples, ...).
        words: By value name, shape (samples, features), int64; the input's and the output's among them.
    """

    graph: IntegerGraph
    inputs: Words
    words: Mapping[str, Words]

    @property
    def samples(self) -> int:
        """Samples of the evaluation set."""
        return len(self.inputs)

    @property
    def output(self) -> Words:
        """Fault-free output words, shape (samples, outputs)."""
        return self.words[self.graph.output]


def golden_run(graph: IntegerGraph, inputs: Words) -> Golden:
    """Run the fault-free network and keep every value. Memory: 8 bytes a word of every layer and sample."""
    taps = [node.output for node in graph.compute_nodes]
    execution = ExactEngine(graph).run(inputs, taps)
    return Golden(graph=graph, inputs=inputs, words={graph.quantizer.output: inputs, **execution.taps})
