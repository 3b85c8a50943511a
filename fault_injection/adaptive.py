"""PrioriFI's adaptive order: each measured damage says which bit plane to go on with.

Source: Weng et al., "PrioriFI" (ASPLOS 2026), as its code does it: bits lie in one list a plane, L_0 (most significant)
first, each list in the order of a parameter ranking. The first bit of every list is probed; from then on the head of
the list with the largest figure is next. A list's figure is the median of its last k measured damages, or their mean
where the list has fewer than k bits left. Of equal figures the more significant plane wins (the original leaves that
open).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np
from jaxtyping import Int

from fault_injection.flips import Flips
from fault_injection.ranking import Ranking
from hls.errors import UsageError

LAST = 5
"""Measurements a list is judged by: PrioriFI's own default."""


def bit_lists(flips: Flips, ranking: Ranking) -> list[list[int]]:
    """Rows in one list a bit plane, most significant first, each in the order of a ranking."""
    planes: list[list[int]] = [[] for _ in range(int(flips.plane.max(initial=-1)) + 1)]
    for row in ranking.order:
        planes[flips.plane[row]].append(int(row))
    return planes


def adaptive_schedule(lists: Sequence[Sequence[int]], last: int = LAST) -> Generator[int, float, None]:
    """Which bit to measure next.

    Args:
        lists: Bits by plane, most significant plane first; see ``bit_lists``.
        last: Measurements k that a list is judged by.

    Yields:
        A bit; send its damage back to get the next one. Every bit comes once.

    Raises:
        UsageError: ``last`` is below 1.
    """
    if last < 1:
        raise UsageError(found=str(last), allowed="1 or more", where="last", remedy="judge a list by at least one bit")
    left = [list(reversed(bits)) for bits in lists]
    measured: list[list[float]] = [[] for _ in lists]
    for bits, damages in zip(left, measured, strict=True):
        if bits:
            damages.append((yield bits.pop()))
    while any(left):
        figures = [_figure(damages[-last:], len(bits) >= last) for bits, damages in zip(left, measured, strict=True)]
        best = max((plane for plane, bits in enumerate(left) if bits), key=lambda plane: (figures[plane], -plane))
        measured[best].append((yield left[best].pop()))


def adaptive_order(
    lists: Sequence[Sequence[int]], damage: Callable[[int], float], last: int = LAST
) -> Int[np.ndarray, " sites"]:
    """Run the schedule to its end.

    Args:
        lists: As for ``adaptive_schedule``.
        damage: Measures one bit; called once a bit, in the order that comes out.
        last: As for ``adaptive_schedule``.

    Returns:
        Bits in the order they were measured.
    """
    schedule = adaptive_schedule(lists, last)
    order = []
    try:
        bit = next(schedule)
        while True:
            order.append(bit)
            bit = schedule.send(damage(bit))
    except StopIteration:
        return np.array(order, np.int64)


def _figure(damages: Sequence[float], enough_left: bool) -> float:  # noqa: FBT001
    if not damages:
        return -np.inf
    return float(np.median(damages) if enough_left else np.mean(damages))
