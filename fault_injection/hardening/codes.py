"""Stored bits of words, in the format's own code or as sign and magnitude."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hls.formats import WordFormat, Words
from hls.graph import StoredTensor

Code = Literal["native", "sign-magnitude"]
"""``native``: the format's own code. ``sign-magnitude``: the top bit is the sign, the others hold |word|."""


def stored_bits(word_format: WordFormat, words: Words, code: Code) -> Words:
    """Words as the bits that stand for them, as integers from 0 to 2^width - 1.

    Args:
        word_format: Of the words.
        words: Legal words; for ``sign-magnitude`` none may be the most negative one, which that code lacks.
        code: How they are stored.
    """
    width = word_format.width_bits
    if word_format.encoding == "bipolar":
        return np.asarray((words + 1) // 2)
    if code == "native":
        return np.asarray(words & ((1 << width) - 1))
    return np.asarray((words < 0).astype(np.int64) << (width - 1) | np.abs(words))


def words_of(word_format: WordFormat, bits: Words, code: Code) -> Words:
    """The words that stored bits stand for; sign and magnitude has two zeros."""
    if word_format.encoding == "bipolar":
        return np.asarray(2 * bits - 1)
    if code == "native":
        return word_format.wrap(bits)
    top = 1 << (word_format.width_bits - 1)
    return np.where(bits & top, -(bits & (top - 1)), bits & (top - 1))


def has_sign_and_magnitude(tensor: StoredTensor) -> bool:
    """Whether every word of a tensor can be stored as sign and magnitude in as many bits."""
    return tensor.format.signed and not bool((tensor.words == tensor.format.minimum).any())


def zeroed_words(tensor: StoredTensor) -> Words | None:
    """Per word, the stored word that the layer sees as zero, or the nearest to it that the format has.

    ``None`` for bipolar words, which have no zero.
    """
    if tensor.format.encoding == "bipolar":
        return None
    zero = np.asarray(tensor.zero_point, np.int64)
    if zero.ndim and tensor.channel_axis not in (-1, tensor.words.ndim - 1):
        zero = zero.reshape(-1, *(1 for _ in range(tensor.words.ndim - 1 - tensor.channel_axis)))
    held = np.clip(zero, tensor.format.minimum, tensor.format.maximum)
    return np.asarray(np.broadcast_to(held, tensor.words.shape).reshape(-1))
