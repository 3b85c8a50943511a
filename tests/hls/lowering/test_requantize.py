"""The proof at every boundary, against brute-force rational arithmetic on every word."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hls.intervals import Interval
from hls.lowering.requantize import MultiplierShift, boundaries, exact_multiplier

RATIOS = st.fractions(Fraction(1, 200), Fraction(20), max_denominator=10**6) | st.floats(0.0078125, 20, width=32).map(
    Fraction
)
INTERVALS = st.builds(
    lambda low, length: Interval(minimum=low, maximum=low + length), st.integers(-400, 400), st.integers(0, 500)
)
OUTPUTS = st.builds(
    lambda low, length: Interval(minimum=low, maximum=low + length),
    st.sampled_from([0, -8, -7, -128]),
    st.integers(1, 40),
)


def clip(word: int, interval: Interval) -> int:
    return min(max(word, interval.minimum), interval.maximum)


def real_words(ratio: Fraction, reachable: Interval, output: Interval) -> list[int]:
    return [clip(round(w * ratio), output) for w in range(reachable.minimum, reachable.maximum + 1)]


def form_words(form: MultiplierShift, reachable: Interval, output: Interval) -> list[int]:
    words = range(reachable.minimum, reachable.maximum + 1)
    return [clip(round(Fraction(w * form.multiplier, 2**form.shift)), output) for w in words]


@given(RATIOS, INTERVALS, OUTPUTS)
@example(Fraction(1, 2), Interval(minimum=-9, maximum=9), Interval(minimum=-4, maximum=4))  # every odd word is a tie
@example(Fraction(3, 2), Interval(minimum=-9, maximum=9), Interval(minimum=-8, maximum=7))
@example(Fraction(1, 6), Interval(minimum=-100, maximum=100), Interval(minimum=-8, maximum=7))  # rare exact ties
@settings(deadline=None, max_examples=300)
def test_the_form_equals_rational_arithmetic_on_every_reachable_word(
    ratio: Fraction, reachable: Interval, output: Interval
) -> None:
    form = exact_multiplier(ratio, reachable, output)
    if form is not None:
        assert form_words(form, reachable, output) == real_words(ratio, reachable, output)


@given(RATIOS, INTERVALS, OUTPUTS)
@settings(deadline=None, max_examples=100)
def test_no_smaller_shift_would_do(ratio: Fraction, reachable: Interval, output: Interval) -> None:
    form = exact_multiplier(ratio, reachable, output)
    if form is None:
        return
    for shift in range(form.shift):
        smaller = MultiplierShift(multiplier=round(ratio * 2**shift), shift=shift)
        if smaller.multiplier > 0:
            assert form_words(smaller, reachable, output) != real_words(ratio, reachable, output)


@given(st.floats(0.0078125, 20, width=32).map(Fraction), OUTPUTS)
@settings(deadline=None, max_examples=100)
def test_a_float32_ratio_of_narrow_words_always_has_a_form(ratio: Fraction, output: Interval) -> None:
    # A float32 has 24 significant bits: the ratio itself is a multiplication and a shift.
    assert exact_multiplier(ratio, Interval(minimum=-2000, maximum=2000), output) is not None


@given(RATIOS, st.integers(-50, 50))
@settings(deadline=None)
def test_a_boundary_is_the_first_word_that_reaches_its_step(ratio: Fraction, step: int) -> None:
    first = int(boundaries(ratio, np.array([step]))[0])
    assert round(first * ratio) >= step
    assert round((first - 1) * ratio) < step


def test_a_tie_goes_to_the_even_step() -> None:
    # word / 2: 1 → 0.5 → 0 and 3 → 1.5 → 2, so step 1 begins at 2 and step 2 at 3.
    assert boundaries(Fraction(1, 2), np.array([0, 1, 2, 3])).tolist() == [-1, 2, 3, 6]


def test_a_boundary_beyond_the_carrier_is_its_edge() -> None:
    assert boundaries(Fraction(1, 2**70), np.array([-3, 3])).tolist() == [-(2**62), 2**62]


def test_wide_words_that_no_product_within_the_carrier_reproduces_have_no_form() -> None:
    reachable = Interval(minimum=-(2**40), maximum=2**40)
    assert exact_multiplier(Fraction(1, 3 * 2**33), reachable, Interval(minimum=-100, maximum=100)) is None


def test_ties_that_only_the_ratio_itself_sends_to_even_have_no_form() -> None:
    reachable, output = Interval(minimum=-20, maximum=20), Interval(minimum=-8, maximum=7)
    assert exact_multiplier(Fraction(1, 10), reachable, output) is None


@pytest.mark.parametrize("ratio", [Fraction(1, 3), Fraction(7, 5), Fraction(2, 9)])
def test_the_proof_can_fail(ratio: Fraction) -> None:
    reachable, output = Interval(minimum=-300, maximum=300), Interval(minimum=-128, maximum=127)
    form = exact_multiplier(ratio, reachable, output)
    assert form is not None
    off = MultiplierShift(multiplier=form.multiplier + 1, shift=form.shift)
    assert form_words(off, reachable, output) != real_words(ratio, reachable, output)


def test_where_no_step_can_be_taken_the_coarsest_form_will_do() -> None:
    form = exact_multiplier(Fraction(1, 3), Interval(minimum=0, maximum=1), Interval(minimum=0, maximum=7))
    assert form is not None
    assert form_words(form, Interval(minimum=0, maximum=1), Interval(minimum=0, maximum=7)) == [0, 0]
