"""What the outputs for continuous integration have in common: characters, lengths, outcomes, places."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gates import AWKWARD_TEXT, CSIM_SKIPPED, EXAMPLE, TYPES_FAILED, WEIGHTS_PASSED, record_of

from edgeval.regression_record import GateName
from edgeval.report.gates import GATE_TITLES, counts_text, find_place, gate_text, outcome, run_names
from edgeval.report.visible import one_line, shortened, visible


@given(text=AWKWARD_TEXT)
def test_visible_text_can_be_written_as_utf_8_and_as_xml(text: str) -> None:
    element = ElementTree.Element("text")
    element.text = visible(text)
    assert (ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8")).text or "") == visible(text)


@given(text=st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Cf"), include_characters="\n\t")))
def test_visible_text_is_the_text_where_nothing_is_forbidden(text: str) -> None:
    assert visible(text) == text


@given(text=AWKWARD_TEXT)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert len(visible(text)) == len(text)


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\x9b", "\x1b", "\x7f"])
def test_a_character_that_rewrites_what_is_shown_is_replaced(hidden: str) -> None:
    assert hidden not in visible(f"fc1{hidden}")


@given(text=AWKWARD_TEXT)
def test_one_line_has_no_line_end(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@given(text=st.text(), length=st.integers(40, 200))
def test_a_shortened_text_is_never_longer_than_asked(text: str, length: int) -> None:
    short = shortened(text, length)
    assert len(short) <= length
    assert short == text if len(text) <= length else short.endswith("more characters left out")


def test_every_gate_has_a_title() -> None:
    assert set(GATE_TITLES) == set(GateName.__args__)  # type: ignore[attr-defined]


def test_a_skip_is_an_error_only_where_that_was_asked() -> None:
    assert outcome(CSIM_SKIPPED, record_of(CSIM_SKIPPED)) == "skipped"
    assert outcome(CSIM_SKIPPED, record_of(CSIM_SKIPPED, skipped_is_error=True)) == "skipped_is_error"
    assert outcome(WEIGHTS_PASSED, record_of(WEIGHTS_PASSED, skipped_is_error=True)) == "passed"


def test_counts_name_what_occurs_the_worst_first() -> None:
    assert counts_text(EXAMPLE) == "1 failed, 1 skipped, 1 passed"
    assert counts_text(record_of(*EXAMPLE.gates, skipped_is_error=True)) == "1 failed, 1 skipped as an error, 1 passed"


def test_the_text_of_a_gate_holds_cause_details_and_remedy() -> None:
    assert gate_text(TYPES_FAILED, EXAMPLE).splitlines() == [
        TYPES_FAILED.summary,
        *TYPES_FAILED.details,
        f"To do: {TYPES_FAILED.remedy}",
    ]


def test_a_run_is_found_at_its_line_of_the_baseline_and_from_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "ci").mkdir()
    baseline = tmp_path / "ci" / "b.json"
    baseline.write_text('{\n "runs": [\n  {\n   "name": "digits",\n   "x": 1},\n  {\n   "name": "jets"\n  }\n ]\n}\n')
    place = find_place(baseline, run_names(EXAMPLE))
    assert place.path == "ci/b.json"
    assert (place.line(TYPES_FAILED), place.line(CSIM_SKIPPED)) == (4, 7)


def test_a_run_that_the_baseline_does_not_name_is_found_at_its_top(tmp_path: Path) -> None:
    place = find_place(tmp_path / "b.json", ["digits"])
    assert place.line(TYPES_FAILED) == 1
