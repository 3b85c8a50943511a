"""hls4ml's entry point: layers, templates and C++ sources.

hls4ml 1.3.0 calls ``register`` (entry point group ``hls4ml.backends``) while ``hls4ml.converters`` is half imported, so
ONNX handlers are not registered here but by importing ``hls.hls4ml_flow.extension.handlers``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

_CORE = "nnet_edgeval.h"
_HEADERS = {"vivado": "nnet_edgeval_ap.h", "quartus": "nnet_edgeval_ac.h", "catapult": "nnet_edgeval_ac.h"}
"""Header with the types of a back end that registers templates; Vitis and VivadoAccelerator run those of Vivado."""

_SOURCES = {**_HEADERS, "vitis": "nnet_edgeval_ap.h", "vivadoaccelerator": "nnet_edgeval_ap.h"}
_UNUSED_CONSTANTS = "edgeval_remove_unused_constants"


def register(register_backend: Callable[..., Any], register_writer: Callable[..., Any]) -> None:
    """Called by hls4ml with what registers back ends and writers; edgeval adds neither, only layers to those there."""
    register_layers()


def register_layers() -> None:
    """Make hls4ml know edgeval's layers; a second call changes nothing."""
    from hls4ml.backends.backend import get_backend
    from hls4ml.model.flow import update_flow
    from hls4ml.model.layers import layer_map, register_layer
    from hls4ml.model.optimizer import get_available_passes, register_pass

    from hls.hls4ml_flow.extension.constants import RemoveUnusedConstants
    from hls.hls4ml_flow.extension.layers import LAYERS
    from hls.hls4ml_flow.extension.templates import EdgevalConfigTemplate, EdgevalFunctionTemplate

    known = set(get_available_passes())
    if _UNUSED_CONSTANTS not in known:
        register_pass(_UNUSED_CONSTANTS, RemoveUnusedConstants)
        update_flow("parse_qonnx", add_optimizers=[_UNUSED_CONSTANTS])
    for layer in LAYERS.values():
        if layer.__name__ not in layer_map:
            register_layer(layer.__name__, layer)
    config = EdgevalConfigTemplate()
    for name, header in _HEADERS.items():
        if f"{name}:{config.get_name()}" not in known:
            for template in (config, EdgevalFunctionTemplate(header)):
                register_pass(template.get_name(), template, backend=get_backend(name).name)
    folder = Path(__file__).resolve().parents[2] / "cpp"
    for name, header in _SOURCES.items():
        for file in (_CORE, header):
            get_backend(name).register_source(folder / file)
