"""The cached path against brute force, for every site of small networks of every kind."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.campaigns import golden_of
from support.networks import Mlp
from support.reference import naive_output

import fault_injection.downstream
import hls.engine
from fault_injection.faults import change_at, faulty_words
from fault_injection.golden import Golden, golden_run
from fault_injection.propagate import ChangedRows, propagate
from fault_injection.sites import SiteTable, all_sites
from hls.engine import ExactEngine, sums
from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.nodes import MatMul

SMALL = (4, 3, 2)
KINDS = {
    "per tensor": Mlp(widths=SMALL),
    "per channel widened": Mlp(widths=SMALL, per_channel=True, seed=1),
    "no bias": Mlp(widths=SMALL, bias=False),
    "signed": Mlp(widths=SMALL, input_signed=True, signed_activation=True, narrow_activation=True, relu=False),
    "floor": Mlp(widths=SMALL, rounding="FLOOR"),
    "output quantizer": Mlp(widths=SMALL, output_quant=True, seed=2),
    "relu at the output": Mlp(widths=SMALL, relu_last=True),
    "requantize": Mlp(widths=SMALL, po2=False, bias=False),
    "requantize per channel": Mlp(widths=SMALL, po2=False, bias=False, per_channel=True, output_quant=True),
    "image": Mlp(widths=SMALL, input_shape=(2, 2)),
    "one layer": Mlp(widths=(3, 2)),
    "three layers": Mlp(widths=(3, 4, 3, 2), activation_bits=3, weight_bits=3, seed=4),
}
WRAPPING = {"fc1": 6, "fc2": 5}


def wrapping() -> Golden:
    recipe = Mlp(widths=SMALL)
    graph = recipe.graph()
    nodes, values = list(graph.nodes), dict(graph.values)
    for position, node in enumerate(nodes):
        if isinstance(node, MatMul):
            narrow = WordFormat(width_bits=WRAPPING[node.name], encoding="twos_complement", overflow="wrap")
            nodes[position] = msgspec.structs.replace(node, accumulator=narrow)
            values[node.output] = replace(values[node.output], format=narrow)
    graph = replace(graph, nodes=tuple(nodes), values=values)
    return golden_run(graph, graph.quantize_inputs(recipe.inputs(12)))


GOLDENS = {name: golden_of(recipe) for name, recipe in KINDS.items()} | {"wrapping accumulators": wrapping()}


def effect(golden: Golden, sites: SiteTable, model: str) -> ChangedRows:
    return propagate(golden, sites, *faulty_words(golden.graph, sites, model))


def outputs_of(golden: Golden, changed: ChangedRows, fault: int) -> np.ndarray:
    output = golden.output.copy()
    rows = changed.fault == fault
    output[changed.sample[rows]] = changed.output[rows]
    return output


def require_brute_force(golden: Golden, sites: SiteTable, model: str) -> None:
    changed = effect(golden, sites, model)
    engine = ExactEngine(golden.graph)
    for row in range(len(sites)):
        expected = engine.with_words([change_at(golden.graph, sites.site(row), model)]).run(golden.inputs).output
        assert np.array_equal(outputs_of(golden, changed, row), expected), sites.site(row)


@pytest.mark.parametrize("model", ["flip", "stuck0", "stuck1"])
@pytest.mark.parametrize("kind", list(GOLDENS))
def test_every_fault_does_what_a_run_of_its_own_does(kind: str, model: str) -> None:
    require_brute_force(GOLDENS[kind], all_sites(GOLDENS[kind].graph), model)


def test_a_run_of_its_own_is_naive_arithmetic() -> None:
    golden = GOLDENS["wrapping accumulators"]
    sites = all_sites(golden.graph)
    changed = effect(golden, sites, "flip")
    for row in range(0, len(sites), 5):
        faulty = golden.graph.with_words([change_at(golden.graph, sites.site(row), "flip")])
        assert np.array_equal(outputs_of(golden, changed, row), naive_output(faulty, golden.inputs))


def test_the_wrapping_network_wraps() -> None:
    golden = GOLDENS["wrapping accumulators"]
    for node in golden.graph.nodes:
        if isinstance(node, MatMul):
            assert not node.accumulator.contains(sums(golden.graph, node, [golden.words[node.input]]))


@pytest.mark.parametrize("kind", list(GOLDENS))
def test_only_pairs_whose_output_changed_are_listed_by_fault_then_sample(kind: str) -> None:
    golden = GOLDENS[kind]
    changed = effect(golden, all_sites(golden.graph), "flip")
    assert (changed.output != golden.output[changed.sample]).any(axis=1).all()
    order = changed.fault * golden.samples + changed.sample
    assert np.all(np.diff(order) > 0)


@pytest.mark.parametrize("words", [1, 7, 50])
@pytest.mark.parametrize("kind", ["per channel widened", "three layers", "wrapping accumulators"])
def test_blocks_of_any_size_give_the_same(kind: str, words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = GOLDENS[kind]
    sites = all_sites(golden.graph)
    whole = effect(golden, sites, "flip")
    monkeypatch.setattr(fault_injection.downstream, "BLOCK_WORDS", words)
    require_same(effect(golden, sites, "flip"), whole)


def test_more_than_one_batch_of_the_engine_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # FKeras XORs its kernel at every forward call: with two batches the fault is on in one and off in the other.
    golden = GOLDENS["per tensor"]
    sites = all_sites(golden.graph).take(slice(0, 40))
    whole = effect(golden, sites, "flip")
    monkeypatch.setattr(hls.engine, "BLOCK_SAMPLES", 5)
    require_same(effect(golden_run(golden.graph, golden.inputs), sites, "flip"), whole)
    require_brute_force(golden, sites, "flip")


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_any_selection_in_any_order_gives_each_fault_its_own_effect(data: st.DataObject) -> None:
    golden = GOLDENS["per channel widened"]
    sites = all_sites(golden.graph)
    rows = data.draw(st.lists(st.integers(0, len(sites) - 1), min_size=1, max_size=12, unique=True))
    whole, part = effect(golden, sites, "flip"), effect(golden, sites.take(np.array(rows)), "flip")
    for position, row in enumerate(rows):
        assert np.array_equal(outputs_of(golden, part, position), outputs_of(golden, whole, row))


def test_a_fault_that_changes_no_word_changes_nothing() -> None:
    golden = GOLDENS["per tensor"]
    sites = all_sites(golden.graph)
    before, _ = faulty_words(golden.graph, sites, "flip")
    assert len(propagate(golden, sites, before, before).fault) == 0


def mutated(graph: IntegerGraph) -> Golden:
    golden = GOLDENS["per tensor"]
    words = dict(golden.words)
    words["act1"] = np.maximum(words["act1"] - 1, 0)
    return Golden(graph=graph, inputs=golden.inputs, words=words)


def test_the_comparison_can_fail() -> None:
    golden = GOLDENS["per tensor"]
    with pytest.raises(AssertionError):
        require_brute_force(mutated(golden.graph), all_sites(golden.graph), "flip")


def require_same(one: ChangedRows, two: ChangedRows) -> None:
    for field in ("fault", "sample", "output"):
        assert np.array_equal(getattr(one, field), getattr(two, field)), field
