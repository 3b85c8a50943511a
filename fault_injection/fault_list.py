"""What a campaign is made of: faults that can be numbered, cut into shards, judged, and repeated by brute force.

Single stored bits are the first kind; upsets of several bits and transients are others. The campaign knows only this
protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from fault_injection.exact import Detail, judge_stored_bits, judged_together
from fault_injection.faults import FaultModel, change_at, faulty_words
from fault_injection.golden import Golden, flat
from fault_injection.outcomes import Judge
from fault_injection.sites import SiteTable
from hls.executor import Executor
from hls.formats import Words
from hls.graph import IntegerGraph


@runtime_checkable  # the tests' shape checker asks isinstance of every argument
class FaultList(Protocol):
    """Faults in campaign order."""

    def __len__(self) -> int: ...

    @property
    def number(self) -> Int[np.ndarray, " faults"]:
        """Identity of each fault, rising: what tables are sorted by and campaigns resumed by."""
        ...

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> FaultList:
        """Some of them, in the order given."""
        ...

    def groups(self, graph: IntegerGraph) -> Sequence[Int[np.ndarray, " rows"]]:
        """Rows that are cheapest judged together, e.g. those of one neuron; every row in exactly one group."""
        ...

    def columns(self, graph: IntegerGraph) -> pa.Table:
        """What the outcome table says each fault *is*: its number first, then where and what."""
        ...

    def judge(self, judge: Judge, *, detail: Detail, threads: int) -> pa.Table:
        """What each fault *does*: outcome columns, one row a fault, exact."""
        ...

    def faulty_output(self, executor: Executor, golden: Golden, row: int) -> Words:
        """Output words of the whole evaluation set under one fault, by a run of its own; [samples, outputs]."""
        ...

    def text(self, row: int) -> str:
        """One fault, for people, e.g. ``fc1.weight:106:5``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBits:
    """Faults of single stored bits.

    Attributes:
        sites: Where, in campaign order.
        model: What happens to each bit.
    """

    sites: SiteTable
    model: FaultModel

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def number(self) -> Int[np.ndarray, " faults"]:
        """Site numbers."""
        return self.sites.number

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> StoredBits:
        """Some of them, in the order given."""
        return StoredBits(sites=self.sites.take(rows), model=self.model)

    def groups(self, graph: IntegerGraph) -> Sequence[Int[np.ndarray, " rows"]]:
        """Faults that reach the same channel of the same node."""
        return judged_together(graph, self.sites)

    def columns(self, graph: IntegerGraph) -> pa.Table:
        """Site number, tensor, index, bit, and the stored word without and with the fault."""
        before, after = faulty_words(graph, self.sites, self.model)
        names = pa.DictionaryArray.from_arrays(pa.array(self.sites.tensor, pa.int32()), list(self.sites.tensors))
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
        """Outcome columns, from cached activations."""
        before, after = faulty_words(judge.golden.graph, self.sites, self.model)
        return judge_stored_bits(judge, self.sites, (before, after), detail=detail, threads=threads)

    def faulty_output(self, executor: Executor, golden: Golden, row: int) -> Words:
        """Output words of the whole evaluation set under one fault, those of one sample in a row."""
        change = change_at(golden.graph, self.sites.site(row), self.model)
        return flat(executor.with_words([change]).run(golden.inputs).output)

    def text(self, row: int) -> str:
        """``TENSOR:INDEX:BIT``."""
        return str(self.sites.site(row))
