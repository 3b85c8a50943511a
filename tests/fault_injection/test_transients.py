"""Upsets of words on their way, against whole runs in which the word is upset."""

from __future__ import annotations

import numpy as np
import pytest
from support.fault_checks import judge_of, outputs_of, require_fault_list, require_outcomes_of_brute_force
from support.fault_networks import goldens
from support.networks import Mlp
from support.reference import naive_node

import fault_injection.downstream
from fault_injection.golden import Golden, flat, golden_run
from fault_injection.transients import held_values, propagate_transients, transients_of
from hls.engine import ExactEngine
from hls.errors import UsageError
from hls.nodes import inputs_of

GOLDENS = goldens(samples=5)
RECIPE = Mlp(widths=(4, 3, 2), per_channel=True)
GOLDENS["dense"] = golden_run(RECIPE.graph(), RECIPE.graph().quantize_inputs(RECIPE.inputs(8)))
QUICK = ["dense", "tables", "branch at the sum", "one axis"]


@pytest.mark.parametrize("kind", [pytest.param(k, marks=() if k in QUICK else pytest.mark.slow) for k in GOLDENS])
def test_every_upset_does_what_a_run_of_its_own_does(kind: str) -> None:
    golden = GOLDENS[kind]
    require_outcomes_of_brute_force(golden, transients_of(golden.graph))


@pytest.mark.parametrize("kind", ["thresholds", "residual", "bipolar"])
def test_a_run_of_its_own_is_naive_arithmetic(kind: str) -> None:
    golden = GOLDENS[kind]
    faults, engine = transients_of(golden.graph), ExactEngine(golden.graph)
    for row in range(0, len(faults), 397):
        site = faults.sites.site(row)
        words = {golden.graph.quantizer.output: golden.inputs.astype(object)}
        for node in golden.graph.nodes:
            if node is not golden.graph.quantizer:
                words[node.output] = naive_node(golden.graph, node, [words[name] for name in inputs_of(node)])
            if node.output == site.tensor:
                upset = flat(words[node.output]).astype(np.int64)
                word_format = golden.graph.values[node.output].format
                upset[:, site.index] = word_format.flip(upset[:, site.index], site.bit)
                words[node.output] = upset.reshape(words[node.output].shape).astype(object)
        naive = flat(words[golden.graph.output].astype(np.int64))
        assert np.array_equal(faults.faulty_output(engine, golden, row), naive)


def test_a_campaign_can_number_cut_and_repeat_transients() -> None:
    require_fault_list(GOLDENS["dense"], transients_of(GOLDENS["dense"].graph))


@pytest.mark.parametrize("words", [1, 13])
@pytest.mark.parametrize("kind", ["dense", "one axis"])
def test_blocks_of_any_size_give_the_same(kind: str, words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = GOLDENS[kind]
    faults = transients_of(golden.graph)
    faults = faults.take(slice(0, len(faults), 11))
    whole = propagate_transients(golden, faults.sites)
    monkeypatch.setattr(fault_injection.downstream, "BLOCK_WORDS", words)
    part = propagate_transients(golden, faults.sites)
    for field in ("fault", "sample", "output"):
        assert np.array_equal(getattr(part, field), getattr(whole, field)), field


def test_every_sample_is_upset_in_its_own_word() -> None:
    golden = GOLDENS["dense"]
    faults = transients_of(golden.graph, [golden.graph.output])
    changed = propagate_transients(golden, faults.sites)
    word_format = golden.graph.values[golden.graph.output].format
    for row in range(len(faults)):
        site = faults.sites.site(row)
        expected = golden.output.astype(np.int64)
        expected[:, site.index] = word_format.flip(expected[:, site.index], site.bit)
        assert np.array_equal(outputs_of(golden, changed, row), expected)


def test_registers_are_inputs_sums_and_activations_but_no_wires() -> None:
    held = held_values(GOLDENS["residual"].graph)
    assert {"q", "conv1", "act2", "add5"} <= set(held)
    assert not [name for name in held if name.startswith("view")]
    assert held["conv1"].format == GOLDENS["residual"].graph.values["conv1"].format


def test_a_filter_keeps_the_numbers() -> None:
    graph = GOLDENS["dense"].graph
    every, some = transients_of(graph), transients_of(graph, ["act*"], "msb")
    numbers = {every.text(row): every.number[row] for row in range(len(every))}
    assert [numbers[some.text(row)] for row in range(len(some))] == some.number.tolist()
    assert len(some) == 3


def test_the_words_of_a_transient_are_those_of_each_sample() -> None:
    table = transients_of(GOLDENS["dense"].graph).columns(GOLDENS["dense"].graph)
    assert table["golden_word"].null_count == table["faulty_word"].null_count == table.num_rows


def test_input_words_can_be_upset_on_any_executor() -> None:
    golden = GOLDENS["dense"]
    faults = transients_of(golden.graph, [golden.graph.quantizer.output])
    engine = _NoEngine(golden)
    assert np.array_equal(faults.faulty_output(engine, golden, 3), faults.faulty_output(engine.inner, golden, 3))
    with pytest.raises(UsageError, match="values cannot be changed on their way"):
        transients_of(golden.graph, ["act*"]).faulty_output(engine, golden, 0)


class _NoEngine:
    """An executor whose values nobody can reach."""

    def __init__(self, golden: Golden) -> None:
        self.inner = ExactEngine(golden.graph)
        self.graph, self.tensors, self.run, self.with_words = (
            golden.graph, self.inner.tensors, self.inner.run, self.inner.with_words,
        )  # fmt: skip


@pytest.mark.parametrize(("values", "bits"), [(["nowhere"], "all"), (["act*"], "40"), (["act*"], "3..1")])
def test_a_filter_that_cannot_be_is_refused(values: list[str], bits: str) -> None:
    with pytest.raises(UsageError):
        transients_of(GOLDENS["dense"].graph, values, bits)


def test_the_comparison_can_fail() -> None:
    golden = GOLDENS["dense"]
    name = golden.graph.compute_nodes[0].output
    wrong = Golden(graph=golden.graph, inputs=golden.inputs, words={**golden.words, name: golden.words[name] // 2})
    with pytest.raises(AssertionError):
        require_outcomes_of_brute_force(wrong, transients_of(golden.graph))


def test_an_upset_of_every_sample_counts_samples() -> None:
    golden = GOLDENS["dense"]
    table = transients_of(golden.graph).judge(judge_of(golden), detail="full", threads=1)
    total = table["masked"].to_numpy() + table["tolerable"].to_numpy() + table["critical"].to_numpy()
    assert (total == golden.samples).all()
