"""The exact effect of faults that change several words each, from cached activations.

Where all words of a fault belong to one node, what each adds to that node's output adds up (``Owner.contribution``),
and the channels concerned go on as those of a single word do. Where several nodes are concerned, the network runs with
these nodes' words replaced, from the first of them on; samples in which nothing differs any more are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Int

import fault_injection.downstream as downstream
from fault_injection.downstream import Downstream
from fault_injection.effects import Channels, Faults, Owner, channel_of, executor_words_at
from fault_injection.golden import Golden
from fault_injection.propagate import ChangedRows
from hls.engine import kernel_of
from hls.errors import UsageError
from hls.graph import IntegerGraph, WordChange
from hls.nodes import Node, tensors_of

ALL_CHANNELS = -1
"""What ``channel_of`` says of a word that reaches every channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordChanges:
    """Words that faults change; every word at most once a fault.

    Attributes:
        faults: How many faults the batch has, those that change nothing among them.
        fault: Position of the fault in the batch, rising.
        tensor: Position of the tensor in the graph's tensors.
        index: Flat index of the word.
        before, after: Stored word without and with the fault.
    """

    faults: int
    fault: Int[np.ndarray, " changes"]
    tensor: Int[np.ndarray, " changes"]
    index: Int[np.ndarray, " changes"]
    before: Int[np.ndarray, " changes"]
    after: Int[np.ndarray, " changes"]

    def take(self, rows: np.ndarray) -> WordChanges:
        """Some changes of the same batch."""
        return WordChanges(
            faults=self.faults,
            fault=self.fault[rows],
            tensor=self.tensor[rows],
            index=self.index[rows],
            before=self.before[rows],
            after=self.after[rows],
        )

    def of(self, graph: IntegerGraph, fault: int) -> list[WordChange]:
        """One fault as the words it leaves behind."""
        names = list(graph.tensors)
        rows = np.flatnonzero(self.fault == fault)
        return [
            WordChange(tensor=names[self.tensor[row]], index=int(self.index[row]), word=int(self.after[row]))
            for row in rows
        ]


def flipped_bits(
    graph: IntegerGraph, fault: Int[np.ndarray, " bits"], sites: tuple[np.ndarray, np.ndarray, np.ndarray], faults: int
) -> WordChanges:
    """Faults that flip several bits each, bits of one word taken together.

    Args:
        graph: The network.
        fault: Position of the fault that flips each bit.
        sites: Tensor (position in data order), flat index and bit of each.
        faults: How many faults there are.

    Raises:
        UsageError: a fault has the same bit twice; flipped twice it would be no fault.
    """
    order = np.lexsort((sites[2], sites[1], sites[0], fault))
    fault, tensor, index, bit = (np.asarray(column, np.int64)[order] for column in (fault, *sites))
    moves = np.stack([np.diff(column) != 0 for column in (fault, tensor, index)]).any(axis=0)
    twice = np.flatnonzero(~moves & (np.diff(bit) == 0))
    if len(twice):
        row = twice[0]
        name = list(graph.tensors)[tensor[row]]
        raise UsageError(
            found=f"{name}:{index[row]}:{bit[row]} twice in fault {fault[row]}",
            allowed="each bit once a fault: flipped twice it is as it was",
            where="bits of a fault",
            remedy="draw without replacement",
        )
    first = np.concatenate([[0], np.flatnonzero(moves) + 1]) if len(fault) else np.zeros(0, np.int64)
    masks = np.add.reduceat(np.left_shift(np.int64(1), bit), first) if len(fault) else np.zeros(0, np.int64)
    fault, tensor, index = fault[first], tensor[first], index[first]
    before, after = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
    for position, stored in enumerate(graph.tensors.values()):
        rows = tensor == position
        before[rows] = stored.words.reshape(-1)[index[rows]]
        flips = -before[rows] if stored.format.encoding == "bipolar" else before[rows] ^ masks[rows]
        after[rows] = stored.format.wrap(flips)
    return WordChanges(faults=faults, fault=fault, tensor=tensor, index=index, before=before, after=after)


def propagate_words(golden: Golden, changes: WordChanges) -> ChangedRows:
    """The exact effect of each of a batch of faults on every sample.

    Args:
        golden: The fault-free network and its values.
        changes: What each fault changes.

    Returns:
        Every pair whose output changed, by fault, then sample.
    """
    rest = Downstream(golden)
    changes = changes.take(np.flatnonzero(changes.before != changes.after))
    owner = _owners(golden.graph)[changes.tensor]
    lowest, highest = np.full(changes.faults, len(rest.nodes) + 1), np.full(changes.faults, -2)
    np.minimum.at(lowest, changes.fault, owner)
    np.maximum.at(highest, changes.fault, owner)
    alone = (lowest == highest) & (lowest >= 0)
    nothing = np.zeros(0, np.int64)
    parts = [ChangedRows(fault=nothing, sample=nothing, output=np.zeros((0, golden.output.shape[1]), np.int64))]
    for position in np.unique(owner[alone[changes.fault]]):
        node = golden.graph.nodes[position]
        part = changes.take(np.flatnonzero(alone[changes.fault] & (owner == position)))
        parts += _one_node(rest, node, part)
    spread = changes.take(np.flatnonzero(~alone[changes.fault]))
    parts += [_several_nodes(rest, spread, int(fault)) for fault in np.unique(spread.fault)]
    fault = np.concatenate([part.fault for part in parts])
    sample = np.concatenate([part.sample for part in parts])
    output = np.concatenate([part.output for part in parts])
    order = np.lexsort((sample, fault))
    return ChangedRows(fault=fault[order], sample=sample[order], output=output[order])


def _owners(graph: IntegerGraph) -> Int[np.ndarray, " tensors"]:
    """Position of the node that uses each tensor; -1 where several do."""
    users = {name: [i for i, node in enumerate(graph.nodes) if name in tensors_of(node)] for name in graph.tensors}
    return np.array([found[0] if len(found) == 1 else -1 for found in users.values()], np.int64)


def _one_node(rest: Downstream, node: Node, changes: WordChanges) -> Iterator[ChangedRows]:
    graph = rest.golden.graph
    names = list(graph.tensors)
    owners = {name: Owner(rest.golden, node, graph.tensors[name]) for name in tensors_of(node)}
    channel = np.empty(len(changes.fault), np.int64)
    for name, owner in owners.items():
        rows = changes.tensor == names.index(name)
        channel[rows] = channel_of(node, owner.tensor, changes.index[rows])
    for channels, faults in _same_channels(changes.fault, channel):
        words = prod(graph.values[node.output].shape[:-1]) * (
            graph.values[node.output].shape[-1] if isinstance(channels, slice) else len(channels)
        )
        samples = min(rest.golden.samples, max(1, downstream.BLOCK_WORDS // words))
        size = max(1, downstream.BLOCK_WORDS // (samples * words))
        for start in range(0, len(faults), size):
            chosen = faults[start : start + size]
            rows = np.flatnonzero(np.isin(changes.fault, chosen))
            for sample in range(0, rest.golden.samples, samples):
                block = slice(sample, min(sample + samples, rest.golden.samples))
                summed = _summed(owners, names, (changes.take(rows), channel[rows]), chosen, channels, block)
                fault, sampled, output = rest.follow(node.output, channels, summed, block)
                yield ChangedRows(fault=chosen[fault], sample=sampled, output=output)


def _same_channels(fault: np.ndarray, channel: np.ndarray) -> Iterator[tuple[Channels, Int[np.ndarray, " faults"]]]:
    """Faults that reach the same channels, together; each fault once."""
    pairs = np.unique(np.stack([fault, channel], axis=1), axis=0)
    faults, starts, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    table = np.full((len(faults), int(counts.max(initial=0))), -2)
    rank = np.arange(len(pairs)) - np.repeat(starts, counts)
    table[np.repeat(np.arange(len(faults)), counts), rank] = pairs[:, 1]
    sets, which = np.unique(table, axis=0, return_inverse=True)
    for number, row in enumerate(sets):
        reached = row[row > -2]
        everything = bool((reached == ALL_CHANNELS).any())
        yield slice(None) if everything else reached, faults[which.reshape(-1) == number]


def _summed(
    owners: dict[str, Owner],
    names: list[str],
    changed: tuple[WordChanges, np.ndarray],
    chosen: Int[np.ndarray, " faults"],
    channels: Channels,
    samples: slice,
) -> Int[np.ndarray, "faults samples ..."]:
    """Output words of some channels of the node under each fault."""
    changes, channel = changed
    owner = next(iter(owners.values()))
    exact = owner.exact(samples, channels)
    words = np.repeat(exact[None], len(chosen), axis=0)
    position = np.searchsorted(chosen, changes.fault)
    for name, one in owners.items():
        of_tensor = changes.tensor == names.index(name)
        for reached in np.unique(channel[of_tensor]):
            rows = np.flatnonzero(of_tensor & (channel == reached))
            if isinstance(channels, slice):
                target, part = words, slice(None)
            else:
                place = int(np.searchsorted(channels, reached))
                target, part = words[..., place : place + 1], slice(int(reached), int(reached) + 1)
            for once in _each_fault_once(changes.fault[rows]):
                chosen_rows = rows[once]
                index = changes.index[chosen_rows]
                faults = Faults(
                    rows=chosen_rows,
                    index=index,
                    before=executor_words_at(one.tensor, index, changes.before[chosen_rows]),
                    after=executor_words_at(one.tensor, index, changes.after[chosen_rows]),
                    channels=part,
                )
                target[position[chosen_rows]] += one.contribution(faults, samples)
    return owner.kept(words)


def _each_fault_once(fault: np.ndarray) -> Iterator[np.ndarray]:
    """Positions in portions that hold no fault twice: adding in place would count such a fault once."""
    starts = np.flatnonzero(np.diff(fault, prepend=-1))
    rank = np.arange(len(fault)) - np.repeat(starts, np.diff(np.append(starts, len(fault))))
    for number in range(int(rank.max(initial=-1)) + 1):
        yield np.flatnonzero(rank == number)


def _several_nodes(rest: Downstream, changes: WordChanges, fault: int) -> ChangedRows:
    graph = rest.golden.graph
    words = changes.of(graph, fault)
    faulty = graph.with_words(words)
    touched = {change.tensor for change in words}
    kernels = {
        node.output: kernel_of(faulty, node) for node in graph.compute_nodes if not touched.isdisjoint(tensors_of(node))
    }
    sample, output = rest.rerun(kernels)
    return ChangedRows(fault=np.full(len(sample), fault), sample=sample, output=output)
