"""What the host computes in float64 around the integer network: the input quantizer and the float tail.

Both run once for all executors, so they cannot make two executors differ.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from jaxtyping import Float

from hls.formats import QuantizerRounding, Words
from hls.functions import FUNCTIONS
from hls.nodes import Quantize


class HostAffine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """value × factor + offset; one of each, or one a channel (last axis)."""

    factors: tuple[float, ...]
    offsets: tuple[float, ...]


class HostClip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """min(max(value, low), high); ``None`` for no bound."""

    low: float | None
    high: float | None


class HostApply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """A function of ``hls/functions.py``, or ``softmax`` and ``log_softmax`` over the channels (last axis)."""

    function: str
    parameters: tuple[float, ...] = ()


HostStep = HostAffine | HostClip | HostApply


def quantize(node: Quantize, values: np.ndarray) -> Words:
    """Input words of real inputs of shape (samples, ...); see ``Quantize``."""
    samples = len(values)
    real = np.asarray(values, np.float64).reshape(samples, *node.view).transpose(0, *(axis + 1 for axis in node.axes))
    real = real * node.factor + node.offset
    if node.format.encoding == "bipolar":
        return np.where(real >= 0, 1, -1).astype(np.int64)
    words = ROUNDINGS[node.rounding](real / node.scale + node.zero_point) - node.zero_point
    return np.asarray(np.clip(words, node.low, node.high), np.int64)


def real_inputs(node: Quantize, words: Words) -> Float[np.ndarray, "..."]:
    """Real inputs in the middle of what the quantizer makes of some words, shape (samples, *view)."""
    inverse = [node.axes.index(axis) + 1 for axis in range(len(node.axes))]
    return np.asarray(((words * node.scale - node.offset) / node.factor).transpose(0, *inverse))


def _away(values: Float[np.ndarray, "..."], magnitude: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.asarray(np.sign(values) * magnitude)


ROUNDINGS: dict[QuantizerRounding, Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]]] = {
    "half_even": np.rint,
    "floor": np.floor,
    "ceil": np.ceil,
    "up": lambda values: _away(values, np.ceil(np.abs(values))),
    "down": np.trunc,
    "half_up": lambda values: _away(values, np.floor(np.abs(values) + 0.5)),
    "half_down": lambda values: _away(values, np.ceil(np.abs(values) - 0.5)),
}
"""Every named rounding of real values in float64."""


def run_tail(tail: tuple[HostStep, ...], values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Apply a float tail to real output values, samples first."""
    for step in tail:
        values = _step(step, values)
    return values


def _step(step: HostStep, values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    if isinstance(step, HostAffine):
        return np.asarray(values * np.asarray(step.factors) + np.asarray(step.offsets))
    if isinstance(step, HostClip):
        return np.asarray(np.clip(values, step.low, step.high))
    if step.function in ("softmax", "log_softmax"):
        logarithms = _log_softmax(values)
        return np.exp(logarithms) if step.function == "softmax" else logarithms
    return np.asarray(FUNCTIONS[step.function].value(values, *step.parameters))


def _log_softmax(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
