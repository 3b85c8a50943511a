"""Campaigns on a sample of the faults: strata of tensor × bit, drawn until the critical share is known well enough.

The first step is proportional, the next ones follow Neyman's allocation with the variances seen so far (double
sampling: D. R. Cox, "Estimation by double sampling", Biometrika 39, 1952). Each stratum is shuffled once, from the
seed, and a step takes the next faults of that order: what is judged depends on seed and outcomes only, so a campaign
that was killed draws the same faults again, and no fault twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from fault_injection.campaign import Campaign, finished, judge_shards, keep
from fault_injection.fault_list import FaultList
from fault_injection.parts import damaged, locked
from fault_injection.shards import Place, Progress
from fault_injection.statistics import Counts, StratifiedShare, allocate, sample_size
from hls.graph import IntegerGraph

LEAST_OF_STRATUM = 2
"""Faults of each stratum in the first step: without two there is no variance."""

FIRST_SHARE = 0.05
"""First step, as a share of the worst-case sample size."""

LARGEST_STEP = 10.0
"""How many times what was judged before the last step may have: too little known, too badly allocated."""

CAUTION = 0.95
"""The last step is planned for this share of the margin, for what it sees may vary more than what was seen before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """Which stratum each fault is in.

    Attributes:
        stratum: Of each fault, a position in ``places``.
        places: Tensor and bit of each stratum, in data order; ``(None, None)`` for faults without such a place.
    """

    stratum: Int[np.ndarray, " faults"]
    places: tuple[tuple[str | None, int | None], ...]

    @property
    def populations(self) -> Counts:
        """Faults of each stratum."""
        return np.bincount(self.stratum, minlength=len(self.places))


def strata_of(faults: FaultList, graph: IntegerGraph) -> Strata:
    """Tensor × bit, where the faults have these; else one stratum of all."""
    columns = faults.columns(graph)
    if not {"tensor", "bit"} <= set(columns.column_names):
        return Strata(stratum=np.zeros(len(faults), np.int64), places=((None, None),))
    tensor = columns["tensor"].combine_chunks()
    codes, bits = tensor.indices.to_numpy(zero_copy_only=False).astype(np.int64), columns["bit"].to_numpy()
    names = tensor.dictionary.to_pylist()
    width = int(bits.max()) + 1
    found, stratum = np.unique(codes * width + bits, return_inverse=True)
    places = tuple((names[key // width], key % width) for key in found.tolist())
    return Strata(stratum=stratum, places=places)


@dataclass(slots=True, kw_only=True)
class StratifiedSample:
    """A sample that grows step by step.

    Whether a step is the last one is decided before it is judged: it is when, with the variances seen so far, it brings
    the interval of the critical share within the margin. So the outcomes of the last step decide nothing, and what it
    says about the faults that nobody has judged is unbiased.

    Attributes:
        strata: Of all faults.
        margin: Half width wanted of the critical share's interval.
        confidence: Of that interval.
        seed: Of the order in which each stratum is drawn.
        known: Faults of each stratum handed out before the last step.
        drawn: Faults of each stratum handed out in the last step.
        complete: Whether that is the last one.
    """

    strata: Strata
    margin: float
    confidence: float
    seed: int
    known: Counts = field(init=False)
    drawn: Counts = field(init=False)
    complete: bool = field(init=False, default=False)
    order: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.strata.places)
        self.known = self.drawn = np.zeros(count, np.int64)
        by_stratum = np.argsort(self.strata.stratum, kind="stable")
        parts = np.split(by_stratum, np.cumsum(self.strata.populations)[:-1])
        self.order = [np.random.default_rng([self.seed, h]).permutation(part) for h, part in enumerate(parts)]

    def first(self) -> Int[np.ndarray, " rows"]:
        """Rows of the first step: proportional, at least two of each stratum."""
        populations = self.strata.populations
        worst_case = sample_size(int(populations.sum()), self.margin, self.confidence)
        total = max(round(FIRST_SHARE * worst_case), LEAST_OF_STRATUM * len(populations))
        least = np.full(len(populations), LEAST_OF_STRATUM)
        return self._hand_out(allocate(populations, np.ones(len(populations)), total, least))

    def next(self, known_hits: Counts) -> Int[np.ndarray, " rows"]:
        """Rows of the next step; none behind the last.

        Args:
            known_hits: Critical faults of each stratum among all that were handed out.
        """
        if self.complete:
            return np.zeros(0, np.int64)
        known = self.known + self.drawn
        nothing = np.zeros_like(known)
        share = StratifiedShare(
            populations=self.strata.populations, known=known, known_hits=known_hits, drawn=nothing, hits=nothing
        )
        sizes = share.next_step(CAUTION * self.margin, self.confidence, LEAST_OF_STRATUM)
        so_far = int(known.sum())
        self.complete = int(sizes.sum()) <= LARGEST_STEP * so_far
        if not self.complete:
            left = self.strata.populations - known
            sizes = allocate(left, share.deviations, so_far, np.full(len(left), LEAST_OF_STRATUM))
        self.known = known
        return self._hand_out(sizes)

    def _hand_out(self, sizes: Counts) -> Int[np.ndarray, " rows"]:
        self.drawn = sizes
        steps = zip(self.order, self.known, self.known + sizes, strict=True)
        return np.sort(np.concatenate([order[a:b] for order, a, b in steps]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A sample that was judged.

    Attributes:
        rows: Which faults, rising.
        outcomes: Their outcomes, in that order.
        last: Which of them the last step judged.
        steps: How many it took.
    """

    rows: Int[np.ndarray, " rows"]
    outcomes: pa.Table
    last: Bool[np.ndarray, " rows"]
    steps: int


def run_sampled(
    campaign: Campaign,
    sample: StratifiedSample,
    folder: Path,
    progress: Progress = lambda done, total: None,
    *,
    place: Place | None = None,
    fingerprint: str = "",
) -> Sampled:
    """Judge step after step until the margin is reached, resuming what the folder already holds.

    Args:
        campaign: Over all faults that could be drawn.
        sample: Nothing drawn yet; all of it is, afterwards.
        folder: As for ``run_campaign``.
        progress: Told after each shard, in faults of its step.
        place: Where shards are computed.
        fingerprint: Of everything the outcomes depend on, margin, confidence and seed among them.

    Raises:
        RunDirectoryError, InputError, UsageError, ToolError: as ``run_campaign``.
    """
    with locked(folder):
        there = finished(campaign, folder, fingerprint)

        def judge(rows: np.ndarray, step: int) -> pa.Table:
            faults = campaign.faults.take(rows)
            if there is not None:
                return _rows_of(there, faults, folder)
            part = replace(campaign, faults=faults)
            named = {"prefix": f"step-{step:02d}", "fingerprint": fingerprint}
            return judge_shards(part, folder, progress, place=place, **named)

        rows, tables = _steps(sample, judge)
        judged = np.concatenate(rows)
        order = np.argsort(judged)
        outcomes = pa.concat_tables(tables).unify_dictionaries().take(pa.array(order)).combine_chunks()
        keep(campaign, folder, fingerprint, outcomes if there is None else None)
        last = np.isin(judged[order], rows[-1])
        return Sampled(rows=judged[order], outcomes=outcomes, last=last, steps=len(rows))


def _steps(
    sample: StratifiedSample, judge: Callable[[np.ndarray, int], pa.Table]
) -> tuple[list[np.ndarray], list[pa.Table]]:
    rows = [sample.first()]
    tables: list[pa.Table] = []
    hits = np.zeros(len(sample.strata.places), np.int64)
    while len(rows[-1]):
        tables.append(judge(rows[-1], len(tables)))
        critical = is_critical(tables[-1])
        stratum = sample.strata.stratum[rows[-1]]
        hits += np.bincount(stratum, weights=critical, minlength=len(hits)).astype(np.int64)
        rows.append(sample.next(hits))
    return rows[:-1], tables


def _rows_of(table: pa.Table, faults: FaultList, folder: Path) -> pa.Table:
    """The rows of some faults in a table that is sorted by fault number."""
    number = table[0].to_numpy()
    rows = np.searchsorted(number, faults.number)
    if len(number) == 0 or not np.array_equal(number[np.minimum(rows, len(number) - 1)], faults.number):
        raise damaged(folder, "a table without the faults that this sample draws")
    return table.take(pa.array(rows))


def is_critical(outcomes: pa.Table) -> np.ndarray:
    """Which faults are critical."""
    return np.asarray(pc.equal(outcomes["outcome"], "critical").to_numpy())
