"""Samples for a network that came without any: seeded words over the whole input format, and its corners."""

from __future__ import annotations

from math import prod

import numpy as np

from edgeval.run_directory import Samples
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.host import real_inputs
from hls.nodes import Quantize

RANDOM_SAMPLES = 256
LEAST_SAMPLES = 15
"""Random samples of an image, however large: twenty with the corners."""
RANDOM_WORDS = 1 << 24
"""Words of all random samples together, for more than the fewest samples."""


def spanning_samples(graph: IntegerGraph, seed: int) -> Samples:
    """Samples that span the input format: its corners first, then words drawn at random over its whole range.

    Args:
        graph: The network; its input quantizer gives format and scale.
        seed: Of the random words.
    """
    shape = graph.values[graph.quantizer.output].shape
    words = spanning_words(graph.quantizer, shape, seed)
    real = real_inputs(graph.quantizer, words).reshape(len(words), *graph.values[graph.input].shape)
    return Samples(
        inputs=real.astype(np.float64),
        origin=f"{len(words)} seeded samples spanning the input format (no --inputs given)",
    )


def spanning_words(quantizer: Quantize, shape: tuple[int, ...], seed: int) -> Words:
    """Input words: all-minimum, all-maximum, all-zero, all one above and below zero, then random ones."""
    low, high = quantizer.low, quantizer.high
    corners = [word for word in (low, high, 0, 1, -1) if low <= word <= high]
    count = min(RANDOM_SAMPLES, max(LEAST_SAMPLES, RANDOM_WORDS // prod(shape)))
    rng = np.random.default_rng(seed)
    if quantizer.format.encoding == "bipolar":
        corners = [low, high]
        random = rng.choice(np.array([low, high]), size=(count, *shape))
    else:
        random = rng.integers(low, high, size=(count, *shape), endpoint=True, dtype=np.int64)
    return np.concatenate([np.full((1, *shape), word, np.int64) for word in corners] + [random])
