"""The cached path against a run for every fault, on hand-built networks of every kind of node and branch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.fault_networks import goldens, upward
from support.reference import naive_output

import fault_injection.downstream
from fault_injection.faults import FAULT_MODELS, change_at, faulty_words
from fault_injection.golden import Golden, flat, golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.propagate import ChangedRows, propagate
from fault_injection.sites import SiteTable, all_sites
from hls.engine import ExactEngine, sum_interval
from hls.host import HostApply
from hls.nodes import accumulator_of

GOLDENS = goldens()


def effect(golden: Golden, sites: SiteTable, model: str = "flip") -> ChangedRows:
    return propagate(golden, sites, *faulty_words(golden.graph, sites, model))


def outputs_of(golden: Golden, changed: ChangedRows, fault: int) -> np.ndarray:
    output = golden.output.astype(np.int64)
    rows = changed.fault == fault
    output[changed.sample[rows]] = changed.output[rows]
    return output


@cache
def runs_of_their_own(kind: str) -> tuple[np.ndarray, ...]:
    """Output words of the whole network under the flip of each bit."""
    golden = GOLDENS[kind]
    engine, sites = ExactEngine(golden.graph), all_sites(golden.graph)
    changes = [change_at(golden.graph, sites.site(row), "flip") for row in range(len(sites))]
    return tuple(flat(engine.with_words([change]).run(golden.inputs).output) for change in changes)


def require_brute_force(kind: str, golden: Golden, model: str = "flip") -> None:
    sites = all_sites(golden.graph)
    before, after = faulty_words(golden.graph, sites, model)
    changed = propagate(golden, sites, before, after)
    for row, flipped in enumerate(runs_of_their_own(kind)):
        expected = GOLDENS[kind].output if before[row] == after[row] else flipped  # a stuck bit flips or stays
        assert np.array_equal(outputs_of(golden, changed, row), expected), sites.site(row)


@pytest.mark.parametrize("model", FAULT_MODELS)
@pytest.mark.parametrize("kind", list(GOLDENS))
def test_every_fault_does_what_a_run_of_its_own_does(kind: str, model: str) -> None:
    require_brute_force(kind, GOLDENS[kind], model)


@pytest.mark.parametrize("kind", list(GOLDENS))
def test_some_faults_reach_the_output_and_some_do_not(kind: str) -> None:
    golden = GOLDENS[kind]
    sites = all_sites(golden.graph)
    reached = np.unique(effect(golden, sites).fault)
    assert len(reached) > 0
    pairs = len(effect(golden, sites).fault)
    assert pairs < len(sites) * golden.samples


@pytest.mark.parametrize("kind", ["saturating", "upward", "thresholds", "bipolar"])
def test_a_run_of_its_own_is_naive_arithmetic(kind: str) -> None:
    golden = GOLDENS[kind]
    sites = all_sites(golden.graph)
    changed = effect(golden, sites)
    for row in range(0, len(sites), 7):
        faulty = golden.graph.with_words([change_at(golden.graph, sites.site(row), "flip")])
        assert np.array_equal(outputs_of(golden, changed, row), flat(naive_output(faulty, golden.inputs)))


@pytest.mark.parametrize("kind", ["wrapping", "saturating"])
def test_the_narrow_networks_are_narrow(kind: str) -> None:
    graph = GOLDENS[kind].graph
    sums = [node for node in graph.compute_nodes if accumulator_of(node)]
    assert not any(sum_interval(graph, node).within(node.accumulator) for node in sums)


@pytest.mark.parametrize("kind", list(GOLDENS))
def test_only_pairs_whose_output_changed_are_listed_by_fault_then_sample(kind: str) -> None:
    golden = GOLDENS[kind]
    changed = effect(golden, all_sites(golden.graph))
    assert (changed.output != golden.output[changed.sample]).any(axis=1).all()
    assert np.all(np.diff(changed.fault * golden.samples + changed.sample) > 0)


@pytest.mark.parametrize("words", [1, 17, 200])
@pytest.mark.parametrize("kind", ["plain", "depthwise", "thresholds", "residual", "upward", "saturating"])
def test_blocks_of_any_size_give_the_same(kind: str, words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = GOLDENS[kind]
    sites = all_sites(golden.graph)
    sites = sites.take(slice(0, len(sites), 3))
    whole = effect(golden, sites)
    monkeypatch.setattr(fault_injection.downstream, "BLOCK_WORDS", words)
    part = effect(golden, sites)
    for field in ("fault", "sample", "output"):
        assert np.array_equal(getattr(part, field), getattr(whole, field)), field


def test_bipolar_words_flip_their_sign() -> None:
    graph = GOLDENS["bipolar"].graph
    sites = all_sites(graph)
    before, after = faulty_words(graph, sites, "flip")
    of_weight = np.flatnonzero([sites.tensors[t].endswith("weight") for t in sites.tensor])
    assert set(np.unique(before[of_weight])) == {-1, 1}
    assert np.array_equal(after[of_weight], -before[of_weight])
    _, high = faulty_words(graph, sites, "stuck1")
    assert (high[of_weight] == 1).all()


@pytest.mark.parametrize("kind", ["residual", "thresholds", "depthwise"])
def test_the_comparison_can_fail(kind: str) -> None:
    """A golden value that is off by one is seen."""
    golden = GOLDENS[kind]
    name = next(node.output for node in golden.graph.compute_nodes if node.output.startswith("conv"))
    wrong = replace(golden, words={**golden.words, name: golden.words[name] + 9})
    with pytest.raises(AssertionError):
        require_brute_force(kind, wrong)


def test_golden_words_take_no_more_room_than_their_format_needs() -> None:
    golden = GOLDENS["plain"]
    assert golden.words["q"].dtype == np.int8
    for name, words in golden.words.items():
        assert golden.graph.values[name].format.contains(words.astype(np.int64))
        assert words.shape == (golden.samples, *golden.graph.values[name].shape)


def test_an_image_is_judged_by_all_its_values_in_the_layout_of_the_original_graph() -> None:
    net = upward()
    graph = net.graph(tail=(HostApply(function="softmax"),), output_axes=(2, 0, 1))
    golden = golden_run(graph, net.words(5))
    real = graph.output_values(ExactEngine(graph).run(golden.inputs).output)
    assert real.shape == (5, 2, *graph.values[graph.output].shape[:2])
    assert np.array_equal(golden.values(golden.output), real.reshape(5, -1))
    sites = all_sites(graph).take(slice(0, 60))
    judge = Judge(
        golden=golden, decision=Decision(kind="tolerance", tolerance=0.1), labels=None,
        per_sample=lambda values, labels: np.abs(values - labels).max(axis=1), finish=lambda mean: mean,
    )  # fmt: skip
    table = judge.judge(effect(golden, sites), len(sites))
    for row in range(len(sites)):
        faulty = ExactEngine(graph).with_words([change_at(graph, sites.site(row), "flip")]).run(golden.inputs).output
        moved = np.abs(graph.output_values(faulty) - real).reshape(5, -1).max(axis=1)
        assert table["critical"][row].as_py() == int((moved > 0.1).sum())
        assert table["worst_sample_change"][row].as_py() == moved.max()
