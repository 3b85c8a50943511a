"""A self-test for people: the score, each error and what saw it, and everything about those that nothing saw."""

from __future__ import annotations

from edgeval.report.text import write_json, write_line, write_table
from edgeval.self_test_record import Mutant, SelfTestRecord


def write_self_test(record: SelfTestRecord, *, json: bool) -> int:
    """Print a self-test, or exactly its record.

    Returns:
        The command's exit code: 0 where every visible error was seen, and there was one.
    """
    if json:
        write_json(record)
    else:
        write_line(record.headline)
        if record.mutants:
            write_table(["error", "place", "result", "seen by", "change"], [_row(mutant) for mutant in record.mutants])
        for mutant in record.mutants:
            if mutant.status == "missed":
                write_line(f"MISSED {mutant.mutation} at {mutant.place}: {mutant.evidence}")
    return 0 if record.verdict == "detected" else 1


def _row(mutant: Mutant) -> list[str]:
    result = {"no_place": "no place", "missed": "MISSED"}.get(mutant.status, mutant.status)
    return [mutant.mutation, mutant.place, result, ", ".join(mutant.detected_by), mutant.change or mutant.evidence]
