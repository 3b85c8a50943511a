"""PrioriFI's order against a case worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import Mlp

from fault_injection.adaptive import adaptive_order, adaptive_schedule, bit_lists
from fault_injection.flips import flips_of
from fault_injection.ranking import by_planes, msb_first
from fault_injection.sites import all_sites
from hls.errors import UsageError

LISTS = [[10, 11, 12, 13], [20, 21, 22], [30, 31]]
DAMAGE = {10: 1.0, 11: 0.0, 12: 9.0, 13: 8.0, 20: 4.0, 21: 6.0, 22: 0.0, 30: 3.0, 31: 3.0}


def test_the_order_is_the_one_worked_by_hand() -> None:
    # k = 2. Probes: 10 (1), 20 (4), 30 (3). Left: 3, 2, 1.
    # 20s 4 > 3 > 1 → 21 (6). Left of the 20s: one, fewer than k, so the mean of (4, 6) = 5 → 22 (0); that list is done.
    # 30s: one left, mean of (3) = 3 > 1 → 31; done. Then the 10s: 11, 12, 13.
    order = adaptive_order(LISTS, DAMAGE.__getitem__, last=2)
    assert order.tolist() == [10, 20, 30, 21, 22, 31, 11, 12, 13]


def test_the_median_resists_one_large_damage_where_the_mean_does_not() -> None:
    # After three of the first list, medians are judged: (0, 90, 0) has median 0, so the second list (1) is next;
    # with fewer than k bits left the mean, 30, would have kept the first.
    damage = {0: 0.0, 1: 90.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0, 10: 0.0, 11: 0.0, 12: 0.0, 13: 0.0}
    order = adaptive_order([[0, 1, 2, 3, 4, 5], [10, 11, 12, 13]], damage.__getitem__, last=3)
    # Probes 0 and 10, equal figures: the first list. 1 raises its median of (0, 90) to 45, so 2; then median 0 again.
    assert order[:5].tolist() == [0, 10, 1, 2, 3]


def test_only_the_last_k_damages_count() -> None:
    damage = {0: 100.0, 1: 1.0, 2: 1.0, 3: 0.0, 4: 0.0, 10: 2.0, 11: 2.0, 12: 2.0}
    order = adaptive_order([[0, 1, 2, 3, 4], [10, 11, 12]], damage.__getitem__, last=1)
    assert order.tolist() == [0, 10, 1, 11, 12, 2, 3, 4]


def test_of_equal_figures_the_more_significant_plane_is_next() -> None:
    assert adaptive_order([[1, 2], [3, 4]], lambda bit: 0.0).tolist() == [1, 3, 2, 4]


def test_an_empty_list_is_passed_over() -> None:
    assert adaptive_order([[], [5, 6], []], lambda bit: float(bit)).tolist() == [5, 6]
    assert adaptive_order([], lambda bit: 0.0).tolist() == []


def test_every_bit_is_measured_once_whatever_the_damages_are() -> None:
    graph = Mlp().graph()
    flips = flips_of(graph, all_sites(graph))
    damage = np.random.default_rng(0).standard_normal(len(flips))
    asked: list[int] = []

    def measure(row: int) -> float:
        asked.append(row)
        return float(damage[row])

    order = adaptive_order(bit_lists(flips, msb_first(flips)), measure)
    assert order.tolist() == asked
    assert sorted(asked) == list(range(len(flips)))


def test_the_schedule_waits_for_each_damage() -> None:
    schedule = adaptive_schedule([[1, 2], [3]])
    assert next(schedule) == 1
    assert schedule.send(0.5) == 3
    assert schedule.send(0.1) == 2
    with pytest.raises(StopIteration):
        schedule.send(0.0)


def test_lists_hold_one_bit_plane_each_in_the_order_of_the_ranking() -> None:
    graph = Mlp().graph()
    flips = flips_of(graph, all_sites(graph))
    score = np.random.default_rng(1).random(len(flips))
    lists = bit_lists(flips, by_planes("hessian", flips, score))
    for plane, rows in enumerate(lists):
        assert (flips.plane[rows] == plane).all()
        assert (np.diff(score[rows]) <= 0).all()
    assert sum(map(len, lists)) == len(flips)


def test_judging_by_no_measurement_is_refused() -> None:
    with pytest.raises(UsageError, match="1 or more"):
        next(adaptive_schedule([[1]], last=0))
