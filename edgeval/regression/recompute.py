"""A run made once more, from its model to its hls4ml project, by the tools that are installed now."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edgeval.fingerprint import digest_file
from edgeval.pipeline import export_record, export_run
from edgeval.records import ExportRecord, RunRecord
from edgeval.regression.baseline import LockedModel, LockedOptions
from edgeval.run_directory import RunDirectory
from hls.errors import RunDirectoryError, UsageError
from hls.hls4ml_flow import ProjectOptions


@contextlib.contextmanager
def recomputed(run: RunDirectory) -> Iterator[tuple[RunDirectory, ExportRecord]]:
    """A temporary copy of a run's model and samples, exported anew with the options of the run's own export.

    Raises:
        RunDirectoryError: the run is not exported, or damaged. UsageError: its project is not ours.
        LoweringError, InputError, ToolError: what exports today is not what exported then.
    """
    options = locked_options(export_record(run))
    with tempfile.TemporaryDirectory(prefix="edgeval-regress-") as folder:
        copy = RunDirectory(Path(folder) / run.path.resolve().name)
        copy.path.mkdir()
        for file in (run.run_file, run.samples_file, model_file(run, run.run_record())):
            _copy(file, copy.path / file.name)
        yield copy, export_run(copy, project_options(options), strict=options.strict)


def model_file(run: RunDirectory, record: RunRecord) -> Path:
    """The file that the network is made from."""
    return run.onnx_file if record.recipe is None else run.weights_file


def locked_model(run: RunDirectory) -> LockedModel:
    """What a run's network is made from."""
    record = run.run_record()
    recipe: dict[str, Any] = {}
    if record.recipe is not None:
        parts = {"recipe": record.recipe, "architecture": record.architecture}
        plain = msgspec.json.decode(msgspec.json.encode(parts))  # lists, as they are read back from a file
        recipe = {**plain["recipe"], "architecture": plain["architecture"]}
    file = model_file(run, record)
    return LockedModel(file=file.name, sha256=digest_file(file), recipe=recipe, input_format=record.input_format)


def locked_options(record: ExportRecord) -> LockedOptions:
    """What a run was exported with.

    Raises:
        UsageError: the project is hls4ml's own or an existing one, whose words are not the network's to prove.
    """
    given = record.fingerprint.configuration
    if record.flow != "exact":
        raise UsageError(
            found=f"a run exported with {'--project' if record.flow == 'project' else '--flow native'}",
            allowed="runs of the exact flow, whose project holds the integer network's own types and words",
            where="edgeval regress",
            remedy="export it once more without that option; csim-compare judges projects that are not ours",
        )
    return LockedOptions(
        flow=record.flow,
        backend=record.backend,
        io_type=record.io_type,
        strategy=given["strategy"],
        reuse_factor=given["reuse-factor"],
        clock_period=given["clock-period"],
        part=given["part"],
        strict=given["strict"],
        overrides=given["overrides"],
    )


def project_options(options: LockedOptions) -> ProjectOptions:
    """The same as an hls4ml project takes them."""
    return ProjectOptions(
        backend=options.backend,  # type: ignore[arg-type]  # a record of ours: one of the back ends there were
        io_type=options.io_type,  # type: ignore[arg-type]
        strategy=options.strategy,  # type: ignore[arg-type]
        reuse_factor=options.reuse_factor,
        clock_period=options.clock_period,
        part=options.part,
        overrides=options.overrides,
    )


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise RunDirectoryError(
            found=f"{type(error).__name__}: {error}",
            allowed="a run with its model and evaluation set",
            where=str(source),
            remedy="train or export the run again",
        ) from error
