"""The section about a self-test: errors made on purpose, and whether the comparison saw each of them."""

from __future__ import annotations

from edgeval.report.markup import Child, Markup, code, element, table
from edgeval.report.numbers import count, counted
from edgeval.report.sections import section
from edgeval.report.verdicts import badge, banner
from edgeval.self_test_record import Mutant, SelfTestRecord


def self_test_section(record: SelfTestRecord, anchor: str, title: str) -> Markup:
    """The score and every mutant.

    Args:
        record: What ``--self-test`` of a comparison found.
        anchor: Of the section.
        title: Of the section.
    """
    lead = (
        f"{count(record.detected)} of {counted(record.visible, 'error')} with an effect were seen, each compared on "
        f"{counted(record.samples, 'sample')}. An error without an effect on these samples is called equivalent: the "
        "exact engine, run on the changed network, gives the same words."
    )
    header = ["Error", "Place", "What was changed", "Status", "Seen by", "Evidence"]
    rows = [_row(mutant) for mutant in record.mutants]
    return section(
        anchor,
        title,
        banner(record.verdict, record.headline),
        element("p", lead, class_="lead"),
        table("Errors made on purpose", header, rows, text_columns=len(header), wraps=True),
    )


def _row(mutant: Mutant) -> list[Child]:
    return [
        mutant.mutation,
        code(mutant.place) if mutant.place else "",
        mutant.change,
        badge(mutant.status),
        ", ".join(mutant.detected_by),
        mutant.evidence,
    ]
