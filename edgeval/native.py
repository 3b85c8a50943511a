"""The native flow: what hls4ml makes of the user's own graph, or an existing project, against the integer network.

Floats go in, as hls4ml's users give them. The values of every layer have to be the network's words times their scale,
exactly: there is no tolerance in front of the float tail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from edgeval.native_alignment import NativeAlignment, align, network_names, real_values, units
from hls.csim.native import NativeBuild, NativeExecution
from hls.engine import ExactEngine
from hls.errors import ToolError
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.native import PREPARED_FILE
from hls.hls4ml_flow.native_project import NativeProject, read_project
from hls.lowering import InputWords, Lowered, lower_traced
from hls.onnx_file import load_model

_FOLDED = 2.0**-20
"""Relative difference of two float tails of which one was folded in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeCase:
    """A native project with everything it is judged by.

    Attributes:
        project: As it lies in the folder.
        lowered: Lowering of the graph that hls4ml got.
        aligned: Its layers and their tensors.
        names: Value of the run's network for each value of ``lowered``.
        channels_last_input: Whether the project reads images channels-last where the run holds them channels-first.
    """

    project: NativeProject
    lowered: Lowered
    aligned: tuple[NativeAlignment, ...]
    names: Mapping[str, str]
    channels_last_input: bool

    def inputs(self, inputs: np.ndarray) -> np.ndarray:
        """The run's inputs as the project reads them."""
        return np.moveaxis(inputs, 1, -1) if self.channels_last_input else inputs

    def name_of(self, value: str) -> str:
        """A value as ``edgeval export`` names it."""
        return self.names.get(value, value)

    @property
    def compared(self) -> tuple[NativeAlignment, ...]:
        """Layers whose values are words of the network, in data order; the output is judged besides."""
        return tuple(item for item in self.aligned if item.wire is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerValues:
    """Values of one layer on both sides, as real numbers.

    Attributes:
        name: Of the value in the integer network.
        layer: hls4ml's name.
        found, expected: Shape (samples, size).
        unit: Real value of one word, an element each.
        alignment: ``None`` for the values behind a float tail.
        tolerance: 0, or what a float tail may differ by: one unit of the output type.
    """

    name: str
    layer: str
    found: Float64[np.ndarray, "samples size"]
    expected: Float64[np.ndarray, "samples size"]
    unit: Float64[np.ndarray, "..."]
    alignment: NativeAlignment | None
    tolerance: float = 0.0

    @property
    def differs(self) -> np.ndarray:
        """Where both sides differ; a value that the project never wrote (NaN) differs."""
        return np.asarray(~(np.abs(self.found - self.expected) <= self.tolerance))


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeValues:
    """Everything that was compared on some samples.

    Attributes:
        layers: In data order; the output is the last.
        words: Of every value of the prepared network.
        execution: What the project computed.
    """

    layers: tuple[LayerValues, ...]
    words: Mapping[str, Words]
    execution: NativeExecution

    @property
    def first(self) -> LayerValues | None:
        """The first layer in data order that differs."""
        return next((layer for layer in self.layers if layer.differs.any()), None)


def open_case(folder: Path, network: IntegerGraph, input_format: InputWords | None) -> NativeCase:
    """Read a native project of a run.

    Args:
        folder: The project.
        network: The run's integer network.
        input_format: Where the graph has no input quantizer.

    Raises:
        RunDirectoryError: no readable project. LoweringError: the prepared graph has no integer meaning.
    """
    project = read_project(folder)
    lowered = lower_traced(load_model(folder / PREPARED_FILE), input_format=input_format)
    shape = lowered.graph.values[lowered.graph.input].shape
    given = network.values[network.input].shape
    return NativeCase(
        project=project,
        lowered=lowered,
        aligned=align(project, lowered),
        names=network_names(lowered.graph, network),
        channels_last_input=shape != given and shape == (*given[1:], given[0]),
    )


def require_same_meaning(case: NativeCase, network: IntegerGraph, inputs: np.ndarray) -> None:
    """Refuse a prepared graph that computes something else than the run's: then qonnx' preparation is the culprit.

    Output values are equal, or, behind a float tail whose constants qonnx folded in float32, equal to 2**-20.

    Raises:
        ToolError: an output value differs.
    """
    words = ExactEngine(network).run(network.quantize_inputs(inputs)).output
    prepared = case.lowered.graph
    other = ExactEngine(prepared).run(prepared.quantize_inputs(case.inputs(inputs))).output
    expected = network.output_values(words).reshape(len(words), -1)
    found = prepared.output_values(other).reshape(len(words), -1)
    slack = _FOLDED * float(np.abs(expected).max(initial=1.0)) if network.tail else 0.0
    if found.shape != expected.shape or float(np.abs(found - expected).max()) > slack:
        raise ToolError(
            found="other outputs from the graph that qonnx prepared for hls4ml than from the graph itself",
            allowed="a clean-up and channels-last conversion that keep the meaning",
            where="qonnx, preparing the graph for hls4ml",
            remedy="use --flow exact, which does not need these transformations",
        )


def compare_values(case: NativeCase, inputs: np.ndarray, execution: NativeExecution) -> NativeValues:
    """Put the values of both sides beside each other, layer by layer."""
    graph = case.lowered.graph
    input_words = graph.quantize_inputs(case.inputs(inputs))
    taps = [node.output for node in graph.compute_nodes]
    words = {graph.quantizer.output: input_words, **ExactEngine(graph).run(input_words, taps).taps}
    layers: list[LayerValues] = []
    for item in case.compared:
        assert item.wire is not None
        if item.layer.output.name == case.project.output.name:
            continue
        values = _layer_values(case, item, words, execution.layers[item.layer.name])
        if any(other.name == values.name for other in layers):  # a Transpose has the words of the layer in front of it
            values = replace(values, name=f"{values.name} ({item.layer.name})")
        layers.append(values)
    return NativeValues(layers=(*layers, _output_values(case, words, execution)), words=words, execution=execution)


def _layer_values(
    case: NativeCase, item: NativeAlignment, words: Mapping[str, Words], found: np.ndarray
) -> LayerValues:
    assert item.wire is not None
    expected = real_values(item.wire, words[item.wire.value])
    shape = case.lowered.graph.values[item.wire.value].shape
    word_format = case.lowered.graph.values[item.wire.value].format
    if word_format is not None and word_format.encoding == "bipolar" and item.layer.output.type.width_bits == 1:
        found = 2.0 * found - 1.0  # hls4ml keeps -1 and +1 as the bits 0 and 1
    clipped = " (clipped)" if item.wire.chain else ""  # a ReLU in front of its quantizer is no value of the network
    return LayerValues(
        name=f"{case.name_of(item.wire.value)}{clipped}", layer=item.layer.name,
        found=found * item.unit, expected=expected,
        unit=units(item.wire, expected.shape[1], shape), alignment=item,
    )  # fmt: skip


def _output_values(case: NativeCase, words: Mapping[str, Words], execution: NativeExecution) -> LayerValues:
    graph, output = case.lowered.graph, case.project.output
    expected = np.asarray(graph.output_values(words[graph.output]), np.float64)
    expected = expected.reshape(len(expected), -1)
    last = case.project.producer_of(output.name)
    alignment = next((item for item in case.aligned if item.layer is last), None)
    unit = case.lowered.output
    shape = graph.values[graph.output].shape
    tail = bool(graph.tail)
    return LayerValues(
        name=f"{case.name_of(graph.output)}{' behind the float tail' if tail else ''}",
        layer=output.name if last is None else last.name,
        found=execution.output, expected=expected,
        unit=np.full(expected.shape[1], output.type.unit) if tail else units(unit, expected.shape[1], shape),
        alignment=alignment,
        tolerance=output.type.unit if tail else 0.0,
    )  # fmt: skip


__all__ = [
    "LayerValues", "NativeBuild", "NativeCase", "NativeValues", "compare_values", "open_case", "require_same_meaning",
]  # fmt: skip
