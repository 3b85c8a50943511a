"""What a network computes, as the baseline keeps it: golden samples word by word, everything else as digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from edgeval.regression.baseline import GoldenSample, LayerWords
from hls.engine import ExactEngine
from hls.formats import Words
from hls.graph import IntegerGraph

GOLDEN_REAL = 4
"""Samples of the evaluation set that are kept word by word, evenly spread."""
GOLDEN_WORDS = 1024
"""Input or output words of a sample that are kept; of larger ones there are digests only."""
_BLOCK_WORDS = 1 << 24
"""Words of all values that are in memory at once."""


def golden_samples(graph: IntegerGraph, inputs: Words) -> tuple[GoldenSample, ...]:
    """Corners of the input format and samples of the evaluation set, with the words that the network gives for them.

    Args:
        graph: The network.
        inputs: Input words of the evaluation set.
    """
    if prod(graph.values[graph.output].shape) > GOLDEN_WORDS:
        return ()
    samples = [*_corners(graph), *_real(inputs)]
    return golden_outputs(graph, samples)


def golden_inputs(graph: IntegerGraph, samples: Sequence[GoldenSample]) -> Words | None:
    """Input words of golden samples, ``None`` where they are no input words of this network."""
    shape, word_format = graph.values[graph.quantizer.output].shape, graph.quantizer.format
    if not samples or any(sample.fill is None and len(sample.input) != prod(shape) for sample in samples):
        return None
    try:
        words = np.stack([_golden_input(sample, shape) for sample in samples])
    except OverflowError:  # a word of more than 64 bits: edited by hand
        return None
    return words if word_format.contains(words) else None


def _golden_input(sample: GoldenSample, shape: tuple[int, ...]) -> Words:
    if sample.fill is not None:
        return np.full(shape, sample.fill, np.int64)
    return np.array(sample.input, np.int64).reshape(shape)


def golden_outputs(graph: IntegerGraph, samples: Sequence[GoldenSample]) -> tuple[GoldenSample, ...]:
    """The same samples with what a network gives for them; none where it does not take such inputs."""
    words = golden_inputs(graph, samples)
    if words is None:
        return ()
    outputs = ExactEngine(graph).run(words).output
    return tuple(
        GoldenSample(
            origin=sample.origin,
            fill=sample.fill,
            input=sample.input,
            output=tuple(int(word) for word in output.reshape(-1)),
        )
        for sample, output in zip(samples, outputs, strict=True)
    )


def layer_words(graph: IntegerGraph, inputs: Words) -> tuple[LayerWords, ...]:
    """Count and digest of every value's words on the evaluation set, in data order.

    Args:
        graph: The network.
        inputs: Input words of the evaluation set.
    """
    hashes = {node.output: hashlib.sha256() for node in graph.nodes}
    counts = dict.fromkeys(hashes, 0)
    for block in value_blocks(graph, inputs, sample_block(graph)):
        for value, words in block.items():
            hashes[value].update(np.ascontiguousarray(words, np.int64).tobytes())
            counts[value] += words.size
    return tuple(
        LayerWords(value=value, words=counts[value], sha256=found.hexdigest()[:16]) for value, found in hashes.items()
    )


def value_blocks(graph: IntegerGraph, inputs: Words, size: int) -> Iterator[dict[str, Words]]:
    """Words of every value, by value in data order, for blocks of that many samples."""
    computed = [node.output for node in graph.compute_nodes]
    for start in range(0, len(inputs), size):
        block = inputs[start : start + size]
        yield {graph.quantizer.output: block, **ExactEngine(graph).run(block, computed).taps}


def sample_block(graph: IntegerGraph) -> int:
    """Samples whose words of all values are in memory at once."""
    return max(1, _BLOCK_WORDS // sum(prod(value.shape) for value in graph.values.values()))


def _corners(graph: IntegerGraph) -> Iterator[GoldenSample]:
    low, high = graph.quantizer.low, graph.quantizer.high
    wanted = (low, high) if graph.quantizer.format.encoding == "bipolar" else (low, high, 0, 1, -1)
    for word in dict.fromkeys(wanted):
        if low <= word <= high:
            yield GoldenSample(origin=f"every word {word}", fill=word)


def _real(inputs: Words) -> Iterator[GoldenSample]:
    if inputs[0].size > GOLDEN_WORDS:
        return
    for row in np.unique(np.linspace(0, len(inputs) - 1, GOLDEN_REAL).astype(int)):
        words = tuple(int(word) for word in inputs[row].reshape(-1))
        yield GoldenSample(origin=f"sample {row} of the evaluation set", input=words)
