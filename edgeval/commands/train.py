"""``edgeval train``: a target, pruned and quantized by a recipe, into a run directory."""

from __future__ import annotations

import time
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from edgeval.fingerprint import differences, digest_arrays, digest_file, make_fingerprint
from edgeval.progress import progress, say
from edgeval.records import Complexity, Recipe, RunRecord, Standardisation
from edgeval.report.text import metric_text, percent, write_json, write_line
from edgeval.run_directory import RunDirectory, Samples
from edgeval.targets import find_target, with_data
from hls.errors import InputError


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
    run = RunDirectory(config.output)
    record = finished_run(run, config)
    if record is None:
        record = _train(run, config)
    else:
        say(f"{run.path} holds exactly this run already")
    if config.json:
        write_json(record)
    else:
        _write(record, run)
    return 0


def finished_run(run: RunDirectory, config: TrainConfig) -> RunRecord | None:
    """The record of a run that is there already and was made by the same command, ``None`` for a free folder.

    Raises:
        RunDirectoryError: the folder holds something else, with the differences listed.
    """
    if run.is_free():
        return None
    if not run.run_file.exists():
        raise run.occupied("a file or folder that is no run")
    record = run.run_record()
    # What came out of the run is not asked for again; the data file that goes in is.
    kept = {name: digest for name, digest in record.fingerprint.digests.items() if name != "file"}
    wanted = _fingerprint(config, kept | _file_digest(config))
    if changes := differences(record.fingerprint, wanted):
        raise run.occupied(f"another run ({'; '.join(changes)})")
    return record


def _train(run: RunDirectory, config: TrainConfig) -> RunRecord:
    target = with_data(find_target(config.target), config.data)
    # torch is imported here and not above: `edgeval --help` has to answer at once.
    from edgeval import quantize
    from edgeval.brevitas_export import save_weights
    from edgeval.training import train_target
    from edgeval.word_comparison import metric_value

    recipe = quantize.Recipe(
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
        scales=config.scales,
        per_channel=config.per_channel,
        sparsity=config.sparsity,
        prune=config.prune,
    )
    file_digest = _file_digest(config)
    started = time.monotonic()
    with progress(f"training {target.name}") as advance:
        trained = train_target(
            target, recipe, seed=config.seed, epochs=config.epochs, progress=lambda stage, done, of: advance(done, of)
        )
    test = trained.splits.test
    save_weights(trained.quantized_model, run)
    run.save_samples(Samples(inputs=test.inputs, labels=test.labels, float_outputs=trained.float_outputs))
    record = RunRecord(
        fingerprint=_fingerprint(config, _digests(trained) | file_digest),
        source=target.name,
        title=target.title,
        task=target.task,
        metric=target.metric.name,
        unit=target.metric.unit,
        direction=target.metric.direction,
        samples=len(test.inputs),
        recipe=Recipe(**asdict(trained.recipe)),
        architecture=trained.architecture,
        standardisation=_standardisation(trained),
        float_metric=metric_value(target.metric, trained.float_metric),
        quantized_metric=metric_value(target.metric, trained.quantized_metric),
        complexity=Complexity(
            weights=trained.complexity.weights_total,
            weights_nonzero=trained.complexity.weights_nonzero,
            weight_bits=trained.complexity.weight_bits_total,
            bops=trained.complexity.bops,
            sparsity=trained.sparsity,
        ),
        clipped_biases=trained.clipped_biases,
        seconds=time.monotonic() - started,
    )
    run.save_run_record(record)
    return record


def _fingerprint(config: TrainConfig, digests: dict[str, str]) -> Any:
    configuration = {
        "target": config.target,
        "weight-bits": config.weight_bits,
        "activation-bits": config.activation_bits,
        "scales": config.scales,
        "per-channel": config.per_channel,
        "sparsity": config.sparsity,
        "prune": config.prune,
        "epochs": config.epochs,
    }
    return make_fingerprint("train", configuration, seeds={"train": config.seed}, digests=digests)


def _file_digest(config: TrainConfig) -> dict[str, str]:
    """Digest of the user's data file, if there is one; its path stays out, so that a run and its data can be moved."""
    if config.data is None:
        return {}
    try:
        return {"file": digest_file(config.data)}
    except OSError as error:
        raise InputError(
            found=error.strerror or str(error), allowed="a readable file", where=str(config.data), remedy="check --data"
        ) from error


def _standardisation(trained: Any) -> Standardisation | None:
    scaling = trained.splits.standardisation
    if scaling is None:
        return None
    return Standardisation(mean=tuple(scaling.mean.tolist()), deviation=tuple(scaling.deviation.tolist()))


def _digests(trained: Any) -> dict[str, str]:
    parts = {"train": trained.splits.train, "validation": trained.splits.validation, "test": trained.splits.test}
    arrays = {f"{name}.{role}": getattr(part, role) for name, part in parts.items() for role in ("inputs", "labels")}
    weights = {name: tensor.detach().numpy() for name, tensor in trained.quantized_model.state_dict().items()}
    return {"data": digest_arrays(arrays), "model": digest_arrays(weights)}


def _write(record: RunRecord, run: RunDirectory) -> None:
    assert record.float_metric is not None
    assert record.quantized_metric is not None
    assert record.complexity is not None
    assert record.recipe is not None
    size = record.complexity
    write_line(f"{record.source}: float {metric_text(record.float_metric)}, quantized to "
               f"{record.recipe.weight_bits}-bit weights {metric_text(record.quantized_metric)} "
               f"on {record.samples:,} test samples")  # fmt: skip
    write_line(
        f"{size.weights:,} weights, {size.weights_nonzero:,} not zero ({percent(size.sparsity)} pruned), "
        f"{size.weight_bits:,} weight bits, {size.bops:,.0f} bit operations an inference"
    )
    write_line(f"run saved in {run.path}")
