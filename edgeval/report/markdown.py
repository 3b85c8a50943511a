"""Summary of a check for a pull request: verdict, counts, gates, what changed and how to accept it.

Written for GitHub's and GitLab's Markdown. What comes from the record is escaped, so that the name of a layer cannot
make a heading, an image that is fetched, or a mention of somebody.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.gates import GATE_TITLES, gate_sentence, gate_title, gates_of, outcome, run_names
from edgeval.report.text import percent
from edgeval.report.visible import one_line, shortened, visible

LONGEST = 60_000
"""Characters of a whole summary: a comment on GitHub holds 65,536."""

LONGEST_CELL = 400
LONGEST_DETAIL = 4_000

_MORE = "More than fits into a comment: the rest is in the log and in the other outputs of `edgeval regress check`."
_MARKS = {"passed": "✅ passed", "failed": "❌ failed", "skipped": "⚠️ skipped", "skipped_is_error": "❌ skipped"}
_SPECIAL = re.compile(r"[\\`*_{}\[\]|~$!]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@&#8203;", "#": "#&#8203;"}


def markdown_summary(record: RegressRecord, baseline: str) -> str:
    """The record as Markdown.

    Args:
        record: Of a check.
        baseline: Its file, as given to the command.
    """
    head = [
        f"### edgeval regress check: {_MARKS[record.verdict]}",
        "",
        f"**{_cell(record.headline)}**",
        "",
        f"Against {code(baseline)}; allowed: {_allowed(record)}.",
        "",
        *_table(record),
    ]
    wrong = [gate for gate in record.gates if outcome(gate, record) in ("failed", "skipped_is_error")]
    sections = ["\n".join(["", *_section(gate, record)]) for gate in wrong]
    return _joined(head, sections, _accepting(record, baseline))


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is, in a paragraph or a cell of a table, a line break as one.

    A zero-width blank behind ``@`` and ``#`` keeps the hosts from making a mention or a reference of them.

    Example:
        >>> escaped("fc2|w: <18,9>\n*new*")
        'fc2\\|w: &lt;18,9&gt;<br>\\*new\\*'
    """
    shown = "".join(_ENTITIES.get(character, character) for character in _SPECIAL.sub(r"\\\g<0>", visible(text)))
    return shown.replace("\t", " ").replace("\n", "<br>")


def code(text: str) -> str:
    """Text as code, whatever backticks it holds.

    Example:
        >>> code("a `b`")
        '`` a `b` ``'
    """
    shown = one_line(text) or " "
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _table(record: RegressRecord) -> Iterable[str]:
    yield "| run | gate | status | what was found |"
    yield "| --- | --- | --- | --- |"
    for run in run_names(record):
        for gate in gates_of(record, run):
            cells = (escaped(run) or "all runs", gate.name, _MARKS[outcome(gate, record)], _cell(gate.summary))
            yield f"| {' | '.join(cells)} |"


def _allowed(record: RegressRecord) -> str:
    allowed = record.tolerances
    return (
        f"no other word, metric {allowed.metric:g} worse, damage {percent(allowed.damage)}, "
        f"LUT/FF/DSP/BRAM {percent(allowed.resources)}, latency {percent(allowed.latency)} more"
    )


def _cell(text: str) -> str:
    return escaped(shortened(one_line(text), LONGEST_CELL))


def _section(gate: Gate, record: RegressRecord) -> Iterable[str]:
    """What is known about a gate that does not hold."""
    yield f"#### {escaped(one_line(gate_title(gate)))}: {GATE_TITLES[gate.name]}"
    yield ""
    yield escaped(shortened(gate_sentence(gate, record), LONGEST_DETAIL))
    if gate.details:
        yield ""
        yield from _fenced("\n".join(gate.details))
    if gate.remedy:
        yield ""
        yield f"To do: {escaped(gate.remedy)}"


def _fenced(text: str) -> Iterable[str]:
    shown = shortened(visible(text), LONGEST_DETAIL)
    fence = "`" * max(3, _longest_run(shown) + 1)
    yield f"{fence}text"
    yield shown
    yield fence


def _accepting(record: RegressRecord, baseline: str) -> list[str]:
    """How a change is accepted: not where all that is wrong is that something was skipped."""
    if all(gate.status != "failed" for gate in record.gates):
        return []
    return [
        "",
        "If these changes are meant, accept them at the root of the repository, and commit the baseline:",
        "",
        *_fenced(f"edgeval regress check --update --baseline {shlex.quote(baseline)}"),
    ]


def _joined(head: list[str], sections: list[str], end: list[str]) -> str:
    """All of it if it is short enough; else as many whole rows and sections as there is room for, and the end."""
    room = LONGEST - len("\n".join(end)) - len(_MORE) - 10
    kept: list[str] = []
    for part in [*head, *sections]:
        room -= len(part) + 1
        if room < 0:
            return "\n".join([*kept, "", _MORE, *end, ""])
        kept.append(part)
    return "\n".join([*kept, *end, ""])


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
