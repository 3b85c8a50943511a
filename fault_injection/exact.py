"""Which exact way a fault is judged: the collapsed engine for dense layers, propagation of changed words for the rest.

Both give the same table to the bit; the choice is one of cost alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from fault_injection.effects import channel_of
from fault_injection.outcomes import Judge
from fault_injection.propagate import propagate
from fault_injection.sites import SiteTable
from hls.formats import Words
from hls.graph import IntegerGraph

Detail = Literal["full", "decisions"]
"""``full``: every outcome column. ``decisions``: what follows from decisions alone (arg-max and accuracy), many times
faster; ``masked``, ``tolerable``, ``words_changed`` and ``worst_sample_change`` are null."""


def judge_stored_bits(
    judge: Judge, sites: SiteTable, words: tuple[Words, Words], *, detail: Detail, threads: int
) -> pa.Table:
    """Outcome columns of faults in stored bits.

    Args:
        judge: Evaluation set, decision and metric.
        sites: One fault a row.
        words: Stored word at each site, without and with the fault.
        detail: Which columns are wanted.
        threads: Threads of the compiled kernels, 1 or more.

    Returns:
        One row a fault: the outcome columns of ``docs/interfaces.md``.
    """
    return judge.judge(propagate(judge.golden, sites, *words), len(sites))


def judged_together(graph: IntegerGraph, sites: SiteTable) -> Sequence[Int[np.ndarray, " rows"]]:
    """Rows that reach the same channel of the same node; every row in exactly one group.

    A group shares its golden values and, in a dense layer, every value its neuron can take.
    """
    owner = np.full(len(sites), -1)
    channel = np.full(len(sites), -1)
    nodes = list(graph.nodes)
    for position in np.unique(sites.tensor):
        rows = np.flatnonzero(sites.tensor == position)
        tensor = graph.tensors[sites.tensors[position]]
        node = graph.owner_of(tensor.name)
        owner[rows] = nodes.index(node)
        channel[rows] = channel_of(node, tensor, sites.index[rows])
    order = np.lexsort((channel, owner))
    starts = np.flatnonzero(np.diff(owner[order]) | np.diff(channel[order])) + 1
    return [np.sort(part) for part in np.split(order, starts)] if len(order) else []
