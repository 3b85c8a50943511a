"""What became of each error → the record of a self-test, with its score as first line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgeval.records import Fingerprint
from edgeval.self_test_record import Mutant, SelfTestRecord


def scored(verb: str, fingerprint: Fingerprint, samples: int, mutants: Sequence[Mutant]) -> SelfTestRecord:
    """The record of a self-test whose comparison was true to begin with."""
    count = {status: sum(mutant.status == status for mutant in mutants) for status in _STATUSES}
    visible = count["detected"] + count["missed"]
    verdict: Literal["detected", "missed", "no_verdict"] = "detected" if visible else "no_verdict"
    if count["missed"]:
        verdict = "missed"
    return SelfTestRecord(
        fingerprint=fingerprint,
        verb=verb,
        verdict=verdict,
        headline=_headline(count, visible, samples, mutants),
        detected=count["detected"],
        visible=visible,
        samples=samples,
        mutants=tuple(mutants),
    )


def without_verdict(verb: str, fingerprint: Fingerprint, samples: int, reason: str) -> SelfTestRecord:
    """The record of a self-test that could not begin: what is compared is not true without any error, either."""
    return SelfTestRecord(
        fingerprint=fingerprint,
        verb=verb,
        verdict="no_verdict",
        headline=f"SELF-TEST NO VERDICT: without any error, {reason}",
        detected=0,
        visible=0,
        samples=samples,
        mutants=(),
    )


_STATUSES = ("detected", "missed", "equivalent", "no_place")


def _headline(count: dict[str, int], visible: int, samples: int, mutants: Sequence[Mutant]) -> str:
    left_out = [
        text
        for text in (
            f"{count['equivalent']} without an effect" if count["equivalent"] else "",
            f"{count['no_place']} without a place" if count["no_place"] else "",
        )
        if text
    ]
    rest = f" ({', '.join(left_out)})" if left_out else ""
    on = f"{rest} on {samples:,} samples"
    if not visible:
        return f"SELF-TEST NO VERDICT: no mutant has a visible effect{on}"
    missed = [mutant.mutation for mutant in mutants if mutant.status == "missed"]
    named = f"; MISSED: {', '.join(missed)}" if missed else ""
    return f"SELF-TEST {count['detected']} of {visible} visible mutants detected{on}{named}"
