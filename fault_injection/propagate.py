"""The exact effect of single-word faults, from cached activations: only what changed is computed.

A fault changes some words of one channel of its own node's output. That channel goes through the word-by-word nodes
behind it; samples in which it comes out as before are done. The rest run through the remaining nodes as rows, each row
one (fault, sample), dropped as soon as nothing that is still read differs from the fault-free words. See
``docs/fault-injection.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Int

import fault_injection.downstream as downstream
from fault_injection.downstream import Downstream
from fault_injection.effects import Faults, Owner, channel_of, executor_words_at
from fault_injection.golden import Golden, flat
from fault_injection.sites import SiteTable
from hls.engine import ExactEngine
from hls.formats import Words
from hls.graph import StoredTensor, WordChange
from hls.nodes import Node, tensors_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRows:
    """All (fault, sample) pairs whose output differs from the fault-free one.

    Attributes:
        fault: Position of the fault in the batch.
        sample: Sample of the evaluation set.
        output: Faulty output words, those of one sample in a row.
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
    rest = Downstream(golden)
    nothing = np.zeros(0, np.int64)
    parts = [ChangedRows(fault=nothing, sample=nothing, output=np.zeros((0, golden.output.shape[1]), np.int64))]
    for position in np.unique(sites.tensor):
        rows = np.flatnonzero((sites.tensor == position) & (golden_words != faulty))
        tensor = golden.graph.tensors[sites.tensors[position]]
        owners = [node for node in golden.graph.nodes if tensor.name in tensors_of(node)]
        if len(owners) > 1:
            parts += [_rerun(golden, tensor, int(row), int(sites.index[row]), int(faulty[row])) for row in rows]
            continue
        owner = Owner(golden, owners[0], tensor)
        for faults in _groups(owners[0], tensor, rows, sites.index[rows], (golden_words[rows], faulty[rows])):
            parts += [_effect(rest, owner, *block) for block in _blocks(golden, owners[0], faults)]
    fault = np.concatenate([part.fault for part in parts])
    sample = np.concatenate([part.sample for part in parts])
    output = np.concatenate([part.output for part in parts])
    order = np.lexsort((sample, fault))
    return ChangedRows(fault=fault[order], sample=sample[order], output=output[order])


def _groups(
    node: Node, tensor: StoredTensor, rows: np.ndarray, index: np.ndarray, words: tuple[Words, Words]
) -> Iterator[Faults]:
    """Faults that reach the same channels, together."""
    channel = channel_of(node, tensor, index)
    before, after = (executor_words_at(tensor, index, part) for part in words)
    order = np.argsort(channel, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(channel[order])) + 1):
        if len(part):
            first = int(channel[part[0]])
            yield Faults(
                rows=rows[part],
                index=index[part],
                before=before[part],
                after=after[part],
                channels=slice(None) if first < 0 else slice(first, first + 1),
            )


def _blocks(golden: Golden, node: Node, faults: Faults) -> Iterator[tuple[Faults, slice]]:
    """Faults and samples whose changed channels stay within a bounded memory."""
    shape = golden.graph.values[node.output].shape
    words = prod(shape[:-1]) * len(range(shape[-1])[faults.channels])
    samples = min(golden.samples, max(1, downstream.BLOCK_WORDS // words))
    size = max(1, downstream.BLOCK_WORDS // (samples * words))
    for fault in range(0, len(faults.rows), size):
        for sample in range(0, golden.samples, samples):
            yield faults.take(slice(fault, fault + size)), slice(sample, sample + samples)


def _effect(rest: Downstream, owner: Owner, faults: Faults, samples: slice) -> ChangedRows:
    words = owner.output(faults, samples)
    fault, sample, output = rest.follow(owner.node.output, faults.channels, words, samples)
    return ChangedRows(fault=faults.rows[fault], sample=sample, output=output)


def _rerun(golden: Golden, tensor: StoredTensor, row: int, index: int, word: int) -> ChangedRows:
    """A fault in words that several nodes use, by a run of its own."""
    faulty = ExactEngine(golden.graph).with_words([WordChange(tensor=tensor.name, index=index, word=word)])
    output = flat(faulty.run(golden.inputs).output)
    sample = np.flatnonzero((output != golden.output).any(axis=1))
    return ChangedRows(fault=np.full(len(sample), row), sample=sample, output=output[sample])
