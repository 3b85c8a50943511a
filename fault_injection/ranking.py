"""Rankings: which stored bit to look at, or to protect, first, from numbers that are cheaper than a campaign.

Everything comes in as arrays, one number a stored word and in stored-word units unless said otherwise; nothing here
differentiates a network. A ranking is an order of rows, worst first; equal scores keep site order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from fault_injection.flips import Flips

Method = Literal[
    "fisher", "hessian", "gradient", "taylor", "gradient-delta", "delta", "finite-difference", "msb-first", "random"
]
"""``fisher``: ½ F Δ². ``hessian``: FKeras' eigenvector score, in bit planes. ``gradient``: |g| in bit planes.
``taylor``: (g w)² in bit planes. ``gradient-delta``: g Δ. ``delta``: |Δ|. ``finite-difference``: a parabola through
measured losses. ``msb-first``: bit planes in site order. ``random``: a seeded permutation."""

METHODS: tuple[Method, ...] = get_args(Method)

Strategy = Literal["sum", "max"]
"""How FKeras makes a score of eigenvectors: ``sum``, Σ_k |(λ_k e_k·w) λ_k e_k|, or ``max``, Σ_k |λ_k e_k| w."""

Parameters = Float[np.ndarray, " parameters"]
SiteScores = Float[np.ndarray, " sites"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Sites in the order a method would have them looked at.

    Attributes:
        method: Its name.
        order: Rows of the sites, worst first.
        score: What the order was made of, one a site, not sorted; for bit planes it orders within a plane only.
    """

    method: str
    order: Int[np.ndarray, " sites"]
    score: SiteScores

    @property
    def rank(self) -> Int[np.ndarray, " sites"]:
        """Place of each site, 0 for the first."""
        rank = np.empty(len(self.order), np.int64)
        rank[self.order] = np.arange(len(self.order))
        return rank


def by_fisher(flips: Flips, fisher: SiteScores) -> Ranking:
    """½ F Δ²: the loss a flip adds to second order, with the curvature taken as the empirical Fisher diagonal.

    The gradient term is left out on purpose: near a minimum it is noise (see ``docs/ranking.md``), and F ≥ 0.

    Args:
        flips: The sites.
        fisher: Mean of per-sample squared gradients at each site's word, in loss per stored unit squared.
    """
    return by_score("fisher", 0.5 * fisher * flips.delta.astype(np.float64) ** 2)


def by_hessian(flips: Flips, parameter_score: SiteScores) -> Ranking:
    """FKeras' order: all top bits by their word's score, then all bits below them, down to the least significant.

    Args:
        flips: The sites.
        parameter_score: ``hessian_scores`` at each site's word. As in FKeras, its magnitude ranks.
    """
    return by_planes("hessian", flips, np.abs(parameter_score))


def by_gradient(flips: Flips, gradient: SiteScores) -> Ranking:
    """Bit planes by |g|; FKeras' ``gradient_ranking``.

    Args:
        flips: The sites.
        gradient: Of the mean loss, per stored unit or per unit of the word's value.
    """
    return by_planes("gradient", flips, np.abs(gradient))


def by_taylor(flips: Flips, gradient: SiteScores) -> Ranking:
    """Bit planes by (g w)², which has no unit to choose; FKeras' ``aspis_taylor_ranking``."""
    return by_planes("taylor", flips, (gradient * flips.words) ** 2)


def by_gradient_delta(flips: Flips, gradient: SiteScores) -> Ranking:
    """Signed g Δ: the first-order rise of the loss, as bit-flip attacks rank (Rakin et al., ICCV 2019)."""
    return by_score("gradient-delta", gradient * flips.delta)


def by_delta(flips: Flips) -> Ranking:
    """How far the value that the word stands for moves: |Δ| times the real value of one stored unit.

    Words of different tensors have different units, so |Δ| alone would compare a bias word with a weight word.
    """
    return by_score("delta", np.abs(flips.delta) * flips.step)


def msb_first(flips: Flips) -> Ranking:
    """Bit planes, in site order within a plane: what can be known without data, model or scales."""
    return by_planes("msb-first", flips, np.zeros(len(flips)))


def at_random(flips: Flips, rng: np.random.Generator) -> Ranking:
    """A permutation of which each is as likely."""
    return by_score("random", rng.permutation(len(flips)).astype(np.float64))


def by_damage(damage: SiteScores) -> Ranking:
    """The oracle: measured damage itself."""
    return by_score("oracle", damage)


def by_score(method: str, score: SiteScores) -> Ranking:
    """Largest score first; all bits of all words compete."""
    return Ranking(method=method, order=np.argsort(-score, kind="stable"), score=score)


def by_planes(method: str, flips: Flips, parameter_score: SiteScores) -> Ranking:
    """All most significant bits by falling score, then all bits one below, and so on; narrow words run out first.

    Source: FKeras ``convert_param_ranking_to_msb_bit_ranking``, with its mixed-precision rule.
    """
    return Ranking(method=method, order=np.lexsort((-parameter_score, flips.plane)), score=parameter_score)


def hessian_scores(
    values: Float[np.ndarray, " k"],
    vectors: Float[np.ndarray, "k parameters"],
    weights: Parameters,
    *,
    power: Literal[1, 2] = 2,
    strategy: Strategy = "sum",
) -> Parameters:
    """FKeras' score of every parameter from the top eigenpairs of the loss Hessian.

    Args:
        values: Eigenvalues λ_k.
        vectors: Orthonormal eigenvectors e_k, one a row, in the units of ``weights``.
        weights: Parameter values w; FKeras takes real values, not words.
        power: How often λ_k enters ``sum``: 2 as in FKeras, Σ_k |(λ_k e_k·w) λ_k e_k|; 1 as in PyLandscape,
            Σ_k |λ_k (e_k·w) e_k|.
        strategy: ``max`` is Σ_k |λ_k e_k| w, signed as w is; ``power`` does not enter.

    Returns:
        One score a parameter. Source: FKeras ``do_sum_hessian_rank`` and ``do_max_hessian_rank``.
    """
    scaled = values[:, None] * vectors
    if strategy == "max":
        return np.asarray(np.abs(scaled).sum(axis=0) * weights)
    along = (scaled if power == 2 else vectors) @ weights
    return np.asarray(np.abs(along[:, None] * scaled).sum(axis=0))
