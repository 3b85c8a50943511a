"""The exact effect of single-word faults, from cached activations: only what changed is computed.

A faulty weight moves one accumulator by (faulty − golden word) × input word; a faulty bias by the difference itself.
That column goes through the element-wise nodes behind it; samples in which it comes out as before are done. The rest
run through the remaining layers as rows of a matrix product, each row one (fault, sample), dropped as soon as it
equals the fault-free one. See ``docs/fault-injection.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from jaxtyping import Int

from fault_injection.golden import Golden
from fault_injection.sites import SiteTable
from hls.engine import evaluate, sum_interval
from hls.formats import Words
from hls.graph import StoredTensor
from hls.nodes import MatMul, Node, Requantize, Shift

_BLOCK_WORDS = 1 << 22
"""Words of the widest array of one block: with int64 about 32 MB, a few of them alive at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRows:
    """All (fault, sample) pairs whose output differs from the fault-free one.

    Attributes:
        fault: Position of the fault in the batch.
        sample: Sample of the evaluation set.
        output: Faulty output words, shape (rows, outputs).
    """

    fault: Int[np.ndarray, " rows"]
    sample: Int[np.ndarray, " rows"]
    output: Int[np.ndarray, "rows outputs"]


def propagate(golden: Golden, sites: SiteTable, golden_words: Words, faulty: Words) -> ChangedRows:
    """The exact effect of each of a batch of single-word faults on every sample.

    Args:
        golden: The fault-free network and its values.
        sites: One fault a row.
        golden_words: Stored word at each site.
        faulty: The word each fault leaves there.

    Returns:
        Every pair whose output changed, by fault, then sample.
    """
    parts = [
        _propagate_group(golden, node, column, rows, sites, faulty - golden_words)
        for node, column, rows in _groups(golden, sites)
    ]
    fault = np.concatenate([part.fault for part in parts])
    sample = np.concatenate([part.sample for part in parts])
    output = np.concatenate([part.output for part in parts])
    order = np.lexsort((sample, fault))
    return ChangedRows(fault=fault[order], sample=sample[order], output=output[order])


def _groups(golden: Golden, sites: SiteTable) -> Iterator[tuple[MatMul, int, np.ndarray]]:
    """Faults of one output column of one layer together, in blocks of bounded memory."""
    block = max(1, _BLOCK_WORDS // golden.samples)
    for position in np.unique(sites.tensor):
        node = golden.graph.owner_of(sites.tensors[position])
        assert isinstance(node, MatMul)
        of_tensor = np.flatnonzero(sites.tensor == position)
        columns = sites.index[of_tensor] % golden.graph.values[node.output].shape[0]
        order = np.argsort(columns, kind="stable")
        for rows in np.split(of_tensor[order], np.flatnonzero(np.diff(columns[order])) + 1):
            column = int(sites.index[rows[0]] % golden.graph.values[node.output].shape[0])
            for start in range(0, len(rows), block):
                yield node, column, rows[start : start + block]


def _propagate_group(  # the coordinates of one group
    golden: Golden, node: MatMul, column: int, rows: np.ndarray, sites: SiteTable, delta: Words
) -> ChangedRows:
    tensor = golden.graph.tensors[sites.tensors[sites.tensor[rows[0]]]]
    step = delta[rows] << _widen(tensor, column)
    value = node.output
    before = golden.words[value][:, column]
    if tensor.name == node.weight:
        outputs = golden.graph.values[value].shape[0]
        words = before + step[:, None] * golden.words[node.input][:, sites.index[rows] // outputs].T
    else:
        words = before + np.repeat(step[:, None], golden.samples, axis=1)
    if not sum_interval(golden.graph, node).within(node.accumulator):
        words = node.accumulator.wrap(words)
    following = golden.graph.consumer_of(value)
    while isinstance(following, Shift | Requantize):
        words = evaluate(golden.graph, _one_channel(following, column), words[..., None])[..., 0]
        value = following.output
        following = golden.graph.consumer_of(value)
    fault, sample = np.nonzero(words != golden.words[value][:, column])
    changed = _finish(golden, value, column, words[fault, sample], sample)
    kept, output = changed
    return ChangedRows(fault=rows[fault[kept]], sample=sample[kept], output=output)


def _finish(golden: Golden, value: str, column: int, words: Words, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run changed rows through the rest of the network; positions of the rows still changed, and their outputs."""
    block = max(1, _BLOCK_WORDS // max(int(np.prod(v.shape)) for v in golden.graph.values.values()))
    kept: list[np.ndarray] = [np.zeros(0, np.int64)]
    outputs: list[np.ndarray] = [np.zeros((0, golden.output.shape[1]), np.int64)]
    for start in range(0, len(words), block):
        part = slice(start, start + block)
        rows, output = _finish_block(golden, value, column, words[part], sample[part])
        kept.append(rows + start)
        outputs.append(output)
    return np.concatenate(kept), np.concatenate(outputs)


def _finish_block(
    golden: Golden, value: str, column: int, words: Words, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    alive = np.arange(len(words))
    current = golden.words[value][sample]
    current[:, column] = words
    node = golden.graph.consumer_of(value)
    while node is not None and len(alive):
        current = evaluate(golden.graph, node, current)
        differs = (current != golden.words[node.output][sample[alive]]).any(axis=1)
        if not differs.all():
            alive, current = alive[differs], current[differs]
        node = golden.graph.consumer_of(node.output)
    if not len(alive):
        return alive, np.zeros((0, golden.output.shape[1]), np.int64)
    return alive, current


def _widen(tensor: StoredTensor, column: int) -> np.int64:
    return np.int64(tensor.widen if tensor.widen.ndim == 0 else tensor.widen[column])


def _one_channel(node: Node, column: int) -> Node:
    """An element-wise node restricted to one channel."""
    if isinstance(node, Requantize) and len(node.multipliers) > 1:
        pick = slice(column, column + 1)
        return msgspec.structs.replace(
            node, multipliers=node.multipliers[pick], offsets=node.offsets[pick], shifts=node.shifts[pick]
        )
    return node
