"""How a run's outputs are judged: its metric, its decision and the tolerance of that decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeval.metrics import METRICS, Metric
from edgeval.records import RunRecord
from edgeval.run_directory import Samples
from edgeval.targets import TARGETS
from fault_injection.outcomes import Decision
from hls.engine import ExactEngine
from hls.errors import UsageError
from hls.graph import IntegerGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Metric and decision of a run.

    Attributes:
        metric: Task metric.
        decision: What counts as another decision.
        labels: One a sample; ``None`` for golden-relative figures.
    """

    metric: Metric
    decision: Decision
    labels: np.ndarray | None


def run_metric(record: RunRecord) -> Metric:
    """The metric a run is judged by."""
    return TARGETS[record.source].metric if record.source in TARGETS else METRICS[record.metric]


def campaign_metric(record: RunRecord, name: str | None) -> Metric:
    """The metric that a campaign on a run counts damage in.

    Args:
        record: What the run is of.
        name: A metric of ``METRICS`` that fits the run's task; ``None`` for the run's own.

    Raises:
        UsageError: no such metric, or one of another task.
    """
    own = run_metric(record)
    if name is None or name == own.name:
        return own
    fitting = [key for key, metric in METRICS.items() if metric.classes == (record.task == "classification")]
    if name not in fitting:
        raise UsageError(
            found=repr(name),
            allowed=", ".join(dict.fromkeys((own.name, *fitting))),
            where=f"metric of a {record.task}",
            remedy="choose a metric of the run's task",
        )
    return METRICS[name]


def evaluation(
    record: RunRecord,
    graph: IntegerGraph,
    samples: Samples,
    critical_threshold: float | None = None,
    metric_name: str | None = None,
) -> Evaluation:
    """How the outputs of a run are judged.

    Args:
        record: What the run is of.
        graph: Its integer network.
        samples: Its evaluation set.
        critical_threshold: Tolerance of a regression's decision, in the metric's unit; ``None`` for one
            float-versus-quantized RMSE a sample.
        metric_name: As for ``campaign_metric``.

    Raises:
        UsageError: a metric that does not fit, a regression without a float reference and without a threshold, or a
            threshold below 0.
    """
    metric = campaign_metric(record, metric_name)
    if record.task == "classification":
        if critical_threshold is not None:
            raise UsageError(
                found=f"{critical_threshold:g} for a classification",
                allowed="no threshold: the decision is the arg-max",
                where="--critical-threshold",
                remedy="leave it out",
            )
        return Evaluation(metric=metric, decision=Decision(kind="argmax"), labels=samples.labels)
    tolerance = _default_tolerance(graph, samples) if critical_threshold is None else critical_threshold
    if tolerance < 0 or not np.isfinite(tolerance):
        raise UsageError(
            found=f"{tolerance:g}", allowed="0 or more", where="--critical-threshold", remedy="give a tolerance"
        )
    return Evaluation(metric=metric, decision=Decision(kind="tolerance", tolerance=tolerance), labels=samples.labels)


def network_outputs(graph: IntegerGraph, inputs: np.ndarray) -> np.ndarray:
    """Real outputs of the exact engine, shape (samples, outputs)."""
    values = graph.output_values(ExactEngine(graph).run(graph.quantize_inputs(inputs)).output)
    return values.reshape(len(values), -1)


def _default_tolerance(graph: IntegerGraph, samples: Samples) -> float:
    if samples.float_outputs is None:
        raise UsageError(
            found="a regression without a float reference",
            allowed="a tolerance in the metric's unit",
            where="--critical-threshold",
            remedy="say how far an output may move before the decision counts as another one",
        )
    error = network_outputs(graph, samples.inputs) - samples.float_outputs
    return float(np.sqrt((error**2).mean()))
