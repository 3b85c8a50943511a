"""Stuck bits derived from flips equal stuck bits that were simulated."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support.fault_checks import judge_of
from support.fault_networks import goldens

from fault_injection.exact import Detail
from fault_injection.fault_list import StoredBits
from fault_injection.golden import Golden
from fault_injection.outcomes import Judge
from fault_injection.sites import all_sites
from fault_injection.stuck import stuck_from_flips

GOLDENS = goldens(samples=5)


def outcomes(golden: Golden, judge: Judge, model: str, detail: Detail = "full") -> pa.Table:
    faults = StoredBits(sites=all_sites(golden.graph), model=model)
    table = faults.columns(golden.graph)
    judged = faults.judge(judge, detail=detail, threads=1)
    for name in judged.column_names:
        table = table.append_column(name, judged[name])
    return table


@pytest.mark.parametrize("model", ["stuck0", "stuck1"])
@pytest.mark.parametrize("kind", ["thresholds", "bipolar", "tables"])
def test_derived_stuck_bits_are_the_simulated_ones(kind: str, model: str) -> None:
    golden = GOLDENS[kind]
    judge = judge_of(golden)
    derived = stuck_from_flips(outcomes(golden, judge, "flip"), golden.graph, model, samples=golden.samples)
    simulated = outcomes(golden, judge, model)
    assert derived.schema == simulated.schema
    assert derived.to_pylist() == simulated.to_pylist()


def test_of_decisions_alone_a_bit_that_stays_is_kept() -> None:
    golden = GOLDENS["plain"]
    judge = judge_of(golden)
    flips, simulated = (outcomes(golden, judge, model, "decisions") for model in ("flip", "stuck1"))
    derived = stuck_from_flips(flips, golden.graph, "stuck1", samples=golden.samples)
    assert derived.to_pylist() == simulated.to_pylist()
    assert set(derived["outcome"].to_pylist()) == {"kept", "critical"}


def test_what_no_campaign_knows_stays_unknown() -> None:
    golden = GOLDENS["plain"]
    judge = judge_of(golden, labels=None)
    derived = stuck_from_flips(outcomes(golden, judge, "flip"), golden.graph, "stuck0", samples=golden.samples)
    assert derived["right_to_wrong"].null_count == derived.num_rows
    assert derived.to_pylist() == outcomes(golden, judge, "stuck0").to_pylist()


def test_a_bit_is_masked_under_one_of_the_two_and_a_flip_under_the_other() -> None:
    golden = GOLDENS["plain"]
    flips = outcomes(golden, judge_of(golden), "flip")
    low, high = (stuck_from_flips(flips, golden.graph, model, samples=5) for model in ("stuck0", "stuck1"))
    flipped = flips["faulty_word"].to_numpy()
    assert np.all((low["faulty_word"].to_numpy() == flipped) ^ (high["faulty_word"].to_numpy() == flipped))
