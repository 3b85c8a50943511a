"""Single error correction, double error detection: a Hamming code and one more parity bit, for words of any width.

Data bits take the positions 1, 2, 3, ... that are no powers of two, check bit j takes position 2^j and makes the parity
of all positions with bit j set even; the last check bit makes the parity of everything even.
Source: R. W. Hamming, "Error detecting and error correcting codes", Bell System Technical Journal 29 (1950), sections 3
and 4.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from hls.formats import Words

CLEAN, CORRECTED, DETECTED = 0, 1, 2
"""What decoding a word found: no error, one that was removed, an even number of errors that was only seen."""


@lru_cache
def check_bits(width_bits: int) -> int:
    """Check bits of a word, the overall parity among them: r + 1 with the smallest r that has 2^r > width + r.

    Example:
        >>> [check_bits(width) for width in (1, 4, 6, 8, 11, 12, 64)]
        [3, 4, 5, 5, 5, 6, 8]
    """
    r = 1
    while (1 << r) <= width_bits + r:
        r += 1
    return r + 1


def encode(bits: Words, width_bits: int) -> Words:
    """Check bits of words: bit j of the result is check bit j, the topmost the overall parity.

    Args:
        bits: Stored bits as integers, 0 to 2^width - 1.
        width_bits: Of a word.
    """
    r = check_bits(width_bits) - 1
    checks = np.zeros_like(bits)
    for j, covered in enumerate(_coverage(width_bits)):
        checks |= parity(bits & covered) << j
    return np.asarray(checks | (parity(bits) ^ parity(checks)) << r)


def decode(bits: Words, checks: Words, width_bits: int) -> tuple[Words, Int[np.ndarray, "..."]]:
    """Words with one wrong bit put right.

    Args:
        bits: Stored bits as they are read.
        checks: Check bits as they are read.
        width_bits: Of a word.

    Returns:
        (stored bits, what was found). Where an error was only detected the bits are as they were read.
    """
    r = check_bits(width_bits) - 1
    syndrome = np.zeros_like(bits)
    for j, covered in enumerate(_coverage(width_bits)):
        syndrome |= (parity(bits & covered) ^ (checks >> j & 1)) << j
    odd = (parity(bits) ^ parity(checks)).astype(bool)
    error = np.zeros_like(bits)
    for bit, position in enumerate(_positions(width_bits)):
        error |= np.where(odd & (syndrome == position), np.int64(1) << bit, 0)
    known = (error != 0) | (syndrome == 0) | (syndrome & (syndrome - 1) == 0)  # a data, the parity or a check bit
    known &= syndrome <= width_bits + r
    found = np.where(odd, np.where(known, CORRECTED, DETECTED), np.where(syndrome == 0, CLEAN, DETECTED))
    return np.asarray(bits ^ error), found


def parity(bits: Words) -> Words:
    """1 where an odd number of bits is set."""
    return np.asarray(np.bitwise_count(bits) & 1).astype(np.int64)


@lru_cache
def _positions(width_bits: int) -> tuple[int, ...]:
    candidates = (p for p in range(1, 2 * width_bits + 4) if p & (p - 1))
    return tuple(next(candidates) for _ in range(width_bits))


@lru_cache
def _coverage(width_bits: int) -> tuple[int, ...]:
    positions = _positions(width_bits)
    return tuple(
        sum(1 << bit for bit, position in enumerate(positions) if position >> j & 1)
        for j in range(check_bits(width_bits) - 1)
    )
