"""Rank bits from two measured losses a word: a parabola through three points predicts the damage of every flip.

It needs no gradient, so it works for any network and any stored tensor, tables and thresholds included, at two runs a
word instead of one a bit. It sees the real network, quantized activations and clipping included.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from fault_injection.flips import Flips
from fault_injection.outcomes import Judge
from fault_injection.propagate import propagate
from fault_injection.ranking import Ranking, by_score
from fault_injection.sites import SiteTable
from hls.formats import Words
from hls.graph import IntegerGraph

BLOCK_WORDS = 4096
"""Words judged at once."""


def by_finite_differences(judge: Judge, flips: Flips) -> Ranking:
    """Damage that a parabola through the losses at w, w + a and w - b predicts for each flip.

    Args:
        judge: Evaluation set and metric; its metric has to be one where lower is better.
        flips: The sites.
    """
    slope, curvature = word_parabolas(judge, flips)
    delta = flips.delta.astype(np.float64)
    return by_score("finite-difference", slope * delta + 0.5 * curvature * delta**2)


def word_parabolas(judge: Judge, flips: Flips) -> tuple[Float[np.ndarray, " sites"], Float[np.ndarray, " sites"]]:
    """Slope and curvature of the loss along each site's word, from two measured neighbours of it.

    The neighbours lie a quarter of the word's range away on both sides, nearer where the range ends; of a word at its
    end both lie on the other side. A one-bit word has one neighbour: its slope is exact and its curvature 0.
    """
    _, first, word_of = np.unique(
        flips.sites.tensor * (1 << 40) + flips.sites.index, return_index=True, return_inverse=True
    )
    sites = flips.sites.take(first)
    words = flips.words[first]
    one, two = _neighbours(judge.golden.graph, sites, words)
    rise_one, rise_two = (_rises(judge, sites, words, words + offset) for offset in (one, two))
    slope, curvature = _parabola(one, rise_one, two, rise_two)
    return slope[word_of], curvature[word_of]


def _neighbours(graph: IntegerGraph, sites: SiteTable, words: Words) -> tuple[Words, Words]:
    formats = [tensor.format for tensor in graph.tensors.values()]
    low, high, step = (
        np.array(column)[sites.tensor]
        for column in zip(
            *((f.minimum, f.maximum, max(1, 1 << max(0, f.width_bits - 2))) for f in formats), strict=True
        )
    )
    up, down = np.minimum(step, high - words), -np.minimum(step, words - low)
    far_up, far_down = np.minimum(2 * step, high - words), -np.minimum(2 * step, words - low)
    one = np.where(up == 0, far_down, up)
    two = np.where(up == 0, down, np.where(down == 0, far_up, down))
    bipolar = np.array([f.encoding == "bipolar" for f in formats])[sites.tensor]
    return np.where(bipolar, -2 * words, one), np.where(bipolar, -2 * words, two)


def _rises(judge: Judge, sites: SiteTable, before: Words, after: Words) -> Float[np.ndarray, " words"]:
    rises = [np.zeros(0)]
    for start in range(0, len(sites), BLOCK_WORDS):
        part = slice(start, start + BLOCK_WORDS)
        block = sites.take(part)
        changed = propagate(judge.golden, block, before[part], after[part])
        rises.append(judge.judge(changed, len(block))["metric_change"].to_numpy())
    return np.concatenate(rises)


def _parabola(
    one: Int[np.ndarray, " words"],
    rise_one: Float[np.ndarray, " words"],
    two: Int[np.ndarray, " words"],
    rise_two: Float[np.ndarray, " words"],
) -> tuple[np.ndarray, np.ndarray]:
    a, b = one.astype(np.float64), two.astype(np.float64)
    chord_a, chord_b = rise_one / a, rise_two / b
    apart = np.where(a == b, 1.0, a - b)
    curvature = np.where(a == b, 0.0, 2 * (chord_a - chord_b) / apart)
    return chord_a - 0.5 * curvature * a, curvature
