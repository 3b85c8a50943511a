"""How good a ranking is, against the measured damage of every bit.

Damage is the rise of the loss as measured; a flip that lowers the loss does none: its *harm* is max(0, damage). The
cumulative curve is C(m) = Σ of the harms of the first m bits, C(0) = 0. Its area is the mean height of the polygon
through C(0) … C(N). The relative area is that of a ranking over that of the oracle, which sorts by damage: 1 for the
oracle, and no ranking has more. A random order has half the total harm as its expected area: 0.5 of the oracle's where
few bits do all the harm, and a little more otherwise. Bits of equal harm can change places without changing any of it.

The same quotient with damage in place of harm is given beside it. There the oracle first gathers all harm and then
gives back all that flips improve, and a random order has half the *sum*: where flips improve the loss about as often as
they harm it, that is far below 0.5, and two networks cannot be compared by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from fault_injection.ranking import by_damage

Damage = Float[np.ndarray, " sites"]
Order = Int[np.ndarray, " sites"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingScore:
    """One ranking against the oracle.

    Attributes:
        area: Relative area under the cumulative harm; ``None`` where no bit does any harm.
        area_as_measured: The same of damage as measured, improvements counted against harm.
        worst_1, worst_10: Recall of the worst 1 % and 10 % of the bits.
    """

    area: float | None
    area_as_measured: float | None
    worst_1: float
    worst_10: float


def score_ranking(damage: Damage, order: Order) -> RankingScore:
    """Compare one ranking with the damage of every bit.

    Args:
        damage: Rise of the loss under each flip, any sign.
        order: Rows, the ones taken for worst first; a permutation.
    """
    return RankingScore(
        area=relative_area(harm(damage), order),
        area_as_measured=relative_area(damage, order),
        worst_1=recall(damage, order, 0.01),
        worst_10=recall(damage, order, 0.1),
    )


def harm(damage: Damage) -> Damage:
    """What a flip adds to the loss; 0 where it lowers it."""
    return np.asarray(np.maximum(damage, 0.0))


def cumulative(damage: Damage, order: Order) -> Float[np.ndarray, " points"]:
    """C(0) … C(N) of a ranking, in the unit of the damage."""
    return np.concatenate([[0.0], np.cumsum(damage[order])])


def area(damage: Damage, order: Order) -> float:
    """Mean height of the cumulative curve, by trapezoids; in the unit of the damage."""
    curve = cumulative(damage, order)
    return float(((curve[1:] + curve[:-1]) / 2).mean())


def relative_area(damage: Damage, order: Order) -> float | None:
    """Area over the oracle's; ``None`` where the oracle's is not positive, because no bit does any harm.

    Example:
        >>> damage = np.array([0.0, 3.0, -1.0])
        >>> relative_area(damage, np.array([1, 0, 2])), round(relative_area(damage, np.array([2, 0, 1])), 3)
        (1.0, -0.143)
    """
    best = area(damage, by_damage(damage).order)
    return area(damage, order) / best if best > 0 else None


def recall(damage: Damage, order: Order, share: float) -> float:
    """Share of the worst bits that a ranking has among as many of its own first ones.

    m = ⌈share × N⌉. Bits as bad as the m-th worst are interchangeable: whichever of them a ranking finds count, up to
    as many as belong to the worst m. So the oracle has 1 however ties are broken.

    Args:
        damage: Of every bit.
        order: The ranking.
        share: E.g. 0.01 for the worst 1 %; above 0, at most 1.
    """
    count = math.ceil(share * len(damage))
    threshold = np.sort(damage)[-count]
    found = damage[order[:count]]
    worse = int((damage > threshold).sum())
    return float(((found > threshold).sum() + min(int((found == threshold).sum()), count - worse)) / count)
