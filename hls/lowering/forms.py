"""The cheapest exact form of a quantized chain: Shift, else Requantize, else Threshold, else Lookup.

Requantize and Threshold are chosen by the chain's boundaries, which are exact; a form is taken only if it steps at
every one of them within the reachable interval. Both sides are monotone there, so that is a proof and not a fit.
Source: ``docs/integer-network.md``, Lowering.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hls.errors import FormatError
from hls.formats import MAXIMUM_WIDTH_BITS, Rounding, WordFormat, Words, smallest_signed
from hls.intervals import Interval
from hls.lowering.boundaries import Boundaries, Quantizer, find_boundaries, tabulate
from hls.lowering.chain import Chain, Clip, Rationals, directions, linear, scaling, width

_CARRIER = 1 << MAXIMUM_WIDTH_BITS
_FEW_STEPS = 3
"""Up to so many comparisons (two output bits) cost less than a multiplication."""
MOST_STEPS = 1 << 16
"""Largest number of output words that are looked at one by one."""
MOST_ENTRIES = 1 << 16
"""Largest table that may stand for a function that rises and falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftForm:
    """Parameters of a ``Shift``."""

    shift: int
    rounding: Rounding
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequantizeForm:
    """Parameters of a ``Requantize``."""

    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]
    shifts: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdForm:
    """Parameters of a ``Threshold``."""

    thresholds: Words
    threshold_format: WordFormat
    offsets: tuple[int, ...]
    directions: tuple[int, ...]
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupForm:
    """Parameters of a ``Lookup``."""

    table: Words
    first: int


Form = ShiftForm | RequantizeForm | ThresholdForm | LookupForm


class NoForm(Exception):  # internal: the caller words the refusal, with the layer's name
    """No exact form within bounds; the argument says why, for people."""


def choose_form(scale: Rationals, chain: Chain, reachable: Interval, quantizer: Quantizer) -> Form:
    """Choose the cheapest exact form.

    Args:
        scale: Real value of one unit of the incoming words, one or one a channel.
        chain: What happens to the real value before the quantizer.
        reachable: Every word that can come in.
        quantizer: What ends the chain.

    Raises:
        NoForm: too many words to look at, or a function that rises and falls over too many of them.
    """
    whole: Chain = (scaling(scale), *chain)
    if plain := _shift(whole, reachable, quantizer):
        return plain
    if directions(whole) is None:
        entries = reachable.maximum - reachable.minimum + 1
        if entries > MOST_ENTRIES:
            raise NoForm(
                f"a function that rises and falls over {entries:,} words; a table has at most {MOST_ENTRIES:,}"
            )
        return LookupForm(table=tabulate(whole, reachable, quantizer), first=reachable.minimum)
    steps, channels = len(quantizer.words), width(whole)
    if steps > MOST_STEPS:
        raise NoForm(f"{steps + 1:,} output words that are not a plain shift; at most {MOST_STEPS + 1:,} are proved")
    found = find_boundaries(whole, reachable, quantizer)
    form = None
    if steps > _FEW_STEPS and not quantizer.bipolar:
        form = _requantize(whole, found, reachable, quantizer, channels)
    return form or _thresholds(found, reachable, quantizer)


def _shift(chain: Chain, reachable: Interval, quantizer: Quantizer) -> ShiftForm | None:
    """A power of two, no offset, clips only: what fixed-point types do by themselves."""
    found = linear(chain)
    if found is None or quantizer.bipolar or quantizer.rounding not in ("half_even", "floor"):
        return None
    factors, offsets = found
    ratio = factors[0] / quantizer.scale
    power = power_of_two(ratio)
    if len(set(factors)) > 1 or any(offsets) or power is None:
        return None
    if quantizer.rounding == "half_even" and quantizer.zero_point % 2:
        return None  # the tie goes to an even code, which is an odd word
    magnitude_bits = reachable.magnitude.bit_length()
    if magnitude_bits + max(power, 0) > MAXIMUM_WIDTH_BITS or -power > MAXIMUM_WIDTH_BITS:
        return None
    # Rounding is monotone, so a clip of the real value is a clip of the word at its own rounded bounds.
    bounds = [(c.low, c.high) for c in chain if isinstance(c, Clip)]
    if bounds and not _clips_last(chain):
        return None
    low, high = quantizer.low, quantizer.high
    for at_least, at_most in bounds:
        words = [None if bound is None else quantizer.exact_word(bound) for bound in (at_least, at_most)]
        low, high = clamped(low, *words), clamped(high, *words)
    return ShiftForm(shift=-power, rounding=quantizer.rounding, low=low, high=high)


def clamped(word: int, low: int | None, high: int | None) -> int:
    """min(max(word, low), high); ``None`` for no bound."""
    word = word if low is None else max(word, low)
    return word if high is None else min(word, high)


def _clips_last(chain: Chain) -> bool:
    """Whether nothing but clips comes behind the first clip."""
    first = next(i for i, step in enumerate(chain) if isinstance(step, Clip))
    return all(isinstance(step, Clip) for step in chain[first:])


def power_of_two(ratio: Fraction) -> int | None:
    """log2 of a ratio that is a power of two, else ``None``."""
    top, bottom = ratio.numerator, ratio.denominator
    if top <= 0 or top.bit_count() != 1 or bottom.bit_count() != 1:
        return None
    return (top.bit_length() - 1) - (bottom.bit_length() - 1)


def _requantize(
    chain: Chain, found: Boundaries, reachable: Interval, quantizer: Quantizer, channels: int
) -> RequantizeForm | None:
    slopes = linear(chain)
    if slopes is None:
        return None
    factors, offsets = (values if len(values) == channels else values * channels for values in slopes)
    first, words = found.first, found.words
    # Words that no input reaches, or that all do, bound the output instead of being steps of it.
    never, always = found.never, found.always
    low = int(words[always].max()) if always.any() else quantizer.low
    high = int(words[never].min()) - 1 if never.any() else quantizer.high
    inner = (words > low) & (words <= high)
    if not inner.any():
        return None
    rows: dict[tuple[Fraction, Fraction, bytes], tuple[int, int, int]] = {}
    forms = []
    for channel in range(channels):
        row = first[channel][inner]
        key = (factors[channel], offsets[channel], row.tobytes())
        if key not in rows:
            ideal = (factors[channel] / quantizer.scale, offsets[channel] / quantizer.scale)
            rising = bool(found.rising[channel])
            form = _one_channel(row, words[inner], reachable, ideal, rising=rising)
            if form is None:
                return None
            rows[key] = form
        forms.append(rows[key])
    if len(set(forms)) == 1:
        forms = forms[:1]
    return RequantizeForm(
        multipliers=tuple(form[0] for form in forms),
        offsets=tuple(form[1] for form in forms),
        shifts=tuple(form[2] for form in forms),
        low=low,
        high=high,
    )


def _one_channel(
    first: Words, words: Words, reachable: Interval, ideal: tuple[Fraction, Fraction], *, rising: bool
) -> tuple[int, int, int] | None:
    """(multiplier, offset, shift) with the smallest shift that steps at every boundary, ``None`` for none."""
    ratio, constant = ideal
    top = max(reachable.magnitude.bit_length(), 1)
    # The last input that is still below a step, and the first that is at it, inside the interval.
    at, before = (first, first - 1) if rising else (first - 1, first)
    at_inside = (at >= reachable.minimum) & (at <= reachable.maximum)
    before_inside = (before >= reachable.minimum) & (before <= reachable.maximum)
    # A step outside the interval still binds its edge: taken throughout, or not at all.
    taken = (first <= reachable.minimum) if rising else (first > reachable.maximum)
    edge_at = reachable.minimum if rising else reachable.maximum
    edge_before = reachable.maximum if rising else reachable.minimum
    at = np.where(at_inside, at, edge_at)
    before = np.where(before_inside, before, edge_before)
    needs_at = at_inside | taken
    needs_before = before_inside | ~(at_inside | taken)
    for shift in range(MAXIMUM_WIDTH_BITS):
        multiplier = round(ratio * (1 << shift))
        target = round(constant * (1 << shift))
        largest = abs(multiplier).bit_length() + top
        steps_bits = int(np.abs(words).max()).bit_length() + shift + 1
        if largest > MAXIMUM_WIDTH_BITS - 1 or steps_bits > MAXIMUM_WIDTH_BITS or abs(target) >= _CARRIER >> 1:
            return None
        if multiplier == 0 or (multiplier > 0) != rising:
            continue
        # round_half_even(p / 2**shift) >= k exactly when p >= k * 2**shift - 2**(shift-1), plus one where k is odd.
        goal = (words << shift) - ((1 << shift) >> 1) + ((words & 1) if shift else 0)
        lowest = goal[needs_at] - multiplier * at[needs_at]
        highest = goal[needs_before] - 1 - multiplier * before[needs_before]
        least = int(lowest.max()) if lowest.size else -_CARRIER
        most = int(highest.min()) if highest.size else _CARRIER
        if least <= most:
            return multiplier, min(max(target, least), most), shift
    return None


def _thresholds(found: Boundaries, reachable: Interval, quantizer: Quantizer) -> ThresholdForm:
    low, high = (-1, 1) if quantizer.bipolar else (quantizer.low, quantizer.high)
    always = found.always
    keep = np.asarray(~(found.never | always))  # the others need no comparator
    if not keep.any():
        keep[:1] = True  # a constant output: one comparator that says so
    stride = 2 if quantizer.bipolar else 1
    bottom = low + stride * int((always & ~keep).sum())
    top = bottom + stride * int(keep.sum())
    assert top <= high
    try:  # one beyond the largest word where a channel never takes a step
        width_bits = smallest_signed(reachable.minimum, reachable.maximum + 1).width_bits
    except FormatError as error:
        raise NoForm(f"words of {MAXIMUM_WIDTH_BITS} bits in front of a comparison") from error
    return ThresholdForm(
        thresholds=np.sort(found.first[:, keep], axis=1),
        threshold_format=WordFormat(width_bits=width_bits, encoding="twos_complement"),
        offsets=tuple(bottom if rises else top for rises in found.rising.tolist()),
        directions=tuple(1 if rises else -1 for rises in found.rising.tolist()),
        stride=stride,
    )
