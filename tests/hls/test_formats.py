from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.errors import FormatError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat, smallest_signed

signed_formats = st.builds(
    WordFormat,
    width_bits=st.integers(2, MAXIMUM_WIDTH_BITS),
    encoding=st.just("twos_complement"),
    overflow=st.sampled_from(["saturate", "wrap"]),
    narrow=st.booleans(),
)
unsigned_formats = st.builds(
    WordFormat, width_bits=st.integers(1, MAXIMUM_WIDTH_BITS), encoding=st.just("unsigned")
)  # fmt: skip
formats = signed_formats | unsigned_formats


@st.composite
def stored_bits(draw: st.DrawFn) -> tuple[WordFormat, np.ndarray, int]:
    word_format = draw(formats)
    words = draw(st.lists(st.integers(word_format.minimum, word_format.maximum), min_size=1, max_size=5))
    top = word_format.width_bits - 1
    return word_format, np.array(words, np.int64), draw(st.sampled_from([0, top]) | st.integers(0, top))


def signed(width_bits: int, *, narrow: bool = False) -> WordFormat:
    return WordFormat(width_bits=width_bits, encoding="twos_complement", narrow=narrow)


def unsigned(width_bits: int) -> WordFormat:
    return WordFormat(width_bits=width_bits, encoding="unsigned")


@given(formats)
def test_the_range_holds_as_many_words_as_the_bits_have_codes(word_format: WordFormat) -> None:
    assert word_format.maximum - word_format.minimum + 1 == 2**word_format.width_bits


@given(stored_bits())
def test_flipping_a_bit_twice_gives_the_word_back(case: tuple[WordFormat, np.ndarray, int]) -> None:
    word_format, words, bit = case
    assert np.array_equal(word_format.flip(word_format.flip(words, bit), bit), words)


@given(stored_bits())
def test_a_flipped_word_is_a_legal_word_with_that_bit_inverted(case: tuple[WordFormat, np.ndarray, int]) -> None:
    word_format, words, bit = case
    flipped = word_format.flip(words, bit)
    assert word_format.contains(flipped)
    assert np.array_equal(word_format.bit_is_set(flipped, bit), ~word_format.bit_is_set(words, bit))


@given(stored_bits())
def test_a_flip_moves_the_word_by_the_weight_of_its_bit(case: tuple[WordFormat, np.ndarray, int]) -> None:
    word_format, words, bit = case
    assert np.all(np.abs(word_format.flip(words, bit) - words) == 2**bit)


@given(stored_bits())
def test_bits_make_up_the_word(case: tuple[WordFormat, np.ndarray, int]) -> None:
    word_format, words, _ = case
    weights = [2**bit for bit in range(word_format.width_bits)]
    if word_format.signed:
        weights[-1] = -weights[-1]
    total = sum(word_format.bit_is_set(words, bit) * weight for bit, weight in enumerate(weights))
    assert np.array_equal(total, words)


@given(formats, st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=5))
def test_wrapping_lands_in_the_range_and_is_congruent(word_format: WordFormat, words: list[int]) -> None:
    wrapped = word_format.wrap(np.array(words, np.int64))
    assert word_format.contains(wrapped)
    assert all((int(w) - v) % 2**word_format.width_bits == 0 for w, v in zip(wrapped, words, strict=True))


@given(stored_bits())
def test_wrapping_a_legal_word_changes_nothing(case: tuple[WordFormat, np.ndarray, int]) -> None:
    word_format, words, _ = case
    assert np.array_equal(word_format.wrap(words), words)


@given(st.integers(-(2**60), 2**60), st.integers(0, 2**60 - 1))
def test_the_smallest_signed_format_holds_its_interval_and_one_bit_less_does_not(low: int, length: int) -> None:
    found = smallest_signed(low, low + length)
    assert found.minimum <= low
    assert low + length <= found.maximum
    if found.width_bits > 2:
        less = signed(found.width_bits - 1)
        assert low < less.minimum or low + length > less.maximum


def test_the_sign_bit_of_the_largest_word_flips() -> None:
    # PyTorchFI raises here: its quantizer makes 2**(b-1) of the profiled maximum, and bin() of that has no such bit.
    assert signed(8).flip(np.array([127]), 7).tolist() == [-1]


def test_a_narrow_format_reaches_the_most_negative_word_by_a_flip() -> None:
    assert signed(4, narrow=True).flip(np.array([0]), 3).tolist() == [-8]


def test_a_narrow_quantizer_stops_one_above_the_most_negative_word() -> None:
    assert signed(4, narrow=True).quantizer_minimum == -7
    assert signed(4, narrow=True).minimum == -8


@pytest.mark.parametrize(
    ("width_bits", "encoding"),
    [(0, "unsigned"), (MAXIMUM_WIDTH_BITS + 1, "unsigned"), (1, "twos_complement"), (-3, "twos_complement")],
)
def test_a_width_that_no_word_can_have_is_refused(width_bits: int, encoding: str) -> None:
    with pytest.raises(FormatError, match=f"{width_bits} bits"):
        WordFormat(width_bits=width_bits, encoding=encoding)


def test_narrow_unsigned_is_refused() -> None:
    with pytest.raises(FormatError, match="narrow range on unsigned"):
        WordFormat(width_bits=4, encoding="unsigned", narrow=True)


def test_a_word_outside_is_named_with_its_index() -> None:
    with pytest.raises(FormatError, match=r"fc1\.weight\[1, 0\]: found word 8; allowed: -8 to 7") as caught:
        signed(4).require(np.array([[7, -8], [8, 9]]), "fc1.weight")
    assert caught.value.remedy


def test_an_empty_array_fits_every_format() -> None:
    assert unsigned(1).contains(np.zeros(0, np.int64))


@pytest.mark.parametrize("bit", [-1, 4])
def test_a_bit_outside_the_word_is_refused(bit: int) -> None:
    with pytest.raises(FormatError, match=f"bit {bit}"):
        signed(4).flip(np.array([0]), bit)


@pytest.mark.parametrize(
    ("word_format", "scale_log2", "text"),
    [
        (signed(4), 0, "ap_fixed<4,4,AP_TRN,AP_SAT>"),
        (unsigned(4), -2, "ap_ufixed<4,2,AP_TRN,AP_SAT>"),
        (smallest_signed(-512, 511), 3, "ap_fixed<10,13>"),
    ],
)
def test_formats_are_told_in_the_notation_of_hls4ml(word_format: WordFormat, scale_log2: int, text: str) -> None:
    assert word_format.ap_fixed(scale_log2) == text
