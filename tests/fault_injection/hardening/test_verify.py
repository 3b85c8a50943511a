"""What a plan predicts is what the campaign on the hardened memory finds, for every scheme and measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.campaigns import classification, golden_of
from support.graphs import BIPOLAR, Net, signed, unsigned
from support.hardening import assessed
from support.networks import Mlp

from fault_injection.golden import golden_run
from fault_injection.hardening import SCHEMES, Measure, SchemeName, make_plan, verify
from fault_injection.hardening.damage import Assessor
from fault_injection.hardening.memory import PROTECTIONS
from fault_injection.hardening.prices import StoredDamage
from fault_injection.outcomes import Judge

Assessed = tuple[Assessor, list[tuple[StoredDamage, ...]]]


def mixed_judge() -> Judge:
    """A network with signed, unsigned, bipolar and table words, zero points and channels."""
    net = Net(shape=(4,), format=unsigned(4), seed=2)
    hidden = net.matmul("q", 5, signed(4), signed(6), zero_point=np.array([1, 0, -2, 0, 3]))
    shifted = net.shift(hidden, 3, unsigned(3))
    table = net.lookup(shifted, signed(5))
    binary = net.matmul(table, 4, BIPOLAR)
    net.matmul(net.shift(binary, 2, signed(4)), 3, unsigned(3))
    graph = net.graph()
    return classification(golden_run(graph, net.words(40)))


@pytest.fixture(scope="module", params=["decisions", "metric", "critical"])
def perceptron(request: pytest.FixtureRequest) -> Assessed:
    measure: Measure = request.param
    powers = measure != "metric"  # else scales that need multipliers
    recipe = Mlp(widths=(6, 5, 3), per_channel=powers, po2=powers)
    return assessed(classification(golden_of(recipe, samples=30)), measure)


@pytest.fixture(scope="module")
def mixed() -> Assessed:
    return assessed(mixed_judge())


def stored_bits(damages: list[tuple[StoredDamage, ...]]) -> int:
    return sum(storages[0].flips.size for storages in damages)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_bit_does_the_predicted_damage(perceptron: Assessed, scheme: SchemeName) -> None:
    assessor, damages = perceptron
    budget = stored_bits(damages) // 5
    plan = make_plan(damages, scheme, budget)
    found = verify(plan, assessor, 8, np.random.default_rng(0))
    assert found.agrees
    assert found.predicted == found.verified
    assert found.differing == 0
    assert found.brute_force == 8
    assert found.faults == found.physical_bits == stored_bits(damages) + plan.choice.cost
    assert plan.choice.cost <= budget


@pytest.mark.parametrize("scheme", SCHEMES)
def test_so_it_is_with_every_encoding_and_kind_of_node(mixed: Assessed, scheme: SchemeName) -> None:
    assessor, damages = mixed
    plan = make_plan(damages, scheme, int(0.3 * stored_bits(damages)))
    assert verify(plan, assessor, 8, np.random.default_rng(0)).agrees


def test_the_best_mix_uses_more_than_one_protection(mixed: Assessed) -> None:
    _, damages = mixed
    plan = make_plan(damages, "auto", int(0.2 * stored_bits(damages)))
    used = {PROTECTIONS[kind] for tensor in plan.tensors for kind in tensor.protection}
    assert len(used) > 2


def test_protection_for_every_word_leaves_no_damage(perceptron: Assessed) -> None:
    assessor, damages = perceptron
    for scheme in ("tmr", "secded", "parity-reload"):
        plan = make_plan(damages, scheme, 2 * stored_bits(damages))
        assert verify(plan, assessor, 0, np.random.default_rng(0)).verified == 0


def test_without_a_budget_the_damage_is_that_of_the_campaign(perceptron: Assessed) -> None:
    assessor, damages = perceptron
    plan = make_plan(damages, "tmr", 0)
    before = sum(float(storages[0].flips.sum()) for storages in damages)
    assert verify(plan, assessor, 0, np.random.default_rng(0)).verified == pytest.approx(before, rel=1e-12)


def test_a_wrong_prediction_is_seen(perceptron: Assessed) -> None:
    assessor, damages = perceptron
    plan = make_plan(damages, "tmr", stored_bits(damages) // 10)
    first = plan.damages[0]
    flips = first.flips.copy()
    word, bit = np.argwhere(~(plan.tensors[0].triplicated[:, None] >> np.arange(4) & 1).astype(bool))[0]
    flips[word, bit] += 1
    wrong = replace(plan, damages=(replace(first, flips=flips), *plan.damages[1:]))
    found = verify(wrong, assessor, 0, np.random.default_rng(0))
    assert found.differing == 1
    assert not found.agrees
