"""The smallest multiplication and shift that equals a real rescaling, proved at every boundary.

round(word × ratio) is a monotone step function of the word; so is the shifted integer product. Two monotone step
functions are equal on an interval when they step at the same places, so checking both sides of every step is a proof.
Source: ``docs/integer-network.md``, Lowering.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hls.formats import Words
from hls.intervals import Interval
from hls.rounding import shift_right

_CARRIER_BITS = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiplierShift:
    """word → round(word × multiplier / 2**shift), ties to even."""

    multiplier: int
    shift: int


def exact_multiplier(ratio: Fraction, reachable: Interval, output: Interval) -> MultiplierShift | None:
    """Find the smallest shift whose integer form equals clip(round(word × ratio)) on every reachable word.

    Args:
        ratio: Real factor, > 0, exact.
        reachable: Every word that can come in.
        output: The clipping range of the words that go out.

    Returns:
        The form, or ``None`` when no product within 62 bits reproduces every boundary.

    Example:
        >>> exact_multiplier(Fraction(1, 3), Interval(minimum=-8, maximum=8), Interval(minimum=0, maximum=3))
        MultiplierShift(multiplier=11, shift=5)
    """
    steps = np.arange(output.minimum + 1, output.maximum + 1, dtype=np.int64)
    first = boundaries(ratio, steps)
    for shift in range(_CARRIER_BITS):
        multiplier = round(ratio * (1 << shift))
        if multiplier.bit_length() + reachable.magnitude.bit_length() > _CARRIER_BITS:
            return None
        form = MultiplierShift(multiplier=multiplier, shift=shift)
        if multiplier > 0 and _reproduces(form, steps, first, reachable):
            return form
    return None


def boundaries(ratio: Fraction, steps: Words) -> Words:
    """For each output word k, the smallest input word whose exact rescaling rounds to at least k.

    Args:
        ratio: Real factor, > 0.
        steps: Output words k.

    Returns:
        int64 words, saturated at the carrier's edge.
    """
    edge = 1 << _CARRIER_BITS
    return np.array([max(-edge, min(edge, _boundary(ratio, int(step)))) for step in steps], np.int64)


def _boundary(ratio: Fraction, step: int) -> int:
    exact = Fraction(2 * step - 1, 2) / ratio  # word × ratio = step − 1/2 here
    word = -((-exact.numerator) // exact.denominator)  # ceiling
    tie = word == exact
    return word + 1 if tie and step % 2 else word  # a tie goes to the even neighbour


def _reproduces(form: MultiplierShift, steps: Words, first: Words, reachable: Interval) -> bool:
    at = first <= reachable.maximum  # steps that are taken somewhere: there the output must be at least k
    below = first > reachable.minimum  # steps not yet taken at the bottom: just before, it must be less than k
    on = np.maximum(first[at], reachable.minimum)
    before = np.minimum(first[below] - 1, reachable.maximum)
    return bool(np.all(_apply(form, on) >= steps[at]) and np.all(_apply(form, before) < steps[below]))


def _apply(form: MultiplierShift, words: Words) -> Words:
    return shift_right(words * np.int64(form.multiplier), form.shift, "half_even")
