from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.rounding import shift_right

words = st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=8)


@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=8), st.integers(1, 40))
def test_every_tie_goes_to_the_even_neighbour(floors: list[int], shift: int) -> None:
    ties = [(2 * floor + 1) * 2 ** (shift - 1) for floor in floors]
    expected = [floor + floor % 2 for floor in floors]
    assert shift_right(np.array(ties, np.int64), shift, "half_even").tolist() == expected


@given(words, st.integers(0, 62))
def test_half_even_is_the_rounding_of_rational_arithmetic(values: list[int], shift: int) -> None:
    expected = [round(Fraction(value, 2**shift)) for value in values]
    assert shift_right(np.array(values, np.int64), shift, "half_even").tolist() == expected


@given(words, st.integers(0, 62))
def test_floor_goes_to_minus_infinity(values: list[int], shift: int) -> None:
    expected = [math.floor(Fraction(value, 2**shift)) for value in values]
    assert shift_right(np.array(values, np.int64), shift, "floor").tolist() == expected


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=8), st.integers(0, 30))
@pytest.mark.parametrize("rounding", ["half_even", "floor"])
def test_a_negative_shift_multiplies_exactly(rounding: str, values: list[int], shift: int) -> None:
    expected = [value * 2**shift for value in values]
    assert shift_right(np.array(values, np.int64), -shift, rounding).tolist() == expected


@given(st.integers(-(2**40), 2**40), st.integers(1, 20))
def test_rounding_never_falls_as_the_word_rises(value: int, shift: int) -> None:
    pair = shift_right(np.array([value, value + 1]), shift, "half_even")
    assert pair[0] <= pair[1]


@pytest.mark.parametrize(
    ("halves", "rounding", "expected"),
    # QONNX IntQuant v1, rounding_mode table: x = −1.5, −0.5, 0.5, 1.5, 2.5 in units of one half.
    [
        ([-3, -1, 1, 3, 5], "half_even", [-2, 0, 0, 2, 2]),
        ([-3, -1, 1, 3, 5], "floor", [-2, -1, 0, 1, 2]),
    ],
)
def test_ties_go_where_the_table_of_qonnx_says(halves: list[int], rounding: str, expected: list[int]) -> None:
    assert shift_right(np.array(halves), 1, rounding).tolist() == expected


def test_the_words_given_are_left_alone() -> None:
    given_words = np.array([5, 6, 7])
    shift_right(given_words, 1, "half_even")
    assert given_words.tolist() == [5, 6, 7]
