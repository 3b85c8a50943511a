"""One run against its baseline: a gate for each thing that was locked, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from edgeval.regression.attribution import Attribution, attribution
from edgeval.regression.baseline import LockedRun
from edgeval.regression.changes import leading_change, network_changes, type_changes
from edgeval.regression.figures import fault_gate, latency_gate, metric_gate, resource_gate
from edgeval.regression.observe import Observation, Simulated
from edgeval.regression.sentences import Change
from edgeval.regression.weight_changes import weight_changes
from edgeval.regression.word_differences import WordDifferences, word_differences
from edgeval.regression_record import Gate, GateName, GateStatus, Tolerances
from hls.graph import IntegerGraph

ORDER: tuple[GateName, ...] = (
    "options", "network", "types", "weights", "words", "csim", "metric", "faults", "resources", "latency", "versions",
)  # fmt: skip
_ACCEPT = "where it is meant, lock it with `edgeval regress check --update`; else put back what the cause names"
_MOST_DETAILS = 12
"""Further sentences of one gate; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A locked run and the same run now, with all that their gates need.

    Attributes:
        graph: The integer network now; ``None`` where there is only a baseline of it.
        inputs: Real inputs of the evaluation set now; ``None`` as well.
        simulated: The C-simulation now; ``None`` where none was run.
        wrong_faults: Why its campaign of faults cannot be believed; empty where it can.
        stale: Why the run's own export is not what was made anew; empty where it is.
        report_note: Why there is no synthesis report now.
        seconds: By gate.
    """

    old: LockedRun
    new: LockedRun
    graph: IntegerGraph | None = None
    inputs: np.ndarray | None = None
    simulated: Simulated | None = None
    wrong_faults: str = ""
    stale: str = ""
    report_note: str = "no synthesis report was locked"
    seconds: dict[str, float] = field(default_factory=dict)


def observed_run(old: LockedRun, now: Observation) -> Compared:
    """A locked run and what was observed of it now."""
    return Compared(
        old=old,
        new=now.run,
        graph=now.graph,
        inputs=now.inputs,
        simulated=now.simulated,
        wrong_faults=now.wrong_faults,
        stale=now.stale,
        report_note=now.report_note,
        seconds=now.seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The gates of one run.

    Attributes:
        leading: What most likely made the first of them fail, with its consequence; empty where none did.
    """

    gates: tuple[Gate, ...]
    leading: str


def judged(case: Compared, tolerances: Tolerances) -> Judged:
    """Compare everything that was locked.

    Raises:
        InputError: the baseline is damaged.
    """
    why = attribution(case.old, case.new)
    words = word_differences(case.old, case.new, case.graph, case.inputs)
    gates = (
        _options_gate(case, why, words),
        _network_gate(case, why, words),
        _types_gate(case, why, words),
        _weights_gate(case, why, words),
        _words_gate(case, why, words),
        _csim_gate(case),
        metric_gate(case.old, case.new, tolerances.metric, why),
        _fault_gate(case, tolerances.damage, why),
        resource_gate(case.old, case.new, tolerances.resources, case.report_note),
        latency_gate(case.old, case.new, tolerances.latency, case.report_note),
        _versions_gate(case, why, words),
    )
    timed = tuple(msgspec.structs.replace(gate, seconds=round(case.seconds.get(gate.name, 0.0), 3)) for gate in gates)
    return Judged(gates=timed, leading=_leading(case, timed, why, words))


def _leading(case: Compared, gates: Sequence[Gate], why: Attribution, words: WordDifferences) -> str:
    failed = [gate for gate in gates if gate.status == "failed"]
    if not failed:
        return ""
    change = leading_change(case.old, case.new)
    if change is None or why.can_change_words:
        return failed[0].summary
    return f"{why.sentence(change)}: {words.text}"


def broken(old: LockedRun, found: str, remedy: str, tools: Sequence[str]) -> Judged:
    """The gates of a run that cannot be exported any more: one that says so, and nothing to compare in the others."""
    what = f"the model gives no integer network any more: {found}"
    because = f"tools that changed: {', '.join(tools)}" if tools else "no tool changed: the model or its options did"
    gates = tuple(
        Gate(run=old.name, name=name, status="failed", summary=what, details=(because,), remedy=remedy)
        if name == "network"
        else Gate(
            run=old.name, name=name, status="skipped", summary="nothing to compare: the export failed", remedy=remedy
        )
        for name in ORDER
    )
    return Judged(gates=gates, leading=what)


def _passed(case: Compared, name: GateName, summary: str, *details: str) -> Gate:
    return Gate(run=case.old.name, name=name, status="passed", summary=summary, details=details)


def _changed_gate(
    case: Compared, name: GateName, sentences: Sequence[str], why: Attribution, words: WordDifferences
) -> Gate:
    """A failed gate: the first change with its consequence, the cause, then all others."""
    rest = list(sentences[1 : _MOST_DETAILS + 1])
    if len(sentences) - 1 > len(rest):
        rest.append(f"and {len(sentences) - 1 - len(rest)} more")
    return Gate(
        run=case.old.name,
        name=name,
        status="failed",
        summary=f"{sentences[0]}: {words.text}",
        details=(why.evidence(), *rest),
        remedy=_ACCEPT,
    )


def _options_gate(case: Compared, why: Attribution, words: WordDifferences) -> Gate:
    options = case.new.options
    if why.options:
        consequence = words.text if not why.model else f"{words.text}, but the model changed, too"
        sentences = [change.text for change in why.options]
        found = WordDifferences(text=consequence, any_differ=words.any_differ, notes=words.notes)
        gate = _changed_gate(case, "options", sentences, why, found)
        # The options are what this gate is about: they are no effect of something else.
        return _without_cause(gate)
    return _passed(
        case, "options",
        f"as locked: {options.backend} {options.io_type} {options.strategy}, reuse factor {options.reuse_factor}, "
        f"{options.clock_period:g} ns",
    )  # fmt: skip


def _without_cause(gate: Gate) -> Gate:
    return msgspec.structs.replace(gate, details=gate.details[1:])


def _network_gate(case: Compared, why: Attribution, words: WordDifferences) -> Gate:
    changes = network_changes(case.old, case.new)
    if changes:
        return _changed_gate(case, "network", [*_sentences(changes, why), *filter(None, [case.stale])], why, words)
    if case.stale:
        return Gate(
            run=case.old.name, name="network", status="failed",
            summary=f"the run's own files are not what its model gives, which is as locked: {case.stale}",
            remedy="run `edgeval export` on it with its options again",
        )  # fmt: skip
    nodes = len(case.new.network.nodes)
    return _passed(case, "network", f"{nodes} nodes as locked, forms and roundings among them")


def _types_gate(case: Compared, why: Attribution, words: WordDifferences) -> Gate:
    changes = type_changes(case.old, case.new)
    if changes:
        return _changed_gate(case, "types", _sentences(changes, why), why, words)
    return _passed(case, "types", f"{len(case.new.types)} types as locked")


def _weights_gate(case: Compared, why: Attribution, words: WordDifferences) -> Gate:
    changes = weight_changes(case.old, case.new)
    if changes:
        bits = case.old.stored_bits, case.new.stored_bits
        more = [] if bits[0] == bits[1] else [f"stored bits went from {bits[0]:,} to {bits[1]:,}"]
        return _changed_gate(case, "weights", [*_sentences(changes, why), *more], why, words)
    return _passed(case, "weights", f"{len(case.new.tensors)} tensors as locked, {case.new.stored_bits:,} stored bits")


def _sentences(changes: Sequence[Change], why: Attribution) -> list[str]:
    return [why.sentence(change) for change in changes]


def _words_gate(case: Compared, why: Attribution, words: WordDifferences) -> Gate:
    old, new = case.old.words, case.new.words
    total = sum(layer.words for layer in new.layers)
    if old.data != new.data:
        what = f"the evaluation set changed ({old.samples:,} → {new.samples:,} samples, sha256 {old.data[:8]}… → "
        return Gate(
            run=case.old.name, name="words", status="failed", summary=f"{what}{new.data[:8]}…): {words.text}",
            details=words.notes, remedy="lock again with `edgeval regress check --update`, or bring the samples back",
        )  # fmt: skip
    if words.any_differ:
        subject = "" if why.tool is None else f"{why.tool}: "
        return Gate(
            run=case.old.name, name="words", status="failed", summary=f"{subject}{words.text}",
            details=(why.evidence(), *words.notes), remedy=_ACCEPT,
        )  # fmt: skip
    return _passed(
        case, "words",
        f"{total:,} words of {len(new.layers)} layers on {new.samples:,} samples and {len(old.golden)} golden samples: "
        f"{words.text}",
        *words.notes,
    )  # fmt: skip


def _csim_gate(case: Compared) -> Gate:
    found = case.simulated
    if found is None:
        return Gate(
            run=case.old.name, name="csim", status="skipped",
            summary="nothing was run: there is only a baseline to compare",
            remedy="compare run directories, or use `edgeval regress check`",
        )  # fmt: skip
    failed = found.kind in ("differ", "no_verdict", "failed") or (found.kind == "refused" and case.old.csim == "match")
    status: GateStatus = "passed" if found.kind == "match" else "failed" if failed else "skipped"
    return Gate(
        run=case.old.name, name="csim", status=status,
        summary=found.text, remedy="" if status == "passed" else found.remedy,
    )  # fmt: skip


def _fault_gate(case: Compared, tolerance: float, why: Attribution) -> Gate:
    if case.wrong_faults:
        return Gate(
            run=case.old.name, name="faults", status="failed", summary=case.wrong_faults,
            remedy="please report this network: the campaign or the engine is wrong",
        )  # fmt: skip
    return fault_gate(case.old, case.new, tolerance, why)


def _versions_gate(case: Compared, why: Attribution, words: WordDifferences) -> Gate:
    if not why.tools:
        return _passed(case, "versions", f"{len(case.new.versions)} tool versions as locked")
    changed = ", ".join(why.tools)
    if words.any_differ and why.tool is not None:
        return Gate(
            run=case.old.name, name="versions", status="failed", summary=f"{changed}: {words.text}",
            details=words.notes, remedy=_ACCEPT,
        )  # fmt: skip
    if words.any_differ:
        return _passed(case, "versions", f"{changed}; the words that differ have another cause")
    return _passed(case, "versions", f"{changed}: {words.text}")
