"""``edgeval inject-faults``: flip stored bits, see what the network makes of it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from edgeval.fault_options import FaultOptions
from edgeval.plan_record import FaultPlan
from edgeval.records import InjectRecord
from edgeval.report.headlines import cross_check_texts, inject_headline, mean_change_text, plan_headline
from edgeval.report.self_test_text import write_self_test
from edgeval.report.text import (
    metric_change_text,
    metric_text,
    percent,
    seconds_text,
    write_estimate,
    write_json,
    write_line,
    write_table,
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class InjectConfig:
    """Options of ``edgeval inject-faults``."""

    run: Path
    """Run directory, or a QONNX file."""
    _: KW_ONLY
    inputs: Path | None = None
    """.npz with `inputs` and, optionally, `labels`, instead of the run's evaluation set."""
    task: Literal["classification", "regression"] | None = None
    """For a QONNX file: what its outputs mean."""
    input_format: str | None = None
    """For a QONNX file that never quantizes its input: format of its words, fixed<W,I>."""
    faults: FaultOptions = FaultOptions()  # noqa: RUF009  # frozen: one default for all is what is meant
    """Which faults, and how they are judged."""
    self_test: bool = False
    """Make errors in the campaign on purpose and see whether brute force finds them; 2,000 faults, 50 samples."""
    json: bool = False
    """Print the record."""


def inject_faults(config: InjectConfig) -> int:
    """Flip stored bits one at a time and report masked, tolerable and critical faults, layer by bit."""
    from edgeval.fault_planning import plan_run
    from edgeval.importing import GraphOptions
    from edgeval.injection import inject_run
    from edgeval.pipeline import opened_run
    from edgeval.self_test.campaign import require_options, self_test_campaign

    options = GraphOptions(
        inputs=config.inputs,
        task=config.task,
        metric=None if config.run.is_dir() else config.faults.metric,  # a run has one; faults may be judged by another
        input_format=config.input_format,
        seed=config.faults.seed,
    )
    if config.self_test:
        require_options(config.faults)
    with opened_run(config.run, options) as run:
        inputs = config.inputs if config.run.is_dir() else None
        if config.self_test:
            return write_self_test(self_test_campaign(run, config.faults, inputs), json=config.json)
        result = plan_run(run, config.faults, inputs) if config.faults.plan else inject_run(run, config.faults, inputs)
    if config.json:
        write_json(result)
    elif isinstance(result, FaultPlan):
        _write_plan(result, config.run)
    else:
        _write(result)
    return 0 if isinstance(result, FaultPlan) or result.agreed else 1


def _write_plan(plan: FaultPlan, run: Path) -> None:
    workers = "this process" if plan.workers == 1 else f"{plan.workers} workers"
    write_line(plan_headline(plan))
    write_line(
        f"predicted: {seconds_text(plan.seconds)} for all, on {workers} with {plan.kernel_threads} kernel threads "
        f"(an estimate, from {plan.probed:,} faults timed just now on this machine)"
    )
    write_line(
        f"a stratified sample for ± {percent(plan.margin, 2)} at {percent(plan.confidence)} confidence: at most "
        f"{plan.sample:,} faults, {seconds_text(plan.sample_seconds)}"
    )
    write_line(f"{'all faults' if plan.chosen == 'exhaustive' else 'the sample'}: {plan.why}")
    write_line(f"edgeval inject-faults {run} {plan.options}".rstrip())


def _write(record: InjectRecord) -> None:
    write_line(inject_headline(record))
    relative = "against labels" if record.label_relative else "against the fault-free answers"
    write_line(f"fault-free {metric_text(record.metric)}, {relative}; {_decision(record)}")
    write_line(mean_change_text(record))
    if record.estimate is not None:
        write_estimate(record.estimate, record.metric)
    for line in cross_check_texts(record):
        write_line(line)
    _write_damage(record)
    if record.worst:
        worst = record.worst[0]
        words = "" if worst.golden_word is None else f"word {worst.golden_word} → {worst.faulty_word}, "
        write_line(f"worst fault {worst.site}: {words}{metric_change_text(worst.metric_change, record.metric.unit)}")


def _write_damage(record: InjectRecord) -> None:
    if not record.damage:
        return
    unit = record.metric.unit
    write_table(
        ["tensor", "bit", "faults", "masked", "tolerable", "critical", "decisions", "mean change", "worst change"],
        [
            [
                row.tensor,
                str(row.bit),
                f"{row.faults:,}",
                "" if row.masked is None else percent(row.masked),
                "" if row.tolerable is None else percent(row.tolerable),
                percent(row.critical),
                percent(row.mean_decisions_changed, 2),
                metric_change_text(row.mean_metric_change, unit),
                metric_change_text(row.worst_metric_change, unit),
            ]
            for row in record.damage
        ],
    )


def _decision(record: InjectRecord) -> str:
    if record.decision == "argmax":
        return "a decision is the arg-max, lowest index wins ties"
    return f"a decision changes when an output moves by more than {record.tolerance:.4g} {record.metric.unit}"
