"""Transients: a word on its way is upset in one inference, in a register that holds an input, a sum or an activation.

A site is (value, index within the sample, bit). The fault is judged on every sample of the evaluation set, each of
which sees it in its own word: the counts of the outcome table say in how many inferences an upset of that register bit
would have been masked, tolerable or critical. Nothing stays wrong after the inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa
from jaxtyping import Int

import fault_injection.downstream as downstream
from fault_injection.batches import judged_in_batches
from fault_injection.downstream import Downstream, on_channels
from fault_injection.exact import Detail
from fault_injection.golden import Golden, flat
from fault_injection.named_bits import NamedWords, bits_of, same_word
from fault_injection.outcomes import Judge
from fault_injection.propagate import ChangedRows
from fault_injection.sites import SiteTable
from hls.engine import ExactEngine, evaluate
from hls.errors import UsageError
from hls.executor import Executor
from hls.formats import WordFormat, Words
from hls.graph import IntegerGraph
from hls.nodes import Concat, Pad, Reshape, Resize, Slice, Transpose, inputs_of

Wires = Reshape | Transpose | Concat | Slice | Pad | Resize
"""Nodes that only lead words elsewhere: what they hand on is held by the register in front of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transients:
    """Single-inference upsets of single bits.

    Attributes:
        sites: Value (as ``tensor``), flat index within the sample, and bit, in campaign order.
    """

    sites: SiteTable

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def number(self) -> Int[np.ndarray, " faults"]:
        """Numbers among all bits of all values."""
        return self.sites.number

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> Transients:
        """Some of them, in the order given."""
        return Transients(sites=self.sites.take(rows))

    def groups(self, graph: IntegerGraph) -> Sequence[Int[np.ndarray, " rows"]]:
        """Faults in the same channel of the same value."""
        return same_word(self.sites, _channels(graph, self.sites))

    def columns(self, graph: IntegerGraph) -> pa.Table:
        """Number, value (under the name ``tensor``), index and bit; the words are null, as each sample has its own."""
        names = pa.DictionaryArray.from_arrays(pa.array(self.sites.tensor, pa.int32()), list(self.sites.tensors))
        nothing = pa.nulls(len(self), pa.int64())
        return pa.table(
            {
                "site": self.sites.number,
                "tensor": names,
                "index": self.sites.index,
                "bit": self.sites.bit,
                "golden_word": nothing,
                "faulty_word": nothing,
            }
        )

    def judge(self, judge: Judge, *, detail: Detail, threads: int) -> pa.Table:
        """All outcome columns, from cached activations, whatever the detail."""
        golden = judge.golden

        def judged(rows: np.ndarray) -> pa.Table:
            return judge.judge(propagate_transients(golden, self.sites.take(rows)), len(rows))

        return judged_in_batches(self.groups(golden.graph), golden.samples, judged)

    def faulty_output(self, executor: Executor, golden: Golden, row: int) -> Words:
        """Output words of the whole evaluation set, each sample upset, by a whole run.

        Raises:
            UsageError: the value is not the input, and the executor is not the exact engine.
        """
        site = self.sites.site(row)
        if site.tensor == golden.graph.quantizer.output:
            return flat(executor.run(_upset(golden.graph, site.tensor, golden.inputs, site.index, site.bit)).output)
        if not isinstance(executor, ExactEngine):
            raise UsageError(
                found=f"a transient in {site.tensor} on an executor whose values cannot be changed on their way",
                allowed=f"the exact engine; on others {golden.graph.quantizer.output}",
                where=self.text(row),
                remedy="choose input words, or the exact engine",
            )
        graph = executor.graph
        words: dict[str, Words] = {graph.quantizer.output: golden.inputs}
        for node in graph.compute_nodes:
            made = evaluate(graph, node, [words[name] for name in inputs_of(node)])
            if node.output == site.tensor:
                made = _upset(graph, site.tensor, made, site.index, site.bit)
            words[node.output] = made
        return flat(words[graph.output])

    def text(self, row: int) -> str:
        """``VALUE:INDEX:BIT``."""
        return str(self.sites.site(row))


def held_values(graph: IntegerGraph) -> Mapping[str, NamedWords]:
    """Values a register can hold, in data order: input words, sums, activations, pools; not those that only move."""
    return {
        node.output: NamedWords(words=prod(graph.values[node.output].shape), format=_format(graph, node.output))
        for node in graph.nodes
        if not isinstance(node, Wires)
    }


def transients_of(graph: IntegerGraph, values: Sequence[str] = ("*",), bits: str = "all") -> Transients:
    """Every upset of some values.

    Args:
        graph: The network.
        values: Names of values or glob patterns; ``held_values`` lists them.
        bits: As for ``select_sites``.

    Raises:
        UsageError: as for ``select_sites``.
    """
    return Transients(sites=bits_of(held_values(graph), names=values, bits=bits, option="--values"))


def propagate_transients(golden: Golden, sites: SiteTable) -> ChangedRows:
    """The exact effect of each upset on every sample, from cached activations.

    Args:
        golden: The fault-free network and its values.
        sites: One upset a row; ``tensors`` are names of values.

    Returns:
        Every pair whose output changed, by fault, then sample.
    """
    rest = Downstream(golden)
    nothing = np.zeros(0, np.int64)
    parts = [ChangedRows(fault=nothing, sample=nothing, output=np.zeros((0, golden.output.shape[1]), np.int64))]
    for rows in same_word(sites, _channels(golden.graph, sites)):
        parts += _one_channel(rest, sites, rows)
    fault = np.concatenate([part.fault for part in parts])
    sample = np.concatenate([part.sample for part in parts])
    output = np.concatenate([part.output for part in parts])
    order = np.lexsort((sample, fault))
    return ChangedRows(fault=fault[order], sample=sample[order], output=output[order])


def _one_channel(rest: Downstream, sites: SiteTable, rows: np.ndarray) -> Iterator[ChangedRows]:
    golden = rest.golden
    samples = min(golden.samples, downstream.BLOCK_WORDS)
    size = max(1, downstream.BLOCK_WORDS // samples)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        for first in range(0, golden.samples, samples):
            yield from _upsets(rest, sites, part, slice(first, min(first + samples, golden.samples)))


def _upsets(rest: Downstream, sites: SiteTable, rows: np.ndarray, samples: slice) -> Iterator[ChangedRows]:
    """Upsets in one channel: the words alone go through what works word by word, then as changed planes."""
    golden = rest.golden
    value = sites.tensors[sites.tensor[rows[0]]]
    channels = golden.graph.values[value].shape[-1]
    index, channel = sites.index[rows], int(sites.index[rows[0]]) % channels
    only = slice(channel, channel + 1)
    words = flat(golden.words[value][samples])[:, index].T.astype(np.int64)
    words = _flipped(_format(golden.graph, value), words, sites.bit[rows][:, None])
    while (activation := rest.activation_of(value)) is not None:
        words = on_channels(golden.graph, activation, only)([words.reshape(-1, 1)]).reshape(words.shape)
        value = activation.output
    fault, sample = np.nonzero(words != flat(golden.words[value][samples])[:, index].T)
    shape = golden.graph.values[value].shape
    place, plane = index // channels, prod(shape[:-1])
    step = max(1, downstream.BLOCK_WORDS // plane)
    for start in range(0, len(fault), step):
        of, at = fault[start : start + step], sample[start : start + step]
        planes = golden.words[value][at + samples.start][..., only].reshape(len(at), plane).astype(np.int64)
        planes[np.arange(len(at)), place[of]] = words[of, at]
        kept, output = rest.finish(value, only, planes.reshape(len(at), *shape[:-1], 1), at + samples.start)
        yield ChangedRows(fault=rows[of[kept]], sample=at[kept] + samples.start, output=output)


def _channels(graph: IntegerGraph, sites: SiteTable) -> Int[np.ndarray, " sites"]:
    last = {name: value.shape[-1] for name, value in graph.values.items() if value.shape}
    return np.asarray(sites.index % np.array([last[name] for name in sites.tensors])[sites.tensor])


def _upset(graph: IntegerGraph, value: str, words: Words, index: int, bit: int) -> Words:
    """Words of a value with one bit of one word flipped in every sample."""
    upset = flat(words).astype(np.int64)  # a copy
    upset[:, index] = _format(graph, value).flip(upset[:, index], bit)
    return upset.reshape(words.shape)


def _flipped(word_format: WordFormat, words: Words, bit: np.ndarray) -> Words:
    if word_format.encoding == "bipolar":
        return -words
    return word_format.wrap(words ^ np.left_shift(np.int64(1), bit))


def _format(graph: IntegerGraph, value: str) -> WordFormat:
    word_format = graph.values[value].format
    assert word_format is not None, "only the input of the network is real"
    return word_format
