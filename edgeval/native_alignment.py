"""Which tensor of the user's graph each layer of a native project computes, seen through hls4ml's fusions.

A layer is named after the *first* ONNX node fused into it, while its values are those of the *last*: a Dense holds the
Add behind it, a ReLU the Quant behind it. So a layer is followed to the last tensor in front of the next layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from jaxtyping import Float64

from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.native_project import NativeLayer, NativeProject
from hls.lowering import Lowered
from hls.lowering.chain import Clip, evaluate, floats
from hls.lowering.symbols import Wire
from hls.nodes import MatMul

_MOVING = {"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout"}
_JOINS = {"Concat", "Sum", "Average", "Max", "Min"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeAlignment:
    """A layer of a native project and what it computes.

    Attributes:
        nodes: ONNX nodes fused into it, in data order; empty for a layer that hls4ml made up.
        tensor: The last one's output; empty for none.
        wire: What that tensor is in the integer network, ``None`` where it has no words to compare.
        unit: Factor from the layer's values to real values: the scale where hls4ml computes in units of it, else 1.
    """

    layer: NativeLayer
    nodes: tuple[onnx.NodeProto, ...]
    tensor: str
    wire: Wire | None
    unit: float = 1.0


def align(project: NativeProject, lowered: Lowered) -> tuple[NativeAlignment, ...]:
    """Align every layer of a project with the prepared graph it was made of.

    Args:
        project: The project.
        lowered: Lowering of the prepared graph.
    """
    graph = lowered.model.graph
    nodes = {node.name: node for node in graph.node}
    starts: dict[str, list[NativeLayer]] = {}
    for layer in project.layers:
        if (name := _node_name(layer.name, nodes)) is not None:
            starts.setdefault(name, []).append(layer)
    scaled = any(re.search(r"_(re)?scale$", layer.name) for layer in project.layers)
    result = []
    for layer in project.layers:
        name = _node_name(layer.name, nodes)
        if name is None or re.search(r"_(re)?scale$", layer.name):
            result.append(NativeAlignment(layer=layer, nodes=(), tensor="", wire=None))
            continue
        fused = _fused(graph, nodes[name], set(starts), lowered)
        tensor = fused[-1].output[0]
        wire = lowered.tensors.get(tensor)
        unit = 1.0
        codes = any(item.name == f"{name}_scale" for item in project.layers)
        if codes and wire is not None and len(wire.scale) == 1:
            unit = float(wire.scale[0])  # between its two ApplyAlphas hls4ml counts in words
        elif scaled and layer is not project.layers[-1]:
            wire = None  # hls4ml moved scales behind this layer: its values are no tensor of the graph
        if wire is not None and not _has_words(wire, lowered.graph):
            wire = None
        result.append(NativeAlignment(layer=layer, nodes=fused, tensor=tensor, wire=wire, unit=unit))
    return tuple(result)


def _node_name(layer: str, nodes: Mapping[str, onnx.NodeProto]) -> str | None:
    """The ONNX node a layer is named after: ``Dense_MatMul_0``, ``Quant_4_act`` and ``bn_Add_1`` hold its name."""
    found = [name for name in nodes if re.search(rf"(^|_){re.escape(name)}(_|$)", layer)]
    return max(found, key=len) if found else None


def _fused(
    graph: onnx.GraphProto, node: onnx.NodeProto, starts: set[str], lowered: Lowered
) -> tuple[onnx.NodeProto, ...]:
    fused = [node]
    while True:
        readers = [item for item in graph.node if fused[-1].output[0] in item.input]
        if len(readers) != 1 or readers[0].name in starts or readers[0].op_type in _MOVING | _JOINS:
            return tuple(fused)
        flowing = [name for name in readers[0].input if name in lowered.tensors]
        if len(flowing) != 1:
            return tuple(fused)
        fused.append(readers[0])


def _has_words(wire: Wire, graph: IntegerGraph) -> bool:
    """Whether the tensor is a value of the network, up to clips; an unmet bias already belongs to the value."""
    node = graph.producer_of(wire.value)
    if wire.open_layer is not None and isinstance(node, MatMul) and node.bias is not None:
        return False
    return all(isinstance(step, Clip) for step in wire.chain)


def real_values(wire: Wire, words: Words) -> Float64[np.ndarray, "samples size"]:
    """Real values of a tensor, flattened as its ONNX tensor lies, from the words of its value."""
    real = np.asarray(words * floats(wire.scale), np.float64)
    if wire.chain:
        real = np.asarray(evaluate(wire.chain, real, np.zeros_like(real), 0.0)[0], np.float64)
    laid_out = real.transpose(0, *(axis + 1 for axis in wire.order))
    return np.ascontiguousarray(laid_out.reshape(len(laid_out), -1))


def units(wire: Wire, size: int, shape: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
    """Real value of one word of each element of such a flattened tensor."""
    full = np.broadcast_to(floats(wire.scale), shape).transpose(wire.order)
    return np.ascontiguousarray(full.reshape(size), np.float64)


def network_names(prepared: IntegerGraph, run: IntegerGraph) -> Mapping[str, str]:
    """Value of the run's network for each value of the prepared graph's, where both are the same chain of nodes.

    qonnx' clean-up renames everything; the nodes stay in data order.
    """
    ours, theirs = (
        [node for node in graph.nodes if type(node).__name__ not in ("Transpose", "Reshape")]
        for graph in (run, prepared)
    )
    if [type(node) for node in ours] != [type(node) for node in theirs]:
        return {}
    return {b.output: a.output for a, b in zip(ours, theirs, strict=True)}
