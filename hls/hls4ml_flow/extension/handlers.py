"""ONNX nodes → hls4ml layers. Importing this module once is all that plain hls4ml needs.

Registers the handlers of ``Threshold``, ``Requantize``, ``Lookup``, ``ScaledAdd`` and qonnx's ``MultiThreshold``, and
the layers themselves where the entry point has not been installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hls4ml.converters import get_supported_onnx_layers, register_onnx_layer_handler

from hls.errors import LoweringError
from hls.hls4ml_flow.extension import DOMAIN
from hls.hls4ml_flow.extension.multithreshold import read_multi_threshold
from hls.hls4ml_flow.extension.native import read_max_pool, read_resize, read_zero_pad
from hls.hls4ml_flow.extension.parameters import (
    Parameters,
    read_lookup,
    read_requantize,
    read_scaled_add,
    read_threshold,
)
from hls.hls4ml_flow.extension.plugin import register_layers

Handler = Callable[[Any, list[str], list[list[int]], Any], dict[str, Any]]

_OPERATORS: dict[str, Callable[[Any], Parameters]] = {
    "Threshold": read_threshold,
    "Requantize": read_requantize,
    "Lookup": read_lookup,
    "ScaledAdd": read_scaled_add,
}

_NATIVE: dict[str, Callable[[Any, list[int]], dict[str, Any]]] = {
    "MaxPool1d": read_max_pool,
    "ResizeNearest": read_resize,
    "ZeroPad": read_zero_pad,
}
"""Operators for hls4ml's own layers."""


def register_handlers() -> None:
    """Register layers and handlers; a second call changes nothing."""
    register_layers()
    known = set(get_supported_onnx_layers())
    handlers = {name: _handler(read) for name, read in _OPERATORS.items()} | {"MultiThreshold": _multi_threshold}
    handlers |= {name: _native_handler(read) for name, read in _NATIVE.items()}
    for name, handler in handlers.items():
        if name not in known:
            register_onnx_layer_handler(name, handler)


def _handler(read: Callable[[Any], Parameters]) -> Handler:
    def handle(node: Any, input_names: list[str], input_shapes: list[list[int]], graph: Any) -> dict[str, Any]:
        if node.domain != DOMAIN:  # hls4ml looks at the operator's name alone
            raise LoweringError(
                found=f"{node.op_type} of the domain {node.domain or 'ai.onnx'}",
                allowed=f"{node.op_type} of {DOMAIN}",
                where=f"node {node.name or node.output[0]}",
                remedy="register a handler for that operator before edgeval's",
            )
        return _layer(node, read(node), input_names)

    return handle


def _multi_threshold(node: Any, input_names: list[str], input_shapes: list[list[int]], graph: Any) -> dict[str, Any]:
    return _layer(node, read_multi_threshold(node, input_shapes[0], graph), input_names[:1])


def _native_handler(read: Callable[[Any, list[int]], dict[str, Any]]) -> Handler:
    def handle(node: Any, input_names: list[str], input_shapes: list[list[int]], graph: Any) -> dict[str, Any]:
        del graph
        return {
            "name": node.name or node.output[0],
            "inputs": list(input_names),
            "outputs": list(node.output),
            **read(node, input_shapes[0]),
        }

    return handle


def _layer(node: Any, parameters: Parameters, inputs: list[str]) -> dict[str, Any]:
    from hls.hls4ml_flow.extension.layers import LAYERS, plain

    return {
        "name": node.name or node.output[0],
        "class_name": LAYERS[type(parameters)].__name__,
        "inputs": list(inputs),
        "outputs": list(node.output),
        "parameters": plain(parameters),
    }


register_handlers()
