"""The sections about comparisons: verdict, evidence layer by layer, first difference, and how errors are spread."""

from __future__ import annotations

from collections.abc import Sequence

from edgeval.diagnosis_record import Diagnosis
from edgeval.records import CompareRecord, ErrorStatistics
from edgeval.report.figures import Draw
from edgeval.report.histogram_figures import error_spread
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import count, percent, quantity, significant
from edgeval.report.sections import section
from edgeval.report.verdicts import banner


def comparison(record: CompareRecord, anchor: str, title: str, draw: Draw, *, first: bool = True) -> Markup:
    """Exact engine against C-simulation, layer by layer, and both against float.

    Args:
        record: What ``edgeval csim-compare`` found.
        anchor: Of the section.
        title: Of the section.
        draw: Places a figure.
        first: Whether this is the run's own comparison, whose verdict already stands at the top.
    """
    header = ["Layer", "Words compared", "Differing", "Distinct words", "Clipping events"]
    rows = [
        [code(row.value), count(row.words), count(row.differing), count(row.distinct), count(row.saturations)]
        for row in record.layers
    ]
    return section(
        anchor,
        title,
        "" if first else banner(record.verdict, record.headline),
        definitions(_facts(record), "facts"),
        _first_difference(record),
        audit_findings(record.audit),
        table("Exact engine against C-simulation, word by word", header, rows) if rows else "",
        references_table("Float references against the integer network, on its outputs", record.references),
        error_spread(record.histograms, draw),
    )


def _facts(record: CompareRecord) -> list[tuple[Child, Child]]:
    facts: list[tuple[Child, Child]] = [
        ("Words compared", count(record.words)),
        ("Differing", count(record.differing)),
        ("Samples", count(record.samples)),
        ("Inputs", record.inputs),
        ("Backend", f"{record.backend}, {record.io_type}"),
        ("Compiler", record.compiler or "none"),
    ]
    if record.flow != "exact":
        facts.append(("Project", {"native": "hls4ml's own of the user's graph", "project": "existing"}[record.flow]))
    if record.poke:
        facts.append(("Flipped on purpose", code(record.poke)))
    return facts


def references_table(caption: str, references: Sequence[ErrorStatistics]) -> Child:
    """Float references, one a row, without the columns that none of them fills."""
    if not references:
        return ""
    header = ["Reference", "Largest error", "Mean error", "Largest, in LSB", "Decisions equal"]
    header += ["Its metric", "Network's metric", "Words compared", "Explained", "Unexplained", "Not compared because"]
    rows = [
        [
            row.reference,
            significant(row.max_error),
            significant(row.mean_error),
            significant(row.max_error_lsb),
            "" if row.decisions_equal is None else percent(row.decisions_equal),
            *("" if m is None else quantity(m.value, m.unit) for m in (row.reference_metric, row.network_metric)),
            *("" if n is None else count(n) for n in (row.words, row.explained, row.unexplained)),
            row.skipped or "",
        ]
        for row in references
    ]
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    return table(caption, [header[c] for c in kept], [[row[c] for c in kept] for row in rows])


def audit_findings(findings: Sequence[str]) -> Child:
    """What the audit of the written project found, before anything ran."""
    if not findings:
        return ""
    items = element("ul", [element("li", finding) for finding in findings])
    return element("div", element("h4", "Static audit: nothing was run"), items, class_="alarm")


def _first_difference(record: CompareRecord) -> Child:
    first = record.first
    if record.diagnosis is not None:
        return _diagnosis(record.diagnosis)
    if first is None:
        return ""
    facts: list[tuple[Child, Child]] = [
        ("Layer", code(first.value)),
        ("Sample, position", ", ".join(count(index) for index in first.index)),
        ("C-simulation", join(count(first.csim), " in ", code(first.csim_format))),
        ("Exact engine", join(count(first.engine), " in ", code(first.engine_format))),
        ("Likely cause", first.cause),
    ]
    return element("div", element("h4", "First difference"), definitions(facts, "facts"), class_="alarm")


def _diagnosis(diagnosis: Diagnosis) -> Child:
    """Why a native project differs, and what mends it."""
    found = "no number" if diagnosis.found is None else significant(diagnosis.found, 9)
    verified = "Remedy, verified by running it" if diagnosis.remedy_verified else "Remedy, not verified"
    facts: list[tuple[Child, Child]] = [
        ("Layer", join(code(diagnosis.layer), " (hls4ml layer ", code(diagnosis.hls_layer), ")")),
        ("Sample, position", ", ".join(count(index) for index in diagnosis.index)),
        ("Native project", join(found, " in ", code(diagnosis.found_format))),
        ("Integer network", join(significant(diagnosis.expected, 9), " in ", diagnosis.expected_format)),
        ("Cause", join(code(diagnosis.cause), ": ", diagnosis.explanation)),
        ("Evidence", diagnosis.evidence),
        (verified, diagnosis.remedy),
    ]
    return element("div", element("h4", "Diagnosis"), definitions(facts, "facts"), class_="alarm")
