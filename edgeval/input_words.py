"""The format of input words where a graph never quantizes its input: given by the user, or the coarsest exact one."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from hls.errors import FormatError, InputError, UsageError
from hls.formats import Encoding, WordFormat, smallest_format
from hls.lowering import InputWords

WIDEST_DERIVED_BITS = 32
"""Widest format that is taken from samples without being asked for: beyond it no converter delivers such words."""


def parse_format(text: str, where: str) -> InputWords:
    """Format and scale of ``fixed<W,I>`` or ``ufixed<W,I>``, hls4ml's notation; I may be negative.

    Example:
        >>> parse_format("fixed<16,6>", "--input-format").scale
        Fraction(1, 1024)
    """
    match = re.fullmatch(r"(?:ap_)?(u?)fixed<\s*(\d+)\s*,\s*(-?\d+)\s*>", text)
    if match is None:
        raise UsageError(
            found=repr(text),
            allowed="fixed<W,I> or ufixed<W,I>, e.g. fixed<16,6>: W bits, I of them in front of the binary point",
            where=where,
            remedy="give the format of the words that the sensor delivers",
        )
    width, integer = int(match[2]), int(match[3])
    encoding: Encoding = "unsigned" if match[1] else "twos_complement"
    try:
        return InputWords(
            format=WordFormat(width_bits=width, encoding=encoding), scale=Fraction(2) ** (integer - width)
        )
    except FormatError as error:
        raise UsageError(
            found=error.found,
            allowed=error.allowed,
            where=where,
            remedy="give the format of the words that the sensor delivers",
        ) from error


def words_text(words: InputWords) -> str:
    """A format in hls4ml's notation, as ``parse_format`` reads it."""
    width = words.format.width_bits
    exponent = words.scale.numerator.bit_length() - words.scale.denominator.bit_length()
    return f"{'fixed' if words.format.signed else 'ufixed'}<{width},{width + exponent}>"


def coarsest_format(inputs: np.ndarray) -> InputWords:
    """The largest power-of-two step, and the fewest bits, that hold all inputs exactly.

    Raises:
        InputError: that takes more than 32 bits, or an input is no finite number.
    """
    values = np.asarray(inputs, np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            found="NaN or infinity", allowed="finite numbers", where="inputs", remedy="remove or repair those samples"
        )
    step = step_log2(values)
    low, high = (int(value) for value in (np.ldexp(values.min(), -step), np.ldexp(values.max(), -step)))
    if max(abs(low), abs(high)).bit_length() >= WIDEST_DERIVED_BITS:
        raise InputError(
            found=f"inputs from {values.min():.4g} to {values.max():.4g} in steps of 2**{step}",
            allowed=f"inputs that words of {WIDEST_DERIVED_BITS} bits hold exactly, or a format",
            where="inputs of a graph without an input quantizer",
            remedy="give --input-format fixed<W,I>, the format of the words that the sensor delivers",
        )
    return InputWords(format=smallest_format(low, high), scale=Fraction(2) ** step)


def step_log2(values: np.ndarray) -> int:
    """log2 of the largest power of two that every value is a whole multiple of."""
    mantissas, exponents = np.frexp(values[values != 0])
    if mantissas.size == 0:
        return 0
    whole = np.abs(np.ldexp(mantissas, 53)).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((exponents - 53 + trailing).min())
