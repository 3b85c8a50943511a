"""Faults of a campaign once more, by brute force: the whole network, the whole evaluation set, one run a fault."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from fault_injection.campaign import Campaign
from fault_injection.outcomes import decisions_only
from fault_injection.propagate import ChangedRows
from fault_injection.shards import Progress
from hls.engine import ExactEngine
from hls.executor import Executor
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.nodes import Conv, MatMul

CHECKED_FAULTS = 100
"""Faults that every campaign repeats, where they are cheap."""

CHECKED_MACS = 5 * 10**10
"""Multiplications this may take in all, some seconds on a core: the larger the network, the fewer faults."""

LEAST_CHECKED_FAULTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Faults run again by other means.

    Attributes:
        faults: How many were run.
        words: Output words compared, over all faults and samples.
        mismatches: Faults where anything differs, as text.
        changed: Which decisions each of them changes; bool of shape (faults, samples).
    """

    faults: int
    words: int
    mismatches: tuple[str, ...]
    changed: np.ndarray


def checked_faults(graph: IntegerGraph, samples: int, faults: int) -> int:
    """How many faults a campaign repeats by itself: ``CHECKED_FAULTS``, fewer where a run of the network is long.

    Args:
        graph: The network.
        samples: Of the evaluation set.
        faults: Of the campaign.
    """
    affordable = CHECKED_MACS // max(1, samples * forward_macs(graph))
    return min(faults, max(LEAST_CHECKED_FAULTS, min(CHECKED_FAULTS, affordable)))


def forward_macs(graph: IntegerGraph) -> int:
    """Multiplications of one sample's way through the network."""
    total = 0
    for node in graph.compute_nodes:
        if isinstance(node, MatMul | Conv):
            weight = graph.tensors[node.weight]
            # Each weight meets one word at each place of the output.
            total += weight.words.size * prod(graph.values[node.output].shape[:-1])
    return total


def cross_check(
    campaign: Campaign,
    table: pa.Table,
    count: int,
    rng: np.random.Generator,
    progress: Progress = lambda done, total: None,
    *,
    executor: Executor | None = None,
) -> CrossCheck:
    """Run random faults by brute force in the exact engine and compare every outcome with a campaign's table.

    Args:
        campaign: What was judged.
        table: Its outcomes, one row a fault in the order of its faults.
        count: Faults to draw, without repeats; all of them when there are fewer.
        rng: Source of the draw.
        progress: Told how many are done, and of how many.
        executor: Another one that has to give every output word that brute force gives, e.g. the C-simulation.
    """
    faults = campaign.faults
    rows = np.sort(rng.choice(len(faults), min(count, len(faults)), replace=False))
    return check_rows(campaign, table, rows, progress, executor=executor)


def check_rows(
    campaign: Campaign,
    table: pa.Table,
    rows: Int[np.ndarray, " rows"],
    progress: Progress = lambda done, total: None,
    *,
    executor: Executor | None = None,
) -> CrossCheck:
    """Run chosen faults by brute force; everything else as for ``cross_check``.

    Args:
        campaign: What was judged.
        table: Its outcomes, one row a fault in the order of its faults.
        rows: Which of them to run.
        progress: Told how many are done, and of how many.
        executor: As for ``cross_check``.
    """
    golden, faults = campaign.golden, campaign.faults
    engine = ExactEngine(golden.graph)
    before = golden.values(golden.output)
    changed = np.zeros((len(rows), golden.samples), bool)
    mismatches = []
    for done, row in enumerate(rows.tolist()):
        output = faults.faulty_output(engine, golden, row)
        changed[done] = campaign.judge.decision.differs(before, golden.values(output))
        named, judged = _named(campaign, row), table.slice(row, 1)
        same = judged.select(named.column_names).to_pylist() == named.to_pylist()
        same &= _as_judged(campaign, output, judged)
        if executor is not None:
            same &= np.array_equal(output, faults.faulty_output(executor, golden, row))
        if not same:
            mismatches.append(faults.text(row))
        progress(done + 1, len(rows))
    words = len(rows) * golden.output.size
    return CrossCheck(faults=len(rows), words=words, mismatches=tuple(mismatches), changed=changed)


def _named(campaign: Campaign, row: int) -> pa.Table:
    """What the table has to say a fault *is*: a row of another fault may have the same outcome."""
    return campaign.faults.take(np.array([row])).columns(campaign.golden.graph)


def _as_judged(campaign: Campaign, output: Words, row: pa.Table) -> bool:
    """Whether a row of the table says what these output words of the whole evaluation set mean."""
    sample = np.flatnonzero((output != campaign.golden.output).any(axis=1))
    effect = ChangedRows(fault=np.zeros(len(sample), np.int64), sample=sample, output=output[sample])
    judged = campaign.judge.judge(effect, 1)
    expected = judged if campaign.detail == "full" else decisions_only(judged)
    return bool(row.select(expected.column_names).to_pylist() == expected.to_pylist())
