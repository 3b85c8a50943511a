"""Where stored bits lie: words in the rows of a memory, the bits of one word apart by the interleaving distance.

Every stored tensor is a memory of its own, ``words_per_row`` words to a row, in C order. Within a row, ``interleave``
words form a group in which the bits take turns: bit 0 of each of them, then bit 1 of each, and so on. Neighbouring
columns then belong to different words, and two bits of one word are ``interleave`` columns or more apart. That is how
the column multiplexer of an SRAM lays bits out, so that one particle rarely upsets two bits of one word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from hls.errors import UsageError
from hls.graph import StoredTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLayout:
    """The map between (word, bit) and (row, column) of one memory.

    Attributes:
        interleave: Columns between two neighbouring bits of a word; 1 for bits side by side.
        words_per_row: A multiple of ``interleave``; ``None`` for exactly that many, so one word a row without
            interleaving.

    Example:
        >>> MemoryLayout(interleave=2).cells(3, np.array([0, 0, 1, 5]), np.array([0, 1, 0, 2]))
        (array([0, 0, 0, 2]), array([0, 2, 1, 5]))
    """

    interleave: int = 1
    words_per_row: int | None = None

    def __post_init__(self) -> None:
        if self.interleave < 1:
            raise UsageError(
                found=f"interleaving distance {self.interleave}",
                allowed="1 or more",
                where="memory layout",
                remedy="give 1 for bits side by side",
            )
        if self.words_per_row is not None and (self.words_per_row < 1 or self.words_per_row % self.interleave):
            raise UsageError(
                found=f"{self.words_per_row} words per row, interleaved {self.interleave} apart",
                allowed=f"a multiple of {self.interleave}",
                where="memory layout",
                remedy="fill every group of interleaved words",
            )

    @property
    def row_words(self) -> int:
        """Words of one row."""
        return self.interleave if self.words_per_row is None else self.words_per_row

    def rows(self, words: int) -> int:
        """Rows of a memory of so many words; the last may hold fewer than the others."""
        return -(-words // self.row_words)

    def columns(self, width_bits: int) -> int:
        """Columns of a memory of words of a width."""
        return self.row_words * width_bits

    def cells(
        self, width_bits: int, index: Int[np.ndarray, " bits"], bit: Int[np.ndarray, " bits"]
    ) -> tuple[Int[np.ndarray, " bits"], Int[np.ndarray, " bits"]]:
        """Row and column of bits.

        Args:
            width_bits: Of the memory's words.
            index: Word of each.
            bit: Bit of each; 0 is the least significant and lies leftmost.
        """
        group, lane = np.divmod(index % self.row_words, self.interleave)
        return index // self.row_words, (group * width_bits + bit) * self.interleave + lane

    def bits(
        self, width_bits: int, row: Int[np.ndarray, " cells"], column: Int[np.ndarray, " cells"]
    ) -> tuple[Int[np.ndarray, " cells"], Int[np.ndarray, " cells"]]:
        """Word and bit of cells; the word is beyond the last one where the last row is not full."""
        slot, lane = np.divmod(column, self.interleave)
        group, bit = np.divmod(slot, width_bits)
        return row * self.row_words + group * self.interleave + lane, bit


def whole_clusters(
    layout: MemoryLayout, tensor: StoredTensor, size: tuple[int, int]
) -> tuple[Int[np.ndarray, "clusters cells"], Int[np.ndarray, "clusters cells"]]:
    """Every rectangle of cells of a tensor's memory, by the words and bits it covers.

    A rectangle that would stick out of the memory, or cover a cell of the last row that holds no word, is left out:
    what remained of it would be a smaller rectangle, counted under its own size.

    Args:
        layout: Of the memory.
        tensor: What is stored in it.
        size: Rows and columns of the rectangle.

    Returns:
        Flat word indices and bits, cells in C order, so the first is the upper left one. Rectangles are sorted by the
        word and bit of that cell, which no two of them share.
    """
    width, words = tensor.format.width_bits, tensor.words.size
    down, across = max(0, layout.rows(words) - size[0] + 1), max(0, layout.columns(width) - size[1] + 1)
    anchors = np.stack(np.meshgrid(np.arange(down), np.arange(across), indexing="ij")).reshape(2, -1)
    steps = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")).reshape(2, -1)
    row, column = (anchors[:, :, None] + steps[:, None, :]).reshape(2, -1)
    index, bit = (part.reshape(anchors.shape[1], steps.shape[1]) for part in layout.bits(width, row, column))
    whole = (index < words).all(axis=1)
    index, bit = index[whole], bit[whole]
    order = np.lexsort((bit[:, 0], index[:, 0]))
    return index[order], bit[order]
