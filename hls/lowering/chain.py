"""The real arithmetic between a sum and the next quantizer, kept exactly until the quantizer says what it needs.

A chain is evaluated in two ways: in float64 with a bound of its own error, for whole arrays, and exactly in rationals
for the few values that the bound cannot decide. With the roundoff of float32 in place of float64's, the same bound says
what a float32 execution of the graph may be off by.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeVar

import numpy as np

from hls.functions import FUNCTIONS, Reals, exact_value

FLOAT64_ROUNDOFF = 2.0**-52
"""Relative error of one float64 operation, with room for the rounding of the constants."""
FLOAT32_ROUNDOFF = 2.0**-23

Rationals = tuple[Fraction, ...]
"""One number for a tensor, or one a channel."""


@dataclass(frozen=True, slots=True)
class Affine:
    """value × factor + offset, one of each or one a channel."""

    factors: Rationals
    offsets: Rationals


@dataclass(frozen=True, slots=True)
class Clip:
    """min(max(value, low), high); ``None`` for no bound."""

    low: Fraction | None
    high: Fraction | None


@dataclass(frozen=True, slots=True)
class Leaky:
    """value where it is positive, value × slope where it is not; one slope or one a channel."""

    slopes: Rationals


@dataclass(frozen=True, slots=True)
class Apply:
    """A named function of ``hls/functions.py``."""

    function: str
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Product or sum of two chains of the same value: x × sigmoid(x), as exporters write SiLU and GELU."""

    operation: Literal["mul", "add"]
    left: Chain
    right: Chain


@dataclass(frozen=True, slots=True)
class HostOnly:
    """A function across channels, which only the host's float tail can carry."""

    function: Literal["softmax", "log_softmax"]


Step = Affine | Clip | Leaky | Apply | Pair | HostOnly
Chain = tuple[Step, ...]

RELU = Clip(low=Fraction(0), high=None)


def scaling(factors: Rationals) -> Affine:
    """A multiplication and nothing else."""
    return Affine(factors=factors, offsets=(Fraction(0),))


def directions(chain: Chain) -> tuple[int, ...] | None:
    """Whether the chain rises (1), falls (-1) or is constant (0), one or one a channel; ``None`` if it does both."""
    result: tuple[int, ...] = (1,)
    for step in chain:
        match step:
            case Affine(factors=factors):
                signs = tuple((f > 0) - (f < 0) for f in factors)
            case Leaky(slopes=slopes) if any(slope < 0 for slope in slopes):
                return None
            case Apply(function=name) if not FUNCTIONS[name].rising:
                return None
            case Pair() | HostOnly():
                return None
            case _:
                continue
        result = tuple(a * b for a, b in zip(*_paired(result, signs), strict=True))
    return result


def linear(chain: Chain) -> tuple[Rationals, Rationals] | None:
    """Factors and offsets of a chain of affine steps; clips at the end or between do not count; else ``None``."""
    factors: Rationals = (Fraction(1),)
    offsets: Rationals = (Fraction(0),)
    for step in chain:
        match step:
            case Affine():
                a, b = _paired(step.factors, step.offsets)
                width = max(len(a), len(factors), len(offsets))
                a, b, f, o = (_wide(v, width) for v in (a, b, factors, offsets))
                factors = tuple(x * y for x, y in zip(a, f, strict=True))
                offsets = tuple(x * y + z for x, y, z in zip(a, o, b, strict=True))
            case Clip():
                continue
            case _:
                return None
    return factors, offsets


def offsets_of(chain: Chain) -> tuple[Rationals, ...]:
    """What the offset of each step of a chain of affine steps adds to its result."""
    found: list[Rationals] = []
    behind: Rationals = (Fraction(1),)
    for step in reversed(chain):
        assert isinstance(step, Affine)
        found.append(tuple(a * b for a, b in zip(*_paired(step.offsets, behind), strict=True)))
        behind = tuple(a * b for a, b in zip(*_paired(step.factors, behind), strict=True))
    return tuple(reversed(found))


def evaluate(chain: Chain, values: Reals, error: Reals, roundoff: float) -> tuple[Reals, Reals]:
    """The chain's values in float64, and a bound of how far each may be from the true one.

    Args:
        chain: Without ``HostOnly`` steps.
        values: Real values, channels last.
        error: Bound of their own error, broadcastable.
        roundoff: Relative error of one operation: ``FLOAT64_ROUNDOFF`` to bound this evaluation, or
            ``FLOAT32_ROUNDOFF`` to bound a float32 execution of the same chain.
    """
    for step in chain:
        values, error = _evaluate_step(step, values, error, roundoff)
    return values, error


def exact(chain: Chain, value: Fraction, channel: int) -> Fraction:
    """The chain's true value (functions to 200 binary places)."""
    for step in chain:
        value = _exact_step(step, value, channel)
    return value


def per_channel(values: Rationals, channel: int) -> Fraction:
    """The number that belongs to a channel."""
    return values[channel] if len(values) > 1 else values[0]


def width(chain: Chain) -> int:
    """Channels that the chain tells apart: 1 where all are alike."""
    widths = [1]
    for step in chain:
        match step:
            case Affine():
                widths += [len(step.factors), len(step.offsets)]
            case Leaky():
                widths.append(len(step.slopes))
            case Pair():
                widths += [width(step.left), width(step.right)]
    return max(widths)


def floats(values: Rationals) -> Reals:
    """Rationals as float64, shape () for one."""
    array = np.array([float(value) for value in values])
    return array if len(values) > 1 else np.asarray(array[0])


def _evaluate_step(step: Step, values: Reals, error: Reals, roundoff: float) -> tuple[Reals, Reals]:
    match step:
        case Affine():
            factors, offsets = floats(step.factors), floats(step.offsets)
            product = values * factors
            result = product + offsets
            rounding = roundoff * (np.abs(product) + np.abs(offsets) + np.abs(result))
            return np.asarray(result), np.asarray(np.abs(factors) * error + rounding)
        case Clip(low=low, high=high):
            bounds = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
            return np.clip(values, *bounds), np.asarray(error + roundoff * max(_finite(b) for b in bounds))
        case Leaky():
            slopes = floats(step.slopes)
            result = np.where(values > 0, values, values * slopes)
            steepest = np.maximum(1.0, np.abs(slopes))
            return np.asarray(result), np.asarray(steepest * error + roundoff * np.abs(result))
        case Apply(function=name, parameters=parameters):
            function = FUNCTIONS[name]
            result = function.value(values, *parameters)
            # Library functions are good to a few units in the last place of the result or of the argument.
            own = 8 * roundoff * (np.abs(result) + np.minimum(np.abs(values), 1.0))
            return np.asarray(result), np.asarray(function.slope(*parameters) * error + own)
        case Pair():
            left, left_error = evaluate(step.left, values, error, roundoff)
            right, right_error = evaluate(step.right, values, error, roundoff)
            if step.operation == "add":
                total = left + right
                return total, np.asarray(left_error + right_error + roundoff * np.abs(total))
            product = left * right
            spread = np.abs(left) * right_error + np.abs(right) * left_error + left_error * right_error
            return product, np.asarray(spread + roundoff * np.abs(product))
        case HostOnly():
            raise AssertionError("only the host's tail carries functions across channels")


def _exact_step(step: Step, value: Fraction, channel: int) -> Fraction:
    match step:
        case Affine(factors=factors, offsets=offsets):
            return value * per_channel(factors, channel) + per_channel(offsets, channel)
        case Clip(low=low, high=high):
            value = value if low is None else max(value, low)
            return value if high is None else min(value, high)
        case Leaky(slopes=slopes):
            return value if value > 0 else value * per_channel(slopes, channel)
        case Apply(function=name, parameters=parameters):
            return exact_value(name, value, parameters)
        case Pair():
            left, right = exact(step.left, value, channel), exact(step.right, value, channel)
            return left + right if step.operation == "add" else left * right
        case HostOnly():
            raise AssertionError("only the host's tail carries functions across channels")


def _finite(value: float) -> float:
    return abs(value) if np.isfinite(value) else 0.0


_Number = TypeVar("_Number", int, Fraction)


def _paired(a: tuple[_Number, ...], b: tuple[_Number, ...]) -> tuple[tuple[_Number, ...], tuple[_Number, ...]]:
    size = max(len(a), len(b))
    return _wide(a, size), _wide(b, size)


def _wide(values: tuple[_Number, ...], size: int) -> tuple[_Number, ...]:
    return values if len(values) == size else values * size
