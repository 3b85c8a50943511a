"""What a faulty stored word does to the output of the node that uses it: only the words it can reach are computed.

A weight moves one channel of sums by (faulty − golden word) × the input words it meets, a bias by the difference
itself. A threshold moves the count of the words between its old and its new place, a table entry the words that point
to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from fault_injection.golden import Golden
from hls.engine import block_samples, sums
from hls.formats import WordFormat, Words
from hls.graph import StoredTensor
from hls.intervals import sum_interval
from hls.nodes import Conv, Lookup, MatMul, Node, Threshold

Channels = slice | Int[np.ndarray, " channels"]
"""Some channels of a value: a run of them, or their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of one tensor that reach the same channels.

    Attributes:
        rows: Position of each in the batch.
        index: Flat index of each word.
        before, after: Executor words without and with the fault.
        channels: Channels of the owner's output that they can change.
    """

    rows: Int[np.ndarray, " faults"]
    index: Int[np.ndarray, " faults"]
    before: Int[np.ndarray, " faults"]
    after: Int[np.ndarray, " faults"]
    channels: slice

    def take(self, part: slice) -> Faults:
        """Some of them."""
        return Faults(
            rows=self.rows[part],
            index=self.index[part],
            before=self.before[part],
            after=self.after[part],
            channels=self.channels,
        )


def executor_words_at(tensor: StoredTensor, index: Int[np.ndarray, " words"], words: Words) -> Words:
    """``StoredTensor.executor_word`` of many words."""
    channel = np.unravel_index(index, tensor.words.shape)[tensor.channel_axis]
    zero_point, widen = (array if array.ndim == 0 else array[channel] for array in (tensor.zero_point, tensor.widen))
    return np.asarray(np.left_shift(words - zero_point, widen))


def channel_of(node: Node, tensor: StoredTensor, index: Int[np.ndarray, " words"]) -> Int[np.ndarray, " words"]:
    """Channel of the owner's output that each word of a tensor reaches; -1 for all of them."""
    if isinstance(node, Threshold | Lookup) and len(tensor.words) == 1:
        return np.full(len(index), -1)
    axis = -1 if isinstance(node, MatMul) else 0
    return np.asarray(np.unravel_index(index, tensor.words.shape)[axis], np.int64)


class Owner:
    """A node whose stored words are faulty.

    Args:
        golden: The fault-free network and its values.
        node: The node that uses the tensor.
        tensor: The tensor.
    """

    def __init__(self, golden: Golden, node: Node, tensor: StoredTensor) -> None:
        self.golden, self.node, self.tensor = golden, node, tensor
        self.narrow: WordFormat | None = None
        self.base = golden.words[node.output]
        if isinstance(node, MatMul | Conv) and not sum_interval(golden.graph, node).within(node.accumulator):
            self.narrow = node.accumulator
            if self.narrow.overflow == "saturate":  # what a clipped sum would have been is lost: add it up again
                self.base = _exact_sums(golden, node)

    def output(self, faults: Faults, samples: slice) -> Int[np.ndarray, "faults samples ..."]:
        """Output words of the faults' channels under each fault."""
        return self.kept(self.exact(samples, faults.channels) + self.contribution(faults, samples))

    def exact(self, samples: slice, channels: Channels) -> Int[np.ndarray, "samples ..."]:
        """Fault-free output words of some channels; sums as they are before a saturating accumulator clips them."""
        return np.asarray(self.base[samples][..., channels].astype(np.int64))

    def contribution(self, faults: Faults, samples: slice) -> Int[np.ndarray, "faults samples ..."]:
        """What each fault adds to the words of ``exact``; those of several words of one node add up."""
        node = self.node
        shape = (-1, *(1 for _ in self.base.shape))
        before, after = faults.before.reshape(shape), faults.after.reshape(shape)
        match node:
            case MatMul() | Conv():
                return np.asarray((after - before) * self._met(faults, samples))
            case Threshold():
                words = self._inputs(node, faults, samples)
                passed = (words >= after).astype(np.int64) - (words >= before)
                directions = np.asarray(node.directions)
                directions = directions if len(directions) == 1 else directions[faults.channels]
                return np.asarray(node.stride * directions * passed)
            case Lookup():
                words = self._inputs(node, faults, samples)
                entry = faults.index.reshape(shape) % self.tensor.words.shape[1]
                return np.asarray((words == node.first + entry) * (after - before))
        raise TypeError(f"{type(node).__name__} stores no words")

    def kept(self, words: Words) -> Words:
        """Words as the node's accumulator keeps them."""
        if self.narrow is None:
            return words
        return self.narrow.wrap(words) if self.narrow.overflow == "wrap" else self.narrow.clip(words)

    def _inputs(self, node: Threshold | Lookup, faults: Faults, samples: slice) -> Words:
        return np.asarray(self.golden.words[node.input][samples][..., faults.channels])

    def _met(self, faults: Faults, samples: slice) -> Words:
        """The input word that each changed word is multiplied with at each place of the output."""
        node = self.node
        assert isinstance(node, MatMul | Conv)
        if self.tensor.name == node.bias:
            return np.asarray(1)
        words = self.golden.words[node.input][samples]
        place = np.unravel_index(faults.index, self.tensor.words.shape)
        if isinstance(node, MatMul):
            return np.asarray(np.moveaxis(words[..., place[0]], -1, 0)[..., None])
        return np.stack(
            [_tap(node, words, self.tensor, tuple(int(axis[i]) for axis in place)) for i in range(len(faults.rows))]
        )


def _tap(node: Conv, words: Words, weight: StoredTensor, place: tuple[int, ...]) -> Words:
    """The input plane that one weight of a convolution meets, [samples, spatial..., 1]."""
    output, within, *tap = place
    outputs, inputs = weight.words.shape[:2]
    channel = output // (outputs // node.groups) * inputs + within
    axes = len(tap)
    padded = np.pad(words[..., channel], ((0, 0), *zip(node.pads[:axes], node.pads[axes:], strict=True)))
    steps = [slice(None)]
    for axis, index in enumerate(tap):
        span = node.dilations[axis] * (weight.words.shape[2 + axis] - 1)
        start = index * node.dilations[axis]
        steps.append(slice(start, padded.shape[axis + 1] - span + start, node.strides[axis]))
    return np.asarray(padded[tuple(steps)][..., None])


def _exact_sums(golden: Golden, node: MatMul | Conv) -> Words:
    words, size = golden.words[node.input], block_samples(golden.graph)
    return np.concatenate(
        [sums(golden.graph, node, [words[start : start + size]]) for start in range(0, len(words), size)]
    )
