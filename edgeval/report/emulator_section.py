"""The section about an emulator package: the C-simulation as a shared library, tried on golden vectors."""

from __future__ import annotations

from edgeval.records import EmulatorRecord
from edgeval.report.comparison_section import audit_findings
from edgeval.report.markup import Child, Markup, code, definitions, element
from edgeval.report.numbers import count, counted
from edgeval.report.sections import section
from edgeval.report.verdicts import banner


def emulator_section(record: EmulatorRecord, anchor: str, title: str) -> Markup:
    """What the library is, and whether it gave the network's words.

    Args:
        record: What ``edgeval emulator`` found.
        anchor: Of the section.
        title: Of the section.
    """
    facts: list[tuple[Child, Child]] = [
        ("Package", f"{record.name} {record.version}"),
        ("Namespace", code(record.namespace)),
        ("Library", code(record.library) if record.library else "none was written"),
        ("Words compared", f"{count(record.words)}, {count(record.differing)} differing"),
        ("Samples", count(record.samples)),
        ("Backend", f"{record.backend}, {record.io_type}"),
        ("Compiler", record.compiler or "none"),
        ("Library, sha256", code(record.library_digest) if record.library_digest else "none"),
    ]
    symbols = element("ul", [element("li", code(symbol)) for symbol in record.symbols])
    summary = element("summary", f"Everything the library exports ({counted(len(record.symbols), 'symbol')})")
    return section(
        anchor,
        title,
        banner(record.verdict, record.headline),
        definitions(facts, "facts"),
        audit_findings(record.audit),
        element("details", summary, symbols) if record.symbols else "",
    )
