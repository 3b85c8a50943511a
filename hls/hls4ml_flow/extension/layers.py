"""hls4ml's layers for the operators: output types and weight arrays. Imported by the plug-in, after hls4ml's own.

A layer states its result type itself, so that hls4ml has nothing to infer. Thresholds and tables are weight variables:
arrays with a .txt and a .h file each, which can be read, poked and audited like weights.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from hls4ml.model.attributes import Attribute
from hls4ml.model.layers import Layer
from hls4ml.model.types import FixedPrecisionType

from hls.errors import LoweringError
from hls.hls4ml_flow.extension.parameters import (
    Lookup,
    Parameters,
    Requantize,
    Result,
    ScaledAdd,
    Threshold,
    require_channels,
)

BACKENDS = ("Vivado", "Vitis", "VivadoAccelerator", "Quartus", "Catapult")
"""Back ends whose C++ the layers have."""


class _EdgevalLayer(Layer):  # type: ignore[misc]
    """One result of the shape of the input, in the type the operator names."""

    _expected_attributes: ClassVar = [Attribute("parameters", value_type=dict)]

    @property
    def parameters(self) -> Any:
        """What the operator was told: a dataclass of ``parameters.py``, rebuilt from the layer's attributes."""
        return _rebuild(self.get_attr("parameters"))

    def initialize(self) -> None:
        """Called by hls4ml when the layer is made; sets the result's type."""
        parameters = self.parameters
        variable = self.get_input_variable()
        backend = self.model.config.backend.name
        if backend not in BACKENDS:  # hls4ml would write a project that leaves the layer out
            raise LoweringError(
                found=f"back end {backend}",
                allowed=", ".join(BACKENDS),
                where=parameters.where,
                remedy="choose one of these back ends",
            )
        if isinstance(parameters, Threshold | Requantize | Lookup):
            require_channels(parameters, variable.shape[-1])
        self._refuse_configured_result(parameters.result)
        self.add_output_variable(variable.shape, precision=_precision(parameters.result))

    def _refuse_configured_result(self, result: Result) -> None:
        asked = self.model.config.layer_name_precision.get(f"{self.name.lower()}_result")
        if asked is None or str(asked) == "auto":
            return
        if self.model.config.backend.convert_precision_string(asked) != _precision(result):
            raise LoweringError(
                found=f"result precision {asked} in the configuration",
                allowed=f"{_precision(result)}, or `auto`",
                where=f"layer {self.name} ({self.class_name})",
                remedy="change out_bits, out_unit and out_signed of the node instead",
            )

    def _add_words(self, name: str, rows: tuple[tuple[int, ...], ...], result: Result) -> None:
        data = np.ldexp(np.array(rows, np.int64).astype(np.float64), result.unit)
        self.add_weights_variable(name=name, var_name=f"{name}{{index}}", precision=_precision(result), data=data)


class EdgevalThreshold(_EdgevalLayer):
    """Weight ``thresholds``: [1 or channels, steps], signed, ``threshold_bits`` wide, in the input's unit."""

    def initialize(self) -> None:
        """Called by hls4ml when the layer is made."""
        super().initialize()
        parameters: Threshold = self.parameters
        stored = Result(unit=parameters.threshold_unit, bits=parameters.threshold_bits, signed=True)
        self._add_words("thresholds", parameters.thresholds, stored)


class EdgevalRequantize(_EdgevalLayer):
    """No weight arrays: multipliers, offsets and shifts are constants of the configuration."""


class EdgevalLookup(_EdgevalLayer):
    """Weight ``table``: [1 or channels, entries], in the type of the result."""

    def initialize(self) -> None:
        """Called by hls4ml when the layer is made."""
        super().initialize()
        self._add_words("table", self.parameters.table, self.parameters.result)


class EdgevalScaledAdd(_EdgevalLayer):
    """Two inputs of one shape; no weight arrays."""

    def initialize(self) -> None:
        """Called by hls4ml when the layer is made."""
        super().initialize()
        first, second = (self.get_input_variable(name).shape for name in self.inputs)
        if first != second:
            raise LoweringError(
                found=f"inputs of shapes {first} and {second}",
                allowed="two inputs of one shape",
                where=self.parameters.where,
                remedy="bring both branches to one shape",
            )


LAYERS: dict[type, type] = {
    Threshold: EdgevalThreshold,
    Requantize: EdgevalRequantize,
    Lookup: EdgevalLookup,
    ScaledAdd: EdgevalScaledAdd,
}
"""Layer class of each kind of parameters."""


def plain(parameters: Parameters) -> dict[str, Any]:
    """Parameters as a layer attribute: dictionaries, tuples and numbers, which hls4ml can copy and save."""
    values = {name: getattr(parameters, name) for name in parameters.__dataclass_fields__ if name != "result"}
    result = parameters.result
    return {
        **values,
        "kind": type(parameters).__name__,
        "result": {"unit": result.unit, "bits": result.bits, "signed": result.signed},
    }


def _rebuild(values: dict[str, Any]) -> Parameters:
    kinds = {kind.__name__: kind for kind in LAYERS}
    rest = {name: _tuples(value) for name, value in values.items() if name not in {"kind", "result"}}
    parameters: Parameters = kinds[values["kind"]](**rest, result=Result(**values["result"]))
    return parameters


def _tuples(value: Any) -> Any:
    """Lists as they come back from a saved model."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _precision(result: Result) -> Any:
    return FixedPrecisionType(width=result.bits, integer=result.bits + result.unit, signed=result.signed)
