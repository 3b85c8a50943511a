"""PrioriFI's adaptive order: each measured damage says which bit plane to go on with.

Source: PrioriFI (ASPLOS 2026), as its code does it: bits lie in one list a plane, L_0 (most significant)
first, each list in the order of a parameter ranking. The first bit of every list is probed; from then on the head of
the list with the largest figure is next. A list's figure is the median of its last k measured damages, or their mean
where the list has fewer than k bits left. Of equal figures the more significant plane wins (the original leaves that
open).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from statistics import fmean, median

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
    measured: list[deque[float]] = [deque(maxlen=last) for _ in lists]
    figures = [-math.inf for _ in lists]
    unprobed = [plane for plane, bits in enumerate(left) if bits]
    while any(left):
        open_planes = (plane for plane, bits in enumerate(left) if bits)
        plane = unprobed.pop(0) if unprobed else max(open_planes, key=lambda one: (figures[one], -one))
        measured[plane].append((yield left[plane].pop()))
        figures[plane] = (median if len(left[plane]) >= last else fmean)(measured[plane])


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
