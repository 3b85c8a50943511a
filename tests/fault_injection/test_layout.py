"""Words and bits in the rows and columns of a memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.graphs import signed, stored

from fault_injection.layout import MemoryLayout, whole_clusters
from hls.errors import UsageError


@st.composite
def layouts(draw: st.DrawFn) -> MemoryLayout:
    interleave = draw(st.integers(1, 5))
    return MemoryLayout(interleave=interleave, words_per_row=draw(st.sampled_from([None, 1, 2, 3])) and 3 * interleave)


def bits_of(words: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(words), width), np.tile(np.arange(width), words)


@given(layouts(), st.integers(1, 40), st.integers(1, 9))
def test_every_bit_has_a_cell_of_its_own_and_comes_back(layout: MemoryLayout, words: int, width: int) -> None:
    index, bit = bits_of(words, width)
    row, column = layout.cells(width, index, bit)
    assert len(set(zip(row.tolist(), column.tolist(), strict=True))) == len(index)
    assert row.min() == 0
    assert row.max() == layout.rows(words) - 1
    assert column.min() >= 0
    assert column.max() < layout.columns(width)
    back = layout.bits(width, row, column)
    assert np.array_equal(back[0], index)
    assert np.array_equal(back[1], bit)


@given(layouts(), st.integers(1, 40), st.integers(1, 9))
def test_every_cell_is_one_bit_or_beyond_the_last_word(layout: MemoryLayout, words: int, width: int) -> None:
    shape = (layout.rows(words), layout.columns(width))
    row, column = (part.reshape(-1) for part in np.indices(shape))
    index, bit = layout.bits(width, row, column)
    held = index < words
    assert held.sum() == words * width
    assert np.array_equal(np.stack(layout.cells(width, index, bit)), np.stack([row, column]))


@given(layouts(), st.integers(1, 40), st.integers(2, 9))
def test_bits_of_one_word_are_the_distance_apart(layout: MemoryLayout, words: int, width: int) -> None:
    for word in range(words):
        row, column = layout.cells(width, np.full(width, word), np.arange(width))
        assert len(set(row.tolist())) == 1
        assert (np.diff(column) == layout.interleave).all()


def test_by_default_a_word_is_a_row() -> None:
    row, column = MemoryLayout().cells(3, *bits_of(2, 3))
    assert row.tolist() == [0, 0, 0, 1, 1, 1]
    assert column.tolist() == [0, 1, 2, 0, 1, 2]


def test_interleaved_words_take_turns() -> None:
    row, column = MemoryLayout(interleave=2, words_per_row=4).cells(2, *bits_of(5, 2))
    assert row.tolist() == [0] * 8 + [1, 1]
    assert column.tolist() == [0, 2, 1, 3, 4, 6, 5, 7, 0, 2]


@pytest.mark.parametrize(("interleave", "row"), [(0, None), (-1, None), (2, 3), (1, 0), (4, 2)])
def test_a_layout_that_cannot_be_is_refused(interleave: int, row: int | None) -> None:
    with pytest.raises(UsageError, match="memory layout"):
        MemoryLayout(interleave=interleave, words_per_row=row)


@given(layouts(), st.integers(1, 30), st.integers(2, 6), st.integers(1, 3), st.integers(1, 4))
def test_clusters_are_all_rectangles_of_held_cells(
    layout: MemoryLayout, words: int, width: int, down: int, across: int
) -> None:
    tensor = stored(np.zeros(words), signed(width))
    index, bit = whole_clusters(layout, tensor, (down, across))
    row, column = (part.reshape(index.shape) for part in layout.cells(width, index.reshape(-1), bit.reshape(-1)))
    held = set(zip(*(part.tolist() for part in layout.cells(width, *bits_of(words, width))), strict=True))
    expected = {
        (top, left)
        for top, left in held
        if all((top + i, left + j) in held for i in range(down) for j in range(across))
    }
    assert set(zip(row[:, 0].tolist(), column[:, 0].tolist(), strict=True)) == expected
    assert len(index) == len(expected)
    assert np.array_equal(row - row[:, :1], np.broadcast_to(np.repeat(np.arange(down), across), row.shape))
    assert np.array_equal(column - column[:, :1], np.broadcast_to(np.tile(np.arange(across), down), row.shape))
