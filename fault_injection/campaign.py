"""Campaigns: the outcomes of many faults, in shards that are written once and can be resumed.

A shard is a run of consecutive faults. Its table is written atomically as ``part-NNNNN.parquet``; a campaign started
again with the same fingerprint finds the parts that are there and computes the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fault_injection.faults import FaultModel, change_at, faulty_words
from fault_injection.golden import Golden, flat
from fault_injection.outcomes import Judge
from fault_injection.propagate import ChangedRows, propagate
from fault_injection.sites import SiteTable
from hls.engine import ExactEngine
from hls.errors import RunDirectoryError
from hls.executor import Executor
from hls.files import atomic_write
from hls.formats import Words

SHARD_FAULTS = 16_384
"""Faults a shard: some seconds of work, so that little is lost when a campaign is interrupted."""

EXECUTOR_SHARD_FAULTS = 64
"""Faults a shard where each one is a run of its own."""

_DIGEST = b"edgeval.sha256"

Progress = Callable[[int, int], None]
"""Told how many faults are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Faults to be judged.

    Attributes:
        judge: Evaluation set, decision and metric; holds the fault-free network.
        sites: Where, in campaign order.
        model: What happens to each bit.
        executor: Runs every fault by itself; ``None`` for the exact engine with cached activations.
    """

    judge: Judge
    sites: SiteTable
    model: FaultModel
    executor: Executor | None = None

    @property
    def golden(self) -> Golden:
        """The fault-free network and its values."""
        return self.judge.golden

    def outcomes(self, sites: SiteTable) -> pa.Table:
        """Outcome table of some of the faults, one row each."""
        before, after = faulty_words(self.golden.graph, sites, self.model)
        if self.executor is None:
            changed = propagate(self.golden, sites, before, after)
        else:
            changed = run_each(self.executor, self.golden, sites, self.model)
        columns = {
            "site": sites.number,
            "tensor": pa.DictionaryArray.from_arrays(pa.array(sites.tensor, pa.int32()), list(sites.tensors)),
            "index": sites.index,
            "bit": sites.bit,
            "golden_word": before,
            "faulty_word": after,
        }
        judged = self.judge.judge(changed, len(sites))
        return pa.table({**columns, **{name: judged[name] for name in judged.column_names}})


def run_campaign(campaign: Campaign, folder: Path, progress: Progress = lambda done, total: None) -> pa.Table:
    """Judge every fault of a campaign, resuming what the folder already holds.

    Args:
        campaign: What to do.
        folder: ``outcomes/<fingerprint>``; the fingerprint makes sure that old parts are of the same campaign.
        progress: Called after each shard.

    Returns:
        One row a fault, in campaign order.

    Raises:
        RunDirectoryError: a part that is there is damaged. InputError: the disk is full.
    """
    size = SHARD_FAULTS if campaign.executor is None else EXECUTOR_SHARD_FAULTS
    total = len(campaign.sites)
    tables = []
    for shard, start in enumerate(range(0, total, size)):
        sites = campaign.sites.take(slice(start, start + size))
        path = folder / f"part-{shard:05d}.parquet"
        table = read_part(path, sites) if path.exists() else None
        if table is None:
            table = campaign.outcomes(sites)
            write_part(path, table)
        tables.append(table)
        progress(min(start + size, total), total)
    return pa.concat_tables(tables).unify_dictionaries()


def run_each(executor: Executor, golden: Golden, sites: SiteTable, model: FaultModel) -> ChangedRows:
    """The effect of each fault from a run of its own on any executor."""
    outputs = golden.output.shape[1]
    fault, sample, output = [], [], [np.zeros((0, outputs), np.int64)]
    for row in range(len(sites)):
        faulty = faulty_output(executor, golden, sites, row, model)
        differs = np.flatnonzero((faulty != golden.output).any(axis=1))
        fault.append(np.full(len(differs), row))
        sample.append(differs)
        output.append(faulty[differs])
    return ChangedRows(fault=np.concatenate(fault), sample=np.concatenate(sample), output=np.concatenate(output))


def faulty_output(executor: Executor, golden: Golden, sites: SiteTable, row: int, model: FaultModel) -> Words:
    """Output words of the whole evaluation set under one fault, those of one sample in a row."""
    change = change_at(golden.graph, sites.site(row), model)
    return flat(executor.with_words([change]).run(golden.inputs).output)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Faults run again on another executor.

    Attributes:
        faults: How many were run.
        words: Output words compared, over all faults and samples.
        mismatches: Sites where any output word differs, as text.
    """

    faults: int
    words: int
    mismatches: tuple[str, ...]


def cross_check(
    campaign: Campaign,
    executor: Executor,
    count: int,
    rng: np.random.Generator,
    progress: Progress = lambda done, total: None,
) -> CrossCheck:
    """Run random faults of a campaign on another executor and by brute force, and compare every output word.

    Args:
        campaign: A campaign of the cached exact path.
        executor: E.g. the C-simulation.
        count: Faults to draw, without repeats; all of them when there are fewer.
        rng: Source of the draw.
        progress: Told how many are done, and of how many.
    """
    golden, sites = campaign.golden, campaign.sites
    rows = np.sort(rng.choice(len(sites), min(count, len(sites)), replace=False))
    chosen = sites.take(rows)
    before, after = faulty_words(golden.graph, chosen, campaign.model)
    changed = propagate(golden, chosen, before, after)
    engine = ExactEngine(golden.graph)
    mismatches = []
    for row in range(len(chosen)):
        cached = golden.output.astype(np.int64)
        of_fault = changed.fault == row
        cached[changed.sample[of_fault]] = changed.output[of_fault]
        brute = faulty_output(engine, golden, chosen, row, campaign.model)
        other = faulty_output(executor, golden, chosen, row, campaign.model)
        if not (np.array_equal(cached, brute) and np.array_equal(brute, other)):
            mismatches.append(str(chosen.site(row)))
        progress(row + 1, len(chosen))
    return CrossCheck(faults=len(chosen), words=len(chosen) * golden.output.size, mismatches=tuple(mismatches))


def write_part(path: Path, table: pa.Table) -> None:
    """Write one shard atomically."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({_DIGEST: _digest(table)}), sink)
    atomic_write(path, sink.getvalue().to_pybytes())


def read_part(path: Path, sites: SiteTable) -> pa.Table:
    """Read the shard of some sites back.

    Raises:
        RunDirectoryError: damaged, or of other sites.
    """
    try:
        table = pq.read_table(path)
        recorded = (table.schema.metadata or {}).get(_DIGEST)
        whole = recorded == _digest(table)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if not whole:
        raise _damaged(path, "values whose sha256 is not the recorded one")
    if table["site"].to_pylist() != sites.number.tolist():
        raise _damaged(path, f"{table.num_rows} faults at other sites than the {len(sites)} of this shard")
    return table.replace_schema_metadata(None)


def _digest(table: pa.Table) -> bytes:
    """sha256 of names and values: Parquet's own page checksums leave its headers out."""
    return hashlib.sha256(msgspec.json.encode(table.to_pydict())).hexdigest().encode()


def _damaged(path: Path, found: str) -> RunDirectoryError:
    return RunDirectoryError(
        found=found,
        allowed="a shard this campaign wrote",
        where=str(path),
        remedy="delete this file and run the same command again; only this shard is computed anew",
    )
