"""Repairs of files that other tools left slightly wrong: only where the meaning cannot change, and all are said."""

from __future__ import annotations

import onnx
from onnx import helper

from hls.errors import LoweringError

QONNX_DOMAINS = {"onnx.brevitas": "qonnx.custom_op.general", "finn.custom_op.general": "qonnx.custom_op.general"}
"""Names that QONNX's operators had before."""
CHANNELS_LAST_DOMAIN = "qonnx.custom_op.channels_last"
_OLDEST_MISSING_OPSET = 11
"""Operator set taken where a file names none: MaxPool has had ``ceil_mode``, Clip and Pad their inputs since then."""


def repaired(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy of a model that tools agree about, and what was mended, in words for people.

    Raises:
        LoweringError: the nodes have a cycle, or read what nothing produces.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    notes = [*_rename_domains(copy), *_rename_roundings(copy.graph), *_declare_opsets(copy), *_sort(copy.graph)]
    _name_nodes(copy.graph)
    return copy, tuple(notes)


def _rename_domains(model: onnx.ModelProto) -> list[str]:
    renamed = {node.domain for node in model.graph.node} & set(QONNX_DOMAINS)
    for node in model.graph.node:
        node.domain = QONNX_DOMAINS.get(node.domain, node.domain)
    kept = [item for item in model.opset_import if item.domain not in QONNX_DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return [f"domain {name} read as {QONNX_DOMAINS[name]}, its name today" for name in sorted(renamed)]


def _rename_roundings(graph: onnx.GraphProto) -> list[str]:
    """Brevitas has a name of its own for a rounding that QONNX calls DOWN."""
    found = False
    for node in graph.node:
        for item in node.attribute:
            if item.name == "rounding_mode" and item.s.upper() == b"ROUND_TO_ZERO":
                item.s, found = b"DOWN", True
    return ["rounding mode ROUND_TO_ZERO read as DOWN, its name in QONNX"] if found else []


def _declare_opsets(model: onnx.ModelProto) -> list[str]:
    declared = {item.domain for item in model.opset_import}
    notes = []
    if not declared & {"", "ai.onnx"}:
        model.opset_import.append(helper.make_opsetid("", _OLDEST_MISSING_OPSET))
        notes.append(f"no operator set declared for standard operators; {_OLDEST_MISSING_OPSET} taken")
    standard = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    for domain in sorted({node.domain for node in model.graph.node} - declared - {"", "ai.onnx"}):
        # qonnx wraps standard operators for channels-last words: they are of the standard operators' version.
        wrapped = domain == CHANNELS_LAST_DOMAIN
        version = max(standard, _OLDEST_MISSING_OPSET) if wrapped else 1
        model.opset_import.append(helper.make_opsetid(domain, version))
        if wrapped:
            notes.append(f"no operator set declared for domain {domain}; {version} taken, as for standard operators")
    return notes


def _sort(graph: onnx.GraphProto) -> list[str]:
    known = {item.name for item in graph.input} | {item.name for item in graph.initializer} | {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if all(name in known for name in node.input)]
        if not ready:
            node = waiting[0]
            missing = next(name for name in node.input if name not in known)
            raise LoweringError(
                found=f"input {missing!r}, which nothing before it produces",
                allowed="a graph without cycles whose every tensor has a producer",
                where=f"layer {node.name or '(unnamed)'} ({node.op_type})",
                remedy="export the graph again",
            )
        # Keep the file's own order wherever it is a data order.
        position = 0
        while position < len(waiting):
            node = waiting[position]
            if all(name in known for name in node.input):
                known.update(node.output)
                ordered.append(waiting.pop(position))
            else:
                position += 1
    changed = [a is not b for a, b in zip(ordered, list(graph.node), strict=True)]
    if not any(changed):
        return []
    copies = []
    for node in ordered:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)
    return ["nodes put into data order"]


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give nodes without a name one, so that messages and layers can be told apart."""
    for position, node in enumerate(graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{position}"
