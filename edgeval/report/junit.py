"""JUnit XML of a check, as Jenkins and GitLab read it: a suite a run, a test case a gate.

There is no standard. GitLab takes the suite from ``classname``, drops a second case of the same name and shows an
element's text; Jenkins shows ``message``: hence both are there, and names are unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.gates import gate_sentence, gate_text, gates_of, outcome, run_names
from edgeval.report.visible import visible

_ALL_RUNS = "all runs"


def junit_xml(record: RegressRecord, baseline: str) -> bytes:
    """The record as JUnit XML.

    Args:
        record: Of a check.
        baseline: Its file, as a reader of the repository names it.

    Returns:
        A UTF-8 document. A skipped gate is ``skipped`` with its reason; it is a ``failure`` where skips were asked to
        be errors.
    """
    root = ElementTree.Element("testsuites", {"name": "edgeval regress check", **_totals(record, record.gates)})
    for run in run_names(record):
        gates = gates_of(record, run)
        suite = ElementTree.SubElement(root, "testsuite", {"name": visible(run or _ALL_RUNS), **_totals(record, gates)})
        properties = ElementTree.SubElement(suite, "properties")
        facts: dict[str, str] = {"baseline": baseline, "verdict": record.verdict, "headline": record.headline}
        for name, value in facts.items():
            ElementTree.SubElement(properties, "property", name=name, value=visible(value))
        for gate in gates:
            _add_case(suite, gate, record, baseline)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _totals(record: RegressRecord, gates: Sequence[Gate]) -> dict[str, str]:
    outcomes = [outcome(gate, record) for gate in gates]
    return {
        "tests": str(len(gates)),
        "failures": str(outcomes.count("failed") + outcomes.count("skipped_is_error")),
        "errors": "0",
        "skipped": str(outcomes.count("skipped")),
        "time": _seconds(sum((gate.seconds for gate in gates), start=0.0)),
    }


def _add_case(suite: ElementTree.Element, gate: Gate, record: RegressRecord, baseline: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"edgeval.{visible(gate.run or _ALL_RUNS)}",
        name=gate.name,
        file=visible(baseline),
        time=_seconds(gate.seconds),
    )
    message = visible(gate_sentence(gate, record))
    match outcome(gate, record):
        case "passed":
            ElementTree.SubElement(case, "system-out").text = visible(gate_text(gate, record))
        case "skipped":
            ElementTree.SubElement(case, "skipped", message=message).text = visible(gate_text(gate, record))
        case kind:
            failure = ElementTree.SubElement(case, "failure", message=message, type=f"edgeval.{kind}")
            failure.text = visible(gate_text(gate, record))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
