"""Which option for which word, under a budget of bits: a multiple-choice knapsack, exact or with a proven bound.

Every word takes one of its options, every tensor one of its storages; costs are bits, and the sum of what remains is
made small. Exact: dynamic programming over words and budgets, where the table fits. Else: the Lagrangian relaxation
gives a lower bound and the storages, and the options are bought in the order of damage removed a bit, along each word's
lower convex hull. Source: Kellerer, Pferschy, Pisinger, Knapsack Problems (2004), chapter 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

EXACT_CELLS = 100_000_000
"""Bytes of the table of the exact way, above which the other is taken."""

_BISECTIONS = 50


@dataclass(frozen=True, kw_only=True)
class Priced:
    """The options of the words of one tensor in one storage.

    Attributes:
        costs: Bits each option adds to a word, rising; the first is 0.
        damage: What remains of each word under each option.
        fixed_cost: Bits the storage itself adds.
        fixed_damage: What it adds to the damage.
    """

    costs: Int[np.ndarray, " options"]
    damage: Float[np.ndarray, "words options"]
    fixed_cost: int = 0
    fixed_damage: float = 0.0

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(word, option, order in its word) of each step along the words' lower convex hulls."""
        words = np.arange(len(self.damage))
        at = np.zeros(len(words), np.int64)
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [(words[:0], words[:0], words[:0])]
        while words.size:
            cost = self.costs[None, :] - self.costs[at][:, None]
            gain = self.damage[words, at][:, None] - self.damage[words]
            slope = np.where((cost > 0) & (gain > 0), gain / np.maximum(cost, 1), 0.0)
            best = slope.argmax(axis=1)  # of equal slopes the first: the smaller step
            good = slope[np.arange(len(words)), best] > 0
            words, at = words[good], best[good]
            found.append((words, at, np.full(len(words), len(found))))
        word, option, order = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return word, option, order


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A choice for every tensor.

    Attributes:
        storages: Of each tensor, position among those it can have.
        options: Of each tensor, the option of each of its words.
        cost: Bits added.
        damage: What remains, as an ordinary sum.
        bound: No choice within the budget leaves less; that damage itself where the choice is proven best.
        optimal: Whether it was found by the exact way.
    """

    storages: tuple[int, ...]
    options: tuple[Int[np.ndarray, "..."], ...]
    cost: int
    damage: float
    bound: float
    optimal: bool


def solve(tensors: Sequence[Sequence[Priced]], budget: int, *, exact_cells: int = EXACT_CELLS) -> Choice:
    """Choose a storage for each tensor and an option for each word.

    Args:
        tensors: Of each tensor the storages it can have; the first adds no bits.
        budget: Bits that may be added, 0 or more.
        exact_cells: Largest table of the exact way, in bytes.
    """
    cells = sum(len(priced.damage) for storages in tensors for priced in storages) * (budget + 1)
    return _exact(tensors, budget) if cells <= exact_cells else _greedy(tensors, budget)


def _exact(tensors: Sequence[Sequence[Priced]], budget: int) -> Choice:
    best = np.zeros(budget + 1)
    trail: list[tuple[np.ndarray, list[list[np.ndarray | None]]]] = []
    for storages in tensors:
        reached, choices = zip(*(_all_words(priced, best) for priced in storages), strict=True)
        storage = np.argmin(np.stack(reached), axis=0)
        best = np.stack(reached).min(axis=0)
        trail.append((storage, list(choices)))
    storages_chosen, options, left = [], [], budget
    for priced_storages, (storage, choices) in zip(reversed(tensors), reversed(trail), strict=True):
        chosen = int(storage[left])
        priced = priced_storages[chosen]
        option = np.zeros(len(priced.damage), np.int64)
        for word in range(len(option) - 1, -1, -1):
            row = choices[chosen][word]
            option[word] = 0 if row is None else row[left]
            left -= int(priced.costs[option[word]])
        left -= priced.fixed_cost
        storages_chosen.append(chosen)
        options.append(option)
    return _choice(tensors, tuple(reversed(storages_chosen)), tuple(reversed(options)), None)


def _all_words(priced: Priced, best: Float[np.ndarray, " budgets"]) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Least damage for every budget once a tensor's words are in, and each word's option there."""
    size = len(best)
    widest = int(priced.costs[-1])
    reached = np.full(size, np.inf)
    if priced.fixed_cost < size:
        reached[priced.fixed_cost :] = best[: size - priced.fixed_cost] + priced.fixed_damage
    # Row o, column c is what was reached with c - costs[o] bits; before 0 bits there is nothing.
    columns = np.arange(size)[None, :] - priced.costs[:, None] + widest
    padded = np.full(size + widest, np.inf)
    choices: list[np.ndarray | None] = []
    for damage in priced.damage:
        if damage.min() >= damage[0]:
            reached = reached + damage[0]
            choices.append(None)
            continue
        padded[widest:] = reached
        candidates = padded[columns] + damage[:, None]
        option = candidates.argmin(axis=0)
        reached = candidates[option, np.arange(size)]
        choices.append(option.astype(np.int8))
    return reached, choices


def _greedy(tensors: Sequence[Sequence[Priced]], budget: int) -> Choice:
    bound, candidates = _relaxed(tensors, budget)
    candidates.append((0,) * len(tensors))
    found = []
    for storages in dict.fromkeys(candidates):
        priced = [options[storage] for options, storage in zip(tensors, storages, strict=True)]
        capacity = budget - sum(part.fixed_cost for part in priced)
        if capacity >= 0:
            found.append(_choice(tensors, storages, _bought(priced, capacity), bound))
    return min(found, key=lambda choice: choice.damage)


def _relaxed(tensors: Sequence[Sequence[Priced]], budget: int) -> tuple[float, list[tuple[int, ...]]]:
    """Largest Lagrangian bound found, and the storages chosen at the price on either side of it."""
    steepest = max(
        (float(np.max((p.damage[:, :1] - p.damage[:, 1:]) / p.costs[1:], initial=0.0)) for s in tensors for p in s),
        default=0.0,
    )
    low, high = 0.0, 1.0 + 2 * steepest
    bound, cost, cheap = _at_price(tensors, budget, low)
    if cost <= budget:
        return bound, [cheap]
    _, _, dear = _at_price(tensors, budget, high)
    for _ in range(_BISECTIONS):
        price = (low + high) / 2
        value, cost, storages = _at_price(tensors, budget, price)
        bound = max(bound, value)
        low, cheap, high, dear = (price, storages, high, dear) if cost > budget else (low, cheap, price, storages)
    return bound, [dear, cheap]


def _at_price(tensors: Sequence[Sequence[Priced]], budget: int, price: float) -> tuple[float, int, tuple[int, ...]]:
    value, cost, chosen = -price * budget, 0, []
    for storages in tensors:
        found = []
        for priced in storages:
            charged = priced.damage + price * priced.costs
            option = charged.argmin(axis=1)
            paid = priced.fixed_cost + int(priced.costs[option].sum())
            found.append((priced.fixed_damage + price * priced.fixed_cost + float(charged.min(axis=1).sum()), paid))
        best = min(range(len(found)), key=lambda storage: found[storage])
        value, cost = value + found[best][0], cost + found[best][1]
        chosen.append(best)
    return value, cost, tuple(chosen)


def _bought(tensors: Sequence[Priced], capacity: int) -> tuple[np.ndarray, ...]:
    """Steps along the hulls, steepest first, as far as the capacity goes; then any that still fit."""
    options = [np.zeros(len(priced.damage), np.int64) for priced in tensors]
    parts = [(np.full(len(priced.steps[0]), number), *priced.steps) for number, priced in enumerate(tensors)]
    tensor, word, option, order = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if not len(tensor):
        return tuple(options)
    before = _before(tensor, word, option, order)
    cost, gain = np.zeros(len(tensor), np.int64), np.zeros(len(tensor))
    for number, priced in enumerate(tensors):
        mine = tensor == number
        cost[mine] = priced.costs[option[mine]] - priced.costs[before[mine]]
        gain[mine] = priced.damage[word[mine], before[mine]] - priced.damage[word[mine], option[mine]]
    ranked = np.lexsort((order, -gain / cost))
    fits = int(np.searchsorted(np.cumsum(cost[ranked]), capacity, side="right"))
    left = capacity - int(cost[ranked[:fits]].sum())
    taken, rest = ranked[:fits], ranked[fits:]
    for number in range(len(tensors)):
        mine = taken[tensor[taken] == number]
        mine = mine[np.argsort(order[mine], kind="stable")]
        options[number][word[mine]] = option[mine]
    while left:
        current = np.zeros(len(rest), np.int64)
        for number in range(len(tensors)):
            mine = tensor[rest] == number
            current[mine] = options[number][word[rest[mine]]]
        possible = np.flatnonzero((current == before[rest]) & (cost[rest] <= left) & (option[rest] != current))
        if not len(possible):
            break
        step = rest[possible[0]]
        options[tensor[step]][word[step]] = option[step]
        left -= int(cost[step])
    return tuple(options)


def _before(tensor: np.ndarray, word: np.ndarray, option: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The option each step starts from: that of its word's last step."""
    by_word = np.lexsort((order, word, tensor))
    before = np.zeros(len(option), np.int64)
    follows = order[by_word[1:]] > 1
    before[by_word[1:][follows]] = option[by_word[:-1][follows]]
    return before


def _choice(
    tensors: Sequence[Sequence[Priced]],
    storages: tuple[int, ...],
    options: tuple[np.ndarray, ...],
    bound: float | None,
) -> Choice:
    cost, damage = 0, 0.0
    for priced, option in zip((s[i] for s, i in zip(tensors, storages, strict=True)), options, strict=True):
        cost += priced.fixed_cost + int(priced.costs[option].sum())
        damage += priced.fixed_damage + float(priced.damage[np.arange(len(option)), option].sum())
    return Choice(
        storages=storages,
        options=options,
        cost=cost,
        damage=damage,
        bound=damage if bound is None else bound,
        optimal=bound is None,
    )
