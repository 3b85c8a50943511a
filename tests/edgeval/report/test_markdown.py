"""Summary of a check for a pull request: what a reader sees, rendered."""

from __future__ import annotations

import re
from html import unescape

from hypothesis import given, settings
from markdown_it import MarkdownIt
from support.gates import AWKWARD_RECORDS, AWKWARD_TEXT, CSIM_SKIPPED, EXAMPLE, TYPES_FAILED, one_gate, record_of

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.markdown import LONGEST, code, escaped, markdown_summary
from edgeval.report.visible import one_line, visible

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ZERO_WIDTH = "\u200b"


def rendered(text: str) -> str:
    """A summary as HTML."""
    return str(RENDERER.render(text))


def read(html: str) -> str:
    """What a reader sees of a piece of HTML: break elements are line ends."""
    return unescape(re.sub(r"<[^>]*>", "", html.replace("<br>", "\n").replace("<br />", "\n")))


def rows(record: RegressRecord) -> list[list[str]]:
    """Cells of the table, as a reader sees them."""
    html = rendered(markdown_summary(record, "edgeval-baseline.json"))
    found = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[read(cell) for cell in re.findall(r"<t[dh]>(.*?)</t[dh]>", row, re.DOTALL)] for row in found]


def test_the_summary_opens_with_the_verdict_and_what_is_allowed() -> None:
    lines = markdown_summary(EXAMPLE, "edgeval-baseline.json").splitlines()
    assert lines[0] == "### edgeval regress check: ❌ failed"
    assert lines[2] == "**FAILED 3 gates**"
    assert lines[4] == (
        "Against `edgeval-baseline.json`; allowed: no other word, metric 0 worse, damage 0.0 %, "
        "LUT/FF/DSP/BRAM 10.0 %, latency 2.0 % more."
    )


def test_every_gate_has_its_row() -> None:
    assert rows(EXAMPLE) == [
        ["run", "gate", "status", "what was found"],
        ["digits", "types", "❌ failed", TYPES_FAILED.summary],
        ["digits", "weights", "✅ passed", "6,464 words as locked"],
        ["jets", "csim", "⚠️ skipped", "g++ was not found"],
    ]


def test_a_skipped_gate_is_marked_as_an_error_where_skips_are_errors() -> None:
    record = record_of(CSIM_SKIPPED, skipped_is_error=True)
    assert rows(record)[1][2] == "❌ skipped"
    assert "skipped, which was asked to be an error: g++ was not found" in markdown_summary(record, "b.json")


def test_a_failed_gate_has_its_details_and_its_remedy() -> None:
    text = read(rendered(markdown_summary(EXAMPLE, "edgeval-baseline.json")))
    assert "digits: types: word formats, layer by layer" in text
    assert "first at fc2[0, 5]: locked 25, now -423" in text
    assert "To do: pin hls4ml==1.2, or accept it with --update" in text


def test_it_says_how_a_change_is_accepted() -> None:
    assert "edgeval regress check --update --baseline 'ci/my baseline.json'" in markdown_summary(
        EXAMPLE, "ci/my baseline.json"
    )


def test_nothing_is_to_be_accepted_where_nothing_failed() -> None:
    for strict in (False, True):
        assert "--update" not in markdown_summary(record_of(CSIM_SKIPPED, skipped_is_error=strict), "b.json")


@given(text=AWKWARD_TEXT)
def test_any_text_is_read_back_as_it_was_shown(text: str) -> None:
    html = rendered(f"start{escaped(text)}end")
    shown = visible(text).replace("\t", " ").replace("@", f"@{ZERO_WIDTH}").replace("#", f"#{ZERO_WIDTH}")
    assert read(html) == f"start{shown}end\n"


@given(text=AWKWARD_TEXT)
def test_any_text_is_read_back_from_a_cell_of_the_table(text: str) -> None:
    (_, row) = rows(one_gate("passed", text=text))
    shown = one_line(text).replace("@", f"@{ZERO_WIDTH}").replace("#", f"#{ZERO_WIDTH}")
    assert row == ["digits", "csim", "✅ passed", shown]


@settings(max_examples=30)
@given(record=AWKWARD_RECORDS)
def test_no_record_makes_markup_of_its_own(record: RegressRecord) -> None:
    html = rendered(markdown_summary(record, "b.json"))
    assert html.count("<tr>") == 1 + len(record.gates)
    assert html.count("<h3>") == 1
    failed = sum(
        gate.status == "failed" or (gate.status == "skipped" and record.skipped_is_error) for gate in record.gates
    )
    assert html.count("<h4>") == failed
    assert not re.search(r"<(a|img|script|em|del)\b", html)


@given(text=AWKWARD_TEXT)
def test_any_text_is_read_back_as_code(text: str) -> None:
    html = rendered(f"x {code(text)}")
    assert f"<p>x <code>{one_line(text) or ' '}</code></p>\n" == unescape(html)


def test_a_very_long_summary_fits_into_a_comment_and_says_what_is_missing() -> None:
    gates = [
        Gate(run=f"run{n}", name="words", status="failed", summary="differs", details=("x" * 3000,)) for n in range(100)
    ]
    text = markdown_summary(record_of(*gates), "b.json")
    assert len(text) <= LONGEST
    assert "More than fits into a comment" in text
    assert rendered(text).count("<tr>") == 101
    assert text.count("```") % 2 == 0
    assert "--update" in text


def test_a_table_longer_than_a_comment_is_cut_between_rows() -> None:
    gates = [Gate(run=f"run{n}", name="words", status="failed", summary="y" * 300) for n in range(1000)]
    text = markdown_summary(record_of(*gates), "b.json")
    assert len(text) <= LONGEST
    assert all(row.endswith("|") for row in text.splitlines() if row.startswith("|"))
    assert "--update" in text
