"""Operators for layers that hls4ml has, but whose ONNX reader mixes up axes: 1-D max pools, resizing, padding.

hls4ml 1.3.0 reads the length of a one-dimensional pool for its channels, and the height of a Resize for its width; it
takes the words of a Pad for channels-first unless some other node is of qonnx's channels-last domain.
These operators name the axes, so that hls4ml's own layers and C++ do the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp


class _LayoutOperator(CustomOp):  # type: ignore[misc]
    """What operators share that pick, repeat or add words and compute none."""

    def infer_node_datatype(self, model: Any) -> None:
        """That of the input."""
        node = self.onnx_node
        model.set_tensor_datatype(node.output[0], model.get_tensor_datatype(node.input[0]) or DataType["FLOAT32"])

    def verify_node(self) -> list[str]:
        """Raises where an attribute is missing."""
        return [str(self.get_nodeattr(name)) for name in self.get_nodeattr_types()]


class MaxPool1d(_LayoutOperator):
    """Largest value of each window of [samples, length, channels]; no padding."""

    def get_nodeattr_types(self) -> dict[str, tuple[str, bool, Any]]:
        """Every attribute is required."""
        return {"kernel": ("i", True, 0), "stride": ("i", True, 0)}

    def make_shape_compatible_op(self, model: Any) -> NodeProto:
        """A constant of the output's shape."""
        samples, length, channels = model.get_tensor_shape(self.onnx_node.input[0])
        return _random_of_shape(self.onnx_node, [samples, self._out(length), channels])

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Window by window."""
        values = context[self.onnx_node.input[0]]
        windows = np.lib.stride_tricks.sliding_window_view(values, self.get_nodeattr("kernel"), axis=1)
        context[self.onnx_node.output[0]] = windows[:, :: self.get_nodeattr("stride")].max(axis=-1)

    def _out(self, length: int) -> int:
        return int((length - self.get_nodeattr("kernel")) // self.get_nodeattr("stride") + 1)


class ResizeNearest(_LayoutOperator):
    """Every pixel of [samples, height, width, channels] repeated ``height`` times down and ``width`` times across."""

    def get_nodeattr_types(self) -> dict[str, tuple[str, bool, Any]]:
        """Every attribute is required."""
        return {"height": ("i", True, 0), "width": ("i", True, 0)}

    def make_shape_compatible_op(self, model: Any) -> NodeProto:
        """A constant of the output's shape."""
        samples, height, width, channels = model.get_tensor_shape(self.onnx_node.input[0])
        factors = self.get_nodeattr("height"), self.get_nodeattr("width")
        return _random_of_shape(self.onnx_node, [samples, height * factors[0], width * factors[1], channels])

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Repeats rows, then columns."""
        rows = context[self.onnx_node.input[0]].repeat(self.get_nodeattr("height"), axis=1)
        context[self.onnx_node.output[0]] = rows.repeat(self.get_nodeattr("width"), axis=2)


class ZeroPad(_LayoutOperator):
    """Zeros in front of and behind the spatial axes of [samples, length, channels] or [samples, h, w, channels]."""

    def get_nodeattr_types(self) -> dict[str, tuple[str, bool, Any]]:
        """``front`` and ``back``: one number a spatial axis."""
        return {"front": ("ints", True, []), "back": ("ints", True, [])}

    def make_shape_compatible_op(self, model: Any) -> NodeProto:
        """A constant of the output's shape."""
        shape = model.get_tensor_shape(self.onnx_node.input[0])
        return _random_of_shape(
            self.onnx_node, [size + sum(pads) for size, pads in zip(shape, self._pads(), strict=True)]
        )

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Pads with zeros."""
        context[self.onnx_node.output[0]] = np.pad(context[self.onnx_node.input[0]], self._pads())

    def _pads(self) -> list[tuple[int, int]]:
        pairs = zip(self.get_nodeattr("front"), self.get_nodeattr("back"), strict=True)
        return [(0, 0), *((int(front), int(back)) for front, back in pairs), (0, 0)]


def read_zero_pad(node: Any, shape: list[int]) -> dict[str, Any]:
    """Attributes of hls4ml's ``ZeroPadding1D`` or ``ZeroPadding2D``, for channels-last input words."""
    front, back = (list(helper.get_node_attr_value(node, name)) for name in ("front", "back"))
    names = {1: (("width", "left", "right"),), 2: (("height", "top", "bottom"), ("width", "left", "right"))}[len(front)]
    attributes: dict[str, Any] = {
        "class_name": f"ZeroPadding{len(front)}D", "data_format": "channels_last", "n_chan": shape[-1]
    }  # fmt: skip
    for (axis, first, last), size, before, behind in zip(names, shape[1:-1], front, back, strict=True):
        attributes |= {
            f"in_{axis}": size, f"out_{axis}": size + before + behind, f"pad_{first}": before, f"pad_{last}": behind
        }  # fmt: skip
    return attributes


def read_max_pool(node: Any, shape: list[int]) -> dict[str, Any]:
    """Attributes of hls4ml's ``MaxPooling1D``, for input words [samples, length, channels]."""
    kernel, stride = (helper.get_node_attr_value(node, name) for name in ("kernel", "stride"))
    return {
        "class_name": "MaxPooling1D",
        "data_format": "channels_last",
        "n_in": shape[1],
        "n_filt": shape[2],
        "n_out": (shape[1] - kernel) // stride + 1,
        "pool_width": kernel,
        "stride_width": stride,
        "pad_left": 0,
        "pad_right": 0,
    }


def read_resize(node: Any, shape: list[int]) -> dict[str, Any]:
    """Attributes of hls4ml's ``Resize``, for input words [samples, height, width, channels]."""
    height, width = (helper.get_node_attr_value(node, name) for name in ("height", "width"))
    return {
        "class_name": "Resize",
        "data_format": "channels_last",
        "algorithm": "nearest",
        "in_height": shape[1],
        "in_width": shape[2],
        "out_height": shape[1] * height,
        "out_width": shape[2] * width,
        "n_chan": shape[3],
    }


def _random_of_shape(node: NodeProto, shape: list[int]) -> NodeProto:
    return helper.make_node("RandomNormal", [], [node.output[0]], shape=shape)
