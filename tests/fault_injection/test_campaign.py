from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection import campaign as campaign_module
from fault_injection.campaign import Campaign, cross_check, run_campaign, run_each, write_part
from fault_injection.faults import FAULT_MODELS, faulty_words
from fault_injection.propagate import propagate
from fault_injection.sites import all_sites
from hls.engine import ExactEngine
from hls.errors import RunDirectoryError
from hls.executor import Execution
from hls.graph import IntegerGraph, StoredTensor, WordChange

RECIPE = Mlp(widths=(4, 3, 2), per_channel=True)
CAMPAIGN = campaign_of(RECIPE)
SHARD = 32
SHARDS = -(-len(CAMPAIGN.sites) // SHARD)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "SHARD_FAULTS", SHARD)
    monkeypatch.setattr(campaign_module, "EXECUTOR_SHARD_FAULTS", SHARD)


@pytest.fixture(scope="module")
def whole() -> pa.Table:
    return CAMPAIGN.outcomes(CAMPAIGN.sites)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def computed(monkeypatch: pytest.MonkeyPatch, stop_after: int | None = None) -> list[int]:
    """First site of every shard that is computed from now on; an interruption after some of them."""
    starts: list[int] = []
    outcomes = Campaign.outcomes

    def counted(self: Campaign, sites: object) -> pa.Table:
        if len(starts) == stop_after:
            raise KeyboardInterrupt
        starts.append(int(sites.number[0]))
        return outcomes(self, sites)

    monkeypatch.setattr(Campaign, "outcomes", counted)
    return starts


def rows(table: pa.Table) -> list[dict[str, object]]:
    return table.to_pylist()


def test_one_row_a_fault_in_campaign_order(tmp_path: Path, whole: pa.Table) -> None:
    table = run_campaign(CAMPAIGN, tmp_path)
    assert table["site"].to_pylist() == list(range(len(CAMPAIGN.sites)))
    assert rows(table) == rows(whole)


def test_shards_are_files_of_their_own(tmp_path: Path) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    assert parts(tmp_path) == [f"part-{shard:05d}.parquet" for shard in range(SHARDS)]


def test_progress_is_told_after_each_shard(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run_campaign(CAMPAIGN, tmp_path, lambda done, total: told.append((done, total)))
    total = len(CAMPAIGN.sites)
    assert told == [(min((shard + 1) * SHARD, total), total) for shard in range(SHARDS)]


def test_a_campaign_started_again_computes_nothing(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    starts = computed(monkeypatch)
    assert rows(run_campaign(CAMPAIGN, tmp_path)) == rows(whole)
    assert starts == []


def test_an_interrupted_campaign_computes_only_what_is_missing(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        computed(patch, stop_after=2)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(CAMPAIGN, tmp_path)
    assert parts(tmp_path) == ["part-00000.parquet", "part-00001.parquet"]
    starts = computed(monkeypatch)
    assert rows(run_campaign(CAMPAIGN, tmp_path)) == rows(whole)
    assert starts == [shard * SHARD for shard in range(2, SHARDS)]


def test_an_interruption_while_writing_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(CAMPAIGN, tmp_path)
    assert parts(tmp_path) == []


def test_a_part_that_was_deleted_is_computed_anew(
    tmp_path: Path, whole: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    (tmp_path / "part-00001.parquet").unlink()
    starts = computed(monkeypatch)
    assert rows(run_campaign(CAMPAIGN, tmp_path)) == rows(whole)
    assert starts == [SHARD]


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def damage_by_emptying(path: Path) -> None:
    path.write_bytes(b"")


def damage_by_losing_a_row(path: Path) -> None:
    write_part(path, pq.read_table(path).slice(1))


def damage_by_taking_another_part(path: Path) -> None:
    path.write_bytes(path.with_name("part-00001.parquet").read_bytes())


def damage_by_flipping_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 8] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        damage_by_cutting,
        damage_by_emptying,
        damage_by_losing_a_row,
        damage_by_taking_another_part,
        damage_by_flipping_a_bit,
    ],
)
def test_a_damaged_part_is_refused_by_name(tmp_path: Path, damage: object) -> None:
    run_campaign(CAMPAIGN, tmp_path)
    damage(tmp_path / "part-00000.parquet")
    with pytest.raises(RunDirectoryError, match=r"part-00000\.parquet.*delete this file"):
        run_campaign(CAMPAIGN, tmp_path)


def test_no_flipped_bit_of_a_part_goes_unnoticed(tmp_path: Path) -> None:
    campaign = replace(CAMPAIGN, sites=CAMPAIGN.sites.take(slice(0, 4)))
    good = rows(run_campaign(campaign, tmp_path))
    path = tmp_path / "part-00000.parquet"
    content = path.read_bytes()
    for position in range(4, len(content), 61):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            found = rows(run_campaign(campaign, tmp_path))
        except RunDirectoryError:
            continue
        assert found == good, position


@pytest.mark.parametrize("model", FAULT_MODELS)
@pytest.mark.parametrize(
    "recipe", [RECIPE, Mlp(widths=(3, 3, 2), po2=False, bias=False, output_quant=True)], ids=["shift", "requantize"]
)
def test_a_run_for_each_fault_gives_what_the_cached_path_gives(recipe: Mlp, model: str) -> None:
    campaign = campaign_of(recipe, model)
    golden, sites = campaign.golden, campaign.sites
    cached = propagate(golden, sites, *faulty_words(golden.graph, sites, model))
    each = run_each(ExactEngine(golden.graph), golden, sites, model)
    assert np.array_equal(each.fault, cached.fault)
    assert np.array_equal(each.sample, cached.sample)
    assert np.array_equal(each.output, cached.output)


def test_a_campaign_on_an_executor_gives_the_same_table(tmp_path: Path, whole: pa.Table) -> None:
    slow = replace(CAMPAIGN, executor=ExactEngine(CAMPAIGN.golden.graph))
    assert rows(run_campaign(slow, tmp_path)) == rows(whole)


def test_the_words_of_each_fault_are_in_its_row(whole: pa.Table) -> None:
    for row in rows(whole):
        tensor = CAMPAIGN.golden.graph.tensors[row["tensor"]]
        assert row["golden_word"] == tensor.words.reshape(-1)[row["index"]]
        assert tensor.format.flip(np.array([row["golden_word"]]), row["bit"]).tolist() == [row["faulty_word"]]


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


def test_a_cross_check_of_equal_executors_finds_nothing() -> None:
    check = cross_check(CAMPAIGN, ExactEngine(CAMPAIGN.golden.graph), 20, np.random.default_rng(0))
    assert check.mismatches == ()
    assert check.faults == 20
    assert check.words == 20 * CAMPAIGN.golden.output.size


def test_a_cross_check_finds_every_planted_mismatch() -> None:
    liar = Liar(ExactEngine(CAMPAIGN.golden.graph), "fc2.weight")
    check = cross_check(CAMPAIGN, liar, 10**6, np.random.default_rng(0))
    assert check.mismatches == tuple(f"fc2.weight:1:{bit}" for bit in range(4))
    assert check.faults == len(CAMPAIGN.sites)


def test_a_cross_check_doubts_the_cached_path_too() -> None:
    golden = CAMPAIGN.golden
    wrong = replace(golden, words={**golden.words, "fc1": golden.words["fc1"] + 64})
    campaign = replace(CAMPAIGN, judge=replace(CAMPAIGN.judge, golden=wrong))
    assert cross_check(campaign, ExactEngine(golden.graph), 10**6, np.random.default_rng(0)).mismatches


def test_a_cross_check_draws_by_its_generator_and_without_repeats() -> None:
    seen: list[tuple[int, int]] = []
    cross_check(
        CAMPAIGN, ExactEngine(CAMPAIGN.golden.graph), 5, np.random.default_rng(0), lambda *told: seen.append(told)
    )
    assert seen == [(done, 5) for done in range(1, 6)]


def test_more_than_one_batch_of_samples_gives_the_same_table(monkeypatch: pytest.MonkeyPatch, whole: pa.Table) -> None:
    monkeypatch.setattr("hls.engine.BLOCK_SAMPLES", 5)
    again = campaign_of(RECIPE)
    assert rows(again.outcomes(all_sites(again.golden.graph))) == rows(whole)
