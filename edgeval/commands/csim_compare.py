"""``edgeval csim-compare``: exact engine against C-simulation, word by word; both against float."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from edgeval.diagnosis_record import Diagnosis
from edgeval.records import CompareRecord, ErrorStatistics, MatrixRecord
from edgeval.report.self_test_text import write_self_test
from edgeval.report.text import metric_text, percent, words_text, write_json, write_line, write_table
from edgeval.self_test_record import SelfTestRecord
from hls.errors import UsageError
from hls.hls4ml_flow.options import Backend, IoType, Strategy

if TYPE_CHECKING:
    from edgeval.run_directory import RunDirectory


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class CompareConfig:
    """Options of ``edgeval csim-compare``."""

    run: Path
    """Run directory, or a QONNX file."""
    _: KW_ONLY
    inputs: Path | None = None
    """.npz with `inputs` and, optionally, `labels`, instead of the run's evaluation set."""
    task: Literal["classification", "regression"] | None = None
    """For a QONNX file: what its outputs mean."""
    metric: str | None = None
    """For a QONNX file: accuracy, cross-entropy, rmse or mae."""
    input_format: str | None = None
    """For a QONNX file that never quantizes its input: format of its words, fixed<W,I>."""
    samples: int | None = None
    """Compare only the first N samples."""
    poke: str | None = None
    """Flip one stored bit of the built C-simulation first: TENSOR:INDEX:BIT."""
    backend: Backend | None = None
    """Write and compare the project of another hls4ml back end; the run's own if left out."""
    io_type: IoType | None = None
    """The same for how layers are connected."""
    strategy: Strategy | None = None
    """The same for hls4ml's implementation of matrix products."""
    matrix: bool = False
    """Compare every back end, interface and strategy; the three options above then select among them."""
    self_test: bool = False
    """Make errors in the device on purpose and see whether the comparison finds them; 50 samples if left out."""
    workers: int | None = None
    """Worker processes; the cores at hand if left out."""
    seed: int = 0
    """Seed of the samples made where a QONNX file comes without --inputs, and of the places of --self-test."""
    json: bool = False
    """Print the record."""


def csim_compare(config: CompareConfig) -> int:
    """Build the C-simulation and compare every word of every layer with the exact engine."""
    from edgeval.importing import GraphOptions
    from edgeval.pipeline import opened_run

    _require_one_of_many(config)
    with opened_run(
        config.run,
        GraphOptions(
            inputs=config.inputs,
            task=config.task,
            metric=config.metric,
            input_format=config.input_format,
            seed=config.seed,
        ),
    ) as run:
        if config.self_test:
            return write_self_test(_self_tested(config, run), json=config.json)
        record = _compared(config, run)
    if config.json:
        write_json(record)
    elif isinstance(record, MatrixRecord):
        _write_matrix(record)
    else:
        _write(record)
    return 0 if record.verdict == "match" else 1


def _require_one_of_many(config: CompareConfig) -> None:
    """Refuse two ways of comparing at once, before anything is opened."""
    poke = "" if config.poke is None else f"--poke {config.poke}"
    given = [text for text in (poke, "--matrix" * config.matrix, "--self-test" * config.self_test) if text]
    if len(given) > 1:
        one = "test" if config.self_test else "poke"
        raise UsageError(
            found=" with ".join(given),
            allowed="one of the two" if len(given) == 2 else "one of the three",
            where="edgeval csim-compare",
            remedy=f"{one} one C-simulation, named by --backend, --io-type and --strategy",
        )


def _self_tested(config: CompareConfig, run: RunDirectory) -> SelfTestRecord:
    from edgeval.matrix import other_options
    from edgeval.self_test.csim import self_test_comparison

    asked = (config.backend, config.io_type, config.strategy)
    return self_test_comparison(
        run,
        inputs=config.inputs if config.run.is_dir() else None,
        samples=config.samples,
        seed=config.seed,
        workers=config.workers,
        other=other_options(run, asked) if any(asked) else None,
    )


def _compared(config: CompareConfig, run: RunDirectory) -> CompareRecord | MatrixRecord:
    from edgeval.comparison import compare_run
    from edgeval.matrix import compare_matrix, other_options

    inputs = config.inputs if config.run.is_dir() else None
    asked = (config.backend, config.io_type, config.strategy)
    if config.matrix:
        return compare_matrix(
            run,
            only=asked,
            inputs=inputs,
            samples=config.samples,
            workers=config.workers,
        )
    return compare_run(
        run,
        inputs=inputs,
        samples=config.samples,
        poke=config.poke,
        workers=config.workers,
        other=other_options(run, asked) if any(asked) else None,
    )


def _write_matrix(record: MatrixRecord) -> None:
    write_line(record.headline)
    write_line(f"{record.samples:,} samples of {record.inputs}; {record.compiler}")
    write_table(
        ["back end", "interface", "strategy", "verdict", "layers", "words", "differing"],
        [
            [
                row.backend,
                row.io_type,
                row.strategy,
                row.status,
                f"{row.layers}",
                f"{row.words:,}",
                f"{row.differing:,}",
            ]
            for row in record.rows
        ],
    )
    for row in record.rows:
        if row.status != "match":
            write_line(f"{row.backend} {row.io_type} {row.strategy}: {row.status}: {row.detail}")


def _write(record: CompareRecord) -> None:
    write_line(record.headline)
    for finding in record.audit:
        write_line(f"audit: {finding}")
    if record.diagnosis is not None:
        _write_diagnosis(record.diagnosis)
    elif record.first is not None:
        write_line(f"formats: C-sim {record.first.csim_format}, engine {record.first.engine_format}")
        write_line(f"cause: {record.first.cause}")
    if record.audit:
        return
    write_line(f"on {record.inputs}; {record.backend} {record.io_type}, {record.compiler}")
    write_table(
        ["layer", "words", "differing", "distinct", "saturations"],
        [
            [row.value, f"{row.words:,}", f"{row.differing:,}", f"{row.distinct:,}", f"{row.saturations:,}"]
            for row in record.layers
        ],
    )
    for reference in record.references:
        write_line(_reference_line(reference))


def _write_diagnosis(diagnosis: Diagnosis) -> None:
    write_line(f"formats: native {diagnosis.found_format}, network {diagnosis.expected_format}")
    write_line(f"cause: {diagnosis.cause}: {diagnosis.explanation}")
    write_line(f"evidence: {diagnosis.evidence}")
    verified = "verified by running it" if diagnosis.remedy_verified else "not verified"
    write_line(f"remedy ({verified}): {diagnosis.remedy}")
    if diagnosis.smallest_input:
        inputs = {i: value for i, value in enumerate(diagnosis.smallest_input) if value}
        shown = ", ".join(f"[{i}] = {value!r}" for i, value in list(inputs.items())[:8])
        more = f" and {len(inputs) - 8} more" if len(inputs) > 8 else ""
        write_line(f"smallest failing input: {shown or 'all zero'}{more}; the others 0")


def _reference_line(reference: ErrorStatistics) -> str:
    parts = [
        f"{reference.reference} against C-sim: largest error {reference.max_error:.4g} "
        f"({reference.max_error_lsb:.4g} LSB), mean {reference.mean_error:.4g}"
    ]
    if reference.words is not None or reference.skipped is not None:
        parts.append(words_text(reference))
    if reference.decisions_equal is not None:
        parts.append(f"{percent(reference.decisions_equal)} of decisions equal")
    if reference.reference_metric is not None and reference.network_metric is not None:
        parts.append(f"{metric_text(reference.reference_metric)} against {metric_text(reference.network_metric)}")
    return "; ".join(parts)
