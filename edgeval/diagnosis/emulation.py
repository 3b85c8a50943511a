"""hls4ml's arithmetic for a few elements, in float64, one departure from the user's graph at a time.

The layers between the last equal values and the first unequal ones are computed as the *graph* means them, with a
chosen set of departures as the *project* computes: a bias rounded to its type, an accumulator that wraps, a result that
is truncated. The smallest set that gives every value of the project is the proof of the cause.
Values stay exact while they need at most 53 bits.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float

from hls.hls4ml_flow.native_types import ApType
from hls.lowering.boundaries import Quantizer

Departure = Literal[
    "input-range", "input-grid", "weight", "bias", "product", "accumulator", "table", "rounding", "overflow"
]
"""What a project may do otherwise than the graph: see ``edgeval/diagnosis/causes.py`` for each one's explanation."""

Site = tuple[str, Departure]
"""A layer and what departs there."""

Values = Float[np.ndarray, "..."]

_MOST_AT_ONCE = 3
_SAME = 2.0**-40
"""Relative difference up to which the emulation of the graph is the network: the order of float64 operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCast:
    """The float input assigned to the type of the input port."""

    name: str
    type: ApType

    def sites(self) -> list[Site]:
        """Departures that are possible here."""
        return [(self.name, "input-range"), (self.name, "input-grid")]

    def run(self, values: Values, active: Set[Site]) -> Values:
        """Elementwise."""
        values = self.type.rounded(values) if (self.name, "input-grid") in active else values
        return self.type.limited(values) if (self.name, "input-range") in active else values


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """Sums of products, a row an element.

    Attributes:
        weights: As the graph means them, shape of the inputs.
        bias: One an element.
        weight_type, bias_type, accumulator: Of the project.
    """

    name: str
    weights: Values
    bias: Values
    weight_type: ApType | None
    bias_type: ApType | None
    accumulator: ApType | None

    def sites(self) -> list[Site]:
        """Departures that are possible here."""
        return [(self.name, "bias"), (self.name, "accumulator"), (self.name, "product"), (self.name, "weight")]

    def run(self, values: Values, active: Set[Site]) -> Values:
        """Shape (elements, terms) → (elements,)."""
        weights, bias = self.weights, self.bias
        if (self.name, "weight") in active and self.weight_type is not None:
            weights = self.weight_type.assigned(weights)
        if (self.name, "bias") in active and self.bias_type is not None:
            bias = self.bias_type.assigned(bias)
        products = values * weights
        if (self.name, "product") in active and self.accumulator is not None:
            products, bias = self.accumulator.rounded(products), self.accumulator.rounded(bias)
        sums = np.asarray(products.sum(axis=-1) + bias)
        if (self.name, "accumulator") in active and self.accumulator is not None:
            return self.accumulator.limited(sums)
        return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """ReLU, sigmoid or tanh; the latter two from hls4ml's table where that departure is active.

    Source: hls4ml 1.3 ``nnet_activation.h``.
    """

    name: str
    function: Literal["relu", "sigmoid", "tanh"]
    table_size: int = 1024
    table_type: ApType | None = None

    def sites(self) -> list[Site]:
        """Departures that are possible here."""
        return [] if self.function == "relu" else [(self.name, "table")]

    def run(self, values: Values, active: Set[Site]) -> Values:
        """Elementwise."""
        if self.function == "relu":
            return np.asarray(np.maximum(values, 0.0))
        if (self.name, "table") not in active or self.table_type is None:
            return self._value(values)
        span, size = (16.0 if self.function == "sigmoid" else 8.0), self.table_size
        index = np.clip(np.trunc(values * size / span) + size // 2, 0, size - 1)
        entry = self._value(np.asarray(span * (index - size / 2) / size, np.float32).astype(np.float64))
        return self.table_type.assigned(entry)

    def _value(self, values: Values) -> Values:
        return np.asarray(1 / (1 + np.exp(-values)) if self.function == "sigmoid" else np.tanh(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A layer's result assigned to its type; the graph means its own quantizer there, or nothing at all."""

    name: str
    type: ApType
    quantizer: Quantizer | None

    def sites(self) -> list[Site]:
        """Departures that are possible here."""
        return [(self.name, "overflow"), (self.name, "rounding")]

    def run(self, values: Values, active: Set[Site]) -> Values:
        """Elementwise."""
        rounding, overflow = (self.name, "rounding") in active, (self.name, "overflow") in active
        if self.quantizer is None:
            values = self.type.rounded(values) if rounding else values
            return self.type.limited(values) if overflow else values
        scale = float(self.quantizer.scale)
        if rounding:
            values = self.type.rounded(values)
        elif overflow:
            unbounded = replace(self.quantizer, low=-(1 << 52), high=1 << 52)
            values = np.asarray(unbounded.words_of(values) * scale)
        else:
            return np.asarray(self.quantizer.words_of(values) * scale)
        if overflow:
            return self.type.limited(values)
        return np.asarray(np.clip(values, self.quantizer.low * scale, self.quantizer.high * scale))


Stage = InputCast | Products | Function | Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """The stages between equal and unequal values, for chosen elements.

    Attributes:
        inputs: Values in front of the first stage, as both sides have them; a row an element.
        found, expected: Values of the last layer on both sides.
    """

    stages: tuple[Stage, ...]
    inputs: Values
    found: Values
    expected: Values

    def run(self, active: Set[Site]) -> Values:
        """Values of the last layer with some departures, the rest as the graph means it."""
        values = self.inputs
        for stage in self.stages:
            values = stage.run(values, active)
        return values

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every possible departure, in data order."""
        return tuple(site for stage in self.stages for site in stage.sites())

    def explains(self, active: Set[Site]) -> bool:
        """Whether these departures, and no others, give every value of the project."""
        return bool(np.array_equal(self.run(active), self.found))

    def means_the_network(self) -> bool:
        """Whether, without any departure, the emulation gives the network's values; else it proves nothing."""
        error = np.abs(self.run(frozenset()) - self.expected)
        return bool((error <= _SAME * np.maximum(np.abs(self.expected), 1.0)).all())

    def smallest_explanation(self) -> tuple[Site, ...]:
        """The fewest departures, at most three, that give every value of the project; empty for none."""
        if not self.means_the_network():
            return ()
        for number in range(1, _MOST_AT_ONCE + 1):
            for chosen in combinations(self.sites, number):
                if self.explains(frozenset(chosen)):
                    return chosen
        return self.sites if self.explains(frozenset(self.sites)) else ()
