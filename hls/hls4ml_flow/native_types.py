"""Fixed-point types as ``defines.h`` spells them, and what assigning a real value to one does.

Source: AMD Vitis HLS user guide (UG1399), arbitrary precision fixed-point data types: quantization and overflow modes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "..."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApType:
    """An ``ap_fixed``, ``ap_ufixed``, ``ap_int`` or ``ap_uint``.

    Attributes:
        width_bits: All bits.
        integer_bits: Bits in front of the binary point, the sign included.
        rounding, overflow: AMD's names of the modes.
        packed: Elements of one ``nnet::array`` of a stream, 1 for a plain type.
    """

    width_bits: int
    integer_bits: int
    signed: bool
    rounding: str = "AP_TRN"
    overflow: str = "AP_WRAP"
    packed: int = 1

    @property
    def unit(self) -> float:
        """Real value of the lowest bit."""
        return float(np.ldexp(1.0, self.integer_bits - self.width_bits))

    @property
    def minimum(self) -> int:
        """Smallest word."""
        return -(1 << (self.width_bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest word."""
        return (1 << (self.width_bits - 1)) - 1 if self.signed else (1 << self.width_bits) - 1

    def __str__(self) -> str:
        name = "ap_fixed" if self.signed else "ap_ufixed"
        modes = "" if (self.rounding, self.overflow) == ("AP_TRN", "AP_WRAP") else f",{self.rounding},{self.overflow}"
        return f"{name}<{self.width_bits},{self.integer_bits}{modes}>"

    @property
    def hls4ml(self) -> str:
        """As hls4ml's configuration spells it, e.g. ``fixed<16,6,RND_CONV,SAT>``."""
        return str(self).replace("ap_", "", 1).replace("AP_", "")

    def rounded(self, values: Values) -> Values:
        """Real values on the type's grid, its range not yet regarded."""
        return np.asarray(_ROUNDINGS[self.rounding](np.asarray(values / self.unit)) * self.unit)

    def limited(self, values: Values) -> Values:
        """Real values brought into the type's range by its overflow mode."""
        words = values / self.unit
        if self.overflow == "AP_WRAP":
            span = float(1 << self.width_bits)
            return np.asarray((np.mod(words - self.minimum, span) + self.minimum) * self.unit)
        low = -self.maximum if self.overflow == "AP_SAT_SYM" and self.signed else self.minimum
        if self.overflow == "AP_SAT_ZERO":
            return np.asarray(np.where((words < low) | (words > self.maximum), 0.0, values))
        return np.asarray(np.clip(words, low, self.maximum) * self.unit)

    def assigned(self, values: Values) -> Values:
        """What the type holds after real values are assigned to it."""
        return self.limited(self.rounded(values))

    def holds(self, low: float, high: float) -> bool:
        """Whether an interval of real values lies inside the range."""
        return self.minimum * self.unit <= low and high <= self.maximum * self.unit


def _half_up(values: Values) -> Values:
    return np.asarray(np.floor(values + 0.5))


def _half_down(values: Values) -> Values:
    return np.asarray(np.ceil(values - 0.5))


_ROUNDINGS: dict[str, Callable[[Values], Values]] = {
    "AP_TRN": np.floor,
    "AP_TRN_ZERO": np.trunc,
    "AP_RND_CONV": np.rint,
    "AP_RND": _half_up,
    "AP_RND_MIN_INF": _half_down,
    "AP_RND_INF": lambda values: np.sign(values) * _half_up(np.abs(values)),
    "AP_RND_ZERO": lambda values: np.sign(values) * _half_down(np.abs(values)),
}
"""Quantization modes on values counted in units of the lowest bit."""


def parse_type(text: str) -> ApType | None:
    """The type that a ``typedef`` names, ``None`` for one that is no fixed-point type."""
    packed = 1
    if match := re.fullmatch(r"nnet::array<\s*(.+>)\s*,\s*([\d*\s]+)>", text.strip()):
        text, packed = match[1], prod(int(factor) for factor in match[2].split("*"))
    if match := re.fullmatch(r"ap_(u?)fixed<\s*(\d+)\s*,\s*(-?\d+)\s*((?:,[^<>]*)?)>", text.strip()):
        modes = [part.strip() for part in match[4].split(",") if part.strip()]
        return ApType(
            width_bits=int(match[2]),
            integer_bits=int(match[3]),
            signed=match[1] == "",
            rounding=modes[0] if modes else "AP_TRN",
            overflow=modes[1] if len(modes) > 1 else "AP_WRAP",
            packed=packed,
        )
    if match := re.fullmatch(r"ap_(u?)int<\s*(\d+)\s*>", text.strip()):
        return ApType(width_bits=int(match[2]), integer_bits=int(match[2]), signed=match[1] == "", packed=packed)
    return None
