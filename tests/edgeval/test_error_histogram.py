from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeval.error_histogram import BINS_A_SIDE, error_histogram, histograms, tally

ERRORS = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=60)
WHOLE = st.lists(st.integers(-(1 << 40), 1 << 40), max_size=40)


@given(ERRORS)
def test_every_error_is_in_the_bin_nearest_to_it(errors: list[float]) -> None:
    found = error_histogram("float", "fc1", np.array(errors))
    expected = [0] * len(found.counts)
    for error in errors:
        expected[round(error / found.bin_lsb) - found.first] += 1
    assert list(found.counts) == expected
    assert found.errors == len(errors)


@given(ERRORS)
def test_bins_are_few_and_the_outer_ones_are_not_empty(errors: list[float]) -> None:
    found = error_histogram("float", "fc1", np.array(errors))
    assert found.counts[0]
    assert found.counts[-1]
    assert found.first >= -BINS_A_SIDE
    assert found.first + len(found.counts) - 1 <= BINS_A_SIDE


@given(WHOLE, WHOLE)
def test_blocks_add_up_to_what_all_of_them_give_at_once(one: list[int], other: list[int]) -> None:
    parts = tally(np.array(one, np.int64)).plus(tally(np.array(other, np.int64)))
    together = tally(np.array(one + other, np.int64))
    assert parts.histogram("C-simulation", "fc1") == together.histogram("C-simulation", "fc1")


def test_whole_errors_are_not_cut_finer_than_one() -> None:
    found = tally(np.array([-3, 0, 0, 1])).histogram("C-simulation", "fc1")
    assert (found.bin_lsb, found.first, found.counts, found.equal) == (1.0, -3, (1, 0, 0, 2, 1), 2)


def test_an_error_too_small_for_a_bin_is_not_called_equal() -> None:
    found = error_histogram("float", "fc1", np.array([1000.0, 1e-9, 0.0]))
    assert found.counts[0] == 2
    assert found.equal == 1


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_counted_beside_the_bins(strange: float) -> None:
    found = error_histogram("native project", "fc1", np.array([strange, 1.0]))
    assert (found.not_finite, sum(found.counts), found.errors) == (1, 1, 2)


def test_values_that_nothing_was_counted_of_have_no_histogram() -> None:
    empty: Any = tally(np.zeros((0, 3), np.int64))
    assert [one.value for one in histograms("x", {"fc1": empty, "fc2": tally(np.zeros(4, np.int64))})] == ["fc2"]
