"""Areas and recalls: definitions on small cases, and what the oracle, ties and improvements do to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fault_injection.ranking import by_damage
from fault_injection.ranking_score import area, cumulative, recall, relative_area, score_ranking

DAMAGES = st.lists(st.floats(-10, 10).map(lambda x: round(x, 1)), min_size=1, max_size=60).map(np.array)


def test_the_area_is_the_mean_height_of_the_polygon() -> None:
    damage, order = np.array([1.0, 3.0]), np.array([1, 0])
    assert cumulative(damage, order).tolist() == [0.0, 3.0, 4.0]
    assert area(damage, order) == (1.5 + 3.5) / 2


@given(DAMAGES)
def test_the_oracle_has_one_everywhere(damage: np.ndarray) -> None:
    score = score_ranking(damage, by_damage(damage).order)
    assert score.area == (1.0 if (damage > 0).any() else None)
    assert (score.worst_1, score.worst_10) == (1.0, 1.0)


@given(DAMAGES, st.integers(0, 1000))
def test_no_order_has_more_than_the_oracle(damage: np.ndarray, seed: int) -> None:
    score = score_ranking(damage, np.random.default_rng(seed).permutation(len(damage)))
    assert score.area is None or -1e-9 <= score.area <= 1 + 1e-9
    assert score.area_as_measured is None or score.area_as_measured <= 1 + 1e-9


@given(DAMAGES, st.integers(0, 1000))
def test_bits_of_equal_damage_can_change_places(damage: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(damage))
    order = shuffled[np.argsort(-damage[shuffled], kind="stable")]
    one, other = score_ranking(damage, order), score_ranking(damage, by_damage(damage).order)
    assert (one.worst_1, one.worst_10) == (other.worst_1, other.worst_10)
    assert one.area == pytest.approx(other.area) if other.area is not None else one.area is None


def test_the_mean_over_all_orders_is_half_the_total() -> None:
    from itertools import permutations

    damage = np.array([5.0, 1.0, 0.0, 2.0])
    areas = [area(damage, np.array(order)) for order in permutations(range(4))]
    assert np.mean(areas) == pytest.approx(damage.sum() / 2)


def test_an_improvement_is_no_harm_but_lowers_the_area_as_measured() -> None:
    damage = np.array([4.0, -4.0, 0.0, 0.0])
    score = score_ranking(damage, np.array([1, 0, 2, 3]))
    assert score.area == pytest.approx((2 + 4 + 4) / (2 + 4 + 4 + 4))
    # As measured the oracle's curve is 4, 4, 4, 0 and this one's -4, 0, 0, 0.
    assert score.area_as_measured == pytest.approx((-2 - 2 + 0 + 0) / (2 + 4 + 4 + 2))


def test_without_any_harm_there_is_no_area() -> None:
    score = score_ranking(np.array([-1.0, 0.0]), np.array([0, 1]))
    assert (score.area, score.area_as_measured) == (None, None)
    assert relative_area(np.zeros(3), np.arange(3)) is None


def test_recall_counts_the_worst_bits_among_as_many_first_ones() -> None:
    damage = np.arange(100.0)
    order = np.concatenate([[99, 0, 98, 1, 97, 2, 96, 3, 95, 4], np.arange(5, 95)])
    assert recall(damage, order, 0.1) == 0.5
    assert recall(damage, order, 0.01) == 1.0


def test_recall_rounds_the_number_of_bits_up() -> None:
    assert recall(np.array([3.0, 2.0, 1.0]), np.array([0, 2, 1]), 0.34) == 0.5


def test_any_of_tied_bits_counts_but_not_more_than_belong() -> None:
    damage = np.array([9.0, 1.0, 1.0, 1.0, 0.0])
    assert recall(damage, np.array([3, 0, 1, 2, 4]), 0.4) == 1.0
    assert recall(damage, np.array([1, 2, 3, 0, 4]), 0.4) == 0.5
