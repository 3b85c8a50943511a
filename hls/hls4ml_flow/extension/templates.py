"""The C++ of a layer in hls4ml's generated code: a configuration struct and the call of ``hls/cpp/nnet_edgeval.h``.

Widths of intermediate words are not written here: the header derives them from the types of the ports, which may be
set after conversion, and from the widths of the constants, which are.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate

from hls.hls4ml_flow.extension.layers import (
    EdgevalLookup,
    EdgevalRequantize,
    EdgevalScaledAdd,
    EdgevalThreshold,
)
from hls.hls4ml_flow.extension.parameters import Lookup, Parameters, Requantize, ScaledAdd, Threshold, signed_bits

_LAYERS = (EdgevalThreshold, EdgevalRequantize, EdgevalLookup, EdgevalScaledAdd)
_FUNCTIONS = {
    "EdgevalThreshold": "threshold",
    "EdgevalRequantize": "requantize",
    "EdgevalLookup": "lookup",
    "EdgevalScaledAdd": "scaled_add",
}
_ARRAYS = {"EdgevalThreshold": "thresholds", "EdgevalLookup": "table"}


class EdgevalConfigTemplate(LayerConfigTemplate):  # type: ignore[misc]
    """``struct config<index>``."""

    def __init__(self) -> None:
        super().__init__(_LAYERS)

    def format(self, node: Any) -> str:
        """The struct of one layer."""
        return config_struct(f"config{node.index}", prod(node.get_output_variable().shape), node.parameters)


class EdgevalFunctionTemplate(FunctionCallTemplate):  # type: ignore[misc]
    """The call; ``header`` is the one that knows the back end's types."""

    def __init__(self, header: str) -> None:
        super().__init__(_LAYERS, include_header=[f"nnet_utils/{header}"])

    def format(self, node: Any) -> str:
        """One call, of the array or the stream form."""
        stream = node.model.config.get_config_value("IOType") == "io_stream"
        function = _FUNCTIONS[node.class_name] + ("_stream" if stream else "")
        inputs = [node.get_input_variable(name) for name in node.inputs]
        output = node.get_output_variable()
        types = [*(variable.type.name for variable in inputs), output.type.name, f"config{node.index}"]
        arguments = [*(variable.name for variable in inputs), output.name]
        if array := _ARRAYS.get(node.class_name):
            arguments.append(node.get_weights(array).name)
        return f"nnet::edgeval::{function}<{', '.join(types)}>({', '.join(arguments)});"


def config_struct(name: str, size: int, parameters: Parameters) -> str:
    """The C++ struct that ``hls/cpp/nnet_edgeval.h`` takes as CONFIG_T, for a layer of ``size`` words."""
    lines = [
        f"static const unsigned n_in = {size};",
        f"static const unsigned n_channels = {getattr(parameters, 'channels', 1)};",
        f"static const int out_unit = {parameters.result.unit};",
        *_members(parameters),
    ]
    return "\n".join([f"struct {name} {{", *(f"    {line}" for line in lines), "};\n"])


def _members(parameters: Parameters) -> list[str]:
    match parameters:
        case Threshold():
            moves = [parameters.stride * direction for direction in parameters.directions]
            return [
                f"static const unsigned n_steps = {parameters.steps};",
                f"static const int count_bits = {signed_bits([parameters.steps])};",
                *_per_channel("offset", parameters.offsets),
                *_per_channel("move", moves),
            ]
        case Requantize():
            return [
                f"static const int in_unit = {parameters.in_unit};",
                f"static const int largest_shift = {max(parameters.shifts)};",
                f"static const int bound_bits = {signed_bits([parameters.low, parameters.high])};",
                *_per_channel("multiplier", parameters.multipliers),
                *_per_channel("offset", parameters.offsets),
                *_per_channel("shift", parameters.shifts),
                *_per_channel("low", [parameters.low]),
                *_per_channel("high", [parameters.high]),
            ]
        case Lookup():
            return [
                f"static const int in_unit = {parameters.in_unit};",
                f"static const unsigned n_entries = {parameters.entries};",
                f"static const long long first = {_literal(parameters.first)};",
            ]
        case ScaledAdd():
            return [
                *(f"static const int in_unit{k} = {unit};" for k, unit in enumerate(parameters.in_units)),
                *(line for k, word in enumerate(parameters.multipliers) for line in _per_channel(f"scale{k}", [word])),
            ]


def _per_channel(name: str, words: Iterable[int]) -> list[str]:
    """A constant by channel, in the narrowest signed type that holds all of them.

    A function, because C++11 has no way to define a constant array in a struct that is only ever included.
    """
    words = list(words)
    kind = f"nnet::edgeval::word<{signed_bits(words)}>"
    lines = [f"static const int {name}_bits = {signed_bits(words)};"]
    if len(set(words)) == 1:
        return [*lines, f"static {kind}::type {name}(unsigned) {{ return {kind}::type({_literal(words[0])}); }}"]
    values = ", ".join(_literal(word) for word in words)
    table = f"static const {kind}::type values[{len(words)}] = {{{values}}};"
    return [
        *lines,
        f"static {kind}::type {name}(unsigned channel) {{",
        f"    {table}",
        "    return values[channel];",
        "}",
    ]


def _literal(word: int) -> str:
    """-2**63 has no literal of its own in C++."""
    return f"{word}LL" if word > -(2**63) else f"({word + 1}LL - 1)"
