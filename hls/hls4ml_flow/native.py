"""A user's own QONNX graph and configuration → an hls4ml project, by hls4ml's own road and nothing else.

Before conversion only what hls4ml's documentation tells its users to do (frontend/qonnx): qonnx' cleanup, channels-last
where there are convolutions, GemmToMatMul. Types are those that the user's configuration says, or that hls4ml chooses.
"""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec
import onnx

from hls.errors import RunDirectoryError, ToolError, UsageError
from hls.files import atomic_write, replace_folder
from hls.hls4ml_flow.native_project import read_project
from hls.hls4ml_flow.options import Backend, IoType, Strategy
from hls.hls4ml_flow.project import forget_location, quiet
from hls.readers import UnreadableError, read_json, read_yaml

NATIVE_FILE = "edgeval_native.json"
PREPARED_FILE = "prepared.onnx"
_PROJECT_NAME = "native_network"
_WINDOWS = {"Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOptions:
    """What a user of hls4ml chooses.

    Attributes:
        default_precision: hls4ml's ``default_precision``: of everything that has no quantizer.
        config: Contents of the user's configuration, in hls4ml's own format.
    """

    backend: Backend = "Vitis"
    io_type: IoType = "io_parallel"
    strategy: Strategy = "Latency"
    reuse_factor: int = 1
    clock_period: float = 5.0
    part: str | None = None
    default_precision: str = "fixed<16,6>"
    config: Mapping[str, Any] = field(default_factory=dict)


class NativeManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="edgeval.native/1"):
    """``edgeval_native.json``: where a native project comes from.

    Attributes:
        flow: ``native``: converted here; ``project``: an existing folder, copied as it was.
        options: Of the conversion; empty for an existing folder.
    """

    flow: Literal["native", "project"]
    options: dict[str, Any]
    hls4ml_version: str

    def native_options(self) -> NativeOptions:
        """The options of the conversion again."""
        return NativeOptions(**self.options)


def load_native_manifest(folder: Path) -> NativeManifest:
    """Read ``edgeval_native.json``.

    Raises:
        RunDirectoryError: missing or damaged.
    """
    try:
        return read_json(folder / NATIVE_FILE, NativeManifest)
    except UnreadableError as error:
        raise RunDirectoryError(
            found=str(error),
            allowed="a project written by `edgeval export --flow native` or taken by `--project`",
            where=str(folder / NATIVE_FILE),
            remedy="export again",
        ) from error


def load_config(path: Path) -> dict[str, Any]:
    """Read a configuration in hls4ml's format; a whole ``hls4ml_config.yml`` counts by its ``HLSConfig``.

    Raises:
        UsageError: unreadable, no YAML, or sections hls4ml's format does not have.
    """
    try:
        content = read_yaml(path) or {}
    except UnreadableError as error:
        raise _usage(str(error), "a readable YAML file", str(path)) from error
    content = content.get("HLSConfig", content) if isinstance(content, dict) else content
    allowed = {"Model", "LayerName", "LayerType", "Optimizers"}
    if not isinstance(content, dict) or not set(content) <= allowed:
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise _usage(f"top-level {found}", ", ".join(sorted(allowed)), str(path))
    return content


def prepare(model: onnx.ModelProto, io_type: IoType) -> onnx.ModelProto:
    """The graph as hls4ml's documentation has its users prepare it.

    Raises:
        ToolError: qonnx cannot transform the graph.
    """
    with quiet(io.StringIO()):
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
        from qonnx.transformation.gemm_to_matmul import GemmToMatMul
        from qonnx.util.cleanup import cleanup_model

        try:
            wrapper = cleanup_model(ModelWrapper(copy.deepcopy(model)))
            if any(node.op_type in _WINDOWS for node in wrapper.graph.node):
                last = ConvertToChannelsLastAndClean(make_input_channels_last=io_type == "io_stream")
                wrapper = wrapper.transform(last)
            wrapper = cleanup_model(wrapper.transform(GemmToMatMul()))
        except Exception as error:  # qonnx raises bare exceptions for what it cannot transform
            raise ToolError(
                found=f"{type(error).__name__}: {error}",
                allowed="a graph that qonnx cleans up and turns channels-last",
                where="qonnx, preparing the graph for hls4ml",
                remedy="use --flow exact, which does not need these transformations",
            ) from error
    prepared: onnx.ModelProto = wrapper.model
    return prepared


def write_native(model: onnx.ModelProto, directory: Path, options: NativeOptions) -> NativeManifest:
    """Convert a prepared graph with hls4ml and write the project, replacing an older one only when whole.

    Raises:
        ToolError: hls4ml refuses the graph or the configuration, in its own words.
    """
    manifest = NativeManifest(flow="native", options=msgspec.to_builtins(options), hls4ml_version=version("hls4ml"))

    def write(folder: Path) -> None:
        log = io.StringIO()
        with quiet(log):
            hls_model = _convert(model, folder, options)
            hls_model.write()
        atomic_write(folder / "conversion.log", log.getvalue().encode())
        forget_location(folder)

    _replace(directory, model, manifest, write)
    return manifest


def take_project(source: Path, model: onnx.ModelProto, directory: Path) -> NativeManifest:
    """Copy an existing project as it is, and check that it can be read.

    Raises:
        RunDirectoryError: it is no project of the Vivado or Vitis back end.
    """
    read_project(source)
    manifest = NativeManifest(flow="project", options={}, hls4ml_version="")

    def write(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so", "*_prj", ".git"))

    _replace(directory, model, manifest, write)
    return manifest


def _replace(directory: Path, model: onnx.ModelProto, manifest: NativeManifest, write: Any) -> None:
    def fill(folder: Path) -> None:
        write(folder)
        onnx.save(model, folder / PREPARED_FILE)
        atomic_write(folder / NATIVE_FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=1))

    replace_folder(directory, fill)


def _convert(model: onnx.ModelProto, folder: Path, options: NativeOptions) -> Any:
    import hls4ml
    from qonnx.core.modelwrapper import ModelWrapper

    wrapper = ModelWrapper(copy.deepcopy(model))
    arguments: dict[str, Any] = {} if options.part is None else {"part": options.part}
    try:
        config = hls4ml.utils.config_from_onnx_model(
            wrapper,
            granularity="name",
            backend=options.backend,
            default_precision=options.default_precision,
            default_reuse_factor=options.reuse_factor,
        )
        config["Model"]["Strategy"] = options.strategy
        merge(config, options.config)
        return hls4ml.converters.convert_from_onnx_model(
            wrapper,
            output_dir=str(folder),
            project_name=_PROJECT_NAME,
            backend=options.backend,
            io_type=options.io_type,
            clock_period=options.clock_period,
            hls_config=config,
            **arguments,
        )
    except Exception as error:  # hls4ml raises bare Exception and IndexError for what it cannot take
        raise ToolError(
            found=f"{type(error).__name__}: {error}",
            allowed="a graph and a configuration that hls4ml converts",
            where=f"hls4ml {version('hls4ml')}, back end {options.backend}, --flow native",
            remedy="use --flow exact, which legalises the graph first; or change the layer that hls4ml cannot take",
        ) from error


def merge(config: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Lay a user's configuration over another, section by section, in place."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            merge(config[key], value)
        else:
            config[key] = copy.deepcopy(dict(value)) if isinstance(value, Mapping) else value


def _usage(found: str, allowed: str, where: str) -> UsageError:
    return UsageError(found=found, allowed=allowed, where=where, remedy="change that setting and run again")
