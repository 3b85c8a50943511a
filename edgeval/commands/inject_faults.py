"""``edgeval inject-faults``: flip stored bits, see what the network makes of it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from edgeval.fault_options import FaultOptions
from edgeval.records import InjectRecord
from edgeval.report.text import metric_change_text, metric_text, percent, write_json, write_line, write_table


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
    metric: str | None = None
    """For a QONNX file: accuracy, rmse or mae."""
    input_format: str | None = None
    """For a QONNX file that never quantizes its input: format of its words, fixed<W,I>."""
    faults: FaultOptions = FaultOptions()  # noqa: RUF009  # frozen: one default for all is what is meant
    """Which faults, and how they are judged."""
    json: bool = False
    """Print the record."""


def inject_faults(config: InjectConfig) -> int:
    """Flip stored bits one at a time and report masked, tolerable and critical faults, layer by bit."""
    from edgeval.importing import GraphOptions
    from edgeval.injection import inject_run
    from edgeval.pipeline import opened_run

    with opened_run(
        config.run,
        GraphOptions(
            inputs=config.inputs,
            task=config.task,
            metric=config.metric,
            input_format=config.input_format,
            seed=config.faults.seed,
        ),
    ) as run:
        record = inject_run(run, config.faults, config.inputs if config.run.is_dir() else None)
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 1 if record.cross_check is not None and record.cross_check.mismatches else 0


def _write(record: InjectRecord) -> None:
    share = "every site" if record.exhaustive else f"a sample of {record.sites:,} sites"
    skipped = record.fingerprint.configuration["skip-pruned"]
    pruned = f"{record.pruned:,} bits of zero words {'left out' if skipped else 'among them'}"
    write_line(
        f"{record.faults:,} faults ({record.fault}, {share}; {pruned}) on {record.samples:,} "
        f"samples: "
        + ", ".join(f"{count:,} {name} ({percent(count / record.faults)})" for name, count in record.classes.items())
    )
    relative = "against labels" if record.label_relative else "against the fault-free answers"
    write_line(f"fault-free {metric_text(record.metric)}, {relative}; {_decision(record)}")
    if record.cross_check is not None:
        check = record.cross_check
        agreed = "all agree" if not check.mismatches else f"DISAGREE at {', '.join(check.mismatches[:5])}"
        write_line(f"{check.faults:,} faults repeated in the {check.executor}: {check.words:,} output words, {agreed}")
    unit = record.metric.unit
    write_table(
        ["tensor", "bit", "faults", "masked", "tolerable", "critical", "decisions", "mean change", "worst change"],
        [
            [
                row.tensor,
                str(row.bit),
                f"{row.faults:,}",
                percent(row.masked),
                percent(row.tolerable),
                percent(row.critical),
                percent(row.mean_decisions_changed, 2),
                metric_change_text(row.mean_metric_change, unit),
                metric_change_text(row.worst_metric_change, unit),
            ]
            for row in record.damage
        ],
    )
    if record.worst:
        worst = record.worst[0]
        change = metric_change_text(worst.metric_change, unit)
        write_line(f"worst fault {worst.site}: word {worst.golden_word} → {worst.faulty_word}, {change}")


def _decision(record: InjectRecord) -> str:
    if record.decision == "argmax":
        return "a decision is the arg-max, lowest index wins ties"
    return f"a decision changes when an output moves by more than {record.tolerance:.4g} {record.metric.unit}"
