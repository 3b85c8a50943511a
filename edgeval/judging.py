"""A run made ready to have faults judged on it."""

from __future__ import annotations

from dataclasses import dataclass

from edgeval.evaluation import Evaluation, evaluation
from edgeval.run_directory import RunDirectory, Samples
from fault_injection.exact import Detail
from fault_injection.golden import golden_run
from fault_injection.outcomes import Judge
from hls.graph import IntegerGraph
from hls.serialize import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What faults of a run are judged with.

    Attributes:
        graph: The integer network.
        samples: The evaluation set.
        judged_by: Metric and decision.
        judge: Judge of the fault-free network.
    """

    graph: IntegerGraph
    samples: Samples
    judged_by: Evaluation
    judge: Judge

    @property
    def detail(self) -> Detail:
        """Accuracy follows from decisions alone, which are many times faster."""
        return "decisions" if self.judged_by.metric.name == "accuracy" else "full"

    def digests(self) -> dict[str, str]:
        """Of network and data, for a fingerprint."""
        return {"network": digest(self.graph), "data": self.samples.digest}


def judging(run: RunDirectory, samples: int | None, critical_threshold: float | None) -> Judging:
    """Load a run and execute its fault-free network.

    Args:
        run: An exported run.
        samples: Judge on only so many samples; ``None`` for all.
        critical_threshold: As for ``evaluation``.

    Raises:
        RunDirectoryError: see ``RunDirectory``. UsageError: an option out of range; see ``evaluation``.
    """
    record, graph = run.run_record(), run.network()
    chosen = run.samples().first(samples)
    judged_by = evaluation(record, graph, chosen, critical_threshold)
    judge = make_judge(graph, chosen, judged_by)
    return Judging(graph=graph, samples=chosen, judged_by=judged_by, judge=judge)


def make_judge(graph: IntegerGraph, samples: Samples, judged_by: Evaluation, critical_share: float = 0.0) -> Judge:
    """Run the fault-free network on samples, and judge faults by a metric and decision."""
    return Judge(
        golden=golden_run(graph, graph.quantize_inputs(samples.inputs)),
        decision=judged_by.decision,
        labels=judged_by.labels,
        per_sample=judged_by.metric.per_sample,
        finish=judged_by.metric.finish,
        critical_share=critical_share,
    )
