"""The section about a fault plan: what a campaign that was not run would cost."""

from __future__ import annotations

from edgeval.plan_record import FaultPlan
from edgeval.report.markup import Child, Markup, code, definitions, element, join
from edgeval.report.numbers import count, counted, duration, percent
from edgeval.report.sections import section


def plan_section(record: FaultPlan, anchor: str, title: str) -> Markup:
    """Size, predicted time and what to do.

    Args:
        record: What ``edgeval inject-faults --plan`` said.
        anchor: Of the section.
        title: Of the section.
    """
    chosen = "All faults" if record.chosen == "exhaustive" else "A sample"
    workers = "this process" if record.workers == 1 else counted(record.workers, "worker")
    facts: list[tuple[Child, Child]] = [
        ("Faults", f"{count(record.faults)} ({record.fault})"),
        ("Samples", count(record.samples)),
        ("Detail", record.detail),
        ("Predicted, all faults", duration(record.seconds)),
        ("Time budget", duration(record.time_budget)),
        ("On", f"{workers}, {counted(record.kernel_threads, 'kernel thread')}"),
        ("Sample, at most", counted(record.sample, "fault")),
        ("Predicted, sample", duration(record.sample_seconds)),
        ("Margin of the sample", f"± {percent(record.margin)} at {percent(record.confidence)} confidence"),
    ]
    command = f"edgeval inject-faults RUN {record.options}".rstrip()
    return section(
        anchor,
        title,
        element("p", f"{chosen}: {record.why}. ", join("Run it with ", code(command), "."), class_="lead"),
        definitions(facts, "facts"),
        element(
            "p",
            f"Times are estimates from {counted(record.probed, 'fault')} timed on the machine that planned.",
            class_="note",
        ),
    )
