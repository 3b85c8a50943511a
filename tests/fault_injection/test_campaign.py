from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.campaigns import campaign_of, classification, golden_of
from support.networks import Mlp

from fault_injection import campaign as campaign_module
from fault_injection import cores
from fault_injection.campaign import Campaign, run_campaign, run_each, shards_of
from fault_injection.fault_list import FaultList, StoredBits
from fault_injection.faults import FAULT_MODELS, faulty_words
from fault_injection.local_workers import LocalWorkers
from fault_injection.outcomes import decisions_only
from fault_injection.propagate import propagate
from fault_injection.sites import all_sites
from fault_injection.source import CampaignSource, judge_of
from hls.engine import ExactEngine
from hls.errors import RunDirectoryError, UsageError

RECIPE = Mlp(widths=(4, 3, 2), per_channel=True)
CAMPAIGN = campaign_of(RECIPE)
SHARD = 32


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "SHARD_FAULTS", SHARD)
    monkeypatch.setattr(campaign_module, "SMALLEST_SHARD_FAULTS", SHARD)
    monkeypatch.setattr(campaign_module, "EXECUTOR_SHARD_FAULTS", SHARD)
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)


@pytest.fixture
def shards() -> int:
    return len(shards_of(CAMPAIGN.faults, CAMPAIGN.golden.graph))


@pytest.fixture(scope="module")
def whole() -> pa.Table:
    return CAMPAIGN.outcomes(CAMPAIGN.faults)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "_parts").glob("part-*"))


def computed(monkeypatch: pytest.MonkeyPatch, stop_after: int | None = None) -> list[int]:
    """First fault of every shard that is computed from now on; an interruption after some of them."""
    starts: list[int] = []
    outcomes = Campaign.outcomes

    def counted(self: Campaign, faults: FaultList, threads: int) -> pa.Table:
        if len(starts) == stop_after:
            raise KeyboardInterrupt
        starts.append(int(faults.number[0]))
        return outcomes(self, faults, threads)

    monkeypatch.setattr(Campaign, "outcomes", counted)
    return starts


def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A campaign that was stopped after some shards."""
    with monkeypatch.context() as patch:
        computed(patch, stop_after=after)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(CAMPAIGN, folder)


def rows(table: pa.Table) -> list[dict[str, object]]:
    return table.to_pylist()


# Shards.


def test_every_fault_is_in_exactly_one_shard() -> None:
    found = shards_of(CAMPAIGN.faults, CAMPAIGN.golden.graph)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(CAMPAIGN.faults)))
    assert len(found) > 1


def test_shards_are_whole_groups_up_to_a_bound() -> None:
    found = [set(shard.tolist()) for shard in shards_of(CAMPAIGN.faults, CAMPAIGN.golden.graph)]
    for group in CAMPAIGN.faults.groups(CAMPAIGN.golden.graph):
        assert sum(set(group.tolist()) <= shard for shard in found) == 1 or len(group) > SHARD
    assert all(len(shard) <= SHARD for shard in found)


def test_a_large_campaign_has_enough_shards_for_every_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "SMALLEST_SHARD_FAULTS", 1)
    monkeypatch.setattr(campaign_module, "SHARD_FAULTS", 10**6)
    campaign = campaign_of(Mlp(widths=(16, 40, 40)))
    assert len(shards_of(campaign.faults, campaign.golden.graph)) >= 48


def test_where_each_fault_is_a_run_shards_are_consecutive() -> None:
    found = shards_of(CAMPAIGN.faults, CAMPAIGN.golden.graph, alone=True)
    assert np.concatenate(found).tolist() == list(range(len(CAMPAIGN.faults)))
    assert {len(shard) for shard in found[:-1]} == {SHARD}


# Tables.


def test_one_row_a_fault_in_campaign_order(tmp_path: Path, whole: pa.Table) -> None:
    table = run_campaign(CAMPAIGN, tmp_path)
    assert table["site"].to_pylist() == list(range(len(CAMPAIGN.faults)))
    assert rows(table) == rows(whole)


def test_in_the_end_there_is_one_sorted_table(tmp_path: Path, whole: pa.Table) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_lock", "outcomes.parquet"]
    assert rows(pq.read_table(tmp_path)) == rows(whole)


def test_faults_need_not_be_asked_for_in_one_piece(tmp_path: Path, whole: pa.Table) -> None:
    chosen = np.arange(1, len(CAMPAIGN.faults), 3)
    part = replace(CAMPAIGN, faults=CAMPAIGN.faults.take(chosen))
    assert rows(run_campaign(part, tmp_path)) == rows(whole.take(pa.array(chosen)))


def test_progress_is_told_after_each_shard(tmp_path: Path, shards: int) -> None:
    told: list[tuple[int, int]] = []
    run_campaign(CAMPAIGN, tmp_path, lambda done, total: told.append((done, total)))
    assert len(told) == shards
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(CAMPAIGN.faults),) * 2


def test_a_campaign_started_again_computes_nothing(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    starts = computed(monkeypatch)
    assert rows(run_campaign(CAMPAIGN, tmp_path)) == rows(whole)
    assert starts == []


def test_an_interrupted_campaign_computes_only_what_is_missing(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    interrupted(tmp_path, monkeypatch, after=2)
    assert parts(tmp_path) == ["part-00000.parquet", "part-00001.parquet"]
    starts = computed(monkeypatch)
    assert rows(run_campaign(CAMPAIGN, tmp_path)) == rows(whole)
    assert len(starts) == shards - 2


def test_an_interruption_while_writing_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(CAMPAIGN, tmp_path)
    assert parts(tmp_path) == []


def test_a_part_that_was_deleted_is_computed_anew(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    interrupted(tmp_path, monkeypatch, after=3)
    (tmp_path / "_parts" / "part-00001.parquet").unlink()
    starts = computed(monkeypatch)
    assert rows(run_campaign(CAMPAIGN, tmp_path)) == rows(whole)
    assert len(starts) == shards - 2


def test_a_damaged_part_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, monkeypatch, after=2)
    path = tmp_path / "_parts" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RunDirectoryError, match=r"part-00000\.parquet.*delete this file"):
        run_campaign(CAMPAIGN, tmp_path)


def test_a_part_in_the_place_of_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, monkeypatch, after=2)
    path = tmp_path / "_parts" / "part-00000.parquet"
    path.write_bytes(path.with_name("part-00001.parquet").read_bytes())
    with pytest.raises(RunDirectoryError, match=r"part-00000\.parquet.*of another task"):
        run_campaign(CAMPAIGN, tmp_path)


def test_a_damaged_table_is_refused_by_name(tmp_path: Path) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    path = tmp_path / "outcomes.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 8] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"outcomes\.parquet.*delete this file"):
        run_campaign(CAMPAIGN, tmp_path)


def test_outcomes_with_another_fingerprint_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_campaign(CAMPAIGN, tmp_path, fingerprint="one")
    with pytest.raises(RunDirectoryError, match="another task or fingerprint"):
        run_campaign(CAMPAIGN, tmp_path, fingerprint="two")


@pytest.mark.parametrize("model", FAULT_MODELS)
@pytest.mark.parametrize(
    "recipe", [RECIPE, Mlp(widths=(3, 3, 2), po2=False, bias=False, output_quant=True)], ids=["shift", "requantize"]
)
def test_a_run_for_each_fault_gives_what_the_cached_path_gives(recipe: Mlp, model: str) -> None:
    campaign = campaign_of(recipe, model)
    golden, sites = campaign.golden, all_sites(campaign.golden.graph)
    cached = propagate(golden, sites, *faulty_words(golden.graph, sites, model))
    each = run_each(ExactEngine(golden.graph), golden, campaign.faults)
    assert np.array_equal(each.fault, cached.fault)
    assert np.array_equal(each.sample, cached.sample)
    assert np.array_equal(each.output, cached.output)


def test_a_campaign_on_an_executor_gives_the_same_table(tmp_path: Path, whole: pa.Table) -> None:
    slow = replace(CAMPAIGN, executor=ExactEngine(CAMPAIGN.golden.graph))
    assert rows(run_campaign(slow, tmp_path)) == rows(whole)


def test_an_executor_stays_in_its_process(tmp_path: Path) -> None:
    slow = replace(CAMPAIGN, executor=ExactEngine(CAMPAIGN.golden.graph))
    with pytest.raises(UsageError, match="only on the exact engine"):
        run_campaign(slow, tmp_path, place=LocalWorkers(workers=2))


def test_the_words_of_each_fault_are_in_its_row(whole: pa.Table) -> None:
    for row in rows(whole):
        tensor = CAMPAIGN.golden.graph.tensors[row["tensor"]]
        assert row["golden_word"] == tensor.words.reshape(-1)[row["index"]]
        assert tensor.format.flip(np.array([row["golden_word"]]), row["bit"]).tolist() == [row["faulty_word"]]


def test_more_than_one_batch_of_samples_gives_the_same_table(monkeypatch: pytest.MonkeyPatch, whole: pa.Table) -> None:
    monkeypatch.setattr("hls.engine.BLOCK_SAMPLES", 5)
    again = campaign_of(RECIPE)
    assert rows(again.outcomes(again.faults)) == rows(whole)


# Detail.


def test_decisions_alone_leave_the_other_columns_null(tmp_path: Path, whole: pa.Table) -> None:
    table = run_campaign(replace(CAMPAIGN, detail="decisions"), tmp_path)
    unknown = {"masked", "tolerable", "words_changed", "worst_sample_change"}
    assert table.schema == whole.schema
    assert all(table[name].null_count == table.num_rows for name in unknown)
    known = [name for name in table.column_names if name not in {*unknown, "outcome"}]
    assert rows(table.select(known)) == rows(whole.select(known))


def test_with_decisions_alone_a_fault_is_kept_or_critical(whole: pa.Table) -> None:
    classes = {"masked": "kept", "tolerable": "kept", "critical": "critical"}
    expected = [classes[name] for name in whole["outcome"].to_pylist()]
    assert set(expected) == {"kept", "critical"}
    assert decisions_only(whole)["outcome"].to_pylist() == expected
    assert rows(decisions_only(decisions_only(whole))) == rows(decisions_only(whole))


# Other processes.


def test_workers_give_the_same_table(tmp_path: Path, whole: pa.Table) -> None:
    table = run_campaign(CAMPAIGN, tmp_path, place=LocalWorkers(workers=2))
    assert table.equals(run_campaign(CAMPAIGN, tmp_path / "here"))
    assert rows(table) == rows(whole)


def test_workers_go_on_with_the_parts_of_one_process(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path, monkeypatch, after=2)
    assert rows(run_campaign(CAMPAIGN, tmp_path, place=LocalWorkers(workers=1))) == rows(whole)


def test_a_judge_that_was_sent_judges_as_the_one_it_was_made_from(whole: pa.Table) -> None:
    import pickle

    source = pickle.loads(pickle.dumps(CampaignSource.of(CAMPAIGN.judge)))
    judge = judge_of(source)
    assert judge_of(source) is judge
    assert rows(replace(CAMPAIGN, judge=judge).outcomes(CAMPAIGN.faults)) == rows(whole)


def test_judges_are_told_apart_by_all_they_are_made_of() -> None:
    golden = golden_of(RECIPE)
    judge = classification(golden)
    assert judge.labels is not None
    others = [
        replace(judge, critical_share=0.5),
        replace(judge, labels=(judge.labels + 1) % 2),
        replace(judge, labels=None),
        replace(judge, finish=abs),
        classification(golden_of(RECIPE, samples=11)),
        classification(golden_of(replace(RECIPE, seed=1))),
    ]
    prints = {CampaignSource.of(one).fingerprint for one in [judge, *others]}
    assert len(prints) == len(others) + 1
    assert CampaignSource.of(classification(golden_of(RECIPE))).fingerprint in prints


def test_a_fault_list_keeps_its_model_and_order() -> None:
    faults = StoredBits(sites=all_sites(CAMPAIGN.golden.graph), model="stuck1")
    assert faults.take(np.array([5, 3])).number.tolist() == [5, 3]
