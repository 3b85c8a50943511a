"""IntegerGraph → hls4ml project folder: convert, check every type hls4ml chose, write, describe.

Imports hls4ml only when a project is written. Types come from our intervals; after conversion each one is compared with
the integer network, because hls4ml falls back to its default precision in silence where it loses track.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from hls.errors import LoweringError, ToolError
from hls.files import atomic_write, replace_folder
from hls.formats import Rounding, WordFormat
from hls.graph import IntegerGraph
from hls.hls4ml_flow.alignment import COPYING, aligned_layers, axes_of, cpp_type_of, describe, stored_in, weights_of
from hls.hls4ml_flow.canonical import INPUT_NAME, canonical_model
from hls.hls4ml_flow.limits import require_io_type
from hls.hls4ml_flow.manifest import MANIFEST_FILE, PROJECT_NAME, Manifest
from hls.hls4ml_flow.options import AC_BACKENDS, ProjectOptions
from hls.hls4ml_flow.units import unit_log2
from hls.nodes import Add, accumulator_of
from hls.serialize import digest

_MOVES_WEIGHTS = "remove_transpose_before_flatten"

_NO_RESOURCE_DEPTHWISE = {("Vitis", "io_parallel"), ("Vivado", "io_parallel"), ("Catapult", "io_stream")}
"""Where the C++ of a depthwise convolution only asserts that it is not supported."""


def write_project(graph: IntegerGraph, directory: Path, options: ProjectOptions) -> Manifest:
    """Write the hls4ml project of a network, replacing an older one only when the new one is whole.

    Args:
        graph: The network, accumulator overrides already applied.
        directory: Folder of the project.
        options: Back end, interface and implementation choices.

    Returns:
        The manifest, also saved in the folder; ``canonical.onnx`` and the conversion log lie beside the sources.

    Raises:
        LoweringError: a node that hls4ml, this back end or this interface has no exact layer for.
        ToolError: hls4ml failed or chose another type.
    """
    canonical = canonical_model(graph)
    options = replace(options, io_type=options.chosen_io_type(graph))
    require_io_type(graph, str(options.io_type))
    return replace_folder(directory, lambda folder: _write_into(folder, graph, canonical, options))


def _write_into(folder: Path, graph: IntegerGraph, canonical: onnx.ModelProto, options: ProjectOptions) -> Manifest:
    onnx.save(canonical, folder / "canonical.onnx")
    log = io.StringIO()
    with quiet(log):
        model = converted_model(graph, canonical, folder, options)
        described = describe(graph, model)
        _require_code(model)
        model.write()
        _mend_traces(folder, model)
    atomic_write(folder / "conversion.log", log.getvalue().encode())
    forget_location(folder)
    manifest = Manifest(
        project=PROJECT_NAME,
        backend=options.backend,
        io_type=str(options.io_type),
        hls4ml_version=version("hls4ml"),
        network_digest=digest(graph),
        input=described.input,
        output=described.output,
        taps=described.taps,
        arrays=described.arrays,
        types=described.types,
        products_on_stack=max((array.size for array in described.arrays), default=0)
        + sum(prod(value.shape) for value in graph.values.values()),
    )
    atomic_write(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


def converted_model(graph: IntegerGraph, canonical: onnx.ModelProto, folder: Path, options: ProjectOptions) -> Any:
    """hls4ml's model of a network, with the network's own types and words, before anything is written.

    Raises:
        ToolError: hls4ml failed.
    """
    model = _convert(graph, canonical, folder, options)
    _finish_layers(graph, model)
    return model


def _convert(graph: IntegerGraph, canonical: onnx.ModelProto, folder: Path, options: ProjectOptions) -> Any:
    import hls4ml
    from qonnx.core.modelwrapper import ModelWrapper

    from hls.hls4ml_flow.extension.handlers import register_handlers

    register_handlers()

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
        with _weights_left_in_place():
            return hls4ml.converters.convert_from_onnx_model(wrapper, **arguments)
    except Exception as error:  # hls4ml raises bare Exception and IndexError for what it cannot take
        raise ToolError(
            found=f"{type(error).__name__}: {error}",
            allowed="a canonical graph hls4ml converts",
            where=f"hls4ml {version('hls4ml')}, back end {options.backend}",
            remedy="check the YAML overrides; without any, please report this with canonical.onnx",
        ) from error


@contextlib.contextmanager
def _weights_left_in_place() -> Iterator[None]:
    """Without the pass that drops a Transpose and permutes the rows of the weights behind it instead.

    Stored words are to lie where the integer network says. hls4ml's own ``SkipOptimizers`` has no effect on flows.
    """
    from hls4ml.model.flow import get_flow

    passes = get_flow("convert").optimizers
    position = passes.index(_MOVES_WEIGHTS)
    del passes[position]
    try:
        yield
    finally:
        passes.insert(position, _MOVES_WEIGHTS)


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
    quantized = graph.quantizer.output
    layers[INPUT_NAME]["Precision"] = {"result": _hls_type(graph.quantizer.format.hardware, units[quantized])}
    for node in graph.compute_nodes:
        accumulator = accumulator_of(node)
        if accumulator is not None and not isinstance(node, Add) and node.name in layers:
            # The result stays "auto" here: hls4ml fuses the bias only into a layer whose result type is open.
            text = _hls_type(accumulator, units[node.output])
            layers[node.name]["Precision"] = {"accum": text, "result": "auto"}
            layers[node.name]["Strategy"] = model["Strategy"]
    for settings in layers.values():
        if "ReuseFactor" in settings:
            settings["ReuseFactor"] = model["ReuseFactor"]  # hls4ml looks at the layer first
    for name, settings in (options.overrides.get("LayerName") or {}).items():
        layers.setdefault(name, {}).update({k: v for k, v in (settings or {}).items() if k != "Precision"})


def _finish_layers(graph: IntegerGraph, model: Any) -> None:
    """Trace every aligned layer, and give it the integer network's own types and words.

    What hls4ml infers may be narrower or wider than what the formats need, and its graph holds constants as float32.
    """
    from hls4ml.backends.fpga.fpga_types import ACTypeConverter, APTypeConverter

    convert = (ACTypeConverter() if model.config.backend.name in AC_BACKENDS else APTypeConverter()).convert
    model.config.trace_output = True
    units = unit_log2(graph)
    for item in aligned_layers(graph, list(model.get_layers())):
        layer, node = item.layer, item.start
        layer.set_attr("trace", value=True)
        layer.get_output_variable().type.precision = _precision(convert, *cpp_type_of(graph, item.value))
        accumulator = accumulator_of(node)
        if accumulator is not None and "accum_t" in layer.types:
            layer.types["accum_t"].precision = _precision(convert, accumulator, units[node.output], "floor")
        for role, variable in weights_of(layer, node):
            tensor, unit = stored_in(graph, node, role)
            if tensor is None:
                continue
            variable.type.precision = _precision(convert, tensor.executor_format, unit, "floor", plain=True)
            words = np.ldexp(tensor.executor_words().astype(np.float64), unit)
            ordered = words.transpose(axes_of(layer, node, role))
            if variable.data.size != words.size:
                raise LoweringError(
                    found=f"{variable.data.size} weights of {layer.name}, padded from {words.size}",
                    allowed="a reuse factor that divides the weights into blocks without padding",
                    where=f"hls4ml {version('hls4ml')}, back end {model.config.backend.name}",
                    remedy="choose a reuse factor that is a power of two",
                )
            variable.data = ordered.reshape(variable.data.shape)
    # A copy keeps hls4ml's default type where what it copies has none of its own yet.
    for layer in model.get_layers():
        if layer.class_name in COPYING:
            for variable in layer.variables.values():
                variable.type.precision = layer.get_input_variable().type.precision


def _require_code(model: Any) -> None:
    """Refuse a layer that the back end has no C++ for; hls4ml would leave it out of the program in silence."""
    from hls4ml.model.types import InplaceTensorVariable

    model.apply_flow(model.config.backend.get_default_flow())
    for layer in model.get_layers():
        in_place = isinstance(layer.get_output_variable(), InplaceTensorVariable)
        if layer.class_name != "Input" and not in_place and not layer.get_attr("function_cpp"):
            raise LoweringError(
                found=f"no C++ for layer {layer.name} ({layer.class_name})",
                allowed="layers that the back end implements",
                where=f"hls4ml {version('hls4ml')}, back end {model.config.backend.name}",
                remedy="choose another back end",
            )
        place = (model.config.backend.name, model.config.get_config_value("IOType"))
        resource = str(layer.get_attr("strategy", "")).lower() == "resource"
        if layer.class_name.startswith("DepthwiseConv") and resource and place in _NO_RESOURCE_DEPTHWISE:
            raise LoweringError(
                found=f"no Resource strategy for {layer.name} ({layer.class_name})",
                allowed="Strategy: Latency for depthwise convolutions and averages",
                where=f"hls4ml {version('hls4ml')}, {' '.join(place)}",
                remedy="set Strategy: Latency for that layer in the YAML overrides, or choose another interface",
            )


def _mend_traces(folder: Path, model: Any) -> None:
    """hls4ml's Quartus writer traces the last layer's stream behind every layer of an io_stream project."""
    if model.config.backend.name != "Quartus" or model.config.get_config_value("IOType") != "io_stream":
        return
    path = folder / "firmware" / f"{PROJECT_NAME}.cpp"
    variables = {layer.name: layer.get_output_variable() for layer in model.get_layers()}

    def mended(match: re.Match[str]) -> str:
        variable = variables[match[1]]
        size = variable.size_cpp()
        return f'nnet::save_layer_output<{variable.type.name}>({variable.name}, "{match[1]}", {size});'

    pattern = r'nnet::save_layer_output<\w+>\(\w+, "(\w+)", [^)]*\);'
    atomic_write(path, re.sub(pattern, mended, path.read_text(encoding="utf-8")).encode())


def _precision(convert: Any, word_format: WordFormat, unit: int, rounding: Rounding, *, plain: bool = False) -> Any:
    """hls4ml's type of a format at a unit, as ``convert``, a back end's converter, writes it."""
    from hls4ml.model.types import FixedPrecisionType, RoundingMode, SaturationMode

    modes = {}
    if not plain and rounding == "half_even":
        modes["rounding_mode"] = RoundingMode.RND_CONV
    if not plain and word_format.overflow == "saturate":
        modes["saturation_mode"] = SaturationMode.SAT_SYM if word_format.narrow else SaturationMode.SAT
    width = word_format.width_bits
    return convert(FixedPrecisionType(width=width, integer=width + unit, signed=word_format.signed, **modes))


def _hls_type(word_format: WordFormat, unit: int) -> str:
    name = "fixed" if word_format.signed else "ufixed"
    return f"{name}<{word_format.width_bits},{word_format.width_bits + unit}>"


def forget_location(folder: Path) -> None:
    """Take the temporary folder's name out of hls4ml's configuration: a project can be moved and copied."""
    path = folder / "hls4ml_config.yml"
    text = path.read_text(encoding="utf-8")
    atomic_write(path, text.replace(str(folder), ".").encode())


@contextlib.contextmanager
def quiet(log: io.StringIO) -> Iterator[None]:
    """hls4ml prints while it converts; keep that for the log, and its libraries' warnings out of ours."""
    with (
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield
