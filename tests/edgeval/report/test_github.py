"""Annotations of a check: what the runner of GitHub Actions reads out of the log."""

from __future__ import annotations

import re

from hypothesis import given, settings
from support.gates import AWKWARD_RECORDS, AWKWARD_TEXT, CSIM_SKIPPED, EXAMPLE, TYPES_FAILED, one_gate, record_of

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.gates import Place, gate_text
from edgeval.report.github import LONGEST_MESSAGE, SHOWN, annotate, command
from edgeval.report.visible import visible

PLACE = Place(path="edgeval-baseline.json", lines={"digits": 12})


def unescaped(text: str, *, is_property: bool = False) -> str:
    """As the runner does it (actions/runner, ActionCommand.cs), the percent sign last."""
    if is_property:
        text = text.replace("%3A", ":").replace("%2C", ",")
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def commands(log: str) -> list[tuple[str, dict[str, str], str]]:
    """Level, properties and message of every command in a log, one a line, as the runner finds them."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        if match := re.match(r"\s*::([a-z-]+) ?(.*?)::(.*)", line):
            pairs = (pair.partition("=") for pair in match[2].split(",") if pair)
            properties = {name: unescaped(value, is_property=True) for name, _, value in pairs}
            found.append((match[1], properties, unescaped(match[3])))
    return found


def annotations(record: RegressRecord) -> list[tuple[str, dict[str, str], str]]:
    """What the runner reads of a record's lines."""
    return commands("\n".join(annotate(record, PLACE)))


def test_a_failed_gate_is_an_error_at_its_run_in_the_baseline() -> None:
    assert annotations(record_of(TYPES_FAILED)) == [
        (
            "error",
            {"file": "edgeval-baseline.json", "line": "12", "title": "digits: types"},
            gate_text(TYPES_FAILED, EXAMPLE),
        )
    ]


def test_a_skipped_gate_is_a_notice() -> None:
    ((level, properties, message),) = annotations(record_of(CSIM_SKIPPED))
    assert (level, properties["title"]) == ("notice", "jets: csim")
    assert message.startswith("skipped, nothing was compared: g++ was not found")


def test_a_skipped_gate_is_an_error_where_skips_are_errors() -> None:
    ((level, _, message),) = annotations(record_of(CSIM_SKIPPED, skipped_is_error=True))
    assert level == "error"
    assert message.startswith("skipped, which was asked to be an error")


def test_passed_gates_say_nothing() -> None:
    assert annotate(one_gate("passed"), PLACE) == ()


def test_of_more_gates_than_are_shown_the_last_annotation_names_the_others() -> None:
    gates = [Gate(run=f"run{number}", name="words", status="failed", summary="3 words differ") for number in range(14)]
    shown = annotations(record_of(*gates))
    assert len(shown) == SHOWN
    assert shown[-1][1]["title"] == "5 more gates like this"
    assert shown[-1][2].splitlines()[0] == ", ".join(f"run{number}: words" for number in range(9, 14))


def test_as_many_gates_as_are_shown_are_all_shown() -> None:
    gates = [Gate(run=f"run{number}", name="words", status="failed", summary="differs") for number in range(SHOWN)]
    assert annotations(record_of(*gates))[-1][1]["title"] == "run9: words"


def test_a_very_long_message_is_cut_and_says_so() -> None:
    ((_, _, message),) = annotations(one_gate("failed", text="x" * 100_000))
    assert len(message) <= LONGEST_MESSAGE
    assert message == "x" * (100_000 - 96_035) + " … 96,035 more characters left out"


@given(message=AWKWARD_TEXT, title=AWKWARD_TEXT, path=AWKWARD_TEXT)
def test_any_text_is_one_command_and_read_back_as_it_was_shown(message: str, title: str, path: str) -> None:
    text = command("error", message, place=Place(path=path, lines={}), line=3, title=title)
    ((level, properties, read),) = commands(text)
    assert level == "error"
    assert read == visible(message)
    assert properties == {"file": visible(path), "line": "3", "title": " ".join(visible(title).split())}


@settings(max_examples=30)
@given(record=AWKWARD_RECORDS)
def test_no_record_makes_a_command_of_its_own(record: RegressRecord) -> None:
    wrong = [gate for gate in record.gates if gate.status != "passed"]
    assert [level for level, _, _ in annotations(record)] == sorted(
        "notice" if gate.status == "skipped" and not record.skipped_is_error else "error" for gate in wrong
    )
