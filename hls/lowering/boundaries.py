"""Where a quantized chain steps: for every output word, the first input word from which on it is reached.

Each decision "is the quantized value at least k here" is taken in float64 with a proved error bound, and in rational
arithmetic where the bound cannot tell; so the boundaries are those of real arithmetic, not of floating point.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from hls.formats import QuantizerRounding, Words
from hls.host import ROUNDINGS
from hls.intervals import Interval
from hls.lowering.chain import FLOAT64_ROUNDOFF, Chain, directions, evaluate, exact, width


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """word = clip(round(value / scale + zero_point) - zero_point, low, high).

    A bipolar quantizer gives 1 where value ≥ 0, else -1; ``scale`` is then only what one unit is worth.
    """

    scale: Fraction
    rounding: QuantizerRounding
    zero_point: int
    low: int
    high: int
    bipolar: bool = False

    @property
    def words(self) -> tuple[int, ...]:
        """Every word above the lowest, in rising order: one step each."""
        return (1,) if self.bipolar else tuple(range(self.low + 1, self.high + 1))

    def boundary(self, word: int) -> tuple[Fraction, bool]:
        """The quotient value / scale from which on at least ``word`` is given, and whether it is itself enough."""
        if self.bipolar:
            return Fraction(0), True
        code = word + self.zero_point
        half, above = Fraction(1, 2), code > 0
        at, inclusive = {
            "half_even": (code - half, code % 2 == 0),
            "half_up": (code - half, above),
            "half_down": (code - half, not above),
            "floor": (Fraction(code), True),
            "ceil": (Fraction(code - 1), False),
            "up": (Fraction(code - 1), False) if above else (Fraction(code), True),
            "down": (Fraction(code), True) if above else (Fraction(code - 1), False),
        }[self.rounding]
        return at - self.zero_point, inclusive

    def words_of(self, values: Float[np.ndarray, "..."]) -> Words:
        """The words of real values in float64, whose own rounding may take the neighbour of a tie."""
        if self.bipolar:
            return np.where(values >= 0, 1, -1).astype(np.int64)
        quotient = values / float(self.scale) + self.zero_point
        words = ROUNDINGS[self.rounding](quotient) - self.zero_point
        return np.asarray(np.clip(words, self.low, self.high), np.int64)

    def exact_word(self, value: Fraction) -> int:
        """The word of a real value, in rational arithmetic."""
        if self.bipolar:
            return 1 if value >= 0 else -1
        quotient = value / self.scale + self.zero_point
        return max(self.low, min(self.high, exact_round(quotient, self.rounding) - self.zero_point))


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundaries:
    """Steps of a monotone quantized chain.

    Attributes:
        first: Shape [1 or channels, steps]. Where the chain rises: the first input word from which on word
            ``words[k]`` is reached. Where it falls: the first from which on it is not reached any more. One above the
            interval's maximum where that never happens, its minimum where it is so throughout.
        words: Output words of the steps, rising.
        rising: Per row of ``first``.
        reachable: The interval of input words.
    """

    first: Int[np.ndarray, "channels steps"]
    words: Int[np.ndarray, " steps"]
    rising: Bool[np.ndarray, " channels"]
    reachable: Interval

    @property
    def never(self) -> Bool[np.ndarray, " steps"]:
        """Steps that no input word of any channel takes."""
        above, below = self.first > self.reachable.maximum, self.first <= self.reachable.minimum
        return np.asarray(np.where(self.rising[:, None], above, below).all(axis=0))

    @property
    def always(self) -> Bool[np.ndarray, " steps"]:
        """Steps that every input word of every channel has taken."""
        above, below = self.first > self.reachable.maximum, self.first <= self.reachable.minimum
        return np.asarray(np.where(self.rising[:, None], below, above).all(axis=0))


def exact_round(value: Fraction, rounding: QuantizerRounding) -> int:
    """A rational rounded by name.

    Example:
        >>> [exact_round(Fraction(-1, 2), mode) for mode in ("half_even", "half_up", "floor", "down")]
        [0, -1, -1, 0]
    """
    floor = value.numerator // value.denominator
    if value == floor:
        return floor
    negative, tie = value < 0, value - floor == Fraction(1, 2)
    nearest_up = value - floor > Fraction(1, 2)
    match rounding:
        case "half_even":
            return floor + (floor % 2 if tie else nearest_up)
        case "half_up":
            return floor + (not negative if tie else nearest_up)
        case "half_down":
            return floor + (negative if tie else nearest_up)
        case "floor":
            return floor
        case "ceil":
            return floor + 1
        case "up":
            return floor + (not negative)
        case "down":
            return floor + negative


def find_boundaries(chain: Chain, reachable: Interval, quantizer: Quantizer) -> Boundaries:
    """Every step of a monotone chain over an interval of input words.

    Args:
        chain: From the input word to the real value in front of the quantizer; ``directions`` is not ``None``.
        reachable: Every word that can come in.
        quantizer: What ends the chain.
    """
    signs = directions(chain)
    assert signs is not None, "the caller has asked for the directions"
    channels = max(width(chain), len(signs))
    rising = np.array([sign >= 0 for sign in (signs if len(signs) == channels else signs * channels)])
    steps = [quantizer.boundary(word) for word in quantizer.words]
    decide = _Decider(chain, steps, quantizer.scale)
    shape = (channels, len(steps))
    low = np.full(shape, reachable.minimum, np.int64)
    high = np.full(shape, reachable.maximum + 1, np.int64)  # the answer lies in [low, high]
    while True:
        open_ = low < high
        if not open_.any():
            break
        middle = low + (high - low) // 2
        passed = decide(middle, open_) == rising[:, None]
        low = np.where(open_ & ~passed, middle + 1, low)
        high = np.where(open_ & passed, middle, high)
    return Boundaries(first=low, words=np.array(quantizer.words, np.int64), rising=rising, reachable=reachable)


class _Decider:
    """Is the chain's quotient at or beyond each step's boundary, at one input word a step and channel?"""

    def __init__(self, chain: Chain, steps: list[tuple[Fraction, bool]], scale: Fraction) -> None:
        self.chain = chain
        self.scale = scale
        self.steps = steps
        self.at = np.array([float(at * scale) for at, _ in steps])  # in the chain's own unit
        self.slack = FLOAT64_ROUNDOFF * np.abs(self.at)

    def __call__(self, words: Words, wanted: Bool[np.ndarray, "..."]) -> Bool[np.ndarray, "channels steps"]:
        values = words.T.astype(np.float64)  # channels last
        result, error = evaluate(self.chain, values, FLOAT64_ROUNDOFF * np.abs(values), FLOAT64_ROUNDOFF)
        result, error = (np.broadcast_to(array, values.shape).T for array in (result, error))
        distance = result - self.at
        passed = np.array(distance > 0)
        unsure = wanted & (np.abs(distance) <= error + self.slack)
        for channel, step in np.argwhere(unsure):
            at, inclusive = self.steps[step]
            value = exact(self.chain, Fraction(int(words[channel, step])), int(channel)) / self.scale
            passed[channel, step] = value > at or (inclusive and value == at)
        return np.asarray(passed)


def tabulate(chain: Chain, reachable: Interval, quantizer: Quantizer) -> Int[np.ndarray, "channels entries"]:
    """The output word of every input word: for chains that rise and fall.

    Returns:
        Shape [1 or channels, entries], entry 0 for the interval's minimum.
    """
    inputs = np.arange(reachable.minimum, reachable.maximum + 1, dtype=np.int64)
    channels = width(chain)
    values = np.repeat(inputs.astype(np.float64)[:, None], channels, axis=1)
    result, error = evaluate(chain, values, FLOAT64_ROUNDOFF * np.abs(values), FLOAT64_ROUNDOFF)
    result, error = (np.broadcast_to(array, values.shape) for array in (result, error))
    error = error + 4 * FLOAT64_ROUNDOFF * np.abs(result)  # of the division by the scale
    words = quantizer.words_of(result)
    unsure = quantizer.words_of(result - error) != quantizer.words_of(result + error)
    for entry, channel in np.argwhere(unsure):
        value = exact(chain, Fraction(int(inputs[entry])), int(channel))
        words[entry, channel] = quantizer.exact_word(value)
    return np.ascontiguousarray(words.T)
