"""Whatever can be exported → the run directory it is exported in: a run, a QONNX file or graph, a Brevitas module."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from edgeval.importing import GraphOptions, import_graph
from edgeval.module_export import Exporter
from edgeval.own_model import ModuleSource, import_live_module, import_module, parse_arguments
from edgeval.run_directory import RunDirectory
from hls.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A model and what it has to be told.

    Attributes:
        model: A run directory, a QONNX file, ``package.module:factory`` (as a path or text), an ``onnx.ModelProto`` or
            an ``nn.Module``.
        output: Run directory to make; ``None`` for a run directory, which is there.
        graph: Samples, task and metric.
        checkpoint: For a factory: its weights.
        factory_args: For a factory: its keyword arguments, as JSON or as they are.
        exporter: For a module: torch exporter to use.
    """

    model: Any
    output: Path | None = None
    graph: GraphOptions = GraphOptions()  # noqa: RUF009  # frozen: one default for all is what is meant
    checkpoint: Path | None = None
    factory_args: str | Mapping[str, Any] | None = None
    exporter: Exporter | None = None

    @property
    def is_run(self) -> bool:
        """Whether nothing has to be made."""
        return isinstance(self.model, str | Path) and not self.is_factory and not Path(self.model).is_file()

    @property
    def is_factory(self) -> bool:
        """Whether a module has to be imported."""
        return isinstance(self.model, str | Path) and ":" in str(self.model) and not Path(self.model).exists()


def run_of_model(request: ModelRequest) -> RunDirectory:
    """The run that is meant, made first where a file, graph or module is given.

    Raises:
        UsageError: an option that has no meaning for this kind of model. InputError, LoweringError: the model cannot be
            used. RunDirectoryError: the folder holds something else.
    """
    live = is_module(request.model)
    _refuse_options(request, live=live)
    if request.is_run:
        return RunDirectory(Path(request.model))
    if request.output is None:
        raise UsageError(
            found=f"a {'module' if request.is_factory or live else 'QONNX file'} without --output",
            allowed="--output RUN for a file or module, nothing for a run directory",
            where="edgeval export",
            remedy="add -o RUN",
        )
    run = RunDirectory(request.output)
    if request.is_factory:
        source = ModuleSource(
            factory=str(request.model),
            arguments=_arguments(request.factory_args),
            checkpoint=request.checkpoint,
            exporter=request.exporter,
        )
        import_module(source, run, request.graph)
    elif live:
        import_live_module(request.model, run, request.graph, request.exporter)
    elif isinstance(request.model, onnx.ModelProto):
        with tempfile.TemporaryDirectory(prefix="edgeval-graph-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(request.model.SerializeToString(deterministic=True))
            import_graph(path, run, request.graph)
    else:
        import_graph(Path(request.model), run, request.graph)
    return run


def is_module(model: object) -> bool:
    """Whether this is a torch module; who has one has imported torch, so torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _arguments(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    if given is None or isinstance(given, str):
        return parse_arguments(given)
    try:
        return parse_arguments(json.dumps(dict(given)))  # the run's record keeps them, as JSON
    except TypeError as error:
        raise UsageError(
            found=str(error),
            allowed="arguments that JSON can hold: numbers, text, lists, mappings",
            where="--factory-args",
            remedy="build the module yourself and give that",
        ) from error


def _refuse_options(request: ModelRequest, *, live: bool) -> None:
    model = type(request.model).__name__ if live or isinstance(request.model, onnx.ModelProto) else request.model
    if not request.is_factory:
        factory = {"--checkpoint": request.checkpoint, "--factory-args": request.factory_args}
        module = {} if live else {"--exporter": request.exporter}
        remedy = "leave it out for a file or a run directory"
        _refuse({**factory, **module}, model, "package.module:factory", remedy)
    if request.is_run:
        graph = request.graph
        given = {"--output": request.output, "--inputs": graph.inputs, "--task": graph.task, "--metric": graph.metric}
        remedy = "leave it out for a run directory, or check the path of the file"
        _refuse(given, model, "a QONNX file that exists, or package.module:factory", remedy)


def _refuse(given: Mapping[str, object], model: object, owner: str, remedy: str) -> None:
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                found=f"{option} {value} with {model}",
                allowed=f"{option} only with {owner}",
                where="edgeval export",
                remedy=remedy,
            )
