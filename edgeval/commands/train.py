"""``edgeval train``: a target, pruned and quantized by a recipe, into a run directory."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from edgeval.records import RunRecord
from edgeval.report.headlines import complexity_text, train_headline
from edgeval.report.text import write_json, write_line
from edgeval.run_directory import RunDirectory


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Options of ``edgeval train``."""

    target: str
    """Target to build; see `edgeval targets`."""
    _: KW_ONLY
    output: Annotated[Path, Parameter(name=["--output", "-o"])]
    """Run directory to make."""
    data: Path | None = None
    """Data file of a target that brings none: jets."""
    weight_bits: int = 6
    """Bits of a weight word, 2 to 16."""
    activation_bits: int = 6
    """Bits of a hidden activation word, 2 to 16."""
    scales: Literal["po2", "float"] = "po2"
    """Power-of-two scales (shifts) or any scales (multipliers)."""
    per_channel: bool = False
    """One weight scale a neuron or channel instead of one a layer."""
    sparsity: float = 0.0
    """Share of the weights to prune, 0 up to 1."""
    prune: Literal["magnitude", "structured"] = "magnitude"
    """Smallest weights to zero, or whole neurons of a perceptron removed."""
    epochs: int | None = None
    """Quantized epochs, after at most twice as many in float; the target's own defaults if left out."""
    seed: int = 0
    """Seed of split, initial weights, batches and dropout."""
    json: bool = False
    """Print the record."""


def train(config: TrainConfig) -> int:
    """Train a target in float, prune it, quantize it with Brevitas, and save a run directory."""
    from edgeval.train_run import TrainOptions, train_run

    run = RunDirectory(config.output)
    record = train_run(
        run,
        TrainOptions(
            target=config.target,
            data=config.data,
            weight_bits=config.weight_bits,
            activation_bits=config.activation_bits,
            scales=config.scales,
            per_channel=config.per_channel,
            sparsity=config.sparsity,
            prune=config.prune,
            epochs=config.epochs,
            seed=config.seed,
        ),
    )
    if config.json:
        write_json(record)
    else:
        _write(record, run)
    return 0


def _write(record: RunRecord, run: RunDirectory) -> None:
    write_line(train_headline(record))
    if record.complexity is not None:
        write_line(complexity_text(record.complexity))
    write_line(f"run saved in {run.path}")
