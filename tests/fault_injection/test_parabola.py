"""Finite differences: exact on a parabola, within the word's range, for every kind of stored word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.campaigns import golden_of, same
from support.graphs import BIPOLAR, Net, signed, unsigned
from support.networks import Mlp

from fault_injection.flips import flips_of
from fault_injection.golden import golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.parabola import _neighbours, by_finite_differences, word_parabolas
from fault_injection.sites import all_sites
from hls.engine import ExactEngine
from hls.graph import IntegerGraph, WordChange


def squared(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared first output: a parabola in every weight of a single layer."""
    return np.asarray((values[:, 0] - labels) ** 2)


def judge_of(graph: IntegerGraph, inputs: np.ndarray) -> Judge:
    return Judge(
        golden=golden_run(graph, inputs), decision=Decision(kind="argmax"), labels=np.arange(float(len(inputs))),
        per_sample=squared, finish=same,
    )  # fmt: skip


def test_the_prediction_is_exact_where_the_loss_is_a_parabola() -> None:
    net = Net(shape=(4,), seed=1)
    net.matmul("q", 2, weights=signed(5), bias=signed(6))
    graph, inputs = net.graph(), net.words(5)
    judge = judge_of(graph, inputs)
    flips = flips_of(graph, all_sites(graph))
    predicted = by_finite_differences(judge, flips).score
    clean = judge.metric()
    for row in range(len(flips)):
        site = flips.sites.site(row)
        change = WordChange(tensor=site.tensor, index=site.index, word=int(flips.words[row] + flips.delta[row]))
        output = graph.output_values(ExactEngine(graph).with_words([change]).run(inputs).output)
        measured = float(squared(output, np.arange(5.0)).mean()) - clean
        assert predicted[row] == pytest.approx(measured, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("word_format", [signed(2), signed(3), signed(6), unsigned(1), unsigned(2), unsigned(5)])
def test_both_neighbours_are_legal_words_and_not_the_word_itself(word_format: object) -> None:
    words = np.arange(word_format.minimum, word_format.maximum + 1)  # type: ignore[attr-defined]
    net = Net(shape=(len(words),))
    net.matmul("q", 1, weights=word_format, words=words[:, None])
    graph = net.graph()
    flips = flips_of(graph, all_sites(graph))
    for offset in _neighbours(graph, flips.sites, flips.words):
        assert (offset != 0).all()
        assert word_format.contains(flips.words + offset)  # type: ignore[attr-defined]


def test_a_bipolar_word_has_its_flip_for_a_neighbour_so_its_prediction_is_exact() -> None:
    net = Net(shape=(3,), seed=2)
    net.matmul("q", 2, weights=BIPOLAR)
    graph = net.graph()
    judge = judge_of(graph, net.words(6))
    flips = flips_of(graph, all_sites(graph))
    slope, curvature = word_parabolas(judge, flips)
    assert (curvature == 0).all()
    clean = judge.metric()
    for row in range(len(flips)):
        site = flips.sites.site(row)
        change = WordChange(tensor=site.tensor, index=site.index, word=-int(flips.words[row]))
        output = graph.output_values(ExactEngine(graph).with_words([change]).run(judge.golden.inputs).output)
        rise = float(squared(output, np.arange(6.0)).mean()) - clean
        assert slope[row] * flips.delta[row] == pytest.approx(rise, rel=1e-9, abs=1e-9)


def test_tables_are_ranked_too() -> None:
    net = Net(shape=(3,), seed=4)
    net.matmul(net.lookup("q", signed(4)), 2)
    graph = net.graph()
    flips = flips_of(graph, all_sites(graph))
    ranking = by_finite_differences(judge_of(graph, net.words(8)), flips)
    assert sorted(ranking.order) == list(range(len(flips)))
    table = flips.sites.tensor == list(graph.tensors).index("act1.table")
    assert np.abs(ranking.score[table]).max() > 0


def test_blocks_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Mlp()
    golden = golden_of(recipe)
    judge = replace(judge_of(golden.graph, golden.inputs), golden=golden)
    flips = flips_of(golden.graph, all_sites(golden.graph))
    whole = by_finite_differences(judge, flips).score
    monkeypatch.setattr("fault_injection.parabola.BLOCK_WORDS", 60)
    assert np.array_equal(by_finite_differences(judge, flips).score, whole)
