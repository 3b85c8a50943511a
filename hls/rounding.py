"""Integer shifts with a named rounding: what the hardware's requantizers do.

Every function here is exact on int64 words and never touches a float. Source: QONNX ``IntQuant`` v1 (ROUND is ties to
even, FLOOR is toward minus infinity); AMD UG1399, ``AP_RND_CONV`` and ``AP_TRN``.
"""

from __future__ import annotations

import numpy as np

from hls.formats import Rounding, Words


def shift_right(words: Words, shift: int, rounding: Rounding) -> Words:
    """Divide words by 2**shift with a named rounding; a negative shift multiplies exactly.

    Args:
        words: int64 words, any shape.
        shift: Power of two to divide by, may be negative.
        rounding: What happens to the bits shifted out.

    Example:
        >>> shift_right(np.array([1, 2, 3, 5, 6, 7, -2, -6]), 2, "half_even").tolist()
        [0, 0, 1, 1, 2, 2, 0, -2]
        >>> shift_right(np.array([-1, 3]), 1, "floor").tolist()
        [-1, 1]
    """
    words = words.astype(np.int64, copy=False)
    if shift <= 0:
        return np.asarray(np.left_shift(words, -shift))
    if shift > 63:  # at most half a unit is left, and a tie goes to 0
        return np.asarray(np.zeros_like(words) if rounding == "half_even" else np.right_shift(words, 63))
    floor = np.right_shift(words, shift)
    if rounding == "floor":
        return np.asarray(floor)
    remainder = words - np.left_shift(floor, shift)
    half = np.int64(1) << np.int64(shift - 1)
    up = (remainder > half) | ((remainder == half) & ((floor & 1) == 1))
    return np.asarray(floor + up)
