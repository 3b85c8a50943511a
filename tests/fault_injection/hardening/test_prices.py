"""Closed forms on damages written by hand, and which table of outcomes they may come from."""

from __future__ import annotations

import numpy as np
import pytest
from support.campaigns import classification, golden_of
from support.hardening import outcomes_of
from support.networks import Mlp

from fault_injection.hardening.damage import Assessor
from fault_injection.hardening.memory import PROTECTIONS, Protection
from fault_injection.hardening.prices import StoredDamage
from fault_injection.hardening.schemes import SCHEMES, make_plan, pareto
from hls.errors import InputError

FLIPS = np.array([[1.0, 2.0, 4.0, 30.0], [0.0, 9.0, 8.0, 9.0]])
DAMAGE = StoredDamage(
    tensor="t", storage="native", flips=FLIPS, zeroed=np.array([3.0, 5.0]), bounds=np.zeros(0)
)  # fmt: skip


def residual(protection: Protection) -> dict[tuple[int, int], list[float]]:
    """By (bits a word, bits triplicated), what remains of both words."""
    priced = DAMAGE.priced(("none", protection))
    options = DAMAGE.options(("none", protection))
    return {
        (int(cost), count): priced.damage[:, column].tolist()
        for column, (cost, (_, count)) in enumerate(zip(priced.costs, options, strict=True))
    }


@pytest.mark.parametrize(
    ("protection", "expected"),
    [
        ("tmr", {(0, 0): [37, 26], (2, 1): [7, 17], (4, 2): [3, 8], (6, 3): [1, 0], (8, 4): [0, 0]}),
        ("secded", {(0, 0): [37, 26], (4, 0): [0, 0]}),
        ("parity", {(0, 0): [37, 26], (1, 0): [15, 25]}),
        ("parity-reload", {(0, 0): [37, 26], (1, 0): [0, 0]}),
        ("msb-duplication", {(0, 0): [37, 26], (1, 0): [13, 27]}),
    ],
)
def test_what_remains_of_a_word_is_the_closed_form(
    protection: Protection, expected: dict[tuple[int, int], list[float]]
) -> None:
    assert residual(protection) == expected


def test_the_most_harmful_bits_are_triplicated_and_of_equal_ones_the_upper() -> None:
    assert DAMAGE.order.tolist() == [[3, 2, 1, 0], [3, 1, 2, 0]]
    options = DAMAGE.options(("none", "tmr"))
    two = options.index((PROTECTIONS.index("tmr"), 2))
    plan = DAMAGE.plan(("none", "tmr"), np.array([two, two]))
    assert plan.triplicated.tolist() == [0b1100, 0b1010]


def test_without_a_zero_nothing_is_offered_that_zeroes() -> None:
    damage = StoredDamage(tensor="t", storage="native", flips=FLIPS, zeroed=None, bounds=np.zeros(0))
    allowed = ("none", "parity", "msb-duplication", "secded")
    assert [PROTECTIONS[kind] for kind, _ in damage.options(allowed)] == ["none", "secded"]


def test_triplication_under_a_budget_takes_the_worst_bits_of_all_words() -> None:
    plan = make_plan([(DAMAGE,)], "tmr", 7)
    assert plan.tensors[0].triplicated.tolist() == [0b1000, 0b1010]
    assert (plan.choice.cost, plan.choice.damage, plan.choice.optimal) == (6, 7 + 8, True)


def test_the_best_mix_leaves_no_more_than_any_scheme_without_a_second_memory() -> None:
    for budget in range(12):
        alone = [make_plan([(DAMAGE,)], name, budget).choice.damage for name in SCHEMES if name != "parity-reload"]
        assert make_plan([(DAMAGE,)], "auto", budget).choice.damage == min(alone) or budget > 2
        assert make_plan([(DAMAGE,)], "auto", budget).choice.damage <= min(alone)


def test_the_curve_has_every_scheme_at_every_budget_and_never_spends_more() -> None:
    points = list(pareto([(DAMAGE,)], [0, 4, 40]))
    assert [(p.scheme, p.budget_bits) for p in points] == [(name, b) for name in SCHEMES for b in (0, 4, 40)]
    assert all(point.added_bits <= point.budget_bits for point in points)
    for name in SCHEMES:
        damages = [point.damage for point in points if point.scheme == name]
        assert damages == sorted(damages, reverse=True)


def test_a_table_without_every_stored_bit_is_refused() -> None:
    judge = classification(golden_of(Mlp(widths=(3, 2))))
    assessor = Assessor(judge=judge, measure="decisions", higher_is_better=True)
    outcomes = outcomes_of(judge)
    assert sum(part.size for part in assessor.of_flips(outcomes).values()) == outcomes.num_rows
    with pytest.raises(InputError, match=r"one flip of each of the 44 stored bits|stored bits, in order"):
        assessor.of_flips(outcomes.slice(1))


def test_damage_is_read_from_the_table_by_its_measure() -> None:
    judge = classification(golden_of(Mlp(widths=(8, 6, 3)), samples=40), critical_share=0.1)
    outcomes = outcomes_of(judge)
    changed = outcomes["decisions_changed"].to_numpy()
    change = outcomes["metric_change"].to_numpy()
    assert change.max() > 0 > change.min()

    def damage(measure: str, *, higher: bool = True) -> np.ndarray:
        return Assessor(judge=judge, measure=measure, higher_is_better=higher).of_table(outcomes)

    assert np.array_equal(damage("decisions"), changed)
    assert np.array_equal(damage("metric"), np.where(change < 0, -change, 0))
    assert np.array_equal(damage("metric", higher=False), np.where(change > 0, change, 0))
    assert damage("critical").tolist() == [float(name == "critical") for name in outcomes["outcome"].to_pylist()]
    assert 0 < damage("critical").sum() < (changed > 0).sum()
