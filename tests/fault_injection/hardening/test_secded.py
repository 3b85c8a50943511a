"""The error-correcting code of words: every single flip is put right, every double one is seen."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fault_injection.hardening.secded import CLEAN, CORRECTED, DETECTED, check_bits, decode, encode

WIDTHS = range(2, 17)


def code_words(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Words of a width, the extreme ones among them, and their check bits."""
    top = (1 << width) - 1
    words = np.unique(np.array([0, 1, top, top >> 1, *np.random.default_rng(width).integers(0, top + 1, 4)]))
    return words, encode(words, width)


def flipped(
    words: np.ndarray, checks: np.ndarray, width: int, places: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Code words with some of their physical bits inverted, data bits first."""
    data = sum(1 << place for place in places if place < width)
    added = sum(1 << (place - width) for place in places if place >= width)
    return words ^ data, checks ^ added


@pytest.mark.parametrize("width", WIDTHS)
def test_a_word_without_errors_is_clean(width: int) -> None:
    words, checks = code_words(width)
    read, found = decode(words, checks, width)
    assert np.array_equal(read, words)
    assert (found == CLEAN).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_single_flip_is_put_right_in_data_and_check_bits(width: int) -> None:
    words, checks = code_words(width)
    for place in range(width + check_bits(width)):
        read, found = decode(*flipped(words, checks, width, (place,)), width)
        assert np.array_equal(read, words), place
        assert (found == CORRECTED).all(), place


@pytest.mark.parametrize("width", WIDTHS)
def test_every_double_flip_is_detected_and_none_is_mistaken_for_a_single_one(width: int) -> None:
    words, checks = code_words(width)
    for places in combinations(range(width + check_bits(width)), 2):
        _, found = decode(*flipped(words, checks, width, places), width)
        assert (found == DETECTED).all(), places


@pytest.mark.parametrize("width", WIDTHS)
def test_there_are_as_few_check_bits_as_the_bound_allows(width: int) -> None:
    r = check_bits(width) - 1
    assert 2**r > width + r
    assert 2 ** (r - 1) <= width + r - 1
    _, checks = code_words(width)
    assert checks.max() < 1 << (r + 1)


def test_a_position_that_no_bit_has_is_no_correction() -> None:
    width = 2  # three Hamming check bits reach position 7, but there are only five bits
    data, checks = np.array([0]), encode(np.array([0]), width)
    wrong = checks ^ 0b1110 ^ 0b0000  # check bits 1 and 2 and the parity: syndrome 6, odd
    read, found = decode(data, wrong, width)
    assert read.tolist() == [0]
    assert found.tolist() == [DETECTED]
