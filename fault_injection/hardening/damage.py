"""How much harm one faulty word does, as one number: what hardening spends its bits on."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from fault_injection.exact import Detail, judge_stored_bits
from fault_injection.golden import flat
from fault_injection.outcomes import Judge
from fault_injection.propagate import ChangedRows
from fault_injection.sites import SiteTable, all_sites
from hls.engine import ExactEngine
from hls.errors import InputError
from hls.formats import Words
from hls.graph import WordChange

Measure = Literal["decisions", "metric", "critical"]
"""``decisions``: decisions changed, over the evaluation set. ``metric``: change of the metric in its bad direction; one
for the better counts as 0, for no bits should be spent on luck. ``critical``: 1 where the share of changed decisions is
critical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessor:
    """Gives faults their damage.

    Attributes:
        judge: Evaluation set, decision and metric; holds the fault-free network.
        measure: What damage is.
        higher_is_better: Direction of the metric.
        threads: Of the exact engine.
    """

    judge: Judge
    measure: Measure
    higher_is_better: bool
    threads: int = 1

    @property
    def _detail(self) -> Detail:
        decided = self.measure != "metric" and self.judge.decision.kind == "argmax"
        return "decisions" if decided else "full"

    def of_table(self, outcomes: pa.Table) -> Float[np.ndarray, " faults"]:
        """Damage of each row of an outcome table."""
        if self.measure == "metric":
            change = outcomes["metric_change"].to_numpy()
            return np.asarray(np.maximum(-change if self.higher_is_better else change, 0.0))
        changed = np.asarray(outcomes["decisions_changed"].to_numpy(), np.float64)
        if self.measure == "decisions":
            return changed
        # A quotient is rounded once, as the share itself was; see Judge.
        share = changed / self.judge.golden.samples
        return np.asarray((changed > 0) & (share >= self.judge.critical_share), np.float64)

    def of_flips(self, outcomes: pa.Table) -> dict[str, Float[np.ndarray, "words bits"]]:
        """Damage of every stored bit, by tensor, from the table of an exhaustive campaign of flips.

        Raises:
            InputError: the table is not of every stored bit of the network, in order.
        """
        graph = self.judge.golden.graph
        sites = all_sites(graph)
        if not np.array_equal(outcomes["site"].to_numpy(), sites.number):
            raise InputError(
                found=f"{outcomes.num_rows:,} faults",
                allowed=f"one flip of each of the {len(sites):,} stored bits, in order",
                where="outcome table",
                remedy="run `edgeval inject-faults` on all tensors and bits",
            )
        damage = self.of_table(outcomes)
        parts = {}
        for position, (name, tensor) in enumerate(graph.tensors.items()):
            rows = damage[sites.tensor == position]
            parts[name] = rows.reshape(tensor.words.size, tensor.format.width_bits)
        return parts

    def of_words(self, tensor: str, index: Int[np.ndarray, " faults"], faulty: Words) -> Float[np.ndarray, " faults"]:
        """Damage of single faulty words, exact.

        Args:
            tensor: Name of their tensor.
            index: Flat index of each.
            faulty: The word in place of the fault-free one; equal words do no damage.
        """
        graph = self.judge.golden.graph
        names = tuple(graph.tensors)
        golden = graph.tensors[tensor].words.reshape(-1)[index]
        damage = np.zeros(len(index))
        changed = np.flatnonzero(golden != faulty)
        # Many physical faults leave the same word behind: each is judged once.
        pairs, back = np.unique(np.stack([index[changed], faulty[changed]]), axis=1, return_inverse=True)
        sites = SiteTable(
            tensors=names,
            number=np.arange(pairs.shape[1]),
            tensor=np.full(pairs.shape[1], names.index(tensor)),
            index=pairs[0],
            bit=np.zeros(pairs.shape[1], np.int64),
        )
        words = (graph.tensors[tensor].words.reshape(-1)[pairs[0]], pairs[1])
        found = self.of_table(judge_stored_bits(self.judge, sites, words, detail=self._detail, threads=self.threads))
        damage[changed] = found[back.reshape(-1)]
        return damage

    def of_changes(self, changes: list[list[WordChange]]) -> Float[np.ndarray, " faults"]:
        """Damage of faults that change any words, each by a run of its own in the plain exact engine."""
        golden = self.judge.golden
        engine = ExactEngine(golden.graph)
        damage = np.zeros(len(changes))
        for fault, words in enumerate(changes):
            if not words:
                continue
            output = flat(engine.with_words(words).run(golden.inputs).output)
            sample = np.flatnonzero((output != golden.output).any(axis=1))
            if not len(sample):
                continue
            rows = ChangedRows(fault=np.zeros(len(sample), np.int64), sample=sample, output=output[sample])
            damage[fault] = self.of_table(self.judge.judge(rows, 1))[0]
        return damage


def total(damages: Float[np.ndarray, " faults"]) -> float:
    """Sum of damages, correctly rounded: whoever adds the same numbers in any order gets the same float."""
    return fsum(damages.tolist())
