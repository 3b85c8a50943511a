"""Formats of words: how many bits, which code, what happens at the edge.

A *word* is the integer that a tensor element is stored or computed as. Its format says which integers exist and which
bits stand for them. See ``docs/integer-network.md``, Words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from hls.errors import FormatError

Encoding = Literal["twos_complement", "unsigned", "bipolar"]
"""``twos_complement``: signed integers. ``unsigned``: zero and up. ``bipolar``: one bit b for the word 2b - 1."""

Overflow = Literal["saturate", "wrap"]
"""``saturate``: clip to the nearest legal word. ``wrap``: keep the low bits."""

Rounding = Literal["half_even", "floor"]
"""``half_even``: QONNX ``ROUND``, ap_fixed ``AP_RND_CONV``. ``floor``: QONNX ``FLOOR``, ap_fixed ``AP_TRN``."""

QuantizerRounding = Literal["half_even", "floor", "ceil", "up", "down", "half_up", "half_down"]
"""What a quantizer may be defined with (QONNX names): ``up`` and ``half_up`` away from zero, ``down`` and ``half_down``
toward it. On the device only ``half_even`` and ``floor`` shift; the others become thresholds."""

Words = Int[np.ndarray, "..."]
MAXIMUM_WIDTH_BITS = 62
"""Widest word: one bit below int64's magnitude, so that a sum of two words never overflows the carrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordFormat:
    """The set of words a tensor may hold and their bits.

    Attributes:
        width_bits: Bits of one word, 1 to 62.
        encoding: Which integers the bits stand for.
        overflow: What a computation does with a result outside the range.
        narrow: Whether the *quantizer* avoids the most negative word. Stored words keep the full width: the avoided
            code is a legal faulty word, so ranges here include it.

    Example:
        >>> WordFormat(width_bits=6, encoding="twos_complement").minimum
        -32
        >>> WordFormat(width_bits=5, encoding="unsigned").maximum
        31
    """

    width_bits: int
    encoding: Encoding
    overflow: Overflow = "saturate"
    narrow: bool = False

    def __post_init__(self) -> None:
        if self.encoding == "bipolar" and self.width_bits != 1:
            raise FormatError(
                found=f"bipolar words of {self.width_bits} bits",
                allowed="bipolar words of one bit",
                where="word format",
                remedy="use two's complement or unsigned words for more bits",
            )
        if not 1 <= self.width_bits <= MAXIMUM_WIDTH_BITS or (self.signed and self.width_bits < 2):
            raise FormatError(
                found=f"{self.width_bits} bits, {self.encoding}",
                allowed=f"1 to {MAXIMUM_WIDTH_BITS} bits, at least 2 when signed",
                where="word format",
                remedy="choose another width; signed words need two bits or more",
            )
        if self.narrow and self.encoding != "twos_complement":
            raise FormatError(
                found=f"narrow range on {self.encoding} words",
                allowed="narrow range on two's-complement words",
                where="word format",
                remedy="drop narrow or make the format signed",
            )

    @property
    def signed(self) -> bool:
        """Whether words are stored in two's complement."""
        return self.encoding == "twos_complement"

    @property
    def minimum(self) -> int:
        """Smallest word the bits can hold."""
        if self.encoding == "bipolar":
            return -1
        return -(1 << (self.width_bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest word the bits can hold."""
        return (1 << (self.width_bits - 1)) - 1 if self.signed else (1 << self.width_bits) - 1

    @property
    def quantizer_minimum(self) -> int:
        """Smallest word the quantizer itself produces (differs from ``minimum`` for narrow range)."""
        return self.minimum + 1 if self.narrow else self.minimum

    def contains(self, words: Words) -> bool:
        """Whether every word can be held; true for an empty array."""
        return words.size == 0 or not bool(self._outside(words).any())

    def require(self, words: Words, where: str) -> None:
        """Refuse words that do not fit.

        Raises:
            FormatError: naming the first word outside and its index.
        """
        if self.contains(words):
            return
        outside = np.argwhere(self._outside(words))[0]
        index = ", ".join(str(int(i)) for i in outside)
        raise FormatError(
            found=f"word {int(words[tuple(outside)])}",
            allowed=f"{self.range_text} ({self.width_bits} bits, {self.encoding})",
            where=f"{where}[{index}]",
            remedy="widen the format or clip the values before quantizing",
        )

    @property
    def hardware(self) -> WordFormat:
        """The format that multipliers see: bipolar words go as two bits of two's complement, others as they are."""
        if self.encoding != "bipolar":
            return self
        return WordFormat(width_bits=2, encoding="twos_complement", overflow=self.overflow)

    @property
    def range_text(self) -> str:
        """The legal words, for people."""
        return "-1 or 1" if self.encoding == "bipolar" else f"{self.minimum} to {self.maximum}"

    def _outside(self, words: Words) -> Bool[np.ndarray, "..."]:
        outside = (words < self.minimum) | (words > self.maximum)
        return np.asarray(outside | (words == 0)) if self.encoding == "bipolar" else outside

    def clip(self, words: Words) -> Words:
        """The nearest word a quantizer of this format produces; zero becomes 1 in a bipolar format."""
        if self.encoding == "bipolar":
            return np.where(words >= 0, 1, -1).astype(np.int64)
        return np.asarray(np.clip(words, self.quantizer_minimum, self.maximum))

    def wrap(self, words: Words) -> Words:
        """Keep the low ``width_bits`` bits of each word, as an accumulator register does."""
        if self.encoding == "bipolar":
            return self.clip(words)
        modulus = 1 << self.width_bits
        low = np.bitwise_and(words.astype(np.int64), modulus - 1)
        return np.where(low > self.maximum, low - modulus, low) if self.signed else low

    def flip(self, words: Words, bit: int | Words) -> Words:
        """Flip one stored bit of each word.

        Args:
            words: Legal words, any shape.
            bit: 0 (least significant) to ``width_bits - 1`` (the sign bit when signed); one for all words, or one each.

        Raises:
            FormatError: the word has no such bit.
        """
        self.require_bit(bit)
        if self.encoding == "bipolar":
            return -words.astype(np.int64)
        return self.wrap(np.bitwise_xor(words.astype(np.int64), np.left_shift(np.int64(1), bit)))

    def bit_is_set(self, words: Words, bit: int | Words) -> Bool[np.ndarray, "..."]:
        """Whether the stored bit is one, per word; ``bit`` as for ``flip``."""
        self.require_bit(bit)
        if self.encoding == "bipolar":
            return np.asarray(words > 0)
        return np.bitwise_and(np.right_shift(words.astype(np.int64), bit), 1).astype(bool)

    def require_bit(self, bit: int | Words) -> None:
        """Refuse a bit position the word does not have."""
        outside = np.extract((np.less(bit, 0)) | np.greater_equal(bit, self.width_bits), bit)
        if outside.size:
            raise FormatError(
                found=f"bit {int(outside[0])}",
                allowed=f"0 to {self.width_bits - 1}",
                where=f"a {self.width_bits}-bit word",
                remedy="name a bit inside the word; bit 0 is the least significant",
            )

    def ap_fixed(self, scale_log2: int, *, rounding: Rounding = "floor") -> str:
        """The type in hls4ml's notation whose raw bits are these words, at scale 2**scale_log2.

        Example:
            >>> WordFormat(width_bits=6, encoding="unsigned").ap_fixed(-4, rounding="half_even")
            'ap_ufixed<6,2,AP_RND_CONV,AP_SAT>'
            >>> WordFormat(width_bits=18, encoding="twos_complement", overflow="wrap").ap_fixed(0)
            'ap_fixed<18,18>'
        """
        if self.encoding == "bipolar":  # hardware multiplies by -1 or +1: two bits of two's complement
            return self.hardware.ap_fixed(scale_log2, rounding=rounding)
        name = "ap_fixed" if self.signed else "ap_ufixed"
        integer_bits = self.width_bits + scale_log2
        if self.overflow == "wrap" and rounding == "floor":
            return f"{name}<{self.width_bits},{integer_bits}>"
        mode = {"half_even": "AP_RND_CONV", "floor": "AP_TRN"}[rounding]
        edge = {"saturate": "AP_SAT", "wrap": "AP_WRAP"}[self.overflow]
        return f"{name}<{self.width_bits},{integer_bits},{mode},{edge}>"


def smallest_signed(minimum: int, maximum: int) -> WordFormat:
    """Narrowest wrapping two's-complement format that holds an interval.

    Example:
        >>> smallest_signed(-32, 31).width_bits, smallest_signed(-33, 0).width_bits, smallest_signed(0, 0).width_bits
        (6, 7, 2)
    """
    bits = max((-minimum - 1).bit_length() if minimum < 0 else 0, maximum.bit_length() if maximum > 0 else 0) + 1
    return WordFormat(width_bits=max(bits, 2), encoding="twos_complement", overflow="wrap")


def smallest_format(minimum: int, maximum: int) -> WordFormat:
    """Narrowest saturating format that holds an interval: unsigned where nothing is negative.

    Example:
        >>> smallest_format(0, 15).encoding, smallest_format(-3, 12).width_bits
        ('unsigned', 5)
    """
    if minimum >= 0:
        return WordFormat(width_bits=max(maximum.bit_length(), 1), encoding="unsigned")
    return WordFormat(width_bits=smallest_signed(minimum, maximum).width_bits, encoding="twos_complement")
