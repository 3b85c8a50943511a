from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection.crosscheck import CHECKED_FAULTS, checked_faults, cross_check, forward_macs
from fault_injection.outcomes import decisions_only
from hls.engine import ExactEngine
from hls.executor import Execution
from hls.graph import IntegerGraph, StoredTensor, WordChange

CAMPAIGN = campaign_of(Mlp(widths=(3, 2, 2), per_channel=True))
TABLE = CAMPAIGN.outcomes(CAMPAIGN.faults)
ALL = 10**6


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@dataclass(frozen=True)
class Liar:
    """An executor that is wrong in one output word when one stored word is changed."""

    engine: ExactEngine
    tensor: str
    lies: bool = False

    @property
    def graph(self) -> IntegerGraph:
        return self.engine.graph

    def tensors(self) -> Mapping[str, StoredTensor]:
        return self.engine.tensors()

    def with_words(self, changes: Sequence[WordChange]) -> Liar:
        lies = any(change.tensor == self.tensor and change.index == 1 for change in changes)
        return replace(self, engine=self.engine.with_words(changes), lies=lies)

    def run(self, inputs: np.ndarray, taps: Sequence[str] = ()) -> Execution:
        execution = self.engine.run(inputs, taps)
        output = execution.output.copy()
        output[-1, 0] += self.lies
        return replace(execution, output=output)


def test_the_table_of_a_campaign_stands_the_check() -> None:
    check = cross_check(CAMPAIGN, TABLE, 20, generator())
    assert (check.mismatches, check.faults) == ((), 20)
    assert check.words == 20 * CAMPAIGN.golden.output.size


def test_one_wrong_number_in_any_column_is_found() -> None:
    wrong = TABLE
    judged = TABLE.column_names[TABLE.column_names.index("masked") : -1]
    for row, column in enumerate(judged, start=3):
        values = TABLE[column].to_pylist()
        values[row] += 1
        wrong = wrong.set_column(TABLE.column_names.index(column), column, pa.array(values, TABLE[column].type))
    found = cross_check(CAMPAIGN, wrong, ALL, generator()).mismatches
    assert found == tuple(CAMPAIGN.faults.text(3 + row) for row in range(len(judged)))


def test_a_wrong_class_is_found_even_where_only_decisions_are_known() -> None:
    campaign = replace(CAMPAIGN, detail="decisions")
    table = decisions_only(TABLE)
    assert cross_check(campaign, table, ALL, generator()).mismatches == ()
    classes = table["outcome"].to_pylist()
    classes[9] = {"kept": "critical", "critical": "kept"}[classes[9]]
    wrong = table.set_column(table.column_names.index("outcome"), "outcome", pa.array(classes))
    assert cross_check(campaign, wrong, ALL, generator()).mismatches == (CAMPAIGN.faults.text(9),)


def test_an_executor_that_agrees_changes_nothing() -> None:
    engine = ExactEngine(CAMPAIGN.golden.graph)
    assert cross_check(CAMPAIGN, TABLE, 20, generator(), executor=engine).mismatches == ()


def test_an_executor_that_lies_is_found_at_every_lie() -> None:
    liar = Liar(ExactEngine(CAMPAIGN.golden.graph), "fc2.weight")
    check = cross_check(CAMPAIGN, TABLE, ALL, generator(), executor=liar)
    assert check.mismatches == tuple(f"fc2.weight:1:{bit}" for bit in range(4))
    assert check.faults == len(CAMPAIGN.faults)


def test_the_cached_path_is_doubted_too() -> None:
    golden = CAMPAIGN.golden
    wrong = replace(golden, words={**golden.words, "fc1": golden.words["fc1"] + 64})
    campaign = replace(CAMPAIGN, judge=replace(CAMPAIGN.judge, golden=wrong))
    assert cross_check(campaign, campaign.outcomes(campaign.faults), ALL, generator()).mismatches


def test_progress_is_told_after_each_fault() -> None:
    seen: list[tuple[int, int]] = []
    cross_check(CAMPAIGN, TABLE, 5, generator(), lambda *told: seen.append(told))
    assert seen == [(done, 5) for done in range(1, 6)]


def test_the_changed_decisions_of_each_fault_are_told() -> None:
    check = cross_check(CAMPAIGN, TABLE, ALL, generator())
    assert check.changed.sum(axis=1).tolist() == TABLE["decisions_changed"].to_pylist()


def test_large_networks_are_checked_with_fewer_faults_but_never_none() -> None:
    graph = CAMPAIGN.golden.graph
    assert forward_macs(graph) == 3 * 2 + 2 * 2
    assert checked_faults(graph, 12, 10**6) == CHECKED_FAULTS
    assert checked_faults(graph, 12, 7) == 7
    assert checked_faults(graph, 10**9, 10**6) == 5
    assert checked_faults(graph, 10**8, 10**6) == 50
