"""Words as text: nothing is lost, a row is a row, and damage is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeval.regression.packed_words import ROW_WORDS, pack_rows, unpack_rows
from hls.errors import InputError
from hls.formats import WordFormat

FORMATS = st.one_of(
    st.builds(WordFormat, width_bits=st.integers(2, 62), encoding=st.just("twos_complement")),
    st.builds(WordFormat, width_bits=st.integers(1, 62), encoding=st.just("unsigned")),
    st.just(WordFormat(width_bits=1, encoding="bipolar")),
)


@given(word_format=FORMATS, shape=st.sampled_from([(0,), (1,), (7,), (128,), (129,), (3, 5, 11)]), seed=st.integers(0))
def test_words_come_back_as_they_were(word_format: WordFormat, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = rng.integers(word_format.minimum, word_format.maximum, shape, endpoint=True, dtype=np.int64)
    if word_format.encoding == "bipolar":
        words = np.where(words >= 0, 1, -1)
    assert np.array_equal(unpack_rows(pack_rows(words, word_format), word_format, shape, "test"), words)


def test_a_changed_word_changes_one_row() -> None:
    word_format = WordFormat(width_bits=6, encoding="twos_complement")
    words = np.arange(10 * ROW_WORDS) % 60 - 30
    changed = words.copy()
    changed[3 * ROW_WORDS + 5] += 1
    before, after = pack_rows(words, word_format), pack_rows(changed, word_format)
    assert [i for i in range(10) if before[i] != after[i]] == [3]


@pytest.mark.parametrize("rows", [("not base 85 \x00",), ("0",), (), ("00000", "00000")])
def test_damaged_rows_are_refused(rows: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="packed words that cannot be read"):
        unpack_rows(rows, WordFormat(width_bits=4, encoding="unsigned"), (20,), "fc1.weight")
