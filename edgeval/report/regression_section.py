"""The section about the regression check: every gate of the baseline, and why one failed or was skipped."""

from __future__ import annotations

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import count, percent, significant
from edgeval.report.sections import section
from edgeval.report.verdicts import badge, banner

_ORDER = ("failed", "skipped", "passed")


def regression_section(record: RegressRecord, anchor: str, title: str) -> Markup:
    """What was compared with the baseline, and what no longer holds.

    Args:
        record: What ``edgeval regress check`` found.
        anchor: Of the section.
        title: Of the section.
    """
    counts = {status: sum(gate.status == status for gate in record.gates) for status in _ORDER}
    tolerances = record.tolerances
    facts: list[tuple[Child, Child]] = [
        ("Baseline", code(record.baseline)),
        ("Gates", ", ".join(f"{count(number)} {status}" for status, number in counts.items())),
        ("A skipped gate", "is an error" if record.skipped_is_error else "is no error"),
        ("Words may differ", "never"),
        ("Metric may get worse by", significant(tolerances.metric) if tolerances.metric else "nothing"),
        ("Damage of faults may grow by", percent(tolerances.damage)),
        ("LUT, FF, DSP, BRAM may grow by", percent(tolerances.resources)),
        ("Latency may grow by", percent(tolerances.latency)),
    ]
    gates = sorted(record.gates, key=lambda gate: _ORDER.index(gate.status))
    return section(
        anchor,
        title,
        banner(record.verdict, record.headline),
        definitions(facts, "facts"),
        [_alarm(gate) for gate in gates if gate.status == "failed"],
        table(
            "Every gate, failed ones first",
            ["Run", "Gate", "Status", "Summary", "Remedy"],
            [[gate.run or "all", gate.name, badge(gate.status), gate.summary, gate.remedy] for gate in gates],
            text_columns=5,
            wraps=True,
        ),
    )


def _alarm(gate: Gate) -> Markup:
    where = f"{gate.run}: {gate.name}" if gate.run else gate.name
    details = element("ul", [element("li", detail) for detail in gate.details]) if gate.details else ""
    remedy = element("p", join(element("b", "Remedy: "), gate.remedy)) if gate.remedy else ""
    return element("div", element("h4", where), element("p", gate.summary), details, remedy, class_="alarm")
