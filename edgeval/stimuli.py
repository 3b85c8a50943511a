"""Samples for a network that came without any: seeded words over the whole input format, and its corners."""

from __future__ import annotations

import numpy as np

from edgeval.run_directory import Samples
from hls.formats import WordFormat, Words
from hls.graph import IntegerGraph

RANDOM_SAMPLES = 256


def spanning_samples(graph: IntegerGraph, seed: int) -> Samples:
    """Samples that span the input format: its corners first, then words drawn at random over its whole range.

    Args:
        graph: The network; its input quantizer gives format and scale.
        seed: Of the random words.
    """
    shape = graph.values[graph.quantizer.output].shape
    words = spanning_words(graph.quantizer.format, shape, seed)
    return Samples(
        inputs=(words * graph.quantizer.scale).astype(np.float64),
        origin=f"{len(words)} seeded samples spanning the input format (no --inputs given)",
    )


def spanning_words(word_format: WordFormat, shape: tuple[int, ...], seed: int) -> Words:
    """Input words: all-minimum, all-maximum, all-zero, all one above and below zero, then random ones."""
    low, high = word_format.quantizer_minimum, word_format.maximum
    corners = [word for word in (low, high, 0, 1, -1) if low <= word <= high]
    rng = np.random.default_rng(seed)
    random = rng.integers(low, high, size=(RANDOM_SAMPLES, *shape), endpoint=True, dtype=np.int64)
    return np.concatenate([np.full((1, *shape), word, np.int64) for word in corners] + [random])
