"""The greedy search for the worst flips, against the same search by runs of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.fault_checks import judge_of
from support.fault_networks import goldens
from support.networks import Mlp

from fault_injection.golden import golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.sites import SiteTable, select_sites
from fault_injection.worst_flips import Search, WorstFlip, worst_flips
from hls.engine import ExactEngine
from hls.errors import UsageError
from hls.graph import IntegerGraph, WordChange

RECIPE = Mlp(widths=(5, 4, 4), weight_bits=3, bias_bits=6, seed=2)


def trained() -> Judge:
    """A network that is always right: its own answers are the labels."""
    graph = RECIPE.graph()
    golden = golden_run(graph, graph.quantize_inputs(RECIPE.inputs(40)))
    return judge_of(golden, labels=golden.values(golden.output).argmax(axis=1))


JUDGE = trained()


def weights_of(graph: IntegerGraph) -> SiteTable:
    """Bits of weights: a bias alone can decide so small a network."""
    return select_sites(graph, tensors=["fc*.weight"])


def search(judge: Judge = JUDGE, **choices: object) -> Search:
    defaults = {"sites": weights_of(judge.golden.graph), "higher_is_better": True, "detail": "full"}
    return Search(judge=judge, **defaults | choices)


def flipped(graph: IntegerGraph, tensor: str, index: int, bit: int) -> IntegerGraph:
    stored = graph.tensors[tensor]
    word = stored.format.flip(stored.words.reshape(-1)[[index]], bit)
    return graph.with_words([WordChange(tensor=tensor, index=index, word=int(word[0]))])


def by_brute_force(judge: Judge, sites: SiteTable, count: int) -> list[tuple[str, float]]:
    """Greedy, every flip of every step a run of its own."""
    graph = judge.golden.graph
    found: list[tuple[str, float]] = []
    used: set[int] = set()
    for _ in range(count):
        now = graph.output_values(ExactEngine(graph).run(judge.golden.inputs).output)
        clean, best = judge.per_sample(now, judge.reference).mean(), None
        for row in range(len(sites)):
            if row in used:
                continue
            site = sites.site(row)
            faulty = flipped(graph, site.tensor, site.index, site.bit)
            values = faulty.output_values(ExactEngine(faulty).run(judge.golden.inputs).output)
            metric = judge.per_sample(values, judge.reference).mean()
            key = (metric, -(values.argmax(axis=1) != now.argmax(axis=1)).sum(), row)
            if best is None or key < best:
                best = key
        if best is None or best[0] >= clean:
            return found
        used.add(best[2])
        site = sites.site(best[2])
        graph = flipped(graph, site.tensor, site.index, site.bit)
        found.append((str(site), float(best[0])))
    return found


def listed(steps: list[WorstFlip]) -> list[tuple[str, float]]:
    return [(str(step.site), step.metric) for step in steps]


def test_every_step_is_the_worst_of_all_flips_on_top_of_the_earlier_ones() -> None:
    steps = list(worst_flips(search(), 2))
    assert listed(steps) == by_brute_force(JUDGE, weights_of(JUDGE.golden.graph), 2)
    assert len(steps) == 2


def test_a_convolutional_network_is_searched_too() -> None:
    golden = goldens(samples=8)["residual"]
    judge = judge_of(golden, labels=golden.values(golden.output).argmax(axis=1))
    sites = select_sites(golden.graph, tensors=["conv1.weight"], bits="msb")
    assert listed(list(worst_flips(search(judge, sites=sites), 2))) == by_brute_force(judge, sites, 2)


def test_every_step_is_confirmed_by_a_run_of_the_whole_network() -> None:
    graph = JUDGE.golden.graph
    for step in worst_flips(search(), 4):
        assert step.confirmed
        assert step.golden_word == graph.tensors[step.site.tensor].words.reshape(-1)[step.site.index]
        graph = flipped(graph, step.site.tensor, step.site.index, step.site.bit)
        assert step.faulty_word == graph.tensors[step.site.tensor].words.reshape(-1)[step.site.index]
        values = graph.output_values(ExactEngine(graph).run(JUDGE.golden.inputs).output)
        assert step.decisions_changed == (values.argmax(axis=1) != JUDGE.golden_values.argmax(axis=1)).sum()
        assert step.metric == JUDGE.per_sample(values, JUDGE.labels).mean()


def test_no_bit_flips_twice_and_the_metric_only_falls() -> None:
    steps = list(worst_flips(search(), 8))
    assert len({str(step.site) for step in steps}) == len(steps)
    metrics = [JUDGE.metric(), *(step.metric for step in steps)]
    assert np.all(np.diff(metrics) < 0)


def test_the_search_ends_at_chance_level() -> None:
    every = list(worst_flips(search(), 8))
    chance = every[1].metric
    assert listed(list(worst_flips(search(chance=chance), 8))) == listed(every[:2])


def test_the_search_ends_where_nothing_does_more_harm() -> None:
    sites = select_sites(JUDGE.golden.graph, tensors=["fc2.weight"], bits="0")
    steps = list(worst_flips(search(sites=sites), 50))
    assert len(steps) < 50
    assert len(steps) <= len(sites)


def test_candidates_are_those_that_did_most_harm_alone() -> None:
    steps = list(worst_flips(search(candidates=10), 3))
    assert [step.judged for step in steps] == [len(weights_of(JUDGE.golden.graph)), 10, 9]
    assert listed(steps[:1]) == listed(list(worst_flips(search(), 1)))


def test_all_candidates_are_all_bits() -> None:
    assert listed(list(worst_flips(search(candidates=10_000), 3))) == listed(list(worst_flips(search(), 3)))


def test_without_labels_the_fault_free_answers_stay_the_reference() -> None:
    judge = replace(JUDGE, labels=None)
    assert listed(list(worst_flips(search(judge), 3))) == listed(list(worst_flips(search(), 3)))


def test_an_error_that_should_be_small_is_made_large() -> None:
    def error(values: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.asarray(((values - target) ** 2).mean(axis=1))

    judge = judge_of(
        JUDGE.golden, labels=None, decision=Decision(kind="tolerance", tolerance=0.5), per_sample=error, finish=np.sqrt
    )
    steps = list(worst_flips(search(judge, higher_is_better=False), 3))
    assert np.all(np.diff([0.0, *(step.metric for step in steps)]) > 0)
    assert all(step.confirmed for step in steps)


@pytest.mark.parametrize(("count", "choices"), [(0, {}), (3, {"candidates": 0})])
def test_nothing_to_search_is_refused(count: int, choices: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        worst_flips(search(**choices), count)
