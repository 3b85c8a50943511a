"""Changed words on their way to the output: only the samples and the nodes that a change reaches are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import msgspec
import numpy as np
from jaxtyping import Bool, Int

from fault_injection.effects import Channels
from fault_injection.golden import Golden, flat
from hls.engine import block_samples, kernel_of
from hls.graph import IntegerGraph
from hls.kernels import Carried, Kernel
from hls.nodes import Activation, Lookup, Requantize, Threshold, inputs_of, tensors_of

BLOCK_WORDS = 1 << 19
"""Words of the largest array of one block: with int64 about 4 MB, which caches hold."""


class Downstream:
    """A network made ready to run on rows, each one (fault, sample).

    Args:
        golden: The fault-free network and its values.
    """

    def __init__(self, golden: Golden) -> None:
        graph = golden.graph
        self.golden, self.nodes = golden, graph.compute_nodes
        self.kernels = [kernel_of(graph, node) for node in self.nodes]
        self.last_use = {name: i for i, node in enumerate(self.nodes) for name in inputs_of(node)}
        self.last_use[graph.output] = len(self.nodes)
        self.block = max(1, BLOCK_WORDS // max(prod(graph.values[node.output].shape) for node in graph.nodes))

    def activation_of(self, value: str) -> Activation | None:
        """The node that alone reads a value, if it works word by word."""
        consumers = self.golden.graph.consumers_of(value)
        if value == self.golden.graph.output or len(consumers) != 1:
            return None
        return consumers[0] if isinstance(consumers[0], Activation) else None

    def finish(
        self, value: str, channels: Channels, words: Carried, sample: Int[np.ndarray, " rows"]
    ) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, "kept outputs"]]:
        """Take changed rows to the output.

        Args:
            value: Name of the value that changed.
            channels: Its channels that changed.
            words: Their words, shape (rows, ..., channels).
            sample: Sample of each row.

        Returns:
            Positions of the rows whose output differs, and their output words.
        """
        kept: list[np.ndarray] = [np.zeros(0, np.int64)]
        outputs: list[np.ndarray] = [np.zeros((0, self.golden.output.shape[1]), np.int64)]
        for start in range(0, len(words), self.block):
            part = slice(start, start + self.block)
            rows = self.golden.words[value][sample[part]].astype(np.int64)
            rows[..., channels] = words[part]
            positions, output = self._finish_block(value, rows, sample[part])
            kept.append(positions + start)
            outputs.append(output)
        return np.concatenate(kept), np.concatenate(outputs)

    def follow(
        self, value: str, channels: Channels, words: Int[np.ndarray, "faults samples ..."], samples: slice
    ) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"], Int[np.ndarray, "rows outputs"]]:
        """Take the words that each of some faults leaves in each of some samples to the output.

        Args:
            value: Name of the value that changed.
            channels: Its channels that may have changed.
            words: Their words, shape (faults, samples, ..., channels).
            samples: The samples.

        Returns:
            Fault, sample and output words of every pair whose output differs.
        """
        while (activation := self.activation_of(value)) is not None:
            kernel = on_channels(self.golden.graph, activation, channels)
            words = kernel([words.reshape(-1, *words.shape[2:])]).reshape(words.shape)
            value = activation.output
        differs = words != self.golden.words[value][samples][..., channels]
        fault, sample = np.nonzero(differs.reshape(*words.shape[:2], -1).any(axis=2))
        kept, output = self.finish(value, channels, words[fault, sample], sample + samples.start)
        return fault[kept], sample[kept] + samples.start, output

    def rerun(self, kernels: Mapping[str, Kernel]) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, "rows outputs"]]:
        """Run the network with some nodes that do something else, from the first of them on.

        Args:
            kernels: What these nodes do, by the value they produce.

        Returns:
            Samples whose output differs, and their output words.
        """
        places = {position: kernels[node.output] for position, node in enumerate(self.nodes) if node.output in kernels}
        kept: list[np.ndarray] = [np.zeros(0, np.int64)]
        outputs: list[np.ndarray] = [np.zeros((0, self.golden.output.shape[1]), np.int64)]
        size = min(self.block, block_samples(self.golden.graph))
        for start in range(0, self.golden.samples, size):
            changes = _Changes(self.golden, np.arange(start, min(start + size, self.golden.samples)))
            positions, output = self._walk(changes, places)
            kept.append(positions + start)
            outputs.append(output)
        return np.concatenate(kept), np.concatenate(outputs)

    def _finish_block(self, value: str, words: Carried, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        changes = _Changes(self.golden, sample)
        changes.add(value, words)
        return self._walk(changes, {})

    def _walk(self, changes: _Changes, replaced: Mapping[int, Kernel]) -> tuple[np.ndarray, np.ndarray]:
        """All nodes that a change reaches; those replaced run in every row."""
        last = max(replaced, default=-1)
        for position, (node, kernel) in enumerate(zip(self.nodes, self.kernels, strict=True)):
            names = inputs_of(node)
            if position not in replaced and not any(name in changes.words for name in names):
                continue
            changes.add(node.output, replaced.get(position, kernel)([changes.read(name) for name in names]))
            if position < last:  # a row that is as before may yet change
                continue
            changes.forget([name for name in changes.words if self.last_use.get(name, -1) <= position])
            if not changes.words:
                break
        return changes.result()


class _Changes:
    """Rows on their way, and the values in which some of them differ from the fault-free ones."""

    def __init__(self, golden: Golden, sample: np.ndarray) -> None:
        self.golden, self.sample, self.alive = golden, sample, np.arange(len(sample))
        self.words: dict[str, Carried] = {}
        self.differs: dict[str, Bool[np.ndarray, " rows"]] = {}

    def read(self, name: str) -> Carried:
        """Words of a value in every row still alive."""
        return self.words[name] if name in self.words else self.golden.words[name][self.sample]

    def add(self, name: str, words: Carried) -> None:
        """A value that was computed anew; it counts only if a row differs."""
        differs = np.asarray(flat(words != self.golden.words[name][self.sample]).any(axis=1))
        if differs.any():
            self.words[name], self.differs[name] = words, differs

    def forget(self, names: list[str]) -> None:
        """Drop values that no later node reads, then rows that differ in none of the others."""
        for name in names:
            del self.words[name], self.differs[name]
        keep = np.zeros(len(self.alive), bool)
        for differs in self.differs.values():
            keep |= differs
        if keep.all():
            return
        self.alive, self.sample = self.alive[keep], self.sample[keep]
        self.words = {name: words[keep] for name, words in self.words.items()}
        self.differs = {name: differs[keep] for name, differs in self.differs.items()}

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows whose output differs, and their output words."""
        output = self.golden.graph.output
        if output not in self.words:
            return np.zeros(0, np.int64), np.zeros((0, self.golden.output.shape[1]), np.int64)
        rows = self.differs[output]
        return self.alive[rows], flat(self.words[output][rows]).astype(np.int64)


def on_channels(graph: IntegerGraph, node: Activation, channels: Channels) -> Kernel:
    """A word-by-word node on some of its channels only."""
    tensors = dict(graph.tensors)
    for name in tensors_of(node):
        tensor = tensors[name]
        if len(tensor.words) > 1:
            part = {
                field: getattr(tensor, field)[channels]
                for field in ("scale", "widen", "zero_point")
                if getattr(tensor, field).ndim
            }
            tensors[name] = replace(tensor, words=tensor.words[channels], **part)
    one_each = {Requantize: ("multipliers", "offsets", "shifts"), Threshold: ("offsets", "directions"), Lookup: ()}
    part = {
        field: tuple(np.array(getattr(node, field), object)[channels])  # objects: a constant may be beyond int64
        for field in one_each.get(type(node), ())
        if len(getattr(node, field)) > 1
    }
    return kernel_of(replace(graph, tensors=tensors), msgspec.structs.replace(node, **part))
