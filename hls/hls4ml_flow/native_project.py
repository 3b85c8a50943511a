"""An hls4ml project folder, read as text: layers, types, arrays and ports, whoever wrote it.

Only files that every project of the Vivado and Vitis back ends has are read: ``hls4ml_config.yml`` (two lines of it),
``firmware/NAME.cpp``, ``firmware/defines.h``, ``firmware/parameters.h`` and ``NAME_bridge.cpp``. Nothing is executed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from hls.errors import RunDirectoryError
from hls.hls4ml_flow.native_types import ApType, parse_type

_CALL = re.compile(r"^[ \t]*nnet::(\w+)<([^;]*)>\(([^;]*)\);[ \t]*//[ \t]*(\w+)", re.MULTILINE)
"""One layer: ``nnet::dense<in_t, out_t, config2>(in, out, w2, b2); // fc1``."""
_ARRAY = re.compile(r"^\s*(\w+)\s+(\w+)\[([\d*]+)\]", re.MULTILINE)
_STREAM = re.compile(r"hls::stream<\s*(\w+)\s*>\s*&?\s*(\w+)")
_DEPTH = re.compile(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)")
_ALIAS = re.compile(r"auto\s*&\s*(\w+)\s*=\s*(\w+)\s*;")
_PORT = re.compile(r"convert_data<(?:double|\w+), \w+, ([\d*]+)>\(\w+, (\w+?)_ap\)")
_PORT_OUT = re.compile(r"convert_data<\w+, double, ([\d*]+)>\((\w+?)_ap, \w+\)")
_CONFIG = re.compile(r"struct\s+(\w+)\s*:[^{]*\{(.*?)\n\};", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeVariable:
    """An array or stream between two layers.

    Attributes:
        type_name: In ``defines.h``.
        type: What that is.
        size: Elements a sample.
    """

    name: str
    type_name: str
    type: ApType
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeLayer:
    """A layer of the generated top function.

    Attributes:
        name: hls4ml's, after fusion.
        function: Of ``nnet_utils``, e.g. ``dense``, ``relu``, ``conv_2d_cl``.
        inputs: Names of what it reads.
        output: What it writes.
        arrays: Weight arrays in the order of the call.
        config: Constants of its configuration struct, as text.
        types: Types by role in that struct (``accum_t``, ``bias_t``, ``weight_t``, ``table_t`` …), with their names.
        end: Position behind its call in the source of the top function.
    """

    name: str
    function: str
    inputs: tuple[str, ...]
    output: NativeVariable
    arrays: tuple[str, ...]
    config: Mapping[str, str]
    types: Mapping[str, tuple[str, ApType]]
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeProject:
    """An hls4ml project as it lies in a folder.

    Attributes:
        path: The folder.
        name: Of the top function.
        layers: In the order in which the top function calls them.
        input, output: The ports.
        types: Every fixed-point typedef by name.
        arrays: Name of the element type and number of elements of each weight array that is loaded.
        source: Text of the top function's file.
    """

    path: Path
    name: str
    backend: str
    io_type: str
    layers: tuple[NativeLayer, ...]
    input: NativeVariable
    output: NativeVariable
    types: Mapping[str, ApType]
    arrays: Mapping[str, tuple[str, int]]
    source: str

    def layer(self, name: str) -> NativeLayer:
        """A layer by hls4ml's name."""
        return next(layer for layer in self.layers if layer.name == name)

    def producer_of(self, variable: str) -> NativeLayer | None:
        """The layer that writes a variable, ``None`` for the input port."""
        return next((layer for layer in self.layers if layer.output.name == variable), None)

    def weights(self, array: str) -> np.ndarray:
        """The numbers written for an array, in the order of the C++ array, float64."""
        file = self.path / "firmware" / "weights" / f"{array}.txt"
        text = read_text(file) if file.exists() else _header_numbers(read_text(file.with_suffix(".h")))
        try:
            return np.array([float(part) for part in text.replace("\n", " ").split(",") if part.strip()])
        except ValueError as error:
            raise _unreadable(file, str(error)) from error

    @property
    def stack_words(self) -> int:
        """Words that the generated code keeps on the stack, at most."""
        return sum(layer.output.size for layer in self.layers) + max(
            (size for _, size in self.arrays.values()), default=0
        )


def read_project(path: Path) -> NativeProject:
    """Read a project folder.

    Raises:
        RunDirectoryError: a file is missing, or the top function is not written as hls4ml's Vivado and Vitis back ends
            write it.
    """
    settings = read_text(path / "hls4ml_config.yml")
    name, backend, io_type = (_setting(path, settings, key) for key in ("ProjectName", "Backend", "IOType"))
    source = read_text(path / "firmware" / f"{name}.cpp")
    names = _typedefs(path)
    types = {alias: parsed for alias, text in names.items() if (parsed := parse_type(text)) is not None}
    bridge = read_text(path / f"{name}_bridge.cpp")
    variables = _variables(path, source, types, _port_sizes(bridge))
    layers = tuple(_layers(path, source, variables, types))
    if not layers:
        raise _unreadable(path / "firmware" / f"{name}.cpp", "no layer")
    inputs = [item for item in _PORT.findall(bridge) if item[1] in variables]
    outputs = [item for item in _PORT_OUT.findall(bridge) if item[1] in variables]
    if not inputs or not outputs or len({port for _, port in inputs}) > 1 or len({port for _, port in outputs}) > 1:
        raise _unreadable(path / f"{name}_bridge.cpp", "not exactly one input and one output")
    loads = re.findall(r"load_\w*weights_from_txt<(\w+), (\d+)>\((\w+),", source)
    return NativeProject(
        path=path,
        name=name,
        backend=backend,
        io_type=io_type,
        layers=layers,
        input=variables[inputs[0][1]],
        output=variables[outputs[0][1]],
        types=types,
        arrays={array: (kind, int(size)) for kind, size, array in loads},
        source=source,
    )


def read_text(path: Path) -> str:
    """Text of a file of a project.

    Raises:
        RunDirectoryError: missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error


def _typedefs(path: Path) -> dict[str, str]:
    text = read_text(path / "firmware" / "defines.h")
    return {alias: kind for kind, alias in re.findall(r"typedef\s+(.+?)\s+(\w+);", text)}


def _port_sizes(bridge: str) -> dict[str, int]:
    return {name: _product(size) for size, name in [*_PORT.findall(bridge), *_PORT_OUT.findall(bridge)]}


def _product(text: str) -> int:
    """A size as hls4ml writes it: ``8``, ``4*4*2``."""
    return prod(int(factor) for factor in text.split("*"))


def _variables(
    path: Path, source: str, types: Mapping[str, ApType], ports: Mapping[str, int]
) -> dict[str, NativeVariable]:
    found: dict[str, NativeVariable] = {}
    depths = {name: int(depth) for name, depth in _DEPTH.findall(source)}
    for type_name, name, size in _ARRAY.findall(source):
        if type_name in types:
            found[name] = NativeVariable(name=name, type_name=type_name, type=types[type_name], size=_product(size))
    for type_name, name in _STREAM.findall(source):
        if type_name in types:
            size = ports.get(name, depths.get(name, 0) * types[type_name].packed)
            found[name] = NativeVariable(name=name, type_name=type_name, type=types[type_name], size=size)
    for alias, name in _ALIAS.findall(source):
        if name in found:
            found[alias] = found[name]
    if any(variable.size < 1 for variable in found.values()):
        raise _unreadable(path, "a stream without depth")
    return found


def _layers(
    path: Path, source: str, variables: Mapping[str, NativeVariable], types: Mapping[str, ApType]
) -> list[NativeLayer]:
    configs = {name: body for name, body in _CONFIG.findall(read_text(path / "firmware" / "parameters.h"))}
    layers = []
    for match in _CALL.finditer(source):
        function, template, arguments, name = match.groups()
        parts = [part.strip() for part in arguments.split(",")]
        flowing = [part for part in parts if part in variables]
        if len(flowing) < 2:
            continue
        body = configs.get(template.split(",")[-1].strip(), "")
        constants = dict(re.findall(r"static const \w+ (\w+) = ([^;]+);", body))
        roles = {role: alias for alias, role in re.findall(r"typedef (\w+) (\w+);", body)}
        layers.append(
            NativeLayer(
                name=name,
                function=function,
                inputs=tuple(variables[part].name for part in flowing[:-1]),
                output=variables[flowing[-1]],
                arrays=tuple(part for part in parts if part not in variables),
                config=constants,
                types={role: (alias, types[alias]) for role, alias in roles.items() if alias in types},
                end=match.end(),
            )
        )
    return layers


def _setting(path: Path, settings: str, key: str) -> str:
    match = re.search(rf"^{key}:\s*(\S+)", settings, re.MULTILINE)
    if match is None:
        raise _unreadable(path / "hls4ml_config.yml", f"no {key}")
    return match[1].strip("'\"")


def _header_numbers(text: str) -> str:
    match = re.search(r"=\s*\{(.*?)\}\s*;", text, re.DOTALL)
    return match[1] if match else ""


def _unreadable(path: Path, found: str) -> RunDirectoryError:
    return RunDirectoryError(
        found=found,
        allowed="an hls4ml project of the Vivado or Vitis back end, as hls4ml 1.3 writes it, with one input and output",
        where=str(path),
        remedy="point at the project's own folder, the one with hls4ml_config.yml and firmware/",
    )
