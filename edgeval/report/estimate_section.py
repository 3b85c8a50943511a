"""What a sample of the faults says about all of them: estimates with intervals, in all and by stratum."""

from __future__ import annotations

from edgeval.records import MetricValue
from edgeval.report.markup import Markup, code, element, join, table
from edgeval.report.numbers import change, count, counted, percent, significant
from fault_injection.estimates import Estimate, Estimated


def estimates(estimate: Estimate, metric: MetricValue) -> Markup:
    """The estimates of a sampled campaign.

    Args:
        estimate: Of its record.
        metric: Its metric, for the unit.
    """
    confidence = percent(estimate.confidence)
    header = ["Of all faults", "Estimate", f"{confidence} from", f"{confidence} to"]
    shares = {"critical": estimate.critical, "mean share of decisions changed": estimate.decisions_changed}
    rows = [[name, *(percent(value) for value in _three(figure))] for name, figure in shares.items()]
    moved = [change(value, metric.unit) for value in _three(estimate.metric_change)]
    rows.append([f"mean change of {metric.name}", *moved])
    return join(
        element("h4", "What the sample says about all faults"),
        element("p", design_text(estimate)),
        table("Estimates", header, rows),
        element("details", element("summary", "By stratum"), _strata(estimate)),
    )


def design_text(estimate: Estimate) -> str:
    """How the sample was drawn, for people."""
    judged = f"{count(estimate.judged)} of {counted(estimate.population, 'fault')}"
    if estimate.design == "simple":
        return f"{judged}, each with the same chance."
    return (
        f"{judged}, stratified by tensor and bit, in {counted(estimate.rounds, 'step')} with Neyman allocation, for "
        f"a critical share known to ± {percent(estimate.margin or 0)}."
    )


def _strata(estimate: Estimate) -> Markup:
    header = [
        "Tensor",
        "Bit",
        "Faults",
        "Judged",
        "Of these known, weight 1",
        "Weight of the others",
        "Critical",
        "from",
        "to",
    ]
    rows = [
        [
            code(row.tensor or "all"),
            "" if row.bit is None else str(row.bit),
            count(row.population),
            count(row.judged),
            count(row.known),
            significant(row.weight, 4),
            *(["", "", ""] if row.critical is None else [percent(value) for value in _three(row.critical)]),
        ]
        for row in estimate.strata
    ]
    return table("Strata", header, rows)


def _three(figure: Estimated) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high
