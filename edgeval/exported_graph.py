"""An exported QONNX graph made fit to keep: plain and stable names, no paths, one-bit quantizers as they were trained.

torch's two exporters name the same things differently, with counters of the whole process, and the newer one writes
stack traces into the file. Afterwards equal modules give equal bytes, and a layer has one name whoever exported it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Metadata key under which the dynamo exporter keeps the module path of a node."""
_BREVITAS_PARTS = {"export_handler", "fused_activation_quant_proxy"}
_REPEATED = re.compile(r"^(export_handler|activation_impl)_\d+$")
"""TorchScript numbers these when a module is called once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """What a Brevitas quantizer is, as far as its export can get it wrong.

    Attributes:
        integer: Its values are scale × integer; ``False`` for bipolar, ternary and float ones.
        signed, narrow: Range of the integers.
        rounding: QONNX's name of the rounding.
    """

    integer: bool
    signed: bool
    narrow: bool
    rounding: str


def tidy(
    model: onnx.ModelProto, name: str, modules: Mapping[str, Quantizer | None], parameters: Set[str]
) -> tuple[str, ...]:
    """Name everything plainly, take out what is about the exporting machine, mend one-bit quantizers; in place.

    Args:
        model: As brevitas' ``export_qonnx`` wrote it: one input, one output.
        name: Of the graph.
        modules: Every part of the module by its path, with what it is where it is a quantizer.
        parameters: Names of the module's state; constants of that name keep it.

    Returns:
        What was mended, in words for people.

    Raises:
        ValueError: more or fewer than one input or output.
    """
    graph = model.graph
    constants = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(f"{len(inputs)} inputs and {len(graph.output)} outputs instead of one of each")
    paths = _name_nodes(graph, modules)
    mended = _mend_one_bit(graph, paths, modules)
    _rename_tensors(graph, inputs[0].name, parameters)
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(inputs[0])
    del graph.input[:], graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    graph.input.append(kept)
    for item in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        del item.metadata_props[:]
        item.doc_string = ""
    graph.name, graph.doc_string, model.doc_string = name, "", ""
    return mended


def _name_nodes(graph: onnx.GraphProto, modules: Mapping[str, Quantizer | None]) -> list[str]:
    """Name nodes ``/module/path/Operator`` and return their module paths."""
    paths, taken = [], set()
    for node in graph.node:
        path = _full_path(_module_path(node), modules)
        paths.append(".".join(path))
        base = "/".join(["", *path, node.op_type])
        name, count = base, 0
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        node.name = name
    return paths


def _module_path(node: onnx.NodeProto) -> list[str]:
    """Where in the module a node comes from, from whatever its exporter left behind."""
    for item in node.metadata_props:
        if item.key == _SCOPES:
            scopes = [str(scope) for scope in ast.literal_eval(item.value)]
            parts = scopes[-2].split(".") if len(scopes) > 1 else []
            return [part for part in parts if part and part not in _BREVITAS_PARTS]
    if not node.name.startswith("/"):
        return []
    path, before = [], ""
    for part in node.name.strip("/").split("/")[:-1]:  # TorchScript: /net/net.0/act_quant/export_handler/Quant
        path += (part.removeprefix(f"{before}.") if before else part).split(".")
        before = part
    path = [_REPEATED.sub(r"\1", part) for part in path]
    return [part for part in path if part not in _BREVITAS_PARTS]


def _full_path(path: list[str], modules: Mapping[str, Quantizer | None]) -> list[str]:
    """The whole path: TorchScript leaves out modules that are only passed through, never called themselves."""
    for length in range(len(path), 0, -1):
        head = ".".join(path[:length])
        if head in modules:
            return path
        meant = [full for full in modules if full.endswith(f".{head}")]
        if len(meant) == 1:
            return [*meant[0].split("."), *path[length:]]
    return path


def _mend_one_bit(graph: onnx.GraphProto, paths: list[str], modules: Mapping[str, Quantizer | None]) -> tuple[str, ...]:
    """Write one-bit integer quantizers as ``Quant``.

    brevitas 0.13.4 writes *every* one-bit quantizer as ``BipolarQuant``, whose values are -1 and +1, also those that
    were trained on 0 and 1 (or -1 and 0). A node is told by its path; one without a quantizer of its path is left, and
    executing the graph against the module shows whether that was right.
    """
    mended = []
    for node, path in zip(graph.node, paths, strict=True):
        quantizer = modules.get(path)
        if node.op_type != "BipolarQuant" or quantizer is None or not quantizer.integer:
            continue
        for constant, value in (("zero_point", 0.0), ("bit_width", 1.0)):
            full = f"{node.name}_{constant}"
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), full))
            node.input.append(full)
        node.op_type = "Quant"
        node.name = node.name.replace("BipolarQuant", "Quant")
        node.attribute.extend(
            [
                helper.make_attribute("signed", int(quantizer.signed)),
                helper.make_attribute("narrow", int(quantizer.narrow)),
                helper.make_attribute("rounding_mode", quantizer.rounding),
            ]
        )
        words = "-1 and 0" if quantizer.signed else "0 and 1"
        mended.append(f"{path}: one-bit quantizer put back to the words {words}, which brevitas exports as -1 and +1")
    return tuple(mended)


def _rename_tensors(graph: onnx.GraphProto, source: str, parameters: Set[str]) -> None:
    """Input ``input``, output ``output``, node outputs after their node, constants by parameter or number."""
    names = {source: "input"}
    for item in graph.initializer:
        keep = item.name in parameters and not item.name.startswith(("input", "output", "constant_"))
        names[item.name] = item.name if keep else f"constant_{len(names)}"
    for node in graph.node:
        for position, tensor in enumerate(node.output):
            if tensor:
                names[tensor] = f"{node.name}_output_{position}"
    names[graph.output[0].name] = "output"
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for item in [*graph.initializer, *graph.input, *graph.output]:
        item.name = names[item.name]
