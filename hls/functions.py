"""Real functions that networks apply value by value: in float64 with a bound of their slope, and to any precision.

Float64 decides almost every rounding; where a value lies too near to a rounding boundary for it, the exact evaluation
decides (``hls/lowering/chain.py``). GELU: Hendrycks & Gimpel (2016); SELU: Klambauer et al. (2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

Reals = Float[np.ndarray, "..."]
_EXACT_BITS = 200
"""Bits behind the point of an exact evaluation: no scale in a file of float32 numbers comes near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFunction:
    """One named function.

    Attributes:
        value: In float64, good to a few units in the last place.
        exact: As an mpmath number, from an mpmath number; parameters as in ``value``.
        slope: Bound of the magnitude of the derivative everywhere, from the parameters.
        rising: Whether it never falls, so that it has thresholds.
    """

    value: Callable[..., Reals]
    exact: Callable[..., Any]
    slope: Callable[..., float]
    rising: bool


def _erf(values: Reals) -> Reals:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(values), np.float64)


def _sigmoid(values: Reals) -> Reals:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))


def _softplus(values: Reals) -> Reals:
    return np.asarray(np.maximum(values, 0.0) + np.log1p(np.exp(-np.abs(values))))


def _gelu_tanh(values: Reals) -> Reals:
    inner = math.sqrt(2.0 / math.pi) * (values + 0.044715 * values**3)
    return np.asarray(0.5 * values * (1.0 + np.tanh(inner)))


def _elu(values: Reals, alpha: float) -> Reals:
    return np.where(values > 0, values, alpha * np.expm1(np.minimum(values, 0.0)))


def _mp() -> Any:
    import mpmath

    return mpmath.mp


def _exact_sigmoid(x: Any) -> Any:
    return 1 / (1 + _mp().exp(-x))


def _exact_gelu_tanh(x: Any) -> Any:
    mp = _mp()
    inner = mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3)
    return x * (1 + mp.tanh(inner)) / 2


FUNCTIONS: dict[str, RealFunction] = {
    "abs": RealFunction(value=np.abs, exact=abs, slope=lambda: 1.0, rising=False),
    "elu": RealFunction(
        value=_elu,
        exact=lambda x, alpha: x if x > 0 else _mp().mpf(alpha) * _mp().expm1(x),
        slope=lambda alpha: max(1.0, abs(alpha)),
        rising=True,
    ),
    "erf": RealFunction(value=_erf, exact=lambda x: _mp().erf(x), slope=lambda: 1.13, rising=True),
    "gelu": RealFunction(
        value=lambda v: np.asarray(0.5 * v * (1.0 + _erf(v / math.sqrt(2.0)))),
        exact=lambda x: x * (1 + _mp().erf(x / _mp().sqrt(2))) / 2,
        slope=lambda: 1.13,
        rising=False,
    ),
    "gelu_tanh": RealFunction(value=_gelu_tanh, exact=_exact_gelu_tanh, slope=lambda: 1.14, rising=False),
    "selu": RealFunction(
        value=lambda v, alpha, gamma: gamma * _elu(v, alpha),
        exact=lambda x, alpha, gamma: _mp().mpf(gamma) * (x if x > 0 else _mp().mpf(alpha) * _mp().expm1(x)),
        slope=lambda alpha, gamma: abs(gamma) * max(1.0, abs(alpha)),
        rising=True,
    ),
    "sigmoid": RealFunction(value=_sigmoid, exact=_exact_sigmoid, slope=lambda: 0.25, rising=True),
    "softplus": RealFunction(
        value=_softplus, exact=lambda x: _mp().log(1 + _mp().exp(x)), slope=lambda: 1.0, rising=True
    ),
    "softsign": RealFunction(
        value=lambda v: np.asarray(v / (1.0 + np.abs(v))), exact=lambda x: x / (1 + abs(x)), slope=lambda: 1.0,
        rising=True,
    ),
    "tanh": RealFunction(value=np.tanh, exact=lambda x: _mp().tanh(x), slope=lambda: 1.0, rising=True),
}  # fmt: skip
"""Every function that ``Apply`` steps and the host's tail may name."""


def exact_value(name: str, argument: Fraction, parameters: tuple[float, ...]) -> Fraction:
    """A function's value to 200 binary places.

    Example:
        >>> exact_value("sigmoid", Fraction(0), ())
        Fraction(1, 2)
    """
    import mpmath

    with mpmath.workprec(
        _EXACT_BITS + 80 + max(argument.numerator.bit_length() - argument.denominator.bit_length(), 0)
    ):
        number = mpmath.mpf(argument.numerator) / argument.denominator
        result = FUNCTIONS[name].exact(number, *parameters)
        return Fraction(int(mpmath.floor(mpmath.ldexp(result, _EXACT_BITS) + 0.5)), 1 << _EXACT_BITS)
