"""The exact exhaustive engine for dense layers: every bit, the whole evaluation set.

Two ways to the same counts (``docs/exhaustive-campaigns.md``): *values* evaluates every word that some
fault makes a neuron take, once, and can judge it by any metric; *decisions* finds where the arg-max changes as a
function of the neuron's sum and only compares. Kernels are compiled (``fault_injection/cpp``) and release the
interpreter, so threads share the neurons of a layer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from fault_injection.dense_chain import DenseChain, pairs_of
from fault_injection.effects import executor_words_at
from fault_injection.kernel_library import Decisions, Inputs, Layer, Neuron, Visits, kernels, pointer
from fault_injection.outcomes import Judge, Tally
from hls.formats import Words
from hls.graph import StoredTensor

VISITS = 1 << 21
"""(fault, sample) pairs of one block at most: about 40 MB a thread with all that belongs to them."""

_LARGEST_INPUT = (1 << 16) - 1
_BOUND_WORDS = 1 << 22
"""Words of the weight differences that bound a decision; networks that need more evaluate every word instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronFaults:
    """Faults of the weights and of the bias of one neuron.

    Attributes:
        channel: Of the layer's output.
        rows: Position of each fault in the batch.
        input: Which input's weight it is; -1 for the bias.
        bit: Of the executor word: a stored bit moved by the tensor's widening.
        delta: Faulty - golden executor word, a power of two of either sign.
    """

    channel: int
    rows: Int[np.ndarray, " faults"]
    input: Int[np.ndarray, " faults"]
    bit: Int[np.ndarray, " faults"]
    delta: Int[np.ndarray, " faults"]


class Collapse:
    """A dense layer made ready for campaigns.

    Args:
        judge: Evaluation set, decision and metric.
        chain: The layer and what follows it.
    """

    def __init__(self, judge: Judge, chain: DenseChain) -> None:
        self.judge, self.chain = judge, chain
        self._kernels = kernels()
        self._inputs, self._kept = _inputs(judge.golden.words[chain.node.input])
        self._own = chain.own.struct()
        self._layers = (Layer * max(1, len(chain.layers)))(*(layer.struct() for layer in chain.layers))
        self._output = np.ascontiguousarray(judge.golden.output, np.int32)
        self._decisions: Decisions | None = None

    @staticmethod
    def takes(chain: DenseChain, judge: Judge) -> bool:
        """Whether the kernels hold the layer's input words."""
        words = judge.golden.words[chain.node.input].astype(np.int64)
        return bool(np.max(np.abs(words), initial=0) <= _LARGEST_INPUT)

    def decides(self) -> bool:
        """Whether decisions can be counted without values: arg-max of sums, all scales one, words that rise."""
        judge, graph = self.judge, self.judge.golden.graph
        hidden = [self.chain.own, *(layer.function for layer in self.chain.layers[:-1])] if self.chain.layers else []
        return (
            judge.decision.kind == "argmax"
            and self.chain.ends_in_sums
            and all(function.steps is not None for function in hidden)
            and graph.tail == ()
            and np.unique(graph.output_scale).size == 1
            and float(np.min(graph.output_scale)) > 0
            and self._output.shape[1] > 1
            and np.array_equal(judge.contributions, judge.was_right)
        )

    def count_decisions(self, neurons: Sequence[NeuronFaults], faults: int, threads: int) -> Tally:
        """Decisions that each fault changes.

        Args:
            neurons: Faults by neuron.
            faults: Of the batch, those that change no word among them.
            threads: To share the neurons among.
        """
        counted = np.zeros((3, faults), np.int64)
        decisions = self._decisions_struct()

        def one(neuron: NeuronFaults) -> None:
            numbers, struct, kept = self._neuron(neuron)
            bits, inputs = struct.bits, self._inputs.inputs
            counts = np.zeros((3, bits, inputs), np.int32)
            bias = np.zeros((3, max(1, struct.bias_bits)), np.int32)
            self._kernels.edgeval_decide(
                self._inputs, struct, self._own, self._layers, len(self.chain.layers), decisions, pointer(counts),
                pointer(bias),
            )  # fmt: skip
            del kept
            counted[:, neuron.rows] = np.concatenate([counts.reshape(3, -1), bias], axis=1)[:, numbers]

        _each(one, neurons, threads)
        right, wrong, fixed = counted
        classes = self.judge.has_classes
        # Without labels every golden answer counts as right.
        return Tally(
            changed=None,
            words=None,
            critical=right + wrong,
            right_to_wrong=right if classes else None,
            wrong_to_right=fixed if classes else None,
            moved=(fixed - right).astype(np.float64),
            largest=None,
        )

    def count_values(self, neurons: Sequence[NeuronFaults], faults: int, threads: int) -> Tally:
        """Everything that each fault changes; arguments as for ``count_decisions``."""
        counts = np.zeros((faults, 5), np.int64)
        moved, worst = np.zeros(faults), np.zeros(faults)

        def one(neuron: NeuronFaults) -> None:
            numbers, added = self._neuron_values(neuron)
            counts[neuron.rows], moved[neuron.rows], worst[neuron.rows] = (array[numbers] for array in added)

        _each(one, neurons, threads)
        changed, critical, to_wrong, to_right, words = counts.T
        classes = self.judge.has_classes
        return Tally(
            changed=changed,
            words=words,
            critical=critical,
            right_to_wrong=to_wrong if classes else None,
            wrong_to_right=to_right if classes else None,
            moved=moved,
            largest=worst,
        )

    def _neuron_values(self, neuron: NeuronFaults) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        numbers, struct, kept = self._neuron(neuron)
        samples, classes = self.judge.golden.samples, self._output.shape[1]
        places = struct.bits * self._inputs.inputs + struct.bias_bits
        added = np.zeros((places, 5), np.int64), np.zeros(places), np.zeros(places)
        block = max(1, min(512, VISITS // len(neuron.rows)))
        arrays = np.empty((4, block * len(neuron.rows)), np.int32)
        visits = Visits(
            **{name: pointer(array) for name, array in zip(("fault", "row", "sample", "step"), arrays, strict=True)},
        )
        for start in range(0, samples, block):
            self._kernels.edgeval_collect(self._inputs, struct, self._own, start, min(samples, start + block), visits)
            if not visits.rows:
                continue
            sample, output = arrays[2, : visits.rows], np.empty((classes, visits.rows), np.int32)
            self._kernels.edgeval_outputs(
                self._layers, len(self.chain.layers), neuron.channel, visits, classes, pointer(self._output),
                pointer(output),
            )  # fmt: skip
            self._kernels.edgeval_add_up(visits, *map(pointer, self._judged(sample, output.T)), *map(pointer, added))
        del kept
        return numbers, added

    def _judged(self, sample: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts of each row as one number, what it moves, and its largest movement."""
        rows = self.judge.rows(sample, output)
        packed = (rows.words.astype(np.uint64) << np.uint64(4)) | (rows.words > 0)
        for bit, flags in enumerate((rows.critical, rows.right_to_wrong, rows.wrong_to_right), start=1):
            if flags is not None:
                packed |= flags.astype(np.uint64) << np.uint64(bit)
        return packed, np.ascontiguousarray(rows.moved), np.ascontiguousarray(rows.largest)

    def _neuron(self, neuron: NeuronFaults) -> tuple[np.ndarray, Neuron, list[np.ndarray]]:
        """Number of each fault in the kernel's order, the neuron for the kernels, and the arrays that it points to."""
        of_bias = neuron.input < 0
        weights, biases = ~of_bias, np.flatnonzero(of_bias)
        bits = np.flatnonzero(np.bincount(neuron.bit[weights]))
        place = np.searchsorted(bits, neuron.bit)
        inputs, stride = self._inputs.inputs, self._inputs.stride
        log2_steps = np.zeros(max(1, len(bits)), np.int32)
        log2_steps[: len(bits)] = bits
        chosen, falling = (np.zeros((max(1, len(bits)), stride), bool) for _ in range(2))
        chosen[place[weights], neuron.input[weights]] = True
        falling[place[weights], neuron.input[weights]] = neuron.delta[weights] < 0
        numbers = place * inputs + neuron.input
        numbers[biases] = len(bits) * inputs + np.arange(len(biases))
        steps = self.chain.own.steps_of(neuron.channel)
        kept = [
            log2_steps, _bit_words(falling), _bit_words(chosen),
            neuron.bit[biases].astype(np.int32), np.sign(neuron.delta[biases]).astype(np.int8),
        ]  # fmt: skip
        struct = Neuron(
            channel=neuron.channel,
            sums=pointer(self.chain.sums[neuron.channel]),
            steps=None if steps is None else pointer(steps),
            low=self.chain.own.low,
            values=self.chain.own.high - self.chain.own.low + 1,
            bits=len(bits),
            log2_steps=pointer(kept[0]),
            falling=pointer(kept[1]),
            chosen=pointer(kept[2]),
            bias_bits=len(biases),
            bias_log2_steps=pointer(kept[3]),
            bias_signs=pointer(kept[4]),
        )
        return numbers, struct, kept

    def _decisions_struct(self) -> Decisions:
        if self._decisions is not None:
            return self._decisions
        judge = self.judge
        labels = judge.reference if judge.has_classes else np.full(judge.golden.samples, -1)
        rising = sinking = None
        if len(self.chain.layers) > 1:
            last = self.chain.layers[-1]
            classes = self._output.shape[1]
            if classes * last.rows.size <= _BOUND_WORDS:
                pairs = np.stack([pairs_of(_against(last.rows, best, classes)) for best in range(classes)])
                rising, sinking = np.maximum(pairs, 0), np.minimum(pairs, 0)
        arrays = [self._output.argmax(axis=1).astype(np.int32), labels.astype(np.int32), rising, sinking]
        self._kept += [array for array in arrays if array is not None]
        best, label = arrays[:2]
        self._decisions = Decisions(
            classes=self._output.shape[1],
            output=pointer(self._output),
            best=pointer(best),
            label=pointer(label),
            rising=None if rising is None else pointer(rising),
            sinking=None if sinking is None else pointer(sinking),
        )
        return self._decisions


def single_steps(index: Int[np.ndarray, " faults"], before: Words, after: Words) -> Bool[np.ndarray, " faults"]:
    """Which faults of a tensor the kernels take: words moved by a power of two, each word by each at most once.

    A flip of one bit always is one; a word that is replaced (zeroed, hit by several flips) may not be.
    """
    size = np.abs(after - before)  # widening makes a power of two another one
    key = index * 64 + _log2(size)
    alone = np.ones(len(index), bool)
    if (np.diff(key) <= 0).any():  # not in campaign order: look for pairs
        alone[:] = False
        alone[np.unique(key, return_index=True)[1]] = True
    return np.asarray(((size & (size - 1)) == 0) & (alone | (size == 0)))


def neuron_faults(
    channel: int, tensors: Sequence[tuple[StoredTensor, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
) -> NeuronFaults:
    """Faults of one neuron from those of its weight and of its bias.

    Args:
        channel: Of the layer's output.
        tensors: Tensor, rows in the batch, flat index, stored word without and with the fault; faults that change
            nothing are left out.
    """
    rows, inputs, bits, deltas = [], [], [], []
    for tensor, row, index, before, after in tensors:
        changes = before != after
        row, index, before, after = row[changes], index[changes], before[changes], after[changes]
        rows.append(row)
        weight = tensor.words.ndim == 2
        inputs.append(index // tensor.words.shape[1] if weight else np.full(len(row), -1))
        delta = executor_words_at(tensor, index, after) - executor_words_at(tensor, index, before)
        deltas.append(delta)
        bits.append(_log2(delta))
    return NeuronFaults(
        channel=channel,
        rows=np.concatenate(rows),
        input=np.concatenate(inputs),
        bit=np.concatenate(bits),
        delta=np.concatenate(deltas),
    )


def _log2(delta: Int[np.ndarray, " faults"]) -> Int[np.ndarray, " faults"]:
    """Exponent of powers of two of either sign."""
    return np.asarray(np.frexp(np.abs(delta).astype(np.float64))[1] - 1, np.int64)


def _inputs(words: np.ndarray) -> tuple[Inputs, list[np.ndarray]]:
    samples, inputs = words.shape
    stride = -(-inputs // 64) * 64
    kind = np.uint8 if np.abs(words.astype(np.int64)).max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
    parts = np.zeros((2, samples, stride), kind)
    parts[0, :, :inputs] = np.maximum(words, 0)
    parts[1, :, :inputs] = np.maximum(-words.astype(np.int64), 0)
    largest = np.ascontiguousarray(parts.max(axis=2).T, np.int32)
    negative = ctypes.c_void_p(parts[1].ctypes.data) if largest[:, 1].any() else None
    struct = Inputs(
        samples=samples,
        inputs=inputs,
        stride=stride,
        bytes=parts.itemsize,
        positive=ctypes.c_void_p(parts[0].ctypes.data),
        negative=negative,
        largest=pointer(largest),
    )
    return struct, [parts, largest]


def _against(rows: np.ndarray, best: int, classes: int) -> np.ndarray:
    """Weights of every class minus those of the best, padding left at 0."""
    difference = np.zeros_like(rows)
    difference[:, :classes] = rows[:, :classes] - rows[:, best : best + 1]
    return difference


def _bit_words(flags: Bool[np.ndarray, "bits stride"]) -> np.ndarray:
    return np.ascontiguousarray(np.packbits(flags, axis=1, bitorder="little")).view(np.uint64)


def _each(call: Callable[[NeuronFaults], None], neurons: Sequence[NeuronFaults], threads: int) -> None:
    if threads == 1 or len(neurons) < 2:
        for neuron in neurons:
            call(neuron)
        return
    with ThreadPoolExecutor(min(threads, len(neurons))) as pool:
        list(pool.map(call, neurons))
