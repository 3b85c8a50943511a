"""Every ranking of the stored bits of one network, each quantity computed once and only where a method asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from edgeval.sensitivities import ByTensor, Sensitivities, by_tensor_of, value_words
from fault_injection.flips import Flips
from fault_injection.outcomes import Judge
from fault_injection.parabola import by_finite_differences
from fault_injection.ranking import (
    Method,
    Ranking,
    Strategy,
    at_random,
    by_delta,
    by_fisher,
    by_gradient,
    by_gradient_delta,
    by_hessian,
    by_taylor,
    hessian_scores,
    msb_first,
)

DERIVATIVE_METHODS: tuple[Method, ...] = ("fisher", "hessian", "gradient", "taylor", "gradient-delta")
"""Methods that need derivatives of the loss by the stored words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HessianOptions:
    """FKeras' choices.

    Attributes:
        eigenpairs: How many; FKeras' experiments use 8.
        power: How often an eigenvalue enters the score: 2 as in FKeras, 1 as in PyLandscape.
        strategy: How eigenvectors become a score.
    """

    eigenpairs: int = 8
    power: Literal[1, 2] = 2
    strategy: Strategy = "sum"


class Ranker:
    """Rankings of one network.

    Args:
        flips: What a flip of each site does.
        judge: Samples and loss that finite differences are measured with; lower is better.
        sensitivities: Makes the derivatives; called when the first method asks for one.
        seed: Of the random order and of the start vector of the eigenpairs.
        hessian: FKeras' choices.
    """

    def __init__(
        self,
        flips: Flips,
        judge: Judge,
        sensitivities: Callable[[], Sensitivities],
        *,
        seed: int,
        hessian: HessianOptions | None = None,
    ) -> None:
        self.flips, self.judge, self.seed, self._make = flips, judge, seed, sensitivities
        self.hessian = hessian or HessianOptions()

    def ranking(self, method: Method) -> Ranking:
        """Sites in the order of one method.

        Raises:
            UsageError: the method needs derivatives that the network does not have.
        """
        flips = self.flips
        match method:
            case "fisher":
                return by_fisher(flips, flips.at(self.sensitivities.fisher_diagonal()))
            case "hessian":
                return by_hessian(flips, flips.at(self._hessian_scores()))
            case "gradient":
                return by_gradient(flips, flips.at(self._gradient))
            case "taylor":
                return by_taylor(flips, flips.at(self._gradient))
            case "gradient-delta":
                return by_gradient_delta(flips, flips.at(self._gradient))
            case "delta":
                return by_delta(flips)
            case "finite-difference":
                return by_finite_differences(self.judge, flips)
            case "msb-first":
                return msb_first(flips)
            case "random":
                return at_random(flips, np.random.default_rng(self.seed))

    @cached_property
    def sensitivities(self) -> Sensitivities:
        """Derivatives of the loss."""
        return self._make()

    @cached_property
    def _gradient(self) -> ByTensor:
        return self.sensitivities.gradient()

    def _hessian_scores(self) -> ByTensor:
        graph, options = self.judge.golden.graph, self.hessian
        pairs = self.sensitivities.top_eigenpairs(options.eigenpairs, np.random.default_rng(self.seed))
        scores = hessian_scores(
            pairs.values, pairs.vectors, value_words(graph), power=options.power, strategy=options.strategy
        )
        return by_tensor_of(graph, scores)
