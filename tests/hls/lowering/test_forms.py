"""Whatever form is chosen, it gives on every reachable word what rational arithmetic gives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hls.intervals import Interval
from hls.lowering.boundaries import Quantizer, exact_round
from hls.lowering.chain import RELU, Affine, Apply, Chain, Clip, Leaky, Pair, exact, scaling
from hls.lowering.forms import (
    MOST_ENTRIES,
    Form,
    LookupForm,
    NoForm,
    RequantizeForm,
    ShiftForm,
    ThresholdForm,
    choose_form,
    power_of_two,
)

SCALES = st.floats(0.0078125, 20, width=32).map(Fraction) | st.integers(-6, 4).map(lambda power: Fraction(2) ** power)
NUMBERS = st.floats(-8, 8, width=32).map(Fraction)
FACTORS = NUMBERS.filter(lambda number: abs(number) > 0.01)
# Kinds and arguments: beartype draws random numbers where they are built, which Hypothesis does not want in here.
STEPS = st.one_of(
    st.tuples(st.just(Affine), st.tuples(FACTORS), st.tuples(NUMBERS)),
    st.tuples(st.just(Affine), st.tuples(FACTORS, FACTORS), st.tuples(NUMBERS, NUMBERS)),
    st.just(RELU),
    st.tuples(st.just(Clip), st.none() | NUMBERS, st.none() | NUMBERS),
    st.tuples(st.just(Leaky), st.tuples(st.sampled_from([Fraction(1, 8), Fraction(-1, 4), Fraction(1, 3)]))),
    st.sampled_from([Apply("sigmoid"), Apply("tanh"), Apply("gelu"), Apply("abs"), Apply("elu", (1.0,))]),
    st.just(Pair("mul", (), (Apply("sigmoid"),))),
)
CHAINS = st.lists(STEPS, max_size=3).map(tuple)
LOWS = st.integers(-150, 150)
LENGTHS = st.integers(0, 200)
QUANTIZERS = st.fixed_dictionaries({
    "scale": SCALES,
    "rounding": st.sampled_from(["half_even", "half_up", "half_down", "floor", "ceil", "up", "down"]),
    "zero_point": st.integers(-3, 3),
    "low": st.sampled_from([0, -8, -7, -1]),
    "high": st.integers(1, 20),
}) | st.fixed_dictionaries({
    "scale": SCALES, "rounding": st.just("half_even"), "zero_point": st.just(0), "low": st.just(-1),
    "high": st.just(1), "bipolar": st.just(value=True),
})  # fmt: skip


def form_words(form: Form, words: list[int], channel: int) -> list[int]:
    """What a form gives, one Python integer at a time."""
    match form:
        case ShiftForm():
            rounded = [exact_round(Fraction(word) / Fraction(2) ** form.shift, form.rounding) for word in words]
            return [min(max(word, form.low), form.high) for word in rounded]
        case RequantizeForm():
            place = channel if len(form.multipliers) > 1 else 0
            numbers = [word * form.multipliers[place] + form.offsets[place] for word in words]
            rounded = [round(Fraction(number, 2 ** form.shifts[place])) for number in numbers]
            return [min(max(word, form.low), form.high) for word in rounded]
        case ThresholdForm():
            place = channel if len(form.thresholds) > 1 else 0
            row = form.thresholds[place].tolist()
            step = form.stride * form.directions[channel if len(form.directions) > 1 else 0]
            offset = form.offsets[channel if len(form.offsets) > 1 else 0]
            return [offset + step * sum(threshold <= word for threshold in row) for word in words]
        case LookupForm():
            row = form.table[channel if len(form.table) > 1 else 0].tolist()
            return [row[word - form.first] for word in words]


@given(scale=SCALES, steps=CHAINS, low=LOWS, length=LENGTHS, choices=QUANTIZERS)
@settings(deadline=None, max_examples=250)
def test_every_form_equals_rational_arithmetic_on_every_reachable_word(
    scale: Fraction, steps: tuple[Any, ...], low: int, length: int, choices: dict[str, Any]
) -> None:
    chain = tuple(step[0](*step[1:]) if isinstance(step, tuple) else step for step in steps)
    quantizer = Quantizer(**choices)
    form = choose_form((scale,), chain, Interval(minimum=low, maximum=low + length), quantizer)
    words = list(range(low, low + length + 1))
    for channel in (0, 1):
        real = [exact(chain, word * scale, channel) for word in words]
        assert form_words(form, words, channel) == [quantizer.exact_word(value) for value in real]


def chosen(chain: Chain, *, top: int = 500, bits: int = 8, scale: Fraction = Fraction(1, 3)) -> Form:
    quantizer = Quantizer(scale=scale, rounding="half_even", zero_point=0, low=0, high=2**bits - 1)
    return choose_form((Fraction(1, 7),), chain, Interval(minimum=-top, maximum=top), quantizer)


@pytest.mark.parametrize(
    ("chain", "choices", "kind"),
    [
        ((), {"scale": Fraction(4, 7)}, ShiftForm),
        ((RELU,), {"scale": Fraction(4, 7)}, ShiftForm),
        ((RELU,), {}, RequantizeForm),
        ((Affine((Fraction(-2),), (Fraction(1, 3),)), RELU), {}, RequantizeForm),
        ((RELU,), {"bits": 2}, ThresholdForm),
        ((Apply("sigmoid"),), {"scale": Fraction(1, 255)}, ThresholdForm),
        ((Apply("gelu"),), {}, LookupForm),
    ],
    ids=str,
)
def test_the_cheapest_form_is_chosen(chain: Chain, choices: dict[str, object], kind: type) -> None:
    assert isinstance(chosen(chain, **choices), kind)  # type: ignore[arg-type]


def test_a_function_that_rises_and_falls_over_too_many_words_has_no_form() -> None:
    with pytest.raises(NoForm, match="rises and falls over"):
        chosen((Apply("gelu"),), top=MOST_ENTRIES)


def test_more_words_than_are_proved_have_no_form() -> None:
    with pytest.raises(NoForm, match="output words that are not a plain shift"):
        chosen((RELU,), bits=17)


def test_no_smaller_shift_would_do() -> None:
    reachable = Interval(minimum=-300, maximum=300)
    quantizer = Quantizer(scale=Fraction(3), rounding="half_even", zero_point=0, low=-8, high=7)
    form = choose_form((Fraction(1),), (), reachable, quantizer)
    assert isinstance(form, RequantizeForm)
    words = list(range(-300, 301))
    expected = [quantizer.exact_word(Fraction(word)) for word in words]
    for shift in range(form.shifts[0]):
        smaller = RequantizeForm(multipliers=(round(2**shift / 3),), offsets=(0,), shifts=(shift,), low=-8, high=7)
        assert form_words(smaller, words, 0) != expected


@pytest.mark.parametrize("off", [-1, 1])
def test_the_comparison_can_fail(off: int) -> None:
    quantizer = Quantizer(scale=Fraction(3), rounding="half_even", zero_point=0, low=-128, high=127)
    form = choose_form((Fraction(1),), (), Interval(minimum=-300, maximum=300), quantizer)
    assert isinstance(form, RequantizeForm)
    wrong = RequantizeForm(
        multipliers=(form.multipliers[0] + off,), offsets=form.offsets, shifts=form.shifts, low=-128, high=127
    )
    words = list(range(-300, 301))
    assert form_words(wrong, words, 0) != [quantizer.exact_word(Fraction(word)) for word in words]


def test_channels_alike_share_one_row() -> None:
    form = choose_form(
        (Fraction(1, 3), Fraction(1, 3)), (scaling((Fraction(2), Fraction(2))),),
        Interval(minimum=-9, maximum=9),
        Quantizer(scale=Fraction(1), rounding="half_even", zero_point=0, low=-8, high=7),
    )  # fmt: skip
    assert isinstance(form, RequantizeForm)
    assert len(form.multipliers) == 1


def test_a_power_of_two_is_told_from_its_neighbours() -> None:
    ratios = (Fraction(8), Fraction(1, 4), Fraction(3), Fraction(0), Fraction(-2), Fraction(2, 3))
    assert [power_of_two(ratio) for ratio in ratios] == [3, -2, None, None, None, None]


def test_thresholds_are_sorted_and_fit_their_format() -> None:
    form = chosen((Leaky((Fraction(1, 8), Fraction(1, 3))), RELU), bits=2)
    assert isinstance(form, ThresholdForm)
    assert (np.diff(form.thresholds, axis=1) >= 0).all()
    assert form.thresholds.max() <= form.threshold_format.maximum


def test_words_that_fill_the_carrier_cannot_be_compared() -> None:
    quantizer = Quantizer(scale=Fraction(2**60), rounding="ceil", zero_point=0, low=0, high=1)
    with pytest.raises(NoForm, match="62 bits in front of a comparison"):
        choose_form((Fraction(1),), (), Interval(minimum=-(2**61), maximum=2**61 - 1), quantizer)
