"""What two executors' words have in common, gathered block by block: memory stays that of one block of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgeval.error_histogram import ErrorHistogram, Tally, histograms, tally
from edgeval.records import LayerVerdict
from edgeval.word_comparison import Difference, first_difference, saturations
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.nodes import inputs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedWords:
    """Words of every compared value, from both executors, for one block of samples.

    Attributes:
        order: Names of the values in data order; the network's output is the last.
        csim: Words by value, samples first.
        engine: Words of every value, compared or not, from the exact engine.
        predicted: The same, from the exact engine with the poked bit flipped; ``None`` without a poke.
    """

    order: tuple[str, ...]
    csim: Mapping[str, Words]
    engine: Mapping[str, Words]
    predicted: Mapping[str, Words] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEvidence:
    """What was seen of one value.

    Attributes:
        distinct: Every word the exact engine gave, sorted.
        saturations: Clipping events.
        errors: C-simulation minus exact engine.
    """

    words: int
    differing: int
    distinct: Words
    saturations: int
    errors: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen of all compared values.

    Attributes:
        samples: Compared so far.
        layers: By value, in data order; the network's output is the last.
        first: First differing word in data order, then in sample order; ``None`` where none differs.
        as_predicted: Whether a poked C-simulation computed what the exact engine computes with the same flipped bit.
        output: Output words of the C-simulation.
        engine_output: The exact engine's.
        loaded: Stored words that the loaded C-simulation holds otherwise than the network, in words for people.
    """

    samples: int
    layers: Mapping[str, LayerEvidence]
    first: Difference | None
    as_predicted: bool
    output: Words
    engine_output: Words
    loaded: tuple[str, ...] = ()

    def verdicts(self) -> tuple[LayerVerdict, ...]:
        """The evidence as it stands in records."""
        return tuple(
            LayerVerdict(
                value=value,
                words=layer.words,
                differing=layer.differing,
                distinct=int(layer.distinct.size),
                saturations=layer.saturations,
            )
            for value, layer in self.layers.items()
        )


def csim_histograms(evidence: Evidence) -> tuple[ErrorHistogram, ...]:
    """How far the C-simulation's words are from the exact engine's, layer by layer."""
    return histograms("C-simulation", {value: layer.errors for value, layer in evidence.layers.items()})


def gather(graph: IntegerGraph, inputs: Words, compared: ComparedWords) -> Evidence:
    """Look at one block of samples.

    Args:
        graph: The network.
        inputs: Input words of the block.
        compared: Words of both executors.
    """
    words = {graph.quantizer.output: inputs, **compared.engine}
    layers = {}
    for value in compared.order:
        node = graph.producer_of(value)
        engine, csim = compared.engine[value], compared.csim[value]
        layers[value] = LayerEvidence(
            words=int(engine.size),
            differing=int((csim != engine).sum()),
            distinct=np.unique(engine),
            saturations=saturations(graph, node, words[inputs_of(node)[0]]),
            errors=tally(csim - engine),
        )
    predicted = compared.predicted
    return Evidence(
        samples=len(inputs),
        layers=layers,
        first=first_difference(compared.order, compared.csim, compared.engine),
        as_predicted=predicted is None or all(np.array_equal(compared.csim[v], predicted[v]) for v in compared.order),
        output=compared.csim[graph.output],
        engine_output=compared.engine[graph.output],
    )


def merged(before: Evidence, block: Evidence) -> Evidence:
    """The evidence of two blocks, the second behind the first."""
    layers = {
        value: LayerEvidence(
            words=layer.words + block.layers[value].words,
            differing=layer.differing + block.layers[value].differing,
            distinct=np.union1d(layer.distinct, block.layers[value].distinct),
            saturations=layer.saturations + block.layers[value].saturations,
            errors=layer.errors.plus(block.layers[value].errors),
        )
        for value, layer in before.layers.items()
    }
    return replace(
        before,
        samples=before.samples + block.samples,
        layers=layers,
        first=_earlier(tuple(layers), before, block),
        as_predicted=before.as_predicted and block.as_predicted,
        output=np.concatenate([before.output, block.output]),
        engine_output=np.concatenate([before.engine_output, block.engine_output]),
    )


def _earlier(order: tuple[str, ...], before: Evidence, block: Evidence) -> Difference | None:
    later = block.first
    if later is None:
        return before.first
    later = replace(later, index=(later.index[0] + before.samples, *later.index[1:]))
    if before.first is None or order.index(later.value) < order.index(before.first.value):
        return later
    return before.first
