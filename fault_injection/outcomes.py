"""From faulty output words to outcomes: masked, tolerable or critical, and what the task metric says.

Definitions are those of ``docs/interfaces.md``, Decisions and damage; every executor's results pass through here, so
equal words give equal tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from fault_injection.golden import Golden
from fault_injection.propagate import ChangedRows

PerSample = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(real output values (rows, outputs), labels (rows,)) → contribution of each row to the metric."""


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
class Judge:
    """Turns changed rows into outcome columns.

    Attributes:
        golden: The fault-free network and its values.
        decision: What counts as another decision.
        labels: Class numbers, or target values (one a sample, or one a sample and output); ``None`` for
            golden-relative figures only.
        per_sample: Contribution of a sample to the metric.
        finish: Mean contribution → metric.
        critical_share: Share of the samples a class has to reach to be a fault's own; 0 means any sample.
    """

    golden: Golden
    decision: Decision
    labels: Int[np.ndarray, "samples ..."] | Float[np.ndarray, "samples ..."] | None
    per_sample: PerSample
    finish: Callable[[float], float]
    critical_share: float = 0.0

    def reference(self) -> np.ndarray:
        """The labels, or without any the fault-free answers themselves: the metric is golden-relative then."""
        if self.labels is not None:
            return self.labels
        values = self.golden.values(self.golden.output)
        return values.argmax(axis=1) if self.decision.kind == "argmax" else values

    def metric(self) -> float:
        """The fault-free metric."""
        return self.finish(float(self._golden_contributions().mean()))

    def judge(self, changed: ChangedRows, faults: int) -> pa.Table:
        """Outcome columns of a batch.

        Args:
            changed: Every (fault, sample) pair whose output changed.
            faults: How many faults the batch has.
        """
        values = self.golden.values(self.golden.output)
        faulty = self.golden.values(changed.output)
        before = values[changed.sample]
        differs = self.decision.differs(before, faulty)
        words = (changed.output != self.golden.output[changed.sample]).sum(axis=1)
        largest = np.abs(faulty - before).max(axis=1, initial=0.0)
        worst = np.zeros(faults)
        np.maximum.at(worst, changed.fault, largest)
        visible = np.bincount(changed.fault, minlength=faults)
        critical = np.bincount(changed.fault, weights=differs, minlength=faults).astype(np.int64)
        return pa.table(
            {
                "masked": self.golden.samples - visible,
                "tolerable": visible - critical,
                "critical": critical,
                "words_changed": np.bincount(changed.fault, weights=words, minlength=faults).astype(np.int64),
                "decisions_changed": critical,
                **self._right_and_wrong(changed, faulty, faults),
                "metric_change": self._metric_changes(changed, faulty, faults),
                "worst_sample_change": worst,
                "outcome": self._classes(visible, critical),
            }
        )

    def _classes(self, visible: np.ndarray, critical: np.ndarray) -> pa.Array:
        def reached(counts: np.ndarray) -> np.ndarray:
            # A quotient is rounded once, as the share itself was: 7 of 100 is 0.07, while 0.07 × 100 is above 7.
            return (counts > 0) & (counts / self.golden.samples >= self.critical_share)

        classes = np.where(reached(critical), "critical", np.where(reached(visible), "tolerable", "masked"))
        return pa.array(classes.tolist(), pa.string())

    def _right_and_wrong(self, changed: ChangedRows, faulty: np.ndarray, faults: int) -> dict[str, pa.Array]:
        """Golden-right decisions gone wrong and the reverse; null where there are no labels or no classes."""
        if self.labels is None or self.decision.kind != "argmax":
            nothing = pa.nulls(faults, pa.int64())
            return {"right_to_wrong": nothing, "wrong_to_right": nothing}
        label = self.labels[changed.sample]
        golden = self.golden.values(self.golden.output)
        was_right = golden[changed.sample].argmax(axis=1) == label
        is_right = faulty.argmax(axis=1) == label
        counts = {"right_to_wrong": was_right & ~is_right, "wrong_to_right": ~was_right & is_right}
        return {
            name: pa.array(np.bincount(changed.fault, weights=rows, minlength=faults).astype(np.int64))
            for name, rows in counts.items()
        }

    def _golden_contributions(self) -> np.ndarray:
        return self.per_sample(self.golden.values(self.golden.output), self.reference())

    def _metric_changes(self, changed: ChangedRows, faulty: np.ndarray, faults: int) -> np.ndarray:
        golden = self._golden_contributions()
        rows = self.per_sample(faulty, self.reference()[changed.sample])
        # Sums run over a fault's samples in rising order, one by one: whoever adds them up gets the same float.
        moved = np.bincount(changed.fault, weights=rows - golden[changed.sample], minlength=faults)
        return self.metric_changes(moved)

    def metric_changes(self, moved: Float[np.ndarray, " faults"]) -> Float[np.ndarray, " faults"]:
        """Faulty metric - fault-free metric.

        Args:
            moved: Of each fault, Σ (faulty - fault-free contribution) over the samples, added in rising order.
        """
        mean = float(self._golden_contributions().mean())
        clean = self.finish(mean)
        changes = np.zeros(len(moved))
        for fault in np.flatnonzero(moved):
            changes[fault] = self.finish(mean + float(moved[fault]) / self.golden.samples) - clean
        return changes
