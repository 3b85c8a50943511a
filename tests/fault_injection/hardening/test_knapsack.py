"""The knapsack against every choice there is, on cases small enough to list them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fault_injection.hardening.knapsack import Priced, solve


def random_tensors(seed: int) -> list[list[Priced]]:
    """Two tensors with one to three storages, two or three words of up to four options each."""
    rng = np.random.default_rng(seed)
    tensors = []
    for _ in range(2):
        words = int(rng.integers(1, 4))
        storages = []
        for storage in range(int(rng.integers(1, 4))):
            options = int(rng.integers(1, 5))
            costs = np.concatenate([[0], np.sort(rng.integers(1, 6, options - 1))])
            storages.append(
                Priced(
                    costs=costs,
                    damage=rng.integers(0, 30, (words, options)).astype(np.float64),
                    fixed_cost=int(rng.integers(0, 5)) if storage else 0,
                    fixed_damage=float(rng.integers(0, 4)) if storage else 0.0,
                )
            )
        tensors.append(storages)
    return tensors


def least(tensors: list[list[Priced]], budget: int) -> float:
    """Least damage of all choices within the budget, by listing them."""
    best = np.inf
    for storages in product(*(range(len(options)) for options in tensors)):
        priced = [options[storage] for options, storage in zip(tensors, storages, strict=True)]
        words = [(part, word) for part in priced for word in range(len(part.damage))]
        fixed = sum(part.fixed_cost for part in priced), sum(part.fixed_damage for part in priced)
        for chosen in product(*(range(len(part.costs)) for part, _ in words)):
            cost = fixed[0] + sum(int(part.costs[o]) for (part, _), o in zip(words, chosen, strict=True))
            damage = fixed[1] + sum(part.damage[word, o] for (part, word), o in zip(words, chosen, strict=True))
            best = min(best, damage) if cost <= budget else best
    return float(best)


def worth(tensors: list[list[Priced]], choice: object) -> tuple[int, float]:
    """Cost and damage of a choice, added up anew."""
    cost, damage = 0, 0.0
    for storages, storage, options in zip(tensors, choice.storages, choice.options, strict=True):
        priced = storages[storage]
        cost += priced.fixed_cost + sum(int(priced.costs[o]) for o in options)
        damage += priced.fixed_damage + sum(float(priced.damage[word, o]) for word, o in enumerate(options))
    return cost, damage


@pytest.mark.parametrize("seed", range(16))
def test_the_exact_way_finds_the_best_of_all_choices(seed: int) -> None:
    tensors = random_tensors(seed)
    for budget in (0, 1, 3, 7, 20):
        choice = solve(tensors, budget)
        assert choice.optimal
        assert worth(tensors, choice) == (choice.cost, choice.damage)
        assert choice.cost <= budget
        assert choice.damage == choice.bound == least(tensors, budget)


@pytest.mark.parametrize("seed", range(16))
def test_the_other_way_keeps_to_the_budget_and_its_bound_is_one(seed: int) -> None:
    tensors = random_tensors(seed)
    for budget in (0, 1, 3, 7, 20):
        choice = solve(tensors, budget, exact_cells=0)
        best = least(tensors, budget)
        assert not choice.optimal
        assert worth(tensors, choice) == (choice.cost, choice.damage)
        assert choice.cost <= budget
        assert choice.bound <= best * (1 + 1e-12) + 1e-12  # a sum of a few floats: some roundings of 2^-53
        assert choice.damage >= best


def test_equal_costs_are_bought_in_the_order_of_damage_and_that_is_best() -> None:
    damage = np.random.default_rng(1).integers(1, 100, 30).astype(np.float64)
    priced = Priced(costs=np.array([0, 2]), damage=np.stack([damage, np.zeros(30)], axis=1))
    for cells in (0, 1 << 20):
        choice = solve([[priced]], 15, exact_cells=cells)
        assert choice.damage == damage.sum() - np.sort(damage)[-7:].sum()
        assert choice.cost == 14


def test_a_budget_for_everything_buys_the_cheapest_way_to_the_least_damage() -> None:
    priced = Priced(costs=np.array([0, 1, 4, 9]), damage=np.array([[5.0, 2.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0]]))
    for cells in (0, 1 << 20):
        choice = solve([[priced]], 100, exact_cells=cells)
        assert (choice.cost, choice.damage) == (4, 3.0)
        assert choice.options[0].tolist() == [2, 0]


def test_what_is_left_of_the_budget_goes_to_a_smaller_step() -> None:
    priced = Priced(costs=np.array([0, 1, 3]), damage=np.array([[90.0, 90.0, 0.0], [80.0, 80.0, 0.0], [5.0, 4.0, 4.0]]))
    choice = solve([[priced]], 4, exact_cells=0)
    assert choice.options[0].tolist() == [2, 0, 1]


def test_a_storage_that_costs_more_than_the_budget_is_never_chosen() -> None:
    plain = Priced(costs=np.array([0]), damage=np.array([[9.0]]))
    clipped = Priced(costs=np.array([0]), damage=np.array([[0.0]]), fixed_cost=8)
    for cells in (0, 1 << 20):
        assert solve([[plain, clipped]], 7, exact_cells=cells).storages == (0,)
        assert solve([[plain, clipped]], 8, exact_cells=cells).storages == (1,)
