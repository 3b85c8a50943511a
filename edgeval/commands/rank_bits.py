"""``edgeval rank-bits``: which stored bits matter most, without or against an exhaustive campaign."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from edgeval.ranking_record import MethodScore, RankRecord
from edgeval.report.text import metric_text, percent, write_json, write_line, write_table
from fault_injection.ranking import Method, Strategy


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RankConfig:
    """Options of ``edgeval rank-bits``."""

    run: Path
    """Run directory, or a QONNX file."""
    _: KW_ONLY
    method: Method = "fisher"
    """What the bits are ranked by."""
    top: int = 20
    """Bits to print, worst first; the file holds all."""
    score: bool = False
    """Measure the damage of every bit and score every method against it."""
    samples: int | None = None
    """Only the first N samples of the evaluation set."""
    inputs: Path | None = None
    """.npz with `inputs` and, optionally, `labels`, instead of the run's evaluation set."""
    calibration: Path | None = None
    """.npz with the samples that derivatives and finite differences are taken on; the evaluation set if left out."""
    seed: int = 0
    """Seed of the random order and of the eigenvectors' start, and of samples made where a QONNX file has none."""
    eigenpairs: int = 8
    """For hessian: eigenpairs of the loss Hessian."""
    lambda_power: Literal[2, 1] = 2
    """For hessian: how often an eigenvalue enters the score, 2 as in FKeras, 1 as in PyLandscape."""
    strategy: Strategy = "sum"
    """For hessian: how FKeras makes a score of the eigenvectors."""
    task: Literal["classification", "regression"] | None = None
    """For a QONNX file: what its outputs mean."""
    input_format: str | None = None
    """For a QONNX file that never quantizes its input: format of its words, fixed<W,I>."""
    json: bool = False
    """Print the record."""


def rank_bits(config: RankConfig) -> int:
    """Rank every stored bit by what its flip is expected to do, and score the rankings against the exhaustive truth."""
    from edgeval.bit_ranking import HessianOptions
    from edgeval.importing import GraphOptions
    from edgeval.pipeline import opened_run
    from edgeval.rank_bits import RankOptions, rank_run

    options = RankOptions(
        method=config.method,
        top=config.top,
        samples=config.samples,
        seed=config.seed,
        hessian=HessianOptions(eigenpairs=config.eigenpairs, power=config.lambda_power, strategy=config.strategy),
        score=config.score,
    )
    graph_options = GraphOptions(
        inputs=config.inputs, task=config.task, input_format=config.input_format, seed=config.seed
    )
    with opened_run(config.run, graph_options) as run:
        record = rank_run(run, options, config.inputs if config.run.is_dir() else None, config.calibration)
    if config.json:
        write_json(record)
    else:
        _write(record, kept=config.run.is_dir())
    return 0


def _write(record: RankRecord, *, kept: bool) -> None:
    relative = "against labels" if record.label_relative else "against the fault-free answers"
    write_line(
        f"{record.sites:,} stored bits ranked by {record.method}; fault-free {metric_text(record.loss)}, {relative}, "
        f"on {record.samples:,} samples"
    )
    rows = [[row.site, str(row.word), f"{row.delta:+d}".replace("-", "−"), f"{row.score:.4g}"] for row in record.top]
    write_table(["site", "word", "Δ", "score"], rows)
    if kept:
        write_line(f"all of them in {record.ranking}")
    if record.oracle is None:
        return
    oracle = record.oracle
    write_line(
        f"every bit flipped{' before' if oracle.found else ''}: {oracle.harmful:,} flips harm, "
        f"{oracle.harm:.4g} {record.loss.unit} in all; the others give back {oracle.improvement:.4g}"
    )
    write_table(["ranking", "area", "as measured", "worst 1 %", "worst 10 %"], [_score(row) for row in record.scores])
    for reason in record.left_out:
        write_line(f"left out: {reason}")


def _score(row: MethodScore) -> list[str]:
    areas = ["-" if area is None else f"{area:.3f}" for area in (row.area, row.area_as_measured)]
    return [row.method, *areas, percent(row.worst_1), percent(row.worst_10)]
