"""The schemes that can be asked for, and the plan that each makes of a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from fault_injection.hardening.knapsack import EXACT_CELLS, Choice, solve
from fault_injection.hardening.memory import Protection, Storage, TensorPlan
from fault_injection.hardening.prices import StoredDamage

SchemeName = Literal["auto", "tmr", "secded", "parity", "parity-reload", "msb-duplication", "clip", "sign-magnitude"]
"""``auto``: the best mix of all but ``parity-reload``, which needs a second memory to load from. The others use one
protection or one way of storing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What a scheme may choose from.

    Attributes:
        storages: Ways to store a tensor; the format's own code can always be chosen.
        protections: Ways to protect a word; none can always be chosen.
    """

    storages: tuple[Storage, ...] = ("native",)
    protections: tuple[Protection, ...] = ("none",)


SCHEMES: Mapping[SchemeName, Scheme] = MappingProxyType(
    {
        "auto": Scheme(
            storages=("native", "sign-magnitude", "clip"),
            protections=("none", "tmr", "secded", "parity", "msb-duplication"),
        ),
        "tmr": Scheme(protections=("none", "tmr")),
        "secded": Scheme(protections=("none", "secded")),
        "parity": Scheme(protections=("none", "parity")),
        "parity-reload": Scheme(protections=("none", "parity-reload")),
        "msb-duplication": Scheme(protections=("none", "msb-duplication")),
        "clip": Scheme(storages=("native", "clip")),
        "sign-magnitude": Scheme(storages=("native", "sign-magnitude")),
    }
)
SCHEME_NAMES: tuple[SchemeName, ...] = get_args(SchemeName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to protect, and how well that does by the closed forms.

    Attributes:
        tensors: One a stored tensor, in data order.
        damages: The damage of each tensor as it is stored, unprotected.
        choice: What was bought: bits, remaining damage, bound.
    """

    tensors: tuple[TensorPlan, ...]
    damages: tuple[StoredDamage, ...]
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """One scheme at one budget: bits it adds, and the damage of all single flips that remains."""

    scheme: SchemeName
    budget_bits: int
    added_bits: int
    damage: float


def make_plan(
    damages: Sequence[tuple[StoredDamage, ...]], scheme: SchemeName, budget: int, *, exact_cells: int = EXACT_CELLS
) -> Plan:
    """The best plan of a scheme.

    Args:
        damages: Of each tensor, the damage under each way it can be stored.
        scheme: What may be chosen.
        budget: Bits that may be added.
        exact_cells: See ``solve``.
    """
    rules = SCHEMES[scheme]
    usable = _usable(damages, rules)
    priced = [[part.priced(rules.protections) for part in storages] for storages in usable]
    choice = solve(priced, budget, exact_cells=exact_cells)
    chosen = tuple(storages[position] for storages, position in zip(usable, choice.storages, strict=True))
    tensors = tuple(part.plan(rules.protections, options) for part, options in zip(chosen, choice.options, strict=True))
    return Plan(tensors=tensors, damages=chosen, choice=choice)


def pareto(damages: Sequence[tuple[StoredDamage, ...]], budgets: Sequence[int]) -> Iterator[ParetoPoint]:
    """Every scheme over a grid of budgets, by the way that is fast and has a bound."""
    for scheme, rules in SCHEMES.items():
        usable = _usable(damages, rules)
        priced = [[part.priced(rules.protections) for part in storages] for storages in usable]
        for budget in budgets:
            choice = solve(priced, budget, exact_cells=0)
            yield ParetoPoint(scheme=scheme, budget_bits=budget, added_bits=choice.cost, damage=choice.damage)


def _usable(damages: Sequence[tuple[StoredDamage, ...]], rules: Scheme) -> list[list[StoredDamage]]:
    return [[part for part in storages if part.storage in rules.storages] for storages in damages]
