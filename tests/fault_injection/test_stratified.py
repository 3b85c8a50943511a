from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection import campaign as campaign_module
from fault_injection.campaign import Campaign, run_campaign
from fault_injection.estimation import simple_estimate, stratified_estimate
from fault_injection.fault_list import FaultList
from fault_injection.stratified import Sampled, Strata, StratifiedSample, _steps, is_critical, run_sampled, strata_of
from hls.errors import RunDirectoryError

CAMPAIGN = campaign_of(Mlp(widths=(8, 12, 4)), samples=20)
STRATA = strata_of(CAMPAIGN.faults, CAMPAIGN.golden.graph)


@pytest.fixture(scope="module")
def whole() -> pa.Table:
    return CAMPAIGN.outcomes(CAMPAIGN.faults)


def sample(margin: float = 0.08, seed: int = 0) -> StratifiedSample:
    return StratifiedSample(strata=STRATA, margin=margin, confidence=0.95, seed=seed)


def test_strata_are_tensors_and_bits(whole: pa.Table) -> None:
    places = [STRATA.places[h] for h in STRATA.stratum]
    assert places == list(zip(whole["tensor"].to_pylist(), whole["bit"].to_pylist(), strict=True))
    assert STRATA.populations.sum() == len(CAMPAIGN.faults)


def test_the_first_step_has_two_of_each_stratum_and_is_proportional() -> None:
    drawn = sample()
    rows = drawn.first()
    assert (np.bincount(STRATA.stratum[rows]) == drawn.drawn).all()
    assert drawn.drawn.min() == 2
    largest = STRATA.populations == STRATA.populations.max()
    assert drawn.drawn[largest].min() == drawn.drawn.max()


def test_steps_never_draw_a_fault_twice(tmp_path: Path) -> None:
    found = run_sampled(CAMPAIGN, sample(0.03), tmp_path)
    assert found.steps > 1
    assert len(set(found.rows.tolist())) == len(found.rows) == found.outcomes.num_rows
    assert (np.diff(found.rows) > 0).all()


def test_a_sample_stops_when_its_margin_is_reached(tmp_path: Path) -> None:
    drawn = sample(0.06)
    found = run_sampled(CAMPAIGN, drawn, tmp_path)
    critical = stratified_estimate(drawn, found, samples=20).critical
    assert (critical.high - critical.low) / 2 <= 0.06
    assert len(found.rows) < len(CAMPAIGN.faults)


def test_a_margin_that_needs_all_faults_gets_them(tmp_path: Path, whole: pa.Table) -> None:
    drawn = sample(1e-6)
    found = run_sampled(CAMPAIGN, drawn, tmp_path)
    assert found.outcomes.to_pylist() == whole.to_pylist()
    estimate = stratified_estimate(drawn, found, samples=20)
    share = float(is_critical(whole).mean())
    assert (estimate.critical.low, estimate.critical.high) == pytest.approx((share, share))
    mean = float(whole["metric_change"].to_numpy().mean())
    assert estimate.metric_change.value == pytest.approx(mean)
    assert (estimate.metric_change.low, estimate.metric_change.high) == pytest.approx((mean, mean))


def test_the_outcomes_of_a_sample_are_those_of_the_whole_campaign(tmp_path: Path, whole: pa.Table) -> None:
    found = run_sampled(CAMPAIGN, sample(), tmp_path)
    assert found.outcomes.to_pylist() == whole.take(pa.array(found.rows)).to_pylist()


def test_the_same_seed_draws_the_same_faults_and_another_one_others(tmp_path: Path) -> None:
    first, again, other = (
        run_sampled(CAMPAIGN, sample(seed=seed), tmp_path / name).rows.tolist()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again != other


def test_a_sample_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "SHARD_FAULTS", 64)
    monkeypatch.setattr(campaign_module, "SMALLEST_SHARD_FAULTS", 64)
    expected = run_sampled(CAMPAIGN, sample(0.03), tmp_path / "whole")
    calls: list[int] = []
    outcomes = Campaign.outcomes

    def stops(self: Campaign, faults: FaultList, threads: int) -> pa.Table:
        calls.append(len(faults))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return outcomes(self, faults, threads)

    monkeypatch.setattr(Campaign, "outcomes", stops)
    with pytest.raises(KeyboardInterrupt):
        run_sampled(CAMPAIGN, sample(0.03), tmp_path / "cut")
    found = run_sampled(CAMPAIGN, sample(0.03), tmp_path / "cut")
    assert sum(calls) - calls[2] == len(expected.rows)
    assert found.outcomes.equals(expected.outcomes)
    assert (found.steps, found.rows.tolist()) == (expected.steps, expected.rows.tolist())


def test_a_sample_that_is_there_is_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_sampled(CAMPAIGN, sample(0.03), tmp_path)
    monkeypatch.delattr(Campaign, "outcomes")
    again = run_sampled(CAMPAIGN, sample(0.03), tmp_path)
    assert again.outcomes.equals(first.outcomes)
    assert again.steps == first.steps


def test_a_table_of_another_sample_is_refused(tmp_path: Path) -> None:
    run_sampled(CAMPAIGN, sample(0.08, seed=1), tmp_path)
    with pytest.raises(RunDirectoryError, match="without the faults that this sample draws"):
        run_sampled(CAMPAIGN, sample(0.03, seed=2), tmp_path)


def test_sampling_until_a_margin_covers_the_truth_and_is_unbiased() -> None:
    rng = np.random.default_rng(7)
    populations = np.array([2000, 800, 300, 100])
    shares = np.array([0.01, 0.1, 0.45, 0.8])
    stratum = np.repeat(np.arange(4), populations)
    critical = rng.random(len(stratum)) < shares[stratum]
    strata = Strata(stratum=stratum, places=tuple(("w", bit) for bit in range(4)))
    true = float(critical.mean())
    table = pa.table({"outcome": np.where(critical, "critical", "masked").tolist(), "decisions_changed": critical * 1})
    table = table.append_column("metric_change", pa.array(critical * 1.0))
    values, covered, sizes = [], [], []
    for seed in range(250):
        drawn = StratifiedSample(strata=strata, margin=0.02, confidence=0.9, seed=seed)
        rows, _ = _steps(drawn, lambda rows, step: table.take(pa.array(rows)))
        judged = np.sort(np.concatenate(rows))
        hits = np.bincount(stratum[rows[-1]], weights=critical[rows[-1]], minlength=4)
        earlier = np.concatenate(rows[:-1])
        left = populations - np.bincount(stratum[earlier], minlength=4)
        value = float((critical[earlier].sum() + (left / np.maximum(1, drawn.drawn) * hits).sum()) / len(stratum))
        last = np.isin(judged, rows[-1])
        found = Sampled(rows=judged, outcomes=table.take(pa.array(judged)), last=last, steps=len(rows))
        if seed < 3:
            estimate = stratified_estimate(drawn, found, samples=1)
            assert estimate.critical.value == pytest.approx(value)
            assert estimate.decisions_changed.value == pytest.approx(value)
        values.append(value)
        sizes.append(len(judged))
        covered.append(abs(value - true) <= 0.02)
    assert np.mean(covered) >= 0.88
    assert np.mean(values) == pytest.approx(true, abs=3 * np.std(values) / np.sqrt(len(values)))
    assert np.mean(sizes) < 1000


def test_a_simple_sample_gives_every_fault_the_same_weight(tmp_path: Path, whole: pa.Table) -> None:
    rows = np.arange(0, len(CAMPAIGN.faults), 3)
    table = run_campaign(replace(CAMPAIGN, faults=CAMPAIGN.faults.take(rows)), tmp_path)
    found = simple_estimate(STRATA, rows, table, samples=20, confidence=0.95, seed=0)
    assert {round(row.weight, 9) for row in found.strata} == {round(len(CAMPAIGN.faults) / len(rows), 9)}
    assert sum(row.judged for row in found.strata) == len(rows)
    share = float(is_critical(whole).mean())
    assert found.critical.low < share < found.critical.high
    assert found.critical.value == is_critical(table).mean()


def test_a_stratum_without_a_fault_has_no_share(whole: pa.Table) -> None:
    rows = np.arange(4)
    found = simple_estimate(STRATA, rows, whole.take(pa.array(rows)), samples=20, confidence=0.95, seed=0)
    assert [row.critical is None for row in found.strata] == [row.judged == 0 for row in found.strata]
    assert any(row.critical is None for row in found.strata)
