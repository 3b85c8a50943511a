"""A target, pruned and quantized by a recipe → a run directory; or the run that is there already."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgeval.fingerprint import differences, digest_arrays, digest_file, make_fingerprint
from edgeval.progress import progress, say
from edgeval.records import Complexity, Recipe, RunRecord, Standardisation
from edgeval.run_directory import RunDirectory, Samples
from edgeval.targets import find_target, with_data
from hls.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What ``edgeval train`` can be asked for; see ``docs/commands/train.md``."""

    target: str
    data: Path | None = None
    weight_bits: int = 6
    activation_bits: int = 6
    scales: Literal["po2", "float"] = "po2"
    per_channel: bool = False
    sparsity: float = 0.0
    prune: Literal["magnitude", "structured"] = "magnitude"
    epochs: int | None = None
    seed: int = 0


def train_run(run: RunDirectory, options: TrainOptions) -> RunRecord:
    """Train a target in float, prune it, quantize it with Brevitas, and save a run directory.

    Args:
        run: Where; free, or the run of the same options, which is then kept as it is.
        options: Target and recipe.

    Raises:
        UsageError: an option out of range, or no such target. InputError: data that cannot be used.
        RunDirectoryError: the folder holds something else, with the differences listed.
    """
    record = finished_run(run, options)
    if record is None:
        return _trained(run, options)
    say(f"{run.path} holds exactly this run already")
    return record


def finished_run(run: RunDirectory, options: TrainOptions) -> RunRecord | None:
    """The record of a run that is there already and was made with the same options, ``None`` for a free folder.

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
    wanted = _fingerprint(options, kept | _file_digest(options))
    if changes := differences(record.fingerprint, wanted):
        raise run.occupied(f"another run ({'; '.join(changes)})")
    return record


def _trained(run: RunDirectory, options: TrainOptions) -> RunRecord:
    target = with_data(find_target(options.target), options.data)
    # torch is imported here and not above: `edgeval --help` has to answer at once.
    from edgeval import quantize
    from edgeval.brevitas_export import save_weights
    from edgeval.training import train_target
    from edgeval.word_comparison import metric_value

    recipe = quantize.Recipe(
        weight_bits=options.weight_bits,
        activation_bits=options.activation_bits,
        scales=options.scales,
        per_channel=options.per_channel,
        sparsity=options.sparsity,
        prune=options.prune,
    )
    file_digest = _file_digest(options)
    started = time.monotonic()
    with progress(f"training {target.name}") as advance:
        trained = train_target(
            target, recipe, seed=options.seed, epochs=options.epochs, progress=lambda stage, done, of: advance(done, of)
        )
    test = trained.splits.test
    save_weights(trained.quantized_model, run)
    run.save_samples(Samples(inputs=test.inputs, labels=test.labels, float_outputs=trained.float_outputs))
    record = RunRecord(
        fingerprint=_fingerprint(options, _digests(trained) | file_digest),
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


def _fingerprint(options: TrainOptions, digests: dict[str, str]) -> Any:
    configuration = {
        "target": options.target,
        "weight-bits": options.weight_bits,
        "activation-bits": options.activation_bits,
        "scales": options.scales,
        "per-channel": options.per_channel,
        "sparsity": options.sparsity,
        "prune": options.prune,
        "epochs": options.epochs,
    }
    return make_fingerprint("train", configuration, seeds={"train": options.seed}, digests=digests)


def _file_digest(options: TrainOptions) -> dict[str, str]:
    """Digest of the user's data file, if there is one; its path stays out, so that a run and its data can be moved."""
    if options.data is None:
        return {}
    try:
        return {"file": digest_file(options.data)}
    except OSError as error:
        raise InputError(
            found=error.strerror or str(error),
            allowed="a readable file",
            where=str(options.data),
            remedy="check --data",
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
