"""JUnit XML of a check: what Jenkins and GitLab read out of it."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from support.gates import AWKWARD_RECORDS, AWKWARD_TEXT, CSIM_SKIPPED, EXAMPLE, TYPES_FAILED, one_gate, record_of

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.gates import gate_text
from edgeval.report.junit import junit_xml
from edgeval.report.visible import visible


def parsed(record: RegressRecord) -> ElementTree.Element:
    """The document, read back."""
    return ElementTree.fromstring(junit_xml(record, "edgeval-baseline.json"))


def only_case(record: RegressRecord) -> ElementTree.Element:
    """The one test case of a record with one gate."""
    (case,) = parsed(record).iter("testcase")
    return case


def test_a_run_is_a_suite_and_a_gate_is_a_test_case() -> None:
    root = parsed(EXAMPLE)
    assert [suite.get("name") for suite in root] == ["digits", "jets"]
    assert [(case.get("classname"), case.get("name")) for case in root.iter("testcase")] == [
        ("edgeval.digits", "types"),
        ("edgeval.digits", "weights"),
        ("edgeval.jets", "csim"),
    ]


def test_gates_of_all_runs_together_have_a_suite_with_a_name() -> None:
    root = parsed(record_of(Gate(run="", name="versions", status="passed", summary="as locked")))
    assert [suite.get("name") for suite in root] == ["all runs"]


def test_a_failed_gate_is_a_failure_with_its_sentence_and_all_that_is_known() -> None:
    failure = only_case(record_of(TYPES_FAILED)).find("failure")
    assert failure is not None
    assert failure.get("message") == TYPES_FAILED.summary
    assert failure.get("type") == "edgeval.failed"
    assert failure.text == gate_text(TYPES_FAILED, EXAMPLE)


def test_a_skipped_gate_is_skipped_with_its_reason() -> None:
    case = only_case(record_of(CSIM_SKIPPED))
    skipped = case.find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "skipped, nothing was compared: g++ was not found"
    assert case.find("failure") is None


def test_a_skipped_gate_is_a_failure_where_skips_are_errors() -> None:
    case = only_case(record_of(CSIM_SKIPPED, skipped_is_error=True))
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "skipped, which was asked to be an error: g++ was not found"
    assert case.find("skipped") is None


def test_totals_are_the_counts_of_the_elements() -> None:
    root = parsed(record_of(TYPES_FAILED, *EXAMPLE.gates[1:], TYPES_FAILED, skipped_is_error=False))
    for element in (root, *root):
        assert element.get("tests") == str(len(list(element.iter("testcase"))))
        assert element.get("failures") == str(len(list(element.iter("failure"))))
        assert element.get("skipped") == str(len(list(element.iter("skipped"))))


def test_times_are_in_seconds_and_add_up() -> None:
    root = parsed(EXAMPLE)
    assert [case.get("time") for case in root.iter("testcase")] == ["0.250", "1.500", "0.010"]
    assert root.get("time") == "1.760"


@given(text=AWKWARD_TEXT)
def test_any_message_is_read_back_as_it_was_shown(text: str) -> None:
    record = one_gate("failed", text=text)
    failure = only_case(record).find("failure")
    assert failure is not None
    assert failure.get("message") == visible(text)
    assert (failure.text or "") == visible(text)


@settings(max_examples=30)
@given(record=AWKWARD_RECORDS)
def test_any_record_is_read_back_gate_by_gate(record: RegressRecord) -> None:
    cases = list(parsed(record).iter("testcase"))
    assert len(cases) == len(record.gates)
    texts = {(case.get("name"), (case[0].text or "")) for case in cases}
    assert texts == {(gate.name, visible(gate_text(gate, record))) for gate in record.gates}


def test_a_very_long_message_is_whole() -> None:
    text = "word 1 differs; " * 100_000
    failure = only_case(one_gate("failed", text=text)).find("failure")
    assert failure is not None
    assert failure.text == text


def test_a_passed_gate_shows_its_evidence() -> None:
    case = only_case(one_gate("passed", text="6,464 words as locked"))
    assert case.findtext("system-out") == "6,464 words as locked"
