from __future__ import annotations

import pyarrow as pa
import pytest
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection import plan as plan_module
from fault_injection.campaign import Campaign
from fault_injection.fault_list import FaultList, StoredBits
from fault_injection.plan import plan_campaign, predicted_seconds
from fault_injection.shards import ThisProcess
from fault_injection.sites import all_sites
from fault_injection.statistics import sample_size
from hls.graph import IntegerGraph

CAMPAIGN = campaign_of(Mlp(widths=(6, 5, 3)))
SECONDS_A_FAULT = {"fc1.weight": 0.5, "fc1.bias": 0.25, "fc2.weight": 2.0, "fc2.bias": 1.0}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Judging takes as long as the table above says; returns the faults that are judged."""
    now = [0.0]
    judged: list[list[int]] = []
    outcomes = Campaign.outcomes

    def takes(self: Campaign, faults: FaultList, threads: int) -> pa.Table:
        table = outcomes(self, faults, threads)
        now[0] += sum(SECONDS_A_FAULT[name] for name in table["tensor"].to_pylist())
        judged.append(faults.number.tolist())
        return table

    monkeypatch.setattr(Campaign, "outcomes", takes)
    monkeypatch.setattr(plan_module, "perf_counter", lambda: now[0])
    return judged


def tensors() -> list[str]:
    columns = CAMPAIGN.faults.columns(CAMPAIGN.golden.graph)
    return columns["tensor"].to_pylist()


TRUE_SECONDS = sum(SECONDS_A_FAULT[name] for name in tensors())


def plan(budget_s: float, margin: float = 0.2, workers: int = 1) -> plan_module.Plan:
    return plan_campaign(CAMPAIGN, budget_s=budget_s, margin=margin, confidence=0.95, workers=workers)


def test_the_time_of_each_tensor_is_multiplied_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "PROBE_S", 1e9)
    seconds, probed = predicted_seconds(CAMPAIGN, ThisProcess())
    assert seconds == pytest.approx(TRUE_SECONDS)
    assert probed < len(CAMPAIGN.faults)


def test_a_probe_that_takes_long_is_cut_short(clock: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "PROBE_S", 1.0)
    seconds, _ = predicted_seconds(CAMPAIGN, ThisProcess())
    assert len(clock) == 2  # the first one loads what has to be loaded
    assert seconds == pytest.approx(len(CAMPAIGN.faults) * 0.5)


def test_the_same_faults_are_probed_every_time(clock: list[list[int]]) -> None:
    predicted_seconds(CAMPAIGN, ThisProcess())
    first = list(clock)
    predicted_seconds(CAMPAIGN, ThisProcess())
    assert clock == first * 2


def test_within_the_budget_all_faults_are_chosen() -> None:
    found = plan(budget_s=1e9)
    assert (found.chosen, found.faults) == ("exhaustive", len(CAMPAIGN.faults))
    assert "within the budget" in found.why


def test_beyond_the_budget_a_sample_is_chosen() -> None:
    found = plan(budget_s=1e-3)
    assert found.chosen == "sample"
    assert found.sample == sample_size(len(CAMPAIGN.faults), 0.2)
    assert found.sample_seconds == pytest.approx(found.seconds * found.sample / found.faults)


def test_a_sample_of_all_faults_is_no_sample() -> None:
    found = plan(budget_s=1e-3, margin=1e-6)
    assert found.chosen == "exhaustive"
    assert "needs every one" in found.why


def test_workers_share_the_time() -> None:
    assert plan(1.0, workers=2).seconds == pytest.approx(plan(1.0).seconds / 2)


class Unplaced(StoredBits):
    """Faults that say nothing about tensors."""

    def columns(self, graph: IntegerGraph) -> pa.Table:
        return StoredBits.columns(self, graph).drop_columns(["tensor"])


def test_faults_of_no_tensor_are_one_kind() -> None:
    faults = Unplaced(sites=all_sites(CAMPAIGN.golden.graph), model="flip")
    kinds = plan_module._kinds(CAMPAIGN, faults)
    assert [number for _, number in kinds] == [len(CAMPAIGN.faults)]
