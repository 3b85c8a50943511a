"""Words as short text that is the same on every machine, in rows, so that one changed word changes one row.

Bits of each word, least significant first, one word behind the other, in base 85. Not compressed: measured on the
digits and MNIST networks that would save 15 %, and a single changed weight would change all text behind it.
"""

from __future__ import annotations

import base64
from math import prod

import numpy as np

from hls.errors import InputError
from hls.formats import WordFormat, Words

ROW_WORDS = 128
"""Words of one row: a multiple of 8, so that rows end at whole bytes."""


def pack_rows(words: Words, word_format: WordFormat) -> tuple[str, ...]:
    """Rows of text that hold words of a format, in C order.

    Example:
        >>> pack_rows(np.array([1, -2, 3]), WordFormat(width_bits=4, encoding="twos_complement"))
        (';R6',)
    """
    flat = words.reshape(-1)
    if word_format.encoding == "bipolar":
        flat = (flat + 1) // 2
    return tuple(_packed(flat[start : start + ROW_WORDS], word_format) for start in range(0, flat.size, ROW_WORDS))


def unpack_rows(rows: tuple[str, ...], word_format: WordFormat, shape: tuple[int, ...], where: str) -> Words:
    """The words again.

    Args:
        rows: What ``pack_rows`` gave.
        word_format: Of the words.
        shape: Of the result.
        where: What they are of, for the error.

    Raises:
        InputError: the text is damaged, or holds another number of words.
    """
    size = prod(shape)
    try:
        if min(shape, default=0) < 0 or len(rows) != -(-size // ROW_WORDS):
            raise ValueError(f"{len(rows)} rows")  # noqa: TRY301  # as base64 and NumPy raise it
        bits = [np.unpackbits(np.frombuffer(base64.b85decode(row), np.uint8), bitorder="little") for row in rows]
        width = word_format.width_bits
        rest = [min(ROW_WORDS, size - start) for start in range(0, size, ROW_WORDS)]
        parts = [row[: count * width].reshape(count, width) for row, count in zip(bits, rest, strict=True)]
        whole = np.concatenate(parts) if parts else np.zeros((0, width), np.uint8)
    except ValueError as error:
        raise InputError(
            found=f"packed words that cannot be read ({error})",
            allowed=f"{size:,} words of {word_format.width_bits} bits",
            where=where,
            remedy="take the file from version control again, or lock anew",
        ) from error
    return _signed(whole.astype(np.int64) @ (1 << np.arange(width, dtype=np.int64)), word_format).reshape(shape)


def _packed(words: Words, word_format: WordFormat) -> str:
    bits = np.bitwise_and(np.right_shift(words[:, None], np.arange(word_format.width_bits)), 1).astype(np.uint8)
    return base64.b85encode(np.packbits(bits.reshape(-1), bitorder="little").tobytes()).decode()


def _signed(codes: Words, word_format: WordFormat) -> Words:
    if word_format.encoding == "bipolar":
        return 2 * codes - 1
    return np.where(codes > word_format.maximum, codes - (1 << word_format.width_bits), codes)
