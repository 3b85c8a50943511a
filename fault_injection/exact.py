"""Which exact way a fault is judged: the collapsed engine for dense layers, propagation of changed words for the rest.

Both give the same table to the bit; the choice is one of cost alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from fault_injection.batches import judged_in_batches
from fault_injection.collapse import Collapse, NeuronFaults, neuron_faults, single_steps
from fault_injection.dense_chain import dense_chain
from fault_injection.effects import channel_of
from fault_injection.outcomes import Judge, decisions_only
from fault_injection.propagate import propagate
from fault_injection.sites import SiteTable
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.nodes import Node

Detail = Literal["full", "decisions"]
"""``full``: every outcome column. ``decisions``: what follows from decisions alone (arg-max and accuracy), many times
faster; ``masked``, ``tolerable``, ``words_changed`` and ``worst_sample_change`` are null."""

_PREPARED: WeakKeyDictionary[Judge, dict[str, Collapse | None]] = WeakKeyDictionary()


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

    Raises:
        ToolError: a network that the compiled kernels take, and no compiler for them.
    """
    graph, before, after = judge.golden.graph, *words
    parts: list[pa.Table] = []
    order: list[np.ndarray] = []
    for node, rows in _by_way(judge, sites, words):
        chosen, part = sites.take(rows), (before[rows], after[rows])
        collapse = None if node is None else collapse_of(judge, node)
        if node is None or collapse is None:
            table = _propagated(judge, chosen, part)
        else:
            neurons = _neurons(graph, node, chosen, part)
            counts_decisions = detail == "decisions" and collapse.decides()
            count = collapse.count_decisions if counts_decisions else collapse.count_values
            table = judge.table(count(neurons, len(rows), threads))
        parts.append(decisions_only(table) if detail == "decisions" else table)
        order.append(rows)
    if not parts:
        return _propagated(judge, sites, words)
    place = np.concatenate(order)
    table = pa.concat_tables(parts)
    return table if (np.diff(place) > 0).all() else table.take(pa.array(np.argsort(place, kind="stable")))


def _propagated(judge: Judge, sites: SiteTable, words: tuple[Words, Words]) -> pa.Table:
    def judged(rows: np.ndarray) -> pa.Table:
        return judge.judge(propagate(judge.golden, sites.take(rows), *(part[rows] for part in words)), len(rows))

    return judged_in_batches(judged_together(judge.golden.graph, sites), judge.golden.samples, judged)


def _by_way(
    judge: Judge, sites: SiteTable, words: tuple[Words, Words]
) -> list[tuple[Node | None, Int[np.ndarray, " rows"]]]:
    """Rows that the kernels take, by the layer they are in; first, with no node, those that are propagated."""
    graph, propagated, taken = judge.golden.graph, [], []
    owner = _owners(graph, sites)
    for position in _present(owner):
        rows, node = np.flatnonzero(owner == position), graph.nodes[position]
        if collapse_of(judge, node) is None:
            propagated.append(rows)
            continue
        single = np.zeros(len(rows), bool)
        for place in _present(sites.tensor[rows]):
            of = sites.tensor[rows] == place
            at = rows[of]
            single[of] = single_steps(sites.index[at], words[0][at], words[1][at])
        propagated.append(rows[~single])
        taken.append((node, rows[single]))
    rest = np.sort(np.concatenate([np.zeros(0, np.int64), *propagated]))
    ways: list[tuple[Node | None, np.ndarray]] = [(None, rest), *taken]
    return [(node, rows) for node, rows in ways if len(rows)]


def collapse_of(judge: Judge, node: Node) -> Collapse | None:
    """A layer made ready for the compiled kernels, once a judge; ``None`` where they do not take it."""
    prepared = _PREPARED.setdefault(judge, {})
    if node.name not in prepared:
        chain = dense_chain(judge.golden, node)
        prepared[node.name] = Collapse(judge, chain) if chain is not None and Collapse.takes(chain, judge) else None
    return prepared[node.name]


def judged_together(graph: IntegerGraph, sites: SiteTable) -> Sequence[Int[np.ndarray, " rows"]]:
    """Rows that reach the same channel of the same node; every row in exactly one group.

    A group shares its golden values and, in a dense layer, every value its neuron can take.
    """
    owner, channel = _owners(graph, sites), np.full(len(sites), -1)
    for position in _present(sites.tensor):
        rows = np.flatnonzero(sites.tensor == position)
        tensor = graph.tensors[sites.tensors[position]]
        channel[rows] = channel_of(graph.owner_of(tensor.name), tensor, sites.index[rows])
    order = np.lexsort((channel, owner))
    starts = np.flatnonzero(np.diff(owner[order]) | np.diff(channel[order])) + 1
    return [np.sort(part) for part in np.split(order, starts)] if len(order) else []


def _owners(graph: IntegerGraph, sites: SiteTable) -> Int[np.ndarray, " sites"]:
    """Position of the node that uses each site's tensor."""
    nodes = [node.name for node in graph.nodes]
    place = np.array([nodes.index(graph.owner_of(name).name) for name in sites.tensors])
    return np.asarray(place[sites.tensor]) if len(sites) else np.zeros(0, np.int64)


def _neurons(graph: IntegerGraph, node: Node, sites: SiteTable, words: tuple[Words, Words]) -> list[NeuronFaults]:
    channel = np.empty(len(sites), np.int64)
    for position in _present(sites.tensor):
        rows = np.flatnonzero(sites.tensor == position)
        channel[rows] = channel_of(node, graph.tensors[sites.tensors[position]], sites.index[rows])
    few = channel.astype(np.uint16) if len(channel) and channel.max() < 1 << 16 else channel
    order = np.argsort(few, kind="stable")  # a radix sort where two bytes hold the channels
    neurons = []
    for part in np.split(order, np.flatnonzero(np.diff(channel[order])) + 1):
        tensors = []
        for position in _present(sites.tensor[part]):
            rows = part[sites.tensor[part] == position]
            tensor = graph.tensors[sites.tensors[position]]
            tensors.append((tensor, rows, sites.index[rows], words[0][rows], words[1][rows]))
        neurons.append(neuron_faults(int(channel[part[0]]), tensors))
    return [neuron for neuron in neurons if len(neuron.rows)]


def _present(numbers: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " distinct"]:
    """Distinct small numbers, rising: np.unique without its sort."""
    return np.flatnonzero(np.bincount(numbers))
