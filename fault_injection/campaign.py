"""Campaigns: the outcomes of many faults, in shards that any number of processes may compute and that can be resumed.

A shard is made of whole groups of faults that are cheap to judge together. Which faults a shard holds depends on the
fault list alone, so parts that one machine wrote are what another would have written. When every shard is there, one
table sorted by fault number takes their place.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa

from fault_injection.exact import Detail
from fault_injection.fault_list import FaultList
from fault_injection.golden import Golden
from fault_injection.outcomes import Judge, decisions_only
from fault_injection.parts import PartStore, Task, damaged, locked
from fault_injection.propagate import ChangedRows
from fault_injection.shards import Place, Progress, ThisProcess, run_shards
from fault_injection.source import CampaignSource, judge_of
from hls.errors import UsageError
from hls.executor import Executor
from hls.graph import IntegerGraph

SHARD_FAULTS = 65_536
"""Faults a shard at most, so that little is lost when a campaign is interrupted."""

SMALLEST_SHARD_FAULTS = 256
"""A campaign that has enough faults is cut finer, down to here: every worker is to have some of its shards."""

SHARDS = 64
"""So many shards a campaign has or more, as far as whole groups and ``SMALLEST_SHARD_FAULTS`` allow."""

EXECUTOR_SHARD_FAULTS = 64
"""Faults a shard where each one is a run of its own."""

TABLE = "outcomes"
"""Name of the sorted table of a whole campaign, in its folder."""

_PARTS = "_parts"  # the underscore hides the folder from Parquet readers of the one above


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Faults to be judged.

    Attributes:
        judge: Evaluation set, decision and metric; holds the fault-free network.
        faults: What is judged, in campaign order.
        detail: Which outcome columns are wanted.
        executor: Runs every fault by itself; ``None`` for the exact engine with cached activations.
    """

    judge: Judge
    faults: FaultList
    detail: Detail = "full"
    executor: Executor | None = None

    @property
    def golden(self) -> Golden:
        """The fault-free network and its values."""
        return self.judge.golden

    def outcomes(self, faults: FaultList, threads: int = 1) -> pa.Table:
        """Outcome table of some of the faults, one row each."""
        if self.executor is None:
            judged = faults.judge(self.judge, detail=self.detail, threads=threads)
        else:
            judged = self.judge.judge(run_each(self.executor, self.golden, faults), len(faults))
        return outcome_table(self.golden.graph, faults, judged, self.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardJudge:
    """What a worker calls: judges the faults of a shard, on a judge that each process makes once.

    Attributes:
        source: What the judge is made from.
        detail: Which outcome columns are wanted.
        threads: Kernel threads.
    """

    source: CampaignSource
    detail: Detail
    threads: int

    def __call__(self, faults: FaultList) -> pa.Table:
        """Outcome table of the faults of one shard."""
        judge = judge_of(self.source)
        judged = faults.judge(judge, detail=self.detail, threads=self.threads)
        return outcome_table(judge.golden.graph, faults, judged, self.detail)


def run_campaign(
    campaign: Campaign,
    folder: Path,
    progress: Progress = lambda done, total: None,
    *,
    place: Place | None = None,
    fingerprint: str = "",
) -> pa.Table:
    """Judge every fault of a campaign, resuming what the folder already holds.

    Args:
        campaign: What to do.
        folder: ``outcomes/<identity>``; in the end it holds the one sorted table.
        progress: Told after each shard, in faults.
        place: Where shards are computed; ``None`` for this process with one thread.
        fingerprint: Of everything the outcomes depend on; parts that carry another one are refused.

    Returns:
        One row a fault, sorted by fault number.

    Raises:
        RunDirectoryError: a part that is there is damaged or of another campaign, or another process is at work there.
        InputError: the disk is full. UsageError: an executor is asked for in other processes. ToolError: workers died.
    """
    with locked(folder):
        there = finished(campaign, folder, fingerprint)
        if there is None:
            table = judge_shards(campaign, folder, progress, place=place, fingerprint=fingerprint)
        else:
            table = _sorted(there, campaign.faults, folder)
        keep(campaign, folder, fingerprint, table if there is None else None)
        return table


def judge_shards(
    campaign: Campaign,
    folder: Path,
    progress: Progress = lambda done, total: None,
    *,
    place: Place | None = None,
    fingerprint: str = "",
    prefix: str = "part",
) -> pa.Table:
    """Judge the faults of a campaign shard by shard, and keep the parts in ``folder/_parts``.

    Args:
        campaign: What to do.
        folder: Of the campaign; the caller keeps others out.
        progress: Told after each shard, in faults.
        place: Where shards are computed.
        fingerprint: Of everything the outcomes depend on.
        prefix: Of the names of the parts.

    Returns:
        One row a fault, sorted by fault number.
    """
    place = place or ThisProcess()
    alone = campaign.executor is not None
    if alone and not isinstance(place, ThisProcess):
        raise UsageError(
            found="an executor of its own with other processes",
            allowed="shards in other processes only on the exact engine",
            where="--executor with --scheduler",
            remedy="leave one of them out; the C-simulation brings its own --workers",
        )
    tasks = _ShardTasks(campaign.faults, shards_of(campaign.faults, campaign.golden.graph, alone=alone), prefix)
    store = PartStore(folder=folder / _PARTS, fingerprint=fingerprint)
    if isinstance(place, ThisProcess):
        here = functools.partial(campaign.outcomes, threads=place.threads)
        results = run_shards(tasks, here, store, place=place, progress=progress)
    else:
        source = CampaignSource.of(campaign.judge)
        judge = ShardJudge(source=source, detail=campaign.detail, threads=place.threads)
        results = run_shards(tasks, judge, store, place=place, progress=progress)
    table = pa.concat_tables([table for table in results if isinstance(table, pa.Table)]).unify_dictionaries()
    return _sorted(table, campaign.faults, folder / _PARTS)


def finished(campaign: Campaign, folder: Path, fingerprint: str) -> pa.Table | None:
    """The whole table of a campaign that came to its end, ``None`` where it did not.

    Raises:
        RunDirectoryError: it is damaged, or of other faults or another fingerprint.
    """
    found = PartStore(folder=folder, fingerprint=fingerprint).read(_whole(campaign.faults))
    return found if isinstance(found, pa.Table) else None


def keep(campaign: Campaign, folder: Path, fingerprint: str, table: pa.Table | None) -> None:
    """Write the whole table, unless it is there already, and then remove the parts it is made of."""
    if table is not None:
        PartStore(folder=folder, fingerprint=fingerprint).write(_whole(campaign.faults), table)
    shutil.rmtree(folder / _PARTS, ignore_errors=True)


def shards_of(faults: FaultList, graph: IntegerGraph, *, alone: bool = False) -> list[np.ndarray]:
    """Rows of each shard: whole groups up to a bound, every row in exactly one shard; rows rise within a shard.

    Args:
        faults: All of them.
        graph: Their network.
        alone: Each fault is a run of its own, and there is nothing to group.
    """
    if alone:
        return list(_cut([np.arange(len(faults))], EXECUTOR_SHARD_FAULTS))
    bound = min(SHARD_FAULTS, max(SMALLEST_SHARD_FAULTS, -(-len(faults) // SHARDS)))
    shards: list[list[np.ndarray]] = []
    size = bound  # no shard is open yet
    for group in _cut(faults.groups(graph), SHARD_FAULTS):
        if size + len(group) > bound:
            shards.append([])
            size = 0
        shards[-1].append(group)
        size += len(group)
    return [np.sort(np.concatenate(shard)) for shard in shards]


def outcome_table(graph: IntegerGraph, faults: FaultList, judged: pa.Table, detail: Detail) -> pa.Table:
    """What each fault is and does, in one table; ``decisions`` detail holds nothing that decisions do not say."""
    table = faults.columns(graph)
    for name in judged.column_names:
        table = table.append_column(name, judged[name])
    return table if detail == "full" else decisions_only(table)


def run_each(executor: Executor, golden: Golden, faults: FaultList) -> ChangedRows:
    """The effect of each fault from a run of its own on any executor."""
    outputs = golden.output.shape[1]
    fault, sample, output = [], [], [np.zeros((0, outputs), np.int64)]
    for row in range(len(faults)):
        faulty = faults.faulty_output(executor, golden, row)
        differs = np.flatnonzero((faulty != golden.output).any(axis=1))
        fault.append(np.full(len(differs), row))
        sample.append(differs)
        output.append(faulty[differs])
    return ChangedRows(fault=np.concatenate(fault), sample=np.concatenate(sample), output=np.concatenate(output))


def _whole(faults: FaultList) -> Task:
    return Task(name=TABLE, work=None, identity=_identity(faults))


def _sorted(table: pa.Table, faults: FaultList, path: Path) -> pa.Table:
    """The rows in order of fault number; exactly the faults asked for, each once."""
    number = table[0].to_numpy()
    order = np.argsort(number, kind="stable")
    if not np.array_equal(number[order], faults.number):
        raise damaged(path, f"{len(number):,} faults that are not the {len(faults):,} of this campaign")
    return table.take(pa.array(order)).combine_chunks()


def _cut(groups: Sequence[np.ndarray], bound: int) -> Iterator[np.ndarray]:
    """Groups, those beyond the bound in pieces."""
    for group in groups:
        yield from (group[start : start + bound] for start in range(0, len(group), bound))


def _identity(faults: FaultList) -> str:
    return hashlib.sha256(np.ascontiguousarray(faults.number, np.int64).tobytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class _ShardTasks(Sequence[Task]):
    """The shards as tasks, each made when it is asked for: a worker gets the faults of its shard only."""

    faults: FaultList
    rows: list[np.ndarray]
    prefix: str

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, position: int) -> Task: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Task]: ...
    def __getitem__(self, position: int | slice) -> Task | Sequence[Task]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        part = self.faults.take(self.rows[position])
        return Task(name=f"{self.prefix}-{position:05d}", work=part, identity=_identity(part), size=len(part))
