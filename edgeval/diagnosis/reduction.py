"""The smallest failing input: one sample, with as many zeros as a bounded greedy search finds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_RUNS = 2000
"""Samples that the search runs at most."""


def smallest_input(sample: np.ndarray, fails: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Set blocks of a failing sample to zero while it still fails: halves first, then quarters, down to single inputs.

    Args:
        sample: Real inputs of one sample, any shape; it fails.
        fails: Whether each of some samples (first axis) fails; all candidates of a round are run at once.

    Source: Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002), ddmin.
    """
    current = np.array(sample, np.float64).ravel()
    runs, parts = 0, 2
    while runs < MOST_RUNS:
        alive = np.flatnonzero(current)
        if not alive.size:
            return np.zeros_like(sample, np.float64)
        blocks = np.array_split(alive, min(parts, alive.size))
        candidates = np.repeat(current[None], len(blocks), axis=0)
        for candidate, block in zip(candidates, blocks, strict=True):
            candidate[block] = 0.0
        runs += len(blocks)
        failing = np.flatnonzero(fails(candidates.reshape(len(blocks), *sample.shape)))
        if failing.size:
            current = candidates[failing[0]]
        elif parts >= alive.size:
            break
        else:
            parts *= 2
    return current.reshape(sample.shape)
