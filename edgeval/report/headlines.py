"""The first line of what a command found: the same on the command line and in Python."""

from __future__ import annotations

from pathlib import Path

from edgeval.plan_record import FaultPlan
from edgeval.records import Complexity, ExportRecord, InjectRecord, RunRecord
from edgeval.report.text import metric_text, percent, words_text


def train_headline(record: RunRecord) -> str:
    """What was trained, and how good it is in float and quantized; of a run that was not trained, what it is of."""
    if record.recipe is None or record.float_metric is None or record.quantized_metric is None:
        return record.title
    return (
        f"{record.source}: float {metric_text(record.float_metric)}, quantized to "
        f"{record.recipe.weight_bits}-bit weights {metric_text(record.quantized_metric)} "
        f"on {record.samples:,} test samples"
    )


def complexity_text(size: Complexity) -> str:
    """How large a trained network is."""
    return (
        f"{size.weights:,} weights, {size.weights_nonzero:,} not zero ({percent(size.sparsity)} pruned), "
        f"{size.weight_bits:,} weight bits, {size.bops:,.0f} bit operations an inference"
    )


def export_headline(record: ExportRecord) -> str:
    """Whether the QONNX file, executed in float32, agrees with the integer network."""
    witness = record.qonnx
    judged = "agrees with the integer network" if witness.words else "is no witness here"
    return (
        f"QONNX in float32 {judged}: {words_text(witness)}; "
        f"largest difference {witness.max_error_lsb:.3g} LSB of the output"
    )


def inject_headline(record: InjectRecord) -> str:
    """How many faults were judged, and what became of them."""
    share = "every site" if record.exhaustive else f"a sample of {record.sites:,} sites"
    skipped = record.fingerprint.configuration["skip-pruned"]
    pruned = f"{record.pruned:,} bits of zero words {'left out' if skipped else 'among them'}"
    # Shares of a stratified sample say how it was drawn, not how many faults are critical: the estimates do.
    plain = record.estimate is None or record.estimate.design == "simple"
    classes = [
        f"{number:,} {name}" + (f" ({percent(number / record.faults)})" if plain else "")
        for name, number in record.classes.items()
    ]
    return f"{record.faults:,} faults ({record.fault}, {share}; {pruned}) on {record.samples:,} samples: " + ", ".join(
        classes
    )


def mean_change_text(record: InjectRecord) -> str:
    """How many decisions a fault changes, on average."""
    mean = record.decisions_changed
    return (
        f"a fault changes {percent(mean.value, 3)} of the decisions on average; with other samples "
        f"{percent(mean.low, 3)} to {percent(mean.high, 3)}"
    )


def plan_headline(plan: FaultPlan) -> str:
    """How many faults a campaign would judge."""
    return f"{plan.faults:,} faults ({plan.fault}) on {plan.samples:,} samples, {plan.detail} detail"


def cross_check_texts(record: InjectRecord) -> tuple[str, ...]:
    """What the faults that were repeated say about those that were not."""
    checks = [(record.brute_force, "by brute force")]
    if record.cross_check is not None:
        checks.append((record.cross_check, f"in the {record.cross_check.executor}"))
    return tuple(
        f"{check.faults:,} faults repeated {how}: {check.words:,} output words, "
        + ("all agree" if not check.mismatches else f"DISAGREE at {', '.join(check.mismatches[:5])}")
        for check, how in checks
    )


def lock_headline(baseline: Path, runs: int, held: int) -> str:
    """How many runs were locked, in which file."""
    count = f"{runs} {'run' if runs == 1 else 'runs'}"
    return f"LOCKED {count} of {held} in {baseline}, {baseline.stat().st_size:,} bytes"
