"""What the Python API takes as RUN, and arrays in the place of files."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import yaml

from edgeval.api.run import Run, temporary_run
from hls.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from edgeval.api.results import CompareResult, ExportResult, InjectResult, MatrixResult, PlanResult, TrainResult
    from edgeval.model_run import ModelRequest


class TorchModule(Protocol):
    """An ``nn.Module``, without torch being imported to say so."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Its parameters and buffers."""


class OnnxModel(Protocol):
    """An ``onnx.ModelProto``, without onnx being imported to say so."""

    def SerializeToString(self, *args: Any, **kwargs: Any) -> bytes:  # protobuf's name
        """Its bytes."""


class Hls4mlModel(Protocol):
    """hls4ml's ``ModelGraph``, without hls4ml being imported to say so."""

    config: Any

    def write(self) -> None:
        """Write its project."""


FilePath: TypeAlias = "str | PathLike[str]"
RunLike: TypeAlias = (
    "Run | TrainResult | ExportResult | CompareResult | MatrixResult | InjectResult | PlanResult | FilePath"
)
"""A run: as it was handed out, a result that holds it, or its path."""
ModelLike: TypeAlias = "RunLike | TorchModule | OnnxModel"
"""A run, or a model that becomes one: a QONNX file or graph, ``package.module:factory``, a Brevitas module."""
Inputs: TypeAlias = "FilePath | npt.ArrayLike | None"
"""An ``.npz`` file, or the samples themselves, samples first; tensors of torch on the CPU will do."""

Labels: TypeAlias = "npt.ArrayLike | None"
"""One number a sample."""

_GIVEN = "arrays given in Python"
"""Name of the file that arrays are handed on in: records say it of the samples."""


def run_of(run: RunLike) -> Run:
    """The run that is meant by a run, a result or a path."""
    if isinstance(run, Run):
        return run
    held = getattr(run, "run", None)
    if isinstance(held, Run):
        return held
    if isinstance(run, str | PathLike):
        return Run(Path(run))
    raise UsageError(
        found=f"a {type(run).__name__}",
        allowed="a run, a result that holds one, or the path of a run directory",
        where="run",
        remedy="give edgeval.open_run(path), or what edgeval.export returned",
    )


def several(runs: RunLike | Sequence[RunLike]) -> tuple[Run, ...]:
    """One run or several, as several."""
    many = runs if isinstance(runs, Sequence) and not isinstance(runs, str | PathLike) else [runs]
    return tuple(run_of(run) for run in many)


def model_of(model: Any) -> tuple[Any, Run | None]:
    """What a request calls its model, and the run that is there already, ``None`` where one has to be made."""
    from edgeval.model_run import ModelRequest, is_module

    if is_module(model) or hasattr(model, "SerializeToString"):
        return model, None
    run = run_of(model)
    source = Path(model) if isinstance(model, str | PathLike) else run.path
    return source, run if ModelRequest(model=source).is_run else None


def made(request: ModelRequest) -> Run:
    """The run of a request, made in its ``output``, or in a temporary folder, where it is of a model."""
    from edgeval.model_run import run_of_model

    model, run = model_of(request.model)
    if run is None:
        run = temporary_run() if request.output is None else Run(request.output)
        request = replace(request, output=run.path)
    run_of_model(replace(request, model=model))
    return run


@contextlib.contextmanager
def samples_file(inputs: Any, labels: Any) -> Iterator[Path | None]:
    """The file that samples are in while the ``with`` block runs: the user's own, or one of the arrays.

    Raises:
        UsageError: labels without inputs, or beside a file, which has its own. InputError: no array of numbers.
    """
    if isinstance(inputs, str | PathLike) or inputs is None:
        if labels is not None:
            raise UsageError(
                found=f"labels with inputs={inputs!r}",
                allowed="labels beside an array of inputs; a file has its own",
                where="labels",
                remedy="give inputs as an array, or write both with numpy.savez(path, inputs=..., labels=...)",
            )
        yield None if inputs is None else Path(inputs)
        return
    arrays: dict[str, Any] = {
        "inputs": _numbers("inputs", inputs),
        **({} if labels is None else {"labels": _numbers("labels", labels)}),
    }
    with tempfile.TemporaryDirectory(prefix="edgeval-arrays-") as folder:
        path = Path(folder) / _GIVEN
        with path.open("wb") as file:
            np.savez(file, **arrays)
        yield path


@contextlib.contextmanager
def config_file(config: Any) -> Iterator[Path | None]:
    """The file that an hls4ml configuration is in while the ``with`` block runs.

    Raises:
        UsageError: a dictionary that YAML cannot hold.
    """
    if not isinstance(config, Mapping):
        yield None if config is None else Path(config)
        return
    try:
        text = yaml.safe_dump(json.loads(json.dumps(config)))
    except TypeError as error:
        raise UsageError(
            found=str(error),
            allowed="an hls4ml configuration of mappings, lists, text and numbers",
            where="config",
            remedy="write precisions as text, for example 'fixed<16,6>'",
        ) from error
    with tempfile.TemporaryDirectory(prefix="edgeval-config-") as folder:
        path = Path(folder) / "config given in Python.yml"
        path.write_text(text, encoding="utf-8")
        yield path


def project_folder(project: Any) -> Path | None:
    """Folder of an existing hls4ml project; a model of hls4ml is written to its own folder first."""
    if project is None or isinstance(project, str | PathLike):
        return None if project is None else Path(project)
    folder = getattr(getattr(project, "config", None), "get_output_dir", None)
    if folder is None or not hasattr(project, "write"):
        raise UsageError(
            found=f"a {type(project).__name__}",
            allowed="the folder of an hls4ml project, or hls4ml's ModelGraph",
            where="project",
            remedy="give the output_dir of the conversion",
        )
    with contextlib.redirect_stdout(sys.stderr):  # hls4ml talks; standard output is the caller's
        project.write()
    return Path(folder())


def optional_path(path: FilePath | None) -> Path | None:
    """A path where there is one."""
    return None if path is None else Path(path)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of unequal length; tensors that need a gradient
        raise _no_numbers(name, f"{type(values).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise _no_numbers(name, f"{array.dtype} {name} of shape {list(array.shape)}")
    return array


def _no_numbers(name: str, found: str) -> InputError:
    return InputError(
        found=found,
        allowed="an array of numbers, samples first",
        where=name,
        remedy="give a numpy array, for example tensor.detach().cpu().numpy()",
    )
