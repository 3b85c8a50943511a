"""From faulty output words to outcomes: masked, tolerable or critical, and what the task metric says.

Definitions are those of ``docs/interfaces.md``, Decisions and damage; every executor's results pass through here, so
equal words give equal tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from fault_injection.golden import Golden
from fault_injection.propagate import ChangedRows

CLASSES = ("masked", "tolerable", "critical", "kept")
"""A fault's own class; ``kept`` (the decision) where only decisions were counted."""

PerSample = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(real output values (rows, outputs), labels (rows,)) → contribution of each row to the metric."""


Finish = Callable[[np.ndarray], np.ndarray]
"""Mean contributions → metric values, element by element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What counts as another decision.

    Attributes:
        kind: ``argmax`` (lowest index wins ties) or ``tolerance`` (an output moves by more than ``tolerance``).
        tolerance: In units of the output; only for ``tolerance``.
    """

    kind: Literal["argmax", "tolerance"]
    tolerance: float = 0.0

    def differs(
        self, golden: Float[np.ndarray, "rows outputs"], faulty: Float[np.ndarray, "rows outputs"]
    ) -> Bool[np.ndarray, " rows"]:
        """Whether each faulty output means another decision than the fault-free one."""
        if self.kind == "argmax":
            return np.asarray(faulty.argmax(axis=1) != golden.argmax(axis=1))
        return np.asarray((np.abs(faulty - golden) > self.tolerance).any(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRows:
    """What output words mean on the samples they belong to, row by row.

    Attributes:
        words: Output words that differ from the fault-free ones.
        critical: Whether the decision is another one.
        right_to_wrong, wrong_to_right: Of decisions against labels; ``None`` without labels or classes.
        moved: Faulty - fault-free contribution to the metric.
        largest: Largest movement of an output, in its unit.
    """

    words: Int[np.ndarray, " rows"]
    critical: Bool[np.ndarray, " rows"]
    right_to_wrong: Bool[np.ndarray, " rows"] | None
    wrong_to_right: Bool[np.ndarray, " rows"] | None
    moved: Float[np.ndarray, " rows"]
    largest: Float[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What each fault did, added up over the samples.

    Attributes:
        changed: Samples with any output word changed; ``None`` where only decisions were counted.
        words: Output words changed; ``None`` as above.
        critical: Samples whose decision changed.
        right_to_wrong, wrong_to_right: Of these; ``None`` without labels or classes.
        moved: Σ (faulty - fault-free contribution), added in the order of the samples.
        largest: Largest movement of an output; ``None`` as above.
    """

    changed: Int[np.ndarray, " faults"] | None
    words: Int[np.ndarray, " faults"] | None
    critical: Int[np.ndarray, " faults"]
    right_to_wrong: Int[np.ndarray, " faults"] | None
    wrong_to_right: Int[np.ndarray, " faults"] | None
    moved: Float[np.ndarray, " faults"]
    largest: Float[np.ndarray, " faults"] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Turns changed rows into outcome columns.

    Attributes:
        golden: The fault-free network and its values.
        decision: What counts as another decision.
        labels: Class numbers, or target values (one a sample, or one a sample and output); ``None`` for
            golden-relative figures only.
        per_sample: Contribution of a sample to the metric.
        finish: Mean contribution → metric, element by element.
        critical_share: Share of the samples a class has to reach to be a fault's own; 0 means any sample.
    """

    golden: Golden
    decision: Decision
    labels: Int[np.ndarray, "samples ..."] | Float[np.ndarray, "samples ..."] | None
    per_sample: PerSample
    finish: Finish
    critical_share: float = 0.0

    @cached_property
    def golden_values(self) -> Float[np.ndarray, "samples outputs"]:
        """Fault-free real outputs."""
        return self.golden.values(self.golden.output)

    @cached_property
    def reference(self) -> np.ndarray:
        """The labels, or without any the fault-free answers themselves: the metric is golden-relative then."""
        if self.labels is not None:
            return self.labels
        return self.golden_values.argmax(axis=1) if self.decision.kind == "argmax" else self.golden_values

    @cached_property
    def contributions(self) -> Float[np.ndarray, " samples"]:
        """Fault-free contribution of each sample to the metric."""
        return self._contributions(self.golden_values, self.reference)

    @property
    def has_classes(self) -> bool:
        """Whether decisions can be right or wrong: labels that are classes."""
        return self.labels is not None and self.decision.kind == "argmax"

    @cached_property
    def was_right(self) -> Bool[np.ndarray, " samples"]:
        """Fault-free decisions that equal the label, or without labels the answer itself."""
        return np.asarray(self.golden_values.argmax(axis=1) == self.reference)

    def metric(self) -> float:
        """The fault-free metric."""
        return float(self.finish(np.asarray(self.contributions.mean())))

    def judge(self, changed: ChangedRows, faults: int) -> pa.Table:
        """Outcome columns of a batch.

        Args:
            changed: Every (fault, sample) pair whose output changed.
            faults: How many faults the batch has.
        """
        rows = self.rows(changed.sample, changed.output)

        def count(weights: np.ndarray | None) -> np.ndarray:
            return np.bincount(changed.fault, weights=weights, minlength=faults).astype(np.int64)

        worst = np.zeros(faults)
        np.maximum.at(worst, changed.fault, rows.largest)
        return self.table(
            Tally(
                changed=count(None),
                words=count(rows.words),
                critical=count(rows.critical),
                right_to_wrong=None if rows.right_to_wrong is None else count(rows.right_to_wrong),
                wrong_to_right=None if rows.wrong_to_right is None else count(rows.wrong_to_right),
                # One by one in the order of the samples: whoever adds them up gets the same float.
                moved=np.bincount(changed.fault, weights=rows.moved, minlength=faults).astype(np.float64),
                largest=worst,
            )
        )

    @cached_property
    def golden_columns(self) -> Int[np.ndarray, "outputs samples"]:
        """Fault-free output words, one output in a row."""
        return np.ascontiguousarray(self.golden.output.T)

    @cached_property
    def golden_decisions(self) -> Int[np.ndarray, " samples"]:
        """Arg-max of the fault-free outputs."""
        return np.asarray(self.golden_values.argmax(axis=1))

    @cached_property
    def unit(self) -> float | None:
        """Real value of one unit of every output; ``None`` where outputs differ or the host computes on them."""
        scales = np.unique(self.golden.graph.output_scale)
        return float(scales[0]) if len(scales) == 1 and not self.golden.graph.tail else None

    def rows(self, sample: Int[np.ndarray, " rows"], output: Int[np.ndarray, "rows outputs"]) -> JudgedRows:
        """What output words mean on the samples they belong to."""
        faulty = self.golden.values(output)
        moved_words = output.T - self.golden_columns[:, sample]
        if self.unit is None:
            largest = np.abs(faulty - self.golden_values[sample]).max(axis=1, initial=0.0)
        else:
            largest = np.abs(moved_words).max(axis=0, initial=0) * abs(self.unit)
        to_wrong = to_right = None
        if self.decision.kind == "argmax":
            decisions = faulty.argmax(axis=1)
            critical = np.asarray(decisions != self.golden_decisions[sample])
            if self.has_classes:
                was_right, is_right = self.was_right[sample], decisions == self.reference[sample]
                to_wrong, to_right = was_right & ~is_right, ~was_right & is_right
        else:
            critical = self.decision.differs(self.golden_values[sample], faulty)
        return JudgedRows(
            words=np.count_nonzero(moved_words, axis=0).astype(np.int64),
            critical=critical,
            right_to_wrong=to_wrong,
            wrong_to_right=to_right,
            moved=np.asarray(self._contributions(faulty, self.reference[sample]) - self.contributions[sample]),
            largest=largest,
        )

    def _contributions(self, values: Float[np.ndarray, "rows outputs"], labels: np.ndarray) -> np.ndarray:
        """The metric's contribution of each row, the same float whatever other rows there are.

        NumPy adds along the outputs of a row in an order that depends on how the array lies in memory: outputs one
        behind the other here, for two rows or more, which is also the fast way for few outputs and many rows.
        """
        rows = len(values)
        if rows == 1:
            values, labels = np.repeat(values, 2, axis=0), np.repeat(labels, 2, axis=0)
        contributions = self.per_sample(np.asfortranarray(values), np.asfortranarray(labels))
        return np.asarray(contributions, np.float64)[:rows]

    def table(self, tally: Tally) -> pa.Table:
        """Outcome columns of faults that were counted."""
        faults = len(tally.critical)
        nothing = pa.nulls(faults, pa.int64())

        def column(values: np.ndarray | None) -> pa.Array:
            return nothing if values is None else pa.array(values)

        changed = tally.changed
        return pa.table(
            {
                "masked": column(None if changed is None else self.golden.samples - changed),
                "tolerable": column(None if changed is None else changed - tally.critical),
                "critical": tally.critical,
                "words_changed": column(tally.words),
                "decisions_changed": tally.critical,
                "right_to_wrong": column(tally.right_to_wrong),
                "wrong_to_right": column(tally.wrong_to_right),
                "metric_change": self.metric_changes(tally.moved),
                "worst_sample_change": pa.nulls(faults, pa.float64()) if tally.largest is None else tally.largest,
                "outcome": self._classes(changed, tally.critical),
            }
        )

    def metric_changes(self, moved: Float[np.ndarray, " faults"]) -> Float[np.ndarray, " faults"]:
        """Faulty metric - fault-free metric.

        Args:
            moved: Of each fault, Σ (faulty - fault-free contribution) over the samples, added in their order.
        """
        mean = float(self.contributions.mean())
        changes = np.asarray(self.finish(mean + moved / self.golden.samples)) - self.finish(np.asarray(mean))
        return np.asarray(np.where(moved == 0, 0.0, changes))

    def _classes(self, changed: np.ndarray | None, critical: np.ndarray) -> pa.Array:
        def reached(counts: np.ndarray) -> np.ndarray:
            # A quotient is rounded once, as the share itself was: 7 of 100 is 0.07, while 0.07 × 100 is above 7.
            return (counts > 0) & (counts / self.golden.samples >= self.critical_share)

        below = np.full(len(critical), CLASSES.index("kept")) if changed is None else np.asarray(reached(changed), int)
        codes = np.where(reached(critical), CLASSES.index("critical"), below)
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), list(CLASSES)).cast(pa.string())


def decisions_only(table: pa.Table) -> pa.Table:
    """An outcome table without what follows from more than decisions: those columns are null, classes are two."""
    for name in ("masked", "tolerable", "words_changed", "worst_sample_change"):
        position = table.column_names.index(name)
        table = table.set_column(position, name, pa.nulls(table.num_rows, table.schema.field(name).type))
    classes = pc.if_else(pc.equal(table["outcome"], "critical"), "critical", "kept")
    return table.set_column(table.column_names.index("outcome"), "outcome", classes)
