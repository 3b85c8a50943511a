"""The section about the matrix: every back end, interface and strategy of hls4ml against the exact engine."""

from __future__ import annotations

from edgeval.records import MatrixRecord
from edgeval.report.markup import Child, Markup, code, definitions, element, table
from edgeval.report.numbers import count
from edgeval.report.sections import section
from edgeval.report.verdicts import badge, banner


def matrix_section(record: MatrixRecord, anchor: str, title: str) -> Markup:
    """Every C-simulation hls4ml has of one network.

    Args:
        record: What ``edgeval csim-compare --matrix`` found.
        anchor: Of the section.
        title: Of the section.
    """
    header = ["Back end", "Interface", "Strategy", "Verdict", "Layers", "Words", "Differing"]
    rows: list[list[Child]] = [
        [
            row.backend,
            row.io_type,
            row.strategy,
            badge(row.status),
            *(count(number) if row.words else "" for number in (row.layers, row.words, row.differing)),
        ]
        for row in record.rows
    ]
    reasons = [
        element("li", code(f"{row.backend} {row.io_type} {row.strategy}"), f": {row.detail}")
        for row in record.rows
        if row.status != "match"
    ]
    facts: list[tuple[Child, Child]] = [
        ("Samples", count(record.samples)),
        ("Inputs", record.inputs),
        ("Compiler", record.compiler or "none"),
    ]
    return section(
        anchor,
        title,
        banner(record.verdict, record.headline),
        definitions(facts, "facts"),
        table("Every combination against the exact engine, word by word", header, rows, text_columns=4),
        element("div", element("h4", "Those that do not match"), element("ul", reasons)) if reasons else "",
    )
