"""Multi-cell upsets: one particle flips a rectangle of neighbouring cells of a memory.

Which bits are neighbours is the layout's matter (``fault_injection/layout.py``). A cluster is numbered by the site of
its upper left cell, so that clusters keep their number whatever a filter leaves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from fault_injection.batches import judged_in_batches
from fault_injection.exact import Detail, judged_together
from fault_injection.golden import Golden, flat
from fault_injection.layout import MemoryLayout, whole_clusters
from fault_injection.many_words import WordChanges, flipped_bits, propagate_words
from fault_injection.outcomes import Judge
from fault_injection.sites import SiteTable, select_sites
from hls.errors import UsageError
from hls.executor import Executor
from hls.formats import Words
from hls.graph import IntegerGraph

PATTERNS = ("1x2", "2x1", "2x2", "1x3")
"""Rows × columns that are seen most; any other may be asked for."""

MOST_CELLS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsets:
    """Clusters of flipped cells.

    Attributes:
        pattern: Rows and columns, e.g. ``2x2``.
        anchors: Site of each cluster's upper left cell, in campaign order.
        index: Flat index of the word of each cell; the first is the anchor's.
        bit: Bit of each cell.
    """

    pattern: str
    anchors: SiteTable
    index: Int[np.ndarray, "faults cells"]
    bit: Int[np.ndarray, "faults cells"]

    def __len__(self) -> int:
        return len(self.anchors)

    @property
    def number(self) -> Int[np.ndarray, " faults"]:
        """Site numbers of the anchors."""
        return self.anchors.number

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> Upsets:
        """Some of them, in the order given."""
        return Upsets(pattern=self.pattern, anchors=self.anchors.take(rows), index=self.index[rows], bit=self.bit[rows])

    def groups(self, graph: IntegerGraph) -> Sequence[Int[np.ndarray, " rows"]]:
        """Clusters whose anchors reach the same channel of the same node."""
        return judged_together(graph, self.anchors)

    def columns(self, graph: IntegerGraph) -> pa.Table:
        """Site, tensor, index, bit and words of the anchor; pattern, all sites hit, and how many words they lie in."""
        changes = self.changes(graph)
        of_anchor = changes.index == self.index[changes.fault, 0]
        names = pa.DictionaryArray.from_arrays(pa.array(self.anchors.tensor, pa.int32()), list(self.anchors.tensors))
        return pa.table(
            {
                "site": self.anchors.number,
                "tensor": names,
                "index": self.anchors.index,
                "bit": self.anchors.bit,
                "golden_word": changes.before[of_anchor],
                "faulty_word": changes.after[of_anchor],
                "pattern": pa.array([self.pattern] * len(self), pa.string()),
                "sites": pa.array([self.text(row) for row in range(len(self))], pa.string()),
                "words_hit": np.bincount(changes.fault, minlength=len(self)),
            }
        )

    def changes(self, graph: IntegerGraph) -> WordChanges:
        """The words that each cluster changes."""
        cells = self.index.shape[1]
        rows = np.repeat(np.arange(len(self)), cells)
        sites = (np.repeat(self.anchors.tensor, cells), self.index.reshape(-1), self.bit.reshape(-1))
        return flipped_bits(graph, rows, sites, len(self))

    def judge(self, judge: Judge, *, detail: Detail, threads: int) -> pa.Table:
        """All outcome columns, from cached activations, whatever the detail."""
        golden = judge.golden

        def judged(rows: np.ndarray) -> pa.Table:
            return judge.judge(propagate_words(golden, self.take(rows).changes(golden.graph)), len(rows))

        return judged_in_batches(self.groups(golden.graph), golden.samples, judged)

    def faulty_output(self, executor: Executor, golden: Golden, row: int) -> Words:
        """Output words of the whole evaluation set under one cluster, by a run of its own."""
        changes = self.take(slice(row, row + 1)).changes(golden.graph).of(golden.graph, 0)
        return flat(executor.with_words(changes).run(golden.inputs).output)

    def text(self, row: int) -> str:
        """All its sites, e.g. ``fc1.weight:3:0+4:0``."""
        tensor = self.anchors.tensors[self.anchors.tensor[row]]
        cells = zip(self.index[row].tolist(), self.bit[row].tolist(), strict=True)
        return f"{tensor}:{'+'.join(f'{index}:{bit}' for index, bit in cells)}"


def upsets_of(
    graph: IntegerGraph,
    tensors: Sequence[str] = ("*",),
    pattern: str = "1x2",
    interleave: int = 1,
    words_per_row: int | None = None,
) -> Upsets:
    """Every cluster of a pattern in the memories of some tensors.

    Args:
        graph: The network.
        tensors: Names or glob patterns.
        pattern: Rows x columns of cells.
        interleave: Columns between two neighbouring bits of a word.
        words_per_row: See ``MemoryLayout``.

    Raises:
        UsageError: no such tensor or pattern, a layout that cannot be, or no memory large enough for the pattern.
    """
    size = parse_pattern(pattern)
    layout = MemoryLayout(interleave=interleave, words_per_row=words_per_row)
    sites = select_sites(graph, tensors=tensors)
    rows, cells = [], []
    for position in np.unique(sites.tensor):
        first = int(np.flatnonzero(sites.tensor == position)[0])
        tensor = graph.tensors[sites.tensors[position]]
        index, bit = whole_clusters(layout, tensor, size)
        rows.append(first + index[:, 0] * tensor.format.width_bits + bit[:, 0])
        cells.append((index, bit))
    anchors = sites.take(np.concatenate(rows))
    if not len(anchors):
        raise UsageError(
            found=f"no place for {pattern} in the memories of {', '.join(tensors)}",
            allowed="a pattern that fits into a memory",
            where="--pattern",
            remedy="choose a smaller pattern, fewer words per row, or another tensor",
        )
    return Upsets(
        pattern=f"{size[0]}x{size[1]}",
        anchors=anchors,
        index=np.concatenate([index for index, _ in cells]),
        bit=np.concatenate([bit for _, bit in cells]),
    )


def parse_pattern(text: str) -> tuple[int, int]:
    """Rows and columns of a cluster.

    Raises:
        UsageError: not ROWSxCOLUMNS, or fewer than two or more than 64 cells.

    Example:
        >>> parse_pattern("2x1")
        (2, 1)
    """
    match = re.fullmatch(r"(\d{1,3})[x×](\d{1,3})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 2 <= size[0] * size[1] <= MOST_CELLS:
        raise UsageError(
            found=repr(text),
            allowed=f"ROWSxCOLUMNS of 2 to {MOST_CELLS} cells, e.g. {', '.join(PATTERNS)}",
            where="--pattern",
            remedy="write rows, an x and columns; single bits are --fault flip",
        )
    return size
