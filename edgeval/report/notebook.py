"""Results as a notebook shows them: one piece of HTML each, escaped, self-contained, without script or style sheet.

Notebooks have themes of their own that no page can ask for, so nothing here relies on one: text and lines take the
colour of the surroundings, and only the verdict, which is white on its own ground, brings colours. Styles are
attributes, because notebook viewers strip style sheets from pages they do not trust.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from edgeval.plan_record import FaultPlan
from edgeval.records import CompareRecord, ExportRecord, InjectRecord, MatrixRecord, RunRecord
from edgeval.regression.baseline import Baseline
from edgeval.regression_record import GateStatus, RegressRecord
from edgeval.report.headlines import (
    complexity_text,
    cross_check_texts,
    export_headline,
    inject_headline,
    lock_headline,
    mean_change_text,
    plan_headline,
    train_headline,
)
from edgeval.report.markup import Child, Markup, code, element
from edgeval.report.numbers import count, percent
from edgeval.report.text import metric_change_text, metric_text, seconds_text
from fault_injection.damage import DamageRow

Tone = Literal["good", "bad", "warn", "plain"]

ROWS = 40
"""Rows of a table that are shown; what is left out is said."""

_GROUND: dict[Tone, str] = {"good": "#11693c", "bad": "#a31d15", "warn": "#7a4f00", "plain": "#4a535b"}
_LINE = "1px solid rgba(128,128,128,.35)"
_BOX = f"border:{_LINE};border-radius:6px;padding:.7em .9em;margin:.3em 0;max-width:62em;line-height:1.45"
_CELL = f"white-space:nowrap;padding:.15em .7em;border-bottom:{_LINE};font-variant-numeric:tabular-nums"
_GATES: dict[GateStatus, Tone] = {"passed": "good", "failed": "bad", "skipped": "warn"}
_VERDICTS: dict[str, tuple[Tone, str]] = {
    "match": ("good", "MATCH"),
    "differ": ("bad", "DIFFER"),
    "no_verdict": ("warn", "NO VERDICT"),
}


def run_html(record: RunRecord, path: str, present: Sequence[str]) -> Markup:
    """A run: what it is of, and which records it holds."""
    facts: list[Child] = [f"{record.title}; {record.task}, {record.samples:,} samples"]
    if record.complexity is not None:
        facts.append(complexity_text(record.complexity))
    facts.append(["records: ", ", ".join(present) or "none yet"])
    return _box("plain", "RUN", train_headline(record) if record.recipe else record.source, facts, path)


def train_html(record: RunRecord, path: str) -> Markup:
    """A trained run."""
    facts = [] if record.complexity is None else [complexity_text(record.complexity)]
    return _box("plain", "TRAINED", train_headline(record), facts, path)


def export_html(record: ExportRecord, path: str) -> Markup:
    """Layers of the integer network, and where its hls4ml project is."""
    facts: list[Child] = [f"note: {note}" for note in record.notes]
    if record.qonnx.network_metric is not None:
        facts.append(f"integer network: {metric_text(record.qonnx.network_metric)}")
    facts.append(
        f"hls4ml project ({record.backend}, {record.io_type}) in {record.project}"
        if record.refused is None
        else f"no hls4ml project: {record.refused}"
    )
    rows = [
        [
            row.name, row.form, "×".join(map(str, row.shape)), code(row.output_format), code(row.weight_format or "–"),
            f"{row.accumulator_bits} bits" if row.accumulator_bits else "–", count(row.weights or row.constants),
        ]
        for row in record.layers
    ]  # fmt: skip
    header = ["layer", "form", "shape", "output", "weights", "accumulator", "words"]
    table = _table(header, rows, text_columns=5)
    tone: Tone = "plain" if record.refused is None else "warn"
    return _box(tone, "EXPORTED", export_headline(record), facts, path, table)


def compare_html(record: CompareRecord, path: str) -> Markup:
    """A verdict, its evidence layer by layer, and the first difference."""
    tone, badge = _VERDICTS[record.verdict]
    facts: list[Child] = [f"audit: {finding}" for finding in record.audit]
    if record.diagnosis is not None:
        facts.append(f"cause: {record.diagnosis.cause}: {record.diagnosis.explanation}")
        facts.append(f"remedy: {record.diagnosis.remedy}")
    elif record.first is not None:
        facts.append(f"cause: {record.first.cause}")
    facts.append(f"on {record.inputs}; {record.backend} {record.io_type}, {record.compiler}")
    rows = [
        [row.value, count(row.words), count(row.differing), count(row.distinct), count(row.saturations)]
        for row in record.layers
    ]
    table = _table(["layer", "words", "differing", "distinct", "saturations"], rows)
    return _box(tone, badge, _behind(record.headline, badge), facts, path, table if rows else "")


def matrix_html(record: MatrixRecord, path: str) -> Markup:
    """The verdict of every C-simulation of a network."""
    tone, badge = _VERDICTS[record.verdict]
    rows = [
        [row.backend, row.io_type, row.strategy, row.status, count(row.words), count(row.differing)]
        for row in record.rows
    ]
    table = _table(["back end", "interface", "strategy", "verdict", "words", "differing"], rows, text_columns=4)
    facts = [f"{record.samples:,} samples of {record.inputs}; {record.compiler}"]
    return _box(tone, badge, _behind(record.headline, badge), facts, path, table)


def inject_html(record: InjectRecord, path: str) -> Markup:
    """A campaign: classes of faults, damage by tensor and bit, the worst faults."""
    relative = "against labels" if record.label_relative else "against the fault-free answers"
    facts: list[Child] = [
        f"fault-free {metric_text(record.metric)}, {relative}",
        mean_change_text(record),
        *cross_check_texts(record),
    ]
    worst = [
        [row.site, _words(row.golden_word, row.faulty_word), metric_change_text(row.metric_change, record.metric.unit)]
        for row in record.worst[:5]
    ]
    return _box(
        "plain" if record.agreed else "bad", "FAULTS", inject_headline(record), facts, path,
        _heat(record.damage),
        _table(["worst faults", "word", f"change of {record.metric.name}"], worst, text_columns=2) if worst else "",
    )  # fmt: skip


def plan_html(plan: FaultPlan, path: str) -> Markup:
    """What a campaign would cost."""
    facts = [
        f"predicted: {seconds_text(plan.seconds)} for all, from {plan.probed:,} faults timed just now",
        f"a stratified sample for ± {percent(plan.margin)}: at most {plan.sample:,} faults, "
        f"{seconds_text(plan.sample_seconds)}",
        f"{'all faults' if plan.chosen == 'exhaustive' else 'the sample'}: {plan.why}",
    ]
    return _box("plain", "PLAN", plan_headline(plan), facts, path)


def lock_html(baseline: Path, runs: int, record: Baseline) -> Markup:
    """What a baseline holds now."""
    rows = [
        [
            run.name, run.source, count(len(run.types)), count(run.stored_bits),
            count(sum(layer.words for layer in run.words.layers)), count(run.faults.faults),
        ]
        for run in record.runs
    ]  # fmt: skip
    table = _table(["run", "of", "types", "stored bits", "words", "faults"], rows, text_columns=2)
    return _box(
        "plain", "LOCKED", _behind(lock_headline(baseline, runs, len(record.runs)), "LOCKED"), [], str(baseline), table
    )


def check_html(record: RegressRecord, path: str) -> Markup:
    """Every gate, those that failed first."""
    badge = record.verdict.upper()
    order = {"failed": 0, "skipped": 1, "passed": 2}
    gates = sorted(record.gates, key=lambda gate: order[gate.status])
    causes: list[Child] = [
        [element("strong", f"{gate.run} {gate.name}: "), gate.summary, f" To do: {gate.remedy}" if gate.remedy else ""]
        for gate in gates
        if gate.status != "passed"
    ]
    rows = [[gate.run or "all", gate.name, gate.status] for gate in gates]
    tone = _GATES[record.verdict]
    return _box(
        tone, badge, _behind(record.headline, badge), causes, path,
        _table(["run", "gate", "status"], rows, text_columns=3),
    )  # fmt: skip


def _box(tone: Tone, badge: str, headline: str, facts: Iterable[Child], path: str, *more: Child) -> Markup:
    mark = element(
        "strong", badge,
        style=f"background:{_GROUND[tone]};color:#fff;border-radius:4px;padding:.1em .5em;margin-right:.6em",
    )  # fmt: skip
    lines = [element("div", fact, style="opacity:.85;font-size:.92em;overflow-wrap:anywhere") for fact in facts]
    place = element("div", ["in ", code(path)], style="opacity:.7;font-size:.85em;margin-top:.5em")
    return element("div", element("div", mark, headline, style="margin-bottom:.35em"), lines, *more, place, style=_BOX)


def _table(header: Sequence[Child], rows: Sequence[Sequence[Child]], *, text_columns: int = 1) -> Markup:
    sides = ["left" if column < text_columns else "right" for column in range(len(header))]
    head = element("tr", [_cell("th", h, side, scope="col") for h, side in zip(header, sides, strict=True)])
    body = [element("tr", [_cell("td", cell, side) for cell, side in zip(row, sides, strict=True)]) for row in rows]
    more = len(rows) - ROWS
    note = element("div", f"and {more:,} more rows in .record", style="opacity:.7;font-size:.85em") if more > 0 else ""
    inner = element(
        "table", element("thead", head), element("tbody", body[:ROWS]), style="border-collapse:collapse;margin:0"
    )
    return element("div", inner, note, style="overflow-x:auto;margin:.5em 0")


def _cell(tag: str, content: Child, side: str, extra: str = "", scope: str | None = None) -> Markup:
    return element(tag, content, style=f"text-align:{side};{_CELL}{extra}", scope=scope)


def _heat(damage: Sequence[DamageRow]) -> Child:
    """Mean share of decisions that a fault changes, tensor by bit."""
    if not damage:
        return ""
    tensors = list(dict.fromkeys(row.tensor for row in damage))
    bits = sorted({row.bit for row in damage}, reverse=True)
    shares = {(row.tensor, row.bit): row.mean_decisions_changed for row in damage}
    top = max(shares.values()) or 1.0
    head = [_cell("th", h, side, scope="col") for h, side in [("decisions changed by a fault of bit", "left")]]
    head += [_cell("th", f"{bit}", "right", scope="col") for bit in bits]
    body = [
        element(
            "tr",
            _cell("td", tensor, "left"),
            [
                _cell("td", "" if share is None else percent(share), "right", _shade(share, top))
                for share in (shares.get((tensor, bit)) for bit in bits)
            ],
        )
        for tensor in tensors[:ROWS]
    ]
    inner = element(
        "table", element("thead", element("tr", head)), element("tbody", body), style="border-collapse:collapse"
    )
    return element("div", inner, style="overflow-x:auto;margin:.5em 0")


def _shade(share: float | None, top: float) -> str:
    """Orange ground that any text colour can be read on."""
    return "" if not share else f";background:rgba(214,108,38,{0.5 * share / top:.2f})"


def _words(golden: int | None, faulty: int | None) -> str:
    return "" if golden is None else f"{golden} → {faulty}".replace("-", "−")


def _behind(headline: str, badge: str) -> str:
    return headline.removeprefix(badge).removeprefix(":").strip()
