"""What a user may choose about an hls4ml project, in hls4ml's own words, and what stays the integer network's.

Precisions belong to the integer network: they are what is being proved. One exception is a narrower accumulator,
which then becomes a format of the network, so that every executor wraps alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import msgspec

from hls.errors import UsageError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat
from hls.graph import IntegerGraph
from hls.nodes import Conv, MatMul
from hls.readers import UnreadableError, read_yaml

Backend = Literal["Vitis", "Vivado", "Quartus", "Catapult"]
"""hls4ml back ends whose C-simulation needs no vendor tool."""
AC_BACKENDS = ("Quartus", "Catapult")
"""Those whose C++ computes in ac_types; the others compute in ap_types."""
IoType = Literal["io_parallel", "io_stream"]
"""How layers are connected: whole arrays, or streams."""
Strategy = Literal["Latency", "Resource"]
"""hls4ml's implementation of a matrix product."""

STRATEGIES: dict[Backend, tuple[Strategy, ...]] = {
    "Vitis": ("Latency", "Resource"),
    "Vivado": ("Latency", "Resource"),
    "Quartus": ("Resource",),
    "Catapult": ("Latency", "Resource"),
}
"""What each back end has; hls4ml's Quartus takes any strategy for Resource in silence."""

PARALLEL_PIXELS = 1024
"""Largest image whose pixels are handed over all at once unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOptions:
    """Choices about an hls4ml project that do not change any word.

    Attributes:
        backend: hls4ml back end.
        io_type: How layers are connected; ``None`` for streams where a value is a large image, else whole arrays.
        strategy: Implementation of matrix products, for all layers.
        reuse_factor: How often a multiplier is used for one inference, at least 1.
        clock_period: Target clock period in ns, > 0.
        part: FPGA part; ``None`` for the back end's default.
        overrides: Contents of a user's YAML in hls4ml's configuration format (``Model``, ``LayerName``).
    """

    backend: Backend = "Vitis"
    io_type: IoType | None = None
    strategy: Strategy = "Latency"
    reuse_factor: int = 1
    clock_period: float = 5.0
    part: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def chosen_io_type(self, graph: IntegerGraph) -> IoType:
        """The given interface, or the one that suits a network: whole arrays of large images do not synthesize."""
        if self.io_type is not None:
            return self.io_type
        pixels = [prod(value.shape[:-1]) for value in graph.values.values() if len(value.shape) > 1]
        return "io_stream" if max(pixels, default=0) > PARALLEL_PIXELS else "io_parallel"

    def __post_init__(self) -> None:
        if self.reuse_factor < 1:
            raise _usage(f"reuse factor {self.reuse_factor}", "1 or more", "--reuse-factor")
        if not 0 < self.clock_period < 1e6:
            raise _usage(f"clock period {self.clock_period} ns", "above 0 ns", "--clock-period")
        if self.strategy not in STRATEGIES[self.backend]:
            allowed = ", ".join(STRATEGIES[self.backend])
            raise _usage(f"strategy {self.strategy}", f"{allowed} for hls4ml's {self.backend} back end", "--strategy")


MODEL_KEYS = {"Precision", "ReuseFactor", "Strategy", "BramFactor", "TraceOutput", "PipelineStyle"}
"""Settings of hls4ml's ``Model`` section; hls4ml itself ignores a misspelt one in silence."""

LAYER_KEYS = {"Precision", "ReuseFactor", "Strategy", "Trace", "TableSize", "ParallelizationFactor"}
"""Settings of one layer in hls4ml's ``LayerName`` section."""


def load_overrides(path: Path) -> dict[str, Any]:
    """Read a YAML file in hls4ml's configuration format.

    Raises:
        UsageError: unreadable, not YAML, or keys hls4ml's format does not have.
    """
    try:
        content = read_yaml(path) or {}
    except UnreadableError as error:
        raise _usage(str(error), "a readable YAML file", str(path)) from error
    content = content.get("HLSConfig", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not set(content) <= {"Model", "LayerName"}:
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise _usage(f"top-level {keys}", "Model and LayerName (hls4ml's configuration format)", str(path))
    layers = content.get("LayerName") or {}
    sections = {"Model": content.get("Model"), "LayerName": layers}
    sections |= {f"LayerName {name}": value for name, value in layers.items()} if isinstance(layers, dict) else {}
    for name, value in sections.items():
        if not isinstance(value, dict | None):
            raise _usage(f"{value!r} under {name}", "settings by name", str(path))
        allowed = {"Model": MODEL_KEYS, "LayerName": set(layers)}.get(name, LAYER_KEYS)
        if unknown := set(value or {}) - allowed:
            names = ", ".join(sorted(map(str, unknown)))
            raise _usage(f"{names} under {name}", ", ".join(sorted(allowed)), str(path))
    return content


def apply_overrides(graph: IntegerGraph, overrides: Mapping[str, Any]) -> IntegerGraph:
    """Carry the accumulator formats of an hls4ml configuration into the integer network; refuse other precisions.

    Raises:
        UsageError: an unknown layer, or a precision that is not the user's to choose.
    """
    model_precision = (overrides.get("Model") or {}).get("Precision")
    if model_precision is not None:
        raise _usage(f"Precision {model_precision!r}", "no precision for the whole model", "Model in the YAML file")
    for layer, settings in (overrides.get("LayerName") or {}).items():
        graph = _override_layer(graph, str(layer), settings or {})
    return graph


def _override_layer(graph: IntegerGraph, layer: str, settings: Mapping[str, Any]) -> IntegerGraph:
    node = next((item for item in graph.compute_nodes if item.name == layer), None)
    if node is None:
        raise _usage(f"layer {layer!r}", ", ".join(item.name for item in graph.compute_nodes), "LayerName")
    precision = settings.get("Precision")
    if precision is None:
        return graph
    if not isinstance(node, MatMul | Conv) or not isinstance(precision, Mapping) or set(precision) != {"accum"}:
        raise _usage(f"Precision {precision!r}", "Precision: {accum: fixed<W,I>} of a layer", f"layer {layer}")
    accumulator = _parse_accumulator(graph, node, str(precision["accum"]))
    changed = msgspec.structs.replace(node, accumulator=accumulator)
    value = replace(graph.values[node.output], format=accumulator)
    return replace(
        graph,
        nodes=tuple(changed if item is node else item for item in graph.nodes),
        values={**graph.values, node.output: value},
    )


def _parse_accumulator(graph: IntegerGraph, node: MatMul | Conv, text: str) -> WordFormat:
    from hls.hls4ml_flow.units import unit_log2

    unit = unit_log2(graph)[node.output]
    match = re.fullmatch(r"(?:ap_)?fixed<\s*(\d+)\s*,\s*(-?\d+)\s*>", text)
    width_bits = int(match[1]) if match else 0
    if match is None or not 2 <= width_bits <= MAXIMUM_WIDTH_BITS or int(match[2]) - width_bits != unit:
        example = node.accumulator.ap_fixed(unit)
        raise _usage(
            f"accum {text}",
            f"a signed, wrapping fixed<W,W{unit:+d}> at the accumulator's unit 2**{unit}, e.g. {example}",
            f"layer {node.name}",
        )
    return WordFormat(width_bits=width_bits, encoding="twos_complement", overflow="wrap")


def _usage(found: str, allowed: str, where: str) -> UsageError:
    return UsageError(found=found, allowed=allowed, where=where, remedy="change that setting and run again")
