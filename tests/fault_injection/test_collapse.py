from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.campaigns import classification, golden_of, same
from support.networks import Mlp

import fault_injection.kernel_library as kernel_library
from fault_injection.exact import Detail, collapse_of, judge_stored_bits
from fault_injection.faults import FaultModel, change_at, faulty_words
from fault_injection.golden import flat, golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.propagate import propagate
from fault_injection.sites import all_sites, sample_sites
from hls.engine import ExactEngine
from hls.nodes import MatMul

pytestmark = pytest.mark.gxx

COUNTED = ("decisions_changed", "right_to_wrong", "wrong_to_right", "metric_change")

NETWORKS = {
    "plain": Mlp(),
    "no bias": Mlp(bias=False),
    "one layer": Mlp(widths=(8, 3)),
    "one hidden layer": Mlp(widths=(8, 6, 3)),
    "three hidden layers": Mlp(widths=(8, 9, 7, 6, 4)),
    "signed inputs": Mlp(input_signed=True),
    "inputs of 12 bits": Mlp(input_bits=12),
    "signed activations": Mlp(signed_activation=True),
    "no relu": Mlp(relu=False, signed_activation=True),
    "floor": Mlp(rounding="FLOOR"),
    "scale a channel": Mlp(per_channel=True),
    "multipliers": Mlp(po2=False),
    "multiplier a channel": Mlp(po2=False, per_channel=True),
    "quantized output": Mlp(output_quant=True),
    "relu at the end": Mlp(relu_last=True),
    "one-bit activations": Mlp(activation_bits=1),
    "two-bit weights": Mlp(weight_bits=2),
    "eight bits": Mlp(weight_bits=8, activation_bits=8, input_bits=8),
    "two classes": Mlp(widths=(20, 30, 25, 2)),
    "a hundred classes": Mlp(widths=(70, 12, 100)),
    "jets": Mlp(widths=(16, 64, 32, 32, 5), weight_bits=6, activation_bits=6, input_bits=6, input_signed=True),
}


def engine_takes_every_layer(judge: Judge) -> bool:
    return all(collapse_of(judge, node) for node in judge.golden.graph.nodes if isinstance(node, MatMul))


def require_same_table(judge: Judge, model: FaultModel = "flip", threads: int = 1) -> None:
    sites = all_sites(judge.golden.graph)
    words = faulty_words(judge.golden.graph, sites, model)
    expected = judge.judge(propagate(judge.golden, sites, *words), len(sites))
    full = judge_stored_bits(judge, sites, words, detail="full", threads=threads)
    assert full.equals(expected)
    decisions = judge_stored_bits(judge, sites, words, detail="decisions", threads=threads)
    for name in COUNTED:
        assert decisions[name].combine_chunks().equals(expected[name].combine_chunks()), name
    assert expected["decisions_changed"].to_numpy().sum() > 0  # tables of zeros would agree, too


@pytest.mark.parametrize("name", NETWORKS)
def test_every_bit_does_what_propagation_says(name: str) -> None:
    judge = classification(golden_of(NETWORKS[name], samples=40))
    assert engine_takes_every_layer(judge)
    require_same_table(judge)


@pytest.mark.parametrize("model", ["stuck0", "stuck1"])
def test_stuck_bits_do_what_propagation_says(model: FaultModel) -> None:
    require_same_table(classification(golden_of(Mlp(), samples=40)), model)


def test_without_labels_the_answers_themselves_are_right() -> None:
    require_same_table(replace(classification(golden_of(Mlp(), samples=40)), labels=None))


def test_threads_share_the_neurons_without_changing_a_number() -> None:
    require_same_table(classification(golden_of(Mlp(), samples=40)), threads=3)


def test_blocks_of_samples_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fault_injection.collapse.VISITS", 200)
    require_same_table(classification(golden_of(Mlp(), samples=90)))


def test_ties_go_to_the_lowest_class() -> None:
    """Inputs of two words and weights of two bits: equal outputs are the rule, not the exception."""
    require_same_table(classification(golden_of(Mlp(widths=(6, 5, 4, 6), weight_bits=2, input_bits=1), samples=60)))


def squared_error(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.asarray(((values - labels) ** 2).mean(axis=1))


def test_any_metric_is_summed_to_the_same_float() -> None:
    golden = golden_of(Mlp(po2=False), samples=40)
    labels = np.random.default_rng(5).normal(size=golden.output.shape)
    decision = Decision(kind="tolerance", tolerance=0.3)
    judge = Judge(golden=golden, decision=decision, labels=labels, per_sample=squared_error, finish=same)
    sites = all_sites(golden.graph)
    words = faulty_words(golden.graph, sites, "flip")
    expected = judge.judge(propagate(golden, sites, *words), len(sites))
    assert judge_stored_bits(judge, sites, words, detail="full", threads=1).equals(expected)


def test_a_subset_of_the_faults_has_the_rows_of_all_of_them() -> None:
    judge = classification(golden_of(Mlp(), samples=40))
    every = all_sites(judge.golden.graph)
    some = sample_sites(every, 50, np.random.default_rng(2))
    tables = [
        judge_stored_bits(judge, sites, faulty_words(judge.golden.graph, sites, "flip"), detail="full", threads=1)
        for sites in (every, some)
    ]
    assert tables[1].equals(tables[0].take(some.number).combine_chunks())


def test_a_whole_run_of_the_engine_changes_as_many_decisions() -> None:
    judge = classification(golden_of(NETWORKS["jets"], samples=60))
    golden = judge.golden
    sites = sample_sites(all_sites(golden.graph), 60, np.random.default_rng(1))
    words = faulty_words(golden.graph, sites, "flip")
    table = judge_stored_bits(judge, sites, words, detail="decisions", threads=1)
    best = golden.output.argmax(axis=1)
    for row in range(len(sites)):
        engine = ExactEngine(golden.graph).with_words([change_at(golden.graph, sites.site(row), "flip")])
        faulty = flat(engine.run(golden.inputs).output)
        assert table["decisions_changed"][row].as_py() == (faulty.argmax(axis=1) != best).sum()


def test_loops_without_vector_instructions_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same source for a processor without AVX: what an old or another machine would run."""
    flags = tuple(flag for flag in kernel_library._FLAGS if flag != "-march=native")
    monkeypatch.setattr(kernel_library, "_FLAGS", flags)
    kernel_library.kernels.cache_clear()
    try:
        require_same_table(classification(golden_of(NETWORKS["signed inputs"], samples=40)))
    finally:
        kernel_library.kernels.cache_clear()


def test_a_wrapping_accumulator_is_left_to_propagation() -> None:
    golden = golden_of(Mlp(), samples=5)
    narrow = []
    for node in golden.graph.nodes:
        if isinstance(node, MatMul) and node.name == "fc2":
            word_format = replace(node.accumulator, width_bits=6, overflow="wrap")
            node = type(node)(**{**{f: getattr(node, f) for f in node.__struct_fields__}, "accumulator": word_format})
        narrow.append(node)
    graph = replace(golden.graph, nodes=tuple(narrow))
    judge = classification(golden_run(graph, golden.inputs))
    assert collapse_of(judge, graph.nodes[1]) is None
    sites = all_sites(graph)
    words = faulty_words(graph, sites, "flip")
    expected = judge.judge(propagate(judge.golden, sites, *words), len(sites))
    assert judge_stored_bits(judge, sites, words, detail="full", threads=1).equals(expected)


def test_only_decisions_leaves_the_other_columns_empty() -> None:
    judge = classification(golden_of(Mlp(output_quant=True), samples=20))
    sites = all_sites(judge.golden.graph)
    words = faulty_words(judge.golden.graph, sites, "flip")
    table = judge_stored_bits(judge, sites, words, detail="decisions", threads=1)
    for name in ("masked", "tolerable", "words_changed", "worst_sample_change"):
        assert table[name].null_count == len(sites)
    assert set(table["outcome"].to_pylist()) == {"critical", "kept"}


@pytest.mark.parametrize("detail", ["full", "decisions"])
def test_words_that_no_single_flip_leaves_behind_are_judged_too(detail: Detail) -> None:
    judge = classification(golden_of(Mlp(per_channel=True), samples=40))
    sites = all_sites(judge.golden.graph)
    before, _ = faulty_words(judge.golden.graph, sites, "flip")
    expected = judge.judge(propagate(judge.golden, sites, before, 0 * before), len(sites))
    zeroed = judge_stored_bits(judge, sites, (before, 0 * before), detail=detail, threads=1)
    for name in COUNTED:
        assert zeroed[name].combine_chunks().equals(expected[name].combine_chunks()), name


def test_both_details_can_be_asked_of_one_judge() -> None:
    """The tables of the second are as large as those of a judge that was never asked for decisions."""
    judges = [classification(golden_of(NETWORKS["eight bits"], samples=40)) for _ in range(2)]
    sites = all_sites(judges[0].golden.graph)
    words = faulty_words(judges[0].golden.graph, sites, "flip")
    judge_stored_bits(judges[0], sites, words, detail="decisions", threads=1)
    first, second = (judge_stored_bits(judge, sites, words, detail="full", threads=1) for judge in judges)
    assert first.equals(second)


def test_no_faults_are_an_empty_table() -> None:
    judge = classification(golden_of(Mlp(), samples=5))
    none = all_sites(judge.golden.graph).take(slice(0, 0))
    table = judge_stored_bits(judge, none, (none.bit, none.bit), detail="full", threads=1)
    assert table.num_rows == 0
