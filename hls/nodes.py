"""The nodes of the integer network: what each does to words, as data.

A node names its input and output values and its stored tensors; the executors give it meaning
(``hls/engine.py``, hls4ml's C++). The table in ``docs/integer-network.md`` is read by a test and compared with
``NODE_KINDS`` below.
"""

from __future__ import annotations

import msgspec

from hls.formats import Rounding, WordFormat


class Quantize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = saturate(round(value / scale)), once, on the host, in float64.

    Attributes:
        format: Of the words produced.
        scale: Real value of one unit, > 0.
        rounding: Named rounding of ``value / scale``.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    scale: float
    rounding: Rounding


class Flatten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """All axes but the first become one, in C order."""

    name: str
    input: str
    output: str


class MatMul(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """accumulator[o] = Σ_i input[i] × weight[i, o] + bias[o].

    Attributes:
        weight: Name of the stored tensor, words of shape [inputs, outputs].
        bias: Name of the stored tensor, words of shape [outputs], at the accumulator's scale; ``None`` for no bias.
        accumulator: Format of the sum. As wide as the formats can make it, or narrower on purpose; then it wraps.
    """

    name: str
    input: str
    output: str
    weight: str
    bias: str | None
    accumulator: WordFormat


class Shift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = clip(round(word / 2**shift), low, high): ReLU and power-of-two requantization at once.

    Attributes:
        shift: Power of two to divide by; negative multiplies.
        low: Smallest word produced, e.g. 0 for a ReLU in front of a signed quantizer.
        high: Largest word produced.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    shift: int
    rounding: Rounding
    low: int
    high: int


class Requantize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = clip(round((word × multiplier[c] + offset[c]) / 2**shift[c]), low, high), ties to even.

    Attributes:
        multipliers: One, or one a channel (last axis); at least 1.
        offsets: As many as ``multipliers``.
        shifts: As many as ``multipliers``; at least 0.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]
    shifts: tuple[int, ...]
    low: int
    high: int


Node = Quantize | Flatten | MatMul | Shift | Requantize

NODE_KINDS: dict[str, type] = {kind.__name__: kind for kind in (Quantize, Flatten, MatMul, Shift, Requantize)}
"""Every kind of node, by the name it has in ``network.npz`` and in the documentation."""
