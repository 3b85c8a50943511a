"""IntegerGraph → hls4ml project folder: convert, check every type hls4ml chose, write, describe.

The only importer of hls4ml. Types come from our intervals; after conversion each one is compared with the integer
network, because hls4ml falls back to its default precision in silence where it loses track.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from hls.errors import ToolError
from hls.files import atomic_write, write_error
from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.hls4ml_flow.alignment import describe, values_of_layers
from hls.hls4ml_flow.canonical import INPUT_NAME, canonical_model, unit_log2
from hls.hls4ml_flow.manifest import MANIFEST_FILE, PROJECT_NAME, Manifest
from hls.hls4ml_flow.options import ProjectOptions
from hls.nodes import MatMul
from hls.serialize import digest


def write_project(graph: IntegerGraph, directory: Path, options: ProjectOptions) -> Manifest:
    """Write the hls4ml project of a network, replacing an older one only when the new one is whole.

    Args:
        graph: The network, accumulator overrides already applied.
        directory: Folder of the project.
        options: Back end, interface and implementation choices.

    Returns:
        The manifest, also saved in the folder; ``canonical.onnx`` and the conversion log lie beside the sources.

    Raises:
        LoweringError: a node hls4ml has no exact layer for. ToolError: hls4ml failed or chose another type.
    """
    canonical = canonical_model(graph)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise write_error(directory, error) from error
    try:
        manifest = _write_into(temporary, graph, canonical, options)
        temporary.chmod(0o755)
        if directory.exists():
            shutil.rmtree(directory)
        temporary.replace(directory)
    except OSError as error:
        raise write_error(directory, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _write_into(folder: Path, graph: IntegerGraph, canonical: onnx.ModelProto, options: ProjectOptions) -> Manifest:
    onnx.save(canonical, folder / "canonical.onnx")
    log = io.StringIO()
    with _quiet(log):
        model = _convert(graph, canonical, folder, options)
        _finish_layers(graph, model)
        described = describe(graph, model)
        model.write()
    atomic_write(folder / "conversion.log", log.getvalue().encode())
    _forget_location(folder)
    manifest = Manifest(
        project=PROJECT_NAME,
        backend=options.backend,
        io_type=options.io_type,
        hls4ml_version=version("hls4ml"),
        network_digest=digest(graph),
        input=described.input,
        output=described.output,
        taps=described.taps,
        arrays=described.arrays,
        types=described.types,
        products_on_stack=max(array.size for array in described.arrays),
    )
    atomic_write(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


def _convert(graph: IntegerGraph, canonical: onnx.ModelProto, folder: Path, options: ProjectOptions) -> Any:
    import hls4ml
    from qonnx.core.modelwrapper import ModelWrapper

    wrapper = ModelWrapper(canonical)
    config = hls4ml.utils.config_from_onnx_model(
        wrapper, granularity="name", backend=options.backend, default_precision="fixed<32,16>"
    )
    _configure(config, graph, options)
    arguments = {
        "output_dir": str(folder),
        "project_name": PROJECT_NAME,
        "backend": options.backend,
        "io_type": options.io_type,
        "clock_period": options.clock_period,
        "hls_config": config,
    }
    if options.part is not None:
        arguments["part"] = options.part
    try:
        return hls4ml.converters.convert_from_onnx_model(wrapper, **arguments)
    except Exception as error:  # hls4ml raises bare Exception and IndexError for what it cannot take
        raise ToolError(
            found=f"{type(error).__name__}: {error}",
            allowed="a canonical graph hls4ml converts",
            where=f"hls4ml {version('hls4ml')}, back end {options.backend}",
            remedy="check the YAML overrides; without any, please report this with canonical.onnx",
        ) from error


def _configure(config: dict[str, Any], graph: IntegerGraph, options: ProjectOptions) -> None:
    """Set every precision from the integer network, then the user's choices that change no word."""
    units = unit_log2(graph)
    model = {
        "Strategy": options.strategy,
        "ReuseFactor": options.reuse_factor,
        **(options.overrides.get("Model") or {}),
    }
    config["Model"].update(model)
    layers = config["LayerName"]
    layers[INPUT_NAME]["Precision"] = {"result": _hls_type(graph.quantizer.format, 0)}
    for node in graph.compute_nodes:
        if isinstance(node, MatMul):
            accumulator = _hls_type(node.accumulator, units[node.output])
            # The result stays "auto" here: hls4ml fuses the bias only into a layer whose result type is open.
            layers[node.name]["Precision"] = {"accum": accumulator, "result": "auto"}
            layers[node.name]["Strategy"] = model["Strategy"]
    for settings in layers.values():
        if "ReuseFactor" in settings:
            settings["ReuseFactor"] = model["ReuseFactor"]  # hls4ml looks at the layer first
    for name, settings in (options.overrides.get("LayerName") or {}).items():
        layers.setdefault(name, {}).update({k: v for k, v in (settings or {}).items() if k != "Precision"})


def _finish_layers(graph: IntegerGraph, model: Any) -> None:
    """Trace every aligned layer, and give each matrix product its accumulator's type as its result.

    What hls4ml infers for an open result may be narrower or wider than what the formats need.
    """
    from hls4ml.backends.fpga.fpga_types import APTypeConverter
    from hls4ml.model.types import FixedPrecisionType

    units = unit_log2(graph)
    nodes = {node.output: node for node in graph.compute_nodes}
    model.config.trace_output = True
    for layer, value in values_of_layers(graph, list(model.get_layers())):
        layer.set_attr("trace", value=True)
        node = nodes.get(value)
        if isinstance(node, MatMul):
            width = node.accumulator.width_bits
            precision = FixedPrecisionType(width=width, integer=width + units[value], signed=node.accumulator.signed)
            layer.get_output_variable().type.precision = APTypeConverter().convert(precision)


def _hls_type(word_format: WordFormat, unit: int) -> str:
    name = "fixed" if word_format.signed else "ufixed"
    return f"{name}<{word_format.width_bits},{word_format.width_bits + unit}>"


def _forget_location(folder: Path) -> None:
    """Take the temporary folder's name out of hls4ml's configuration: a project can be moved and copied."""
    path = folder / "hls4ml_config.yml"
    text = path.read_text(encoding="utf-8")
    atomic_write(path, text.replace(str(folder), ".").encode())


@contextlib.contextmanager
def _quiet(log: io.StringIO) -> Iterator[None]:
    """hls4ml prints while it converts; keep that for the log, and its libraries' warnings out of ours."""
    with (
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield
