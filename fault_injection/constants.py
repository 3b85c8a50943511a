"""Upsets of constants that are no stored tensor: multipliers, offsets and shifts of requantizers, multipliers of sums.

hls4ml writes them into the code, each field of a node as one array in the narrowest type that holds all its words; a
design that keeps them in registers or a memory has these bits. A site is (``node.field``, index, bit). Widths are those
of the C++ (``hls/hls4ml_flow/extension/templates.py``): two's complement, at least two bits; shifts are unsigned here,
because the sign bit of their C++ type leads nowhere in a shifter. What a faulty multiplier makes of a word is computed
exactly however large it is; then the node's own clipping, or its accumulator's format, applies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa
from jaxtyping import Int

from fault_injection.batches import judged_in_batches
from fault_injection.downstream import Downstream, on_channels
from fault_injection.exact import Detail
from fault_injection.golden import Golden, flat
from fault_injection.named_bits import NamedWords, bits_of, same_word
from fault_injection.outcomes import Judge
from fault_injection.propagate import ChangedRows
from fault_injection.sites import Site, SiteTable
from hls.engine import ExactEngine, block_samples, kernel_of
from hls.errors import UsageError
from hls.executor import Executor
from hls.formats import Words, smallest_format, smallest_signed
from hls.graph import IntegerGraph
from hls.nodes import Add, Requantize, inputs_of

FIELDS: Mapping[type, tuple[str, ...]] = {Requantize: ("multipliers", "offsets", "shifts"), Add: ("multipliers",)}
"""Constants of each kind of node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Flips of single bits of constants, which stay until the constant is written again.

    Attributes:
        sites: Constant (as ``tensor``, e.g. ``act1.multipliers``), index (the channel, or the branch of a sum) and bit.
        words: Every constant by name.
    """

    sites: SiteTable
    words: Mapping[str, tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def number(self) -> Int[np.ndarray, " faults"]:
        """Numbers among all bits of all constants."""
        return self.sites.number

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> Constants:
        """Some of them, in the order given."""
        return Constants(sites=self.sites.take(rows), words=self.words)

    def groups(self, graph: IntegerGraph) -> Sequence[Int[np.ndarray, " rows"]]:
        """Faults of the same constant word."""
        return same_word(self.sites, self.sites.index)

    def columns(self, graph: IntegerGraph) -> pa.Table:
        """Number, constant (under the name ``tensor``), index, bit, and the constant without and with the fault."""
        names = pa.DictionaryArray.from_arrays(pa.array(self.sites.tensor, pa.int32()), list(self.sites.tensors))
        before, after = np.empty((2, len(self)), np.int64)
        for position, (name, held) in enumerate(stored_as(self.words).items()):
            rows = self.sites.tensor == position
            before[rows] = np.array(self.words[name], np.int64)[self.sites.index[rows]]
            after[rows] = held.format.flip(before[rows], self.sites.bit[rows])
        return pa.table(
            {
                "site": self.sites.number,
                "tensor": names,
                "index": self.sites.index,
                "bit": self.sites.bit,
                "golden_word": before,
                "faulty_word": after,
            }
        )

    def judge(self, judge: Judge, *, detail: Detail, threads: int) -> pa.Table:
        """All outcome columns, from cached activations, whatever the detail."""
        golden = judge.golden

        def judged(rows: np.ndarray) -> pa.Table:
            return judge.judge(propagate_constants(golden, self.sites.take(rows)), len(rows))

        return judged_in_batches(self.groups(golden.graph), golden.samples, judged)

    def faulty_output(self, executor: Executor, golden: Golden, row: int) -> Words:
        """Output words of the whole evaluation set under one fault, by a run of its own.

        Raises:
            UsageError: an executor whose constants are compiled in.
        """
        if not isinstance(executor, ExactEngine):
            raise UsageError(
                found="constants on an executor that has them compiled in",
                allowed="the exact engine",
                where=self.text(row),
                remedy="leave out --verify-on-csim and --executor csim for constants",
            )
        faulty = with_faulty_constant(executor.graph, self.sites.site(row))
        return flat(ExactEngine(faulty).run(golden.inputs).output)

    def text(self, row: int) -> str:
        """``NODE.FIELD:INDEX:BIT``."""
        return str(self.sites.site(row))


def constants_of(graph: IntegerGraph, names: Sequence[str] = ("*",), bits: str = "all") -> Constants:
    """Every upset of some constants.

    Args:
        graph: The network.
        names: ``NODE.FIELD`` or glob patterns.
        bits: As for ``select_sites``.

    Raises:
        UsageError: the network has no such constants, or a filter that selects nothing.
    """
    fields = constant_words(graph)
    sites = bits_of(stored_as(fields), names=names, bits=bits, option="--tensors")
    return Constants(sites=sites, words=fields)


def constant_words(graph: IntegerGraph) -> Mapping[str, tuple[int, ...]]:
    """Every constant by name, in data order."""
    return {
        f"{node.name}.{field}": getattr(node, field)
        for node in graph.nodes
        for kind, fields in FIELDS.items()
        if isinstance(node, kind)
        for field in fields
    }


def stored_as(constants: Mapping[str, tuple[int, ...]]) -> Mapping[str, NamedWords]:
    """How many words each constant has, and their format."""
    return {
        name: NamedWords(
            words=len(words),
            format=(smallest_format if name.endswith(".shifts") else smallest_signed)(min(words), max(words)),
        )
        for name, words in constants.items()
    }


def faulty_constant(graph: IntegerGraph, site: Site) -> int:
    """A constant with one bit flipped."""
    words = constant_words(graph)
    word_format = stored_as({site.tensor: words[site.tensor]})[site.tensor].format
    return int(word_format.flip(np.array([words[site.tensor][site.index]], np.int64), site.bit)[0])


def with_faulty_constant(graph: IntegerGraph, site: Site) -> IntegerGraph:
    """The same network with one bit of one constant flipped."""
    changed = _faulty_node(graph, site)
    return replace(graph, nodes=tuple(changed if node.name == changed.name else node for node in graph.nodes))


def propagate_constants(golden: Golden, sites: SiteTable) -> ChangedRows:
    """The exact effect of each flipped constant on every sample, from cached activations.

    Args:
        golden: The fault-free network and its values.
        sites: One fault a row; ``tensors`` are names of constants.

    Returns:
        Every pair whose output changed, by fault, then sample.
    """
    rest = Downstream(golden)
    nothing = np.zeros(0, np.int64)
    parts = [ChangedRows(fault=nothing, sample=nothing, output=np.zeros((0, golden.output.shape[1]), np.int64))]
    for row in range(len(sites)):
        parts += _one_constant(rest, sites.site(row), row)
    return ChangedRows(
        fault=np.concatenate([part.fault for part in parts]),
        sample=np.concatenate([part.sample for part in parts]),
        output=np.concatenate([part.output for part in parts]),
    )


def _one_constant(rest: Downstream, site: Site, row: int) -> Iterator[ChangedRows]:
    golden, node = rest.golden, _faulty_node(rest.golden.graph, site)
    channels = slice(None)
    if isinstance(node, Requantize):
        if len(node.multipliers) > 1:
            channels = slice(site.index, site.index + 1)
        kernel = on_channels(golden.graph, node, channels)
    else:
        kernel = kernel_of(golden.graph, node)
    size = block_samples(golden.graph)
    for start in range(0, golden.samples, size):
        samples = slice(start, min(start + size, golden.samples))
        inputs = [golden.words[name][samples] for name in inputs_of(node)]
        words = kernel([part[..., channels] for part in inputs]).astype(np.int64)[None]
        _, sample, output = rest.follow(node.output, channels, words, samples)
        yield ChangedRows(fault=np.full(len(sample), row), sample=sample, output=output)


def _faulty_node(graph: IntegerGraph, site: Site) -> Requantize | Add:
    name, field = site.tensor.rsplit(".", 1)
    node = next(node for node in graph.nodes if node.name == name)
    assert isinstance(node, Requantize | Add)
    words = list(getattr(node, field))
    words[site.index] = faulty_constant(graph, site)
    return msgspec.structs.replace(node, **{field: tuple(words)})
